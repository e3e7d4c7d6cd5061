//! A run that is killed is taken up again by the same command.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread::sleep,
    time::{Instant, SystemTime},
};

use neuroinspect::core::Seed;
use rand::RngExt;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::{
    fixture::Fixture,
    running::{Running, start, wait_for},
};

/// How the name of the record of a batch under way ends.
const STATE: &str = ".state.safetensors";

const COMMON: [&str; 6] = [
    "--class=owl",
    "--count=5",
    "--epochs=2",
    "--seed=3",
    "--size=32",
    "--json",
];

/// Runs the command to its end; how many pictures it says to have taken from the folder.
fn run(fixture: &Fixture, options: &[&str]) -> usize {
    finished(start(fixture, "debug", options))
}

/// Waits for the end of a command that succeeds; how many pictures it says to have taken from the
/// folder.
fn finished(running: Running) -> usize {
    let (succeeded, message) = wait(running);
    assert!(succeeded, "{message}");
    let taken = message
        .lines()
        .find_map(|line| line.split_once(" pictures taken from"));
    taken.map_or(0, |(count, _)| count.parse().unwrap())
}

/// Whether the command succeeded, and its messages.
fn wait(mut running: Running) -> (bool, String) {
    let mut message = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut message).unwrap();
    (running.0.wait().unwrap().success(), message)
}

/// The records of finished pictures, with the times they were written.
fn records(fixture: &Fixture) -> BTreeMap<String, SystemTime> {
    let Ok(files) = fs::read_dir(fixture.path("out/pictures/debug")) else {
        return BTreeMap::new();
    };
    files
        .map(|file| {
            let file = file.unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            (file.file_name().into_string().unwrap(), modified)
        })
        .filter(|(name, _)| name.ends_with(".safetensors") && !name.contains(STATE))
        .collect()
}

/// How many steps the batch under way had at its last checkpoint, by the record of it.
pub(crate) fn steps_kept(fixture: &Fixture) -> Option<u64> {
    let files = fs::read_dir(fixture.path("out/pictures/debug")).ok()?;
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let state = names.into_iter().find(|name| name.ends_with(STATE))?;
    // Gone when the batch has been finished meanwhile.
    let bytes = fs::read(fixture.path("out/pictures/debug").join(state)).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let description = &header.metadata().as_ref().unwrap()["neuroinspect"];
    let description: Value = serde_json::from_str(description).unwrap();
    Some(description["state"]["steps"].as_u64().unwrap())
}

#[track_caller]
fn assert_same(results: &BTreeMap<String, Vec<u8>>, alone: &BTreeMap<String, Vec<u8>>) {
    assert!(results.keys().eq(alone.keys()));
    for (name, bytes) in alone {
        assert!(results[name] == *bytes, "{name}");
    }
}

/// Killed at ten random moments, one in each tenth of its time, a run goes on with the pictures it
/// had finished, and ends with the very bytes of a run left alone.
#[test]
fn a_killed_run_goes_on_where_it_was() {
    let options = [&COMMON[..], &["--iterations=25", "--picture-batch=1"]].concat();
    let fixture = Fixture::new();
    let begin = Instant::now();
    assert_eq!(run(&fixture, &options), 0);
    let whole = begin.elapsed();
    let alone = fixture.results("out");
    assert_eq!(records(&fixture).len(), 5, "a picture a batch");

    let mut taken = 0;
    for tenth in 0..10_u32 {
        fs::remove_dir_all(fixture.path("out")).unwrap();
        let within: f64 = Seed(11).rng("moment", &[tenth.into()]).random();
        let mut running = start(&fixture, "debug", &options);
        sleep(whole.mul_f64((f64::from(tenth) + within) / 10.0));
        running.0.kill().unwrap();
        running.0.wait().unwrap();

        let finished = records(&fixture);
        let reused = run(&fixture, &options);
        assert_eq!(reused, finished.len(), "killed in tenth {tenth}");
        let after = records(&fixture);
        for (name, written) in &finished {
            assert_eq!(after.get(name), Some(written), "{name} was made again");
        }
        taken += finished.len();
        assert_same(&fixture.results("out"), &alone);
    }
    assert!(taken > 0, "no kill came while pictures were made");
}

/// All pictures are one batch by default. Killed in its midst, it goes on at its last checkpoint: no
/// earlier one is come by again.
#[test]
fn a_batch_that_was_killed_goes_on_where_it_was() {
    let options = [&COMMON[..], &["--iterations=220"]].concat();
    let fixture = Fixture::new();
    assert_eq!(run(&fixture, &options), 0);
    let alone = fixture.results("out");
    assert_eq!(records(&fixture).len(), 1, "one batch");

    fs::remove_dir_all(fixture.path("out")).unwrap();
    let mut running = start(&fixture, "debug", &options);
    wait_for("second checkpoint", || {
        steps_kept(&fixture).is_some_and(|steps| steps >= 100)
    });
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    let kept = steps_kept(&fixture).unwrap();
    assert!(records(&fixture).is_empty(), "the batch was under way");

    let mut running = start(&fixture, "debug", &options);
    let mut seen = Vec::new();
    wait_for("end", || {
        seen.extend(steps_kept(&fixture));
        running.0.try_wait().unwrap().is_some()
    });
    let (succeeded, message) = wait(running);
    assert!(
        succeeded && !message.contains("pictures taken from"),
        "{message}"
    );
    let told = format!("pictures under way went on after step {kept}, ");
    assert!(message.contains(&told), "{message}");
    assert_eq!(seen.iter().min(), Some(&kept));
    assert_eq!(steps_kept(&fixture), None);
    assert_same(&fixture.results("out"), &alone);
}

/// Another recipe is another picture: what lies there of the first does not pass for it.
#[test]
fn pictures_of_another_recipe_are_not_taken() {
    let fixture = Fixture::new();
    let debug = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
        command.args(["debug", "--model", "cifar_resnet20", "--weights"]);
        command.arg(fixture.path("model.safetensors"));
        command.arg("--data").arg(fixture.path("images"));
        command.args(["--class", "owl", "--count", "2"]);
        command.arg("--out").arg(fixture.path("out")).args(options);
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        message.contains("2 pictures taken from")
    };
    let first = ["--iterations", "2"];
    assert!(!debug(&first));
    assert!(debug(&first));
    assert!(!debug(&["--iterations", "3"]));
    assert!(!debug(&["--iterations", "3", "--seed", "1"]));
    assert!(!debug(&[
        "--iterations",
        "3",
        "--seed",
        "1",
        "--class-gamma",
        "0.25"
    ]));
    // The edit is made anew each time: pictures do not depend on it.
    assert!(debug(&[
        "--iterations",
        "3",
        "--seed",
        "1",
        "--class-gamma",
        "0.25",
        "--epochs",
        "2"
    ]));
}
