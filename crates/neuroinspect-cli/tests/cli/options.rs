//! Commands with options and in circumstances of their own.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;

use crate::bench::{Bench, CLASSES, fails};

#[test]
fn debug_takes_clip_and_its_own_training_images() {
    let bench = Bench::new();
    bench.images("train", &CLASSES);
    // Another picture in the place of one, so that seven of eight are measured and trained on.
    bench.image("train/owl/3.png", 0, 7);
    fs::write(
        bench.path("prompts"),
        "a drawing of a {}\n{} in a picture\n",
    )
    .unwrap();
    let clip = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../neuroinspect/assets/scenes_clip.safetensors"
    );
    let mut debug = bench.command("debug");
    debug.arg("--train").arg(bench.path("train"));
    debug.args(["--clip-weights", clip, "--domain", "animal", "--prompts"]);
    debug.arg(bench.path("prompts"));
    debug.args(["--objective", "clip", "--iterations", "2", "--count", "1"]);
    debug.args(["--class", "owl", "--target", "1.5", "--epochs", "2"]);
    debug.assert().success();
    let summary = bench.json("out/summary.json");
    let visualization = &summary["visualizations"][0];
    assert!(visualization["clip_similarity"].is_f64());
    assert_eq!(visualization["objective"], "CLIP-Illusion");
    assert_eq!(summary["edit"]["target"], 1.5);
    assert!(summary["edit"]["control"]["accuracy"].is_f64());
    assert_eq!(
        summary["edit"]["evaluated_on"],
        "24 samples, 23 of which were trained on as well"
    );
    let stages: Vec<_> = summary["run"]["timings"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(stages[0]["stage"], "extracting features");
    assert_eq!(stages[1]["stage"], "extracting training features");
}

#[test]
fn an_objective_without_clip_is_named() {
    let bench = Bench::new();
    let mut debug = bench.command("debug");
    debug.args([
        "--class",
        "owl",
        "--objective",
        "feature",
        "--iterations",
        "2",
    ]);
    debug.args(["--neurons", "7", "--keep", "last", "--epochs", "7"]);
    debug.assert().success();
    let summary = bench.json("out/summary.json");
    assert_eq!(
        summary["visualizations"][0]["objective"],
        "feature visualization"
    );
    assert_eq!(
        summary["edit"]["epochs"], 7,
        "the last is kept, so that all are run"
    );
    let evaluated_on = summary["edit"]["evaluated_on"].as_str().unwrap();
    assert_eq!(evaluated_on, "12 samples not trained on");
}

#[test]
fn the_command_that_applies_an_edit_can_be_given_as_it_is_printed() {
    let bench = Bench::new();
    let weights = bench.path("my model.safetensors");
    fs::rename(bench.path("model.safetensors"), &weights).unwrap();
    let mut debug = Command::cargo_bin("neuroinspect").unwrap();
    debug.args(["debug", "--model", "cifar_resnet20", "--weights"]);
    debug.arg(weights).arg("--data").arg(bench.path("images"));
    debug.args([
        "--class",
        "owl",
        "--iterations",
        "1",
        "--count",
        "1",
        "--out",
    ]);
    debug.arg(bench.path("the out")).assert().success();
    let summary = bench.json("the out/summary.json");
    let command = summary["edit"]["how_to_apply"].as_str().unwrap();
    let arguments = command.strip_prefix("neuroinspect ").unwrap();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("\"$0\" {arguments} --out \"$1\""));
    shell.arg(env!("CARGO_BIN_EXE_neuroinspect"));
    shell.arg(bench.path("out")).assert().success();
    assert!(bench.path("out/edited.safetensors").exists());
}

#[test]
fn an_edit_can_be_applied_to_a_partly_loaded_checkpoint() {
    let bench = Bench::new();
    let path = bench.path("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file.tensors();
    let extra = tensors[0].1.clone();
    tensors.push(("another.part".to_owned(), extra));
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let mut edit = bench.command("edit");
    edit.args([
        "--class",
        "owl",
        "--neurons",
        "3",
        "--epochs",
        "1",
        "--partial",
    ]);
    edit.assert().success();
    let apply = || {
        let mut apply = bench.bare("apply");
        apply.arg("--edit").arg(bench.path("out/edit.safetensors"));
        apply
            .args(["--model", "cifar_resnet20", "--weights"])
            .arg(&path);
        apply
    };
    fails(&mut apply(), &["another.part"]);
    apply().arg("--partial").assert().success();
}

#[test]
fn a_failed_edit_leaves_pictures_and_no_edit_file() {
    let bench = Bench::new();
    let debug = || {
        let mut debug = bench.command("debug");
        debug.args(["--class", "owl", "--iterations", "1", "--count", "1"]);
        debug
    };
    debug().assert().success();
    assert!(bench.path("out/edit.safetensors").exists());

    bench.images("train", &["cat", "dog"]);
    fs::create_dir(bench.path("train/owl")).unwrap();
    let output = debug()
        .arg("--train")
        .arg(bench.path("train"))
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("warning: editing failed: class 2 ('owl')"),
        "{message}"
    );
    let summary = bench.json("out/summary.json");
    assert_eq!(summary["failures"][0]["stage"], "editing");
    assert_eq!(summary["visualizations"].as_array().unwrap().len(), 1);
    assert_eq!(summary["edit"], Value::Null);
    assert!(
        !bench.path("out/edit.safetensors").exists(),
        "of the run before"
    );
}

#[test]
fn a_reader_that_stops_reading_costs_no_report() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    demo.args(["demo", "--iterations", "1", "--out"]);
    demo.arg(bench.path("out")).stdout(writer);
    assert!(demo.status().unwrap().success());
    for file in ["report.html", "summary.json", "edit.safetensors"] {
        assert!(bench.path("out").join(file).exists(), "{file}");
    }
}
