//! Features of many images: in shards of several processes, joined, and taken up by other commands.

use std::{fs, process::Stdio, thread::sleep, time::Duration};

use assert_cmd::Command;
use neuroinspect::{
    RunFolder,
    core::{FeatureTable, Seed},
    models::PretrainedClassifier,
    quoted,
};
use rand::RngExt;
use serde_json::Value;

use crate::{
    fixture::{CLASSES, Fixture, fails, random_model},
    running::Running,
};

/// 24 images in five batches.
const BATCHES: &str = "--batch-size=5";

/// `features` of the fixture's images into a folder.
fn features(fixture: &Fixture, out: &str, options: &[&str]) -> Command {
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["features", "--model", "cifar_resnet20", "--weights"]);
    command.arg(fixture.path("model.safetensors"));
    command.arg("--data").arg(fixture.path("images"));
    command.arg("--out").arg(fixture.path(out));
    if !options
        .iter()
        .any(|option| option.starts_with("--batch-size"))
    {
        command.arg(BATCHES);
    }
    command.args(options);
    without_scheduler(&mut command);
    command
}

/// `features status` or `features merge`.
fn on(fixture: &Fixture, out: &str, words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.arg("features").args(words);
    command.arg("--out").arg(fixture.path(out));
    command
}

fn without_scheduler(command: &mut Command) {
    for variable in [
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT",
        "JOB_COMPLETION_INDEX",
    ] {
        command.env_remove(variable);
    }
}

/// What a command prints and says.
#[track_caller]
fn done(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    (String::from_utf8(output.stdout).unwrap(), message)
}

/// The table of one process.
fn alone(fixture: &Fixture) -> Vec<u8> {
    done(&mut features(fixture, "alone", &[]));
    fixture.read("alone/features.safetensors")
}

#[test]
fn shards_of_several_processes_are_the_table_of_one() {
    let fixture = Fixture::new();
    let alone = alone(&fixture);
    let (printed, _) = done(&mut features(&fixture, "out", &["--plan", "3"]));
    assert_eq!(
        printed,
        "0 of 3 shards are finished, of 24 images; missing, or under way: 0-2\n"
    );
    // A job's number is its shard; how many there are stands in the plan.
    let mut job = features(&fixture, "out", &[]);
    job.env("SLURM_ARRAY_TASK_ID", "1")
        .env("SLURM_ARRAY_TASK_COUNT", "1");
    let (printed, _) = done(&mut job);
    assert_eq!(
        printed,
        "1 of 3 shards are finished, of 24 images; missing, or under way: 0,2\n"
    );
    done(&mut features(&fixture, "out", &["--shard=2/3"]));
    // Nothing is computed twice.
    let (_, message) = done(&mut features(&fixture, "out", &["--shard=2/3"]));
    assert!(!message.contains("extracting features"), "{message}");
    let (array, _) = done(&mut on(&fixture, "out", &["status", "--array"]));
    assert_eq!(array, "0\n");
    let missing = "shards 0 of the features in";
    fails(
        &mut on(&fixture, "out", &["merge"]),
        &[missing, "features-shards"],
    );
    done(&mut features(&fixture, "out", &["--shard=0/3"]));
    let (printed, _) = done(&mut on(&fixture, "out", &["status"]));
    let out = fixture.path("out");
    let hint = format!(
        "join them: neuroinspect features merge --out {}\n",
        quoted(out)
    );
    assert!(printed.ends_with(&hint), "{printed}");
    let (printed, _) = done(&mut on(&fixture, "out", &["merge", "--json"]));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["schema"], "neuroinspect.features");
    assert_eq!(
        (&printed["samples"], &printed["neurons"]),
        (&24.into(), &64.into())
    );

    assert!(fixture.read("out/features.safetensors") == alone);
    assert!(!fixture.path("out/features-shards").exists());
    let mut evaluate = fixture.command("evaluate");
    let (_, message) = done(evaluate.arg(BATCHES));
    assert!(message.contains("features taken from"), "{message}");
    // A job that is started again finds all of it there.
    let (printed, _) = done(&mut features(&fixture, "out", &["--shard=1/3"]));
    assert!(printed.starts_with("features of 24 images"), "{printed}");
    assert!(!fixture.path("out/features-shards").exists());
}

