//! Features of an earlier run in the same folder: taken up again only while nothing has changed.

use std::{fs, io::Write};

use neuroinspect::{
    burn::tensor::Device,
    core::FeatureTable,
    models::{CifarResNetConfig, PretrainedClassifier},
};

use crate::bench::{Bench, CLASSES};

/// Whether `evaluate` took features up again, and the features it worked from.
fn evaluate(bench: &Bench, options: &[&str]) -> (bool, FeatureTable) {
    let output = bench.command("evaluate").args(options).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    let features = FeatureTable::load(bench.path("out/features.safetensors")).unwrap();
    (message.contains("features taken from"), features)
}

#[test]
fn features_are_taken_up_again_while_nothing_has_changed() {
    let bench = Bench::new();
    assert!(!evaluate(&bench, &[]).0);
    let before = bench.json("out/summary.json");
    assert!(evaluate(&bench, &[]).0);
    let after = bench.json("out/summary.json");
    for key in ["accuracy", "class_accuracy", "class_names", "samples"] {
        assert_eq!(before[key], after[key]);
    }
    // Another command takes them, too.
    let mut explain = bench.command("explain");
    let output = explain.args(["--class", "owl"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("features taken from"), "{message}");
}

#[test]
fn a_changed_image_is_looked_at_again() {
    let bench = Bench::new();
    let (_, before) = evaluate(&bench, &[]);
    bench.image("images/owl/3.png", 0, 6);
    let (taken, after) = evaluate(&bench, &[]);
    assert!(!taken && before != after);

    fs::remove_file(bench.path("images/owl/3.png")).unwrap();
    assert!(!evaluate(&bench, &[]).0);
    assert_eq!(bench.json("out/summary.json")["samples"], 23);
}

#[test]
fn other_weights_and_damaged_features_are_not_taken() {
    let bench = Bench::new();
    evaluate(&bench, &[]);
    let device = Device::flex();
    device.seed(8);
    let model = CifarResNetConfig::new(20, 3).init(&device).unwrap();
    model.save(&bench.path("model.safetensors")).unwrap();
    let (taken, features) = evaluate(&bench, &[]);
    assert!(!taken);

    // The last bytes are values: the file still reads as a table.
    let path = bench.path("out/features.safetensors");
    let mut damaged = fs::read(&path).unwrap();
    let end = damaged.len();
    damaged[end - 2] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(FeatureTable::load(&path).unwrap() != features);
    let (taken, again) = evaluate(&bench, &[]);
    assert!(!taken && again == features);
}

/// Time and length stand for the content, each by itself.
#[test]
fn an_image_is_told_by_its_time_and_by_its_length() {
    let bench = Bench::new();
    evaluate(&bench, &[]);
    let path = bench.path("images/owl/3.png");
    let file = fs::File::options().append(true).open(&path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_modified(time + std::time::Duration::from_secs(1))
        .unwrap();
    assert!(!evaluate(&bench, &[]).0, "another time");
    assert!(evaluate(&bench, &[]).0);
    // Bytes after the end of a PNG are nothing to its decoder.
    (&file).write_all(b"more").unwrap();
    file.set_modified(time + std::time::Duration::from_secs(1))
        .unwrap();
    assert!(!evaluate(&bench, &[]).0, "another length");
}

#[test]
fn other_options_are_other_features() {
    let bench = Bench::new();
    evaluate(&bench, &[]);
    assert!(!evaluate(&bench, &["--batch-size", "5"]).0);
    fs::write(bench.path("names"), "Felis\nCanis\nStrix\n").unwrap();
    let names = bench.path("names");
    let names = [
        "--batch-size",
        "5",
        "--class-names",
        names.to_str().unwrap(),
    ];
    assert!(!evaluate(&bench, &names).0);
    assert_eq!(bench.json("out/summary.json")["class_names"][2], "Strix");
}

#[test]
fn features_to_edit_on_are_taken_up_again_too() {
    let bench = Bench::new();
    bench.images("train", &CLASSES);
    let edit = || {
        let mut edit = bench.command("edit");
        edit.arg("--train").arg(bench.path("train"));
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        let output = edit.output().unwrap();
        assert!(output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        let timings = bench.json("out/edit.json")["run"]["timings"].clone();
        let stages = [0, 1].map(|stage| timings[stage]["stage"].as_str().unwrap().to_owned());
        (message.matches("features taken from").count(), stages)
    };
    let (taken, stages) = edit();
    assert_eq!(taken, 0);
    assert_eq!(
        stages,
        ["extracting features", "extracting training features"]
    );
    let (taken, stages) = edit();
    assert_eq!(taken, 2);
    assert!(
        stages
            .iter()
            .all(|stage| stage.ends_with("(taken from an earlier run)"))
    );
    bench.image("train/owl/3.png", 0, 6);
    assert_eq!(edit().0, 1);
}

/// What hindered reading an image may be gone without a trace in the file.
#[test]
fn features_without_an_image_are_not_taken() {
    let bench = Bench::new();
    fs::write(bench.path("images/owl/broken.png"), "no image").unwrap();
    let skip = ["--on-corrupt", "skip"];
    for _ in 0..2 {
        assert!(!evaluate(&bench, &skip).0);
        let skipped = &bench.json("out/summary.json")["run"]["skipped_images"];
        assert_eq!(skipped[0]["path"], "owl/broken.png");
    }
    crate::bench::fails(&mut bench.command("evaluate"), &["broken.png"]);
}