/// What a process without a shard finds missing it computes, and joins all.
#[test]
fn one_process_finishes_what_others_began() {
    let fixture = Fixture::new();
    let alone = alone(&fixture);
    done(&mut features(&fixture, "out", &["--shard=3/4"]));
    {
        let _held = RunFolder::open(fixture.path("out/features-shards/1-of-4"), None).unwrap();
        let (printed, message) = done(&mut features(&fixture, "out", &[]));
        assert!(
            message.contains("other processes are computing them: shards 1\n"),
            "{message}"
        );
        assert_eq!(
            printed,
            "3 of 4 shards are finished, of 24 images; missing, or under way: 1\n"
        );
        fails(
            &mut features(&fixture, "out", &["--shard=1/4"]),
            &["1-of-4", "is held by"],
        );
    }
    // One that is not as it was written is missing, too, once that is noticed.
    fs::write(
        fixture.path("out/features-shards/0-of-4/features.safetensors"),
        "other",
    )
    .unwrap();
    done(&mut features(&fixture, "out", &["--shard=1/4"]));
    fails(
        &mut on(&fixture, "out", &["merge"]),
        &["shards 0 of the features in", "or not as they were written"],
    );
    // Here when all are joined, and then it is made again at once.
    fs::write(
        fixture.path("out/features-shards/2-of-4/features.safetensors"),
        "other",
    )
    .unwrap();
    let (printed, _) = done(&mut features(&fixture, "out", &[]));
    assert!(
        printed.starts_with("features of 24 images, 64 of each, in "),
        "{printed}"
    );
    assert!(fixture.read("out/features.safetensors") == alone);
}

#[test]
fn shards_of_something_else_are_not_joined() {
    let fixture = Fixture::new();
    fails(&mut on(&fixture, "out", &["status"]), &["does not exist"]);
    let too_many = ["shards", "6", "no more than there are batches of images"];
    fails(&mut features(&fixture, "out", &["--plan", "6"]), &too_many);
    done(&mut features(&fixture, "out", &["--shard=0/2"]));
    let other = ["shards of other features", "the number of shards"];
    fails(&mut features(&fixture, "out", &["--shard=0/3"]), &other);
    let other = ["shards of other features", "the batch size"];
    fails(
        &mut features(&fixture, "out", &["--shard=1/2", "--batch-size=4"]),
        &other,
    );
    fixture.change_weights(|tensors| tensors.retain(|(name, _)| name != "conv1.weight"));
    // It says first which weights are missing.
    let mut untold = features(&fixture, "out", &["--shard=1/2", "--partial"]);
    let untold = untold.output().unwrap();
    let message = String::from_utf8(untold.stderr).unwrap();
    assert_eq!(untold.status.code(), Some(1), "{message}");
    assert!(message.contains("which cannot be told here"), "{message}");
    random_model()
        .save(&fixture.path("model.safetensors"))
        .unwrap();
    let other = ["shards of other features", "the weights", "features-shards"];
    fails(&mut features(&fixture, "out", &["--shard=1/2"]), &other);
    fixture.image("images/owl/8.png", 2, 8);
    let other = ["shards of other features", "the number of images"];
    fails(&mut features(&fixture, "out", &["--shard=1/2"]), &other);
}

#[test]
fn images_that_cannot_be_read_are_left_out_of_shards_too() {
    let fixture = Fixture::new();
    fs::write(fixture.path("images/dog/2.png"), "no image").unwrap();
    let skip = ["--on-corrupt", "skip"];
    done(&mut features(&fixture, "alone", &skip));
    for shard in ["--shard=0/2", "--shard=1/2"] {
        let (_, message) = done(features(&fixture, "out", &[shard]).args(skip));
        // It is the eleventh, and the first of the second shard.
        let told = message.contains("skipped 'dog/2.png'");
        assert_eq!(told, shard == "--shard=1/2", "{message}");
    }
    fails(
        &mut features(&fixture, "failing", &["--shard=1/2"]),
        &["dog/2.png"],
    );
    // Through a file, where memory does not hold all.
    let merge = &["merge", "--memory", "1KiB"];
    let (printed, message) = done(&mut on(&fixture, "out", merge));
    assert!(printed.starts_with("features of 23 images"), "{printed}");
    assert!(message.contains("skipped 'dog/2.png'"), "{message}");
    let ids = |out: &str| {
        let table = FeatureTable::load(fixture.path(out).join("features.safetensors")).unwrap();
        table.sample_ids().to_vec()
    };
    assert_eq!(ids("out"), ids("alone"));
    // Without it they are taken up while it cannot be read, by who leaves it out.
    let (_, message) = done(fixture.command("evaluate").arg(BATCHES).args(skip));
    assert!(message.contains("features taken from"), "{message}");
    assert!(message.contains("skipped 'dog/2.png'"), "{message}");
    let (printed, _) = done(features(&fixture, "out", &["--shard=1/2"]).args(skip));
    assert!(printed.starts_with("features of 23 images"), "{printed}");
    fails(fixture.command("evaluate").arg(BATCHES), &["dog/2.png"]);
    // It may be there the next time.
    fixture.image("images/dog/2.png", 1, 2);
    let mut evaluate = fixture.command("evaluate");
    let (printed, _) = done(evaluate.arg(BATCHES));
    assert!(printed.contains("on 24 images"), "{printed}");
}

/// Those of images to learn from are kept where `--train` of other commands looks for them.
#[test]
fn features_to_learn_from_are_taken_up_by_edit() {
    let fixture = Fixture::new();
    fixture.images("train", &CLASSES);
    let train = fixture.path("train");
    let mut command = fixture.bare("features");
    command.args(["--model", "cifar_resnet20", "--weights"]);
    command
        .arg(fixture.path("model.safetensors"))
        .arg("--data")
        .arg(&train);
    without_scheduler(&mut command);
    let (printed, _) = done(command.args(["--training", "--shard=0/1"]));
    assert!(
        printed.starts_with("1 of 1 shards are finished"),
        "{printed}"
    );
    done(&mut on(&fixture, "out", &["merge", "--training"]));
    let mut edit = fixture.command("edit");
    edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
    let (_, message) = done(edit.arg("--train").arg(&train));
    let taken = message
        .lines()
        .filter(|line| line.contains("features taken from"));
    let taken: Vec<_> = taken.collect();
    assert_eq!(taken.len(), 1, "{message}");
    assert!(taken[0].contains("train-features.safetensors"), "{message}");
}

/// Killed at random moments, and started again.
#[test]
fn a_killed_process_goes_on_with_the_next_shard() {
    let fixture = Fixture::new();
    let alone = alone(&fixture);
    done(&mut features(&fixture, "out", &["--plan", "5"]));
    let mut rng = Seed(5).rng("moments", &[]);
    for _ in 0..12 {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
        let words = features(&fixture, "out", &[]);
        command
            .args(words.get_args())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running(command.spawn().unwrap());
        sleep(Duration::from_millis(rng.random_range(0..400)));
        drop(running);
    }
    // What was finished by then is kept; if all was, it is joined.
    let finished = (0..5)
        .map(|shard| format!("out/features-shards/{shard}-of-5/features.origin.json"))
        .filter(|record| fixture.path(record).exists());
    let joined = fixture.path("out/features.safetensors").exists();
    assert!(joined || finished.count() > 0);
    let done = features(&fixture, "out", &[]).output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(fixture.read("out/features.safetensors") == alone);
}

/// Each finds the other at work; who is last joins, and both come to an end without an error.
#[test]
fn two_processes_without_a_shard_join_what_they_make() {
    let fixture = Fixture::new();
    let alone = alone(&fixture);
    done(&mut features(&fixture, "out", &["--plan", "5"]));
    let start = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
        command.args(features(&fixture, "out", &[]).get_args());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for process in [start(), start()] {
        let output = process.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
    }
    assert!(fixture.read("out/features.safetensors") == alone);
    assert!(!fixture.path("out/features-shards").exists());
}
