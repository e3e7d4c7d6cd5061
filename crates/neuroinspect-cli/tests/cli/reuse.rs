//! Features of an earlier run in the same folder: taken up again only while nothing has changed.

use std::{fs, io::Write};

use neuroinspect::{core::FeatureTable, models::PretrainedClassifier};

use crate::fixture::{CLASSES, Fixture, random_model};

/// Whether `evaluate` took features up again, and the features it worked from.
fn evaluate(fixture: &Fixture, options: &[&str]) -> (bool, FeatureTable) {
    let output = fixture.command("evaluate").args(options).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    let features = FeatureTable::load(fixture.path("out/features.safetensors")).unwrap();
    (message.contains("features taken from"), features)
}

#[test]
fn features_are_taken_up_again_while_nothing_has_changed() {
    let fixture = Fixture::new();
    assert!(!evaluate(&fixture, &[]).0);
    let before = fixture.json("out/evaluation.json");
    assert!(evaluate(&fixture, &[]).0);
    let after = fixture.json("out/evaluation.json");
    for key in ["accuracy", "class_accuracy", "class_names", "samples"] {
        assert_eq!(before[key], after[key]);
    }
    // Another command takes them, too.
    let mut explain = fixture.command("explain");
    let output = explain.args(["--class", "owl"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("features taken from"), "{message}");
}

#[test]
fn a_changed_image_is_looked_at_again() {
    let fixture = Fixture::new();
    let (_, before) = evaluate(&fixture, &[]);
    fixture.image("images/owl/3.png", 0, 6);
    let (taken, after) = evaluate(&fixture, &[]);
    assert!(!taken && before != after);

    fs::remove_file(fixture.path("images/owl/3.png")).unwrap();
    assert!(!evaluate(&fixture, &[]).0);
    assert_eq!(fixture.json("out/evaluation.json")["samples"], 23);
}

#[test]
fn other_weights_and_damaged_features_are_not_taken() {
    let fixture = Fixture::new();
    evaluate(&fixture, &[]);
    let model = random_model(8);
    model.save(&fixture.path("model.safetensors")).unwrap();
    let (taken, features) = evaluate(&fixture, &[]);
    assert!(!taken);

    // The last bytes are values: the file still reads as a table.
    let path = fixture.path("out/features.safetensors");
    let mut damaged = fs::read(&path).unwrap();
    let end = damaged.len();
    damaged[end - 2] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(FeatureTable::load(&path).unwrap() != features);
    let (taken, again) = evaluate(&fixture, &[]);
    assert!(!taken && again == features);
}

/// Time and length stand for the content, each by itself.
#[test]
fn an_image_is_told_by_its_time_and_by_its_length() {
    let fixture = Fixture::new();
    evaluate(&fixture, &[]);
    let path = fixture.path("images/owl/3.png");
    let file = fs::File::options().append(true).open(&path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_modified(time + std::time::Duration::from_secs(1))
        .unwrap();
    assert!(!evaluate(&fixture, &[]).0, "another time");
    assert!(evaluate(&fixture, &[]).0);
    // Bytes after the end of a PNG are nothing to its decoder.
    (&file).write_all(b"more").unwrap();
    file.set_modified(time + std::time::Duration::from_secs(1))
        .unwrap();
    assert!(!evaluate(&fixture, &[]).0, "another length");
}

#[test]
fn other_options_are_other_features() {
    let fixture = Fixture::new();
    evaluate(&fixture, &[]);
    assert!(!evaluate(&fixture, &["--batch-size", "5"]).0);
    fs::write(fixture.path("names"), "Felis\nCanis\nStrix\n").unwrap();
    let names = fixture.path("names");
    let names = [
        "--batch-size",
        "5",
        "--class-names",
        names.to_str().unwrap(),
    ];
    assert!(!evaluate(&fixture, &names).0);
    assert_eq!(
        fixture.json("out/evaluation.json")["class_names"][2],
        "Strix"
    );
}

#[test]
fn features_to_edit_on_are_taken_up_again_too() {
    let fixture = Fixture::new();
    fixture.images("train", &CLASSES);
    let edit = || {
        let mut edit = fixture.command("edit");
        edit.arg("--train").arg(fixture.path("train"));
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        let output = edit.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        let timings = fixture.json("out/edit.json")["run"]["timings"].clone();
        let stages = [0, 1].map(|stage| timings[stage]["stage"].as_str().unwrap().to_owned());
        assert_eq!(
            stages,
            ["extracting features", "extracting training features"]
        );
        message.matches("features taken from").count()
    };
    assert_eq!(edit(), 0);
    assert_eq!(edit(), 2);
    fixture.image("train/owl/3.png", 0, 6);
    assert_eq!(edit(), 1);
}

/// What hindered reading an image may be gone without a trace in the file.
#[test]
fn features_without_an_image_are_not_taken() {
    let fixture = Fixture::new();
    fs::write(fixture.path("images/owl/broken.png"), "no image").unwrap();
    let skip = ["--on-corrupt", "skip"];
    for _ in 0..2 {
        assert!(!evaluate(&fixture, &skip).0);
        let skipped = &fixture.json("out/evaluation.json")["run"]["skipped_images"];
        assert_eq!(skipped[0]["path"], "owl/broken.png");
    }
    crate::fixture::fails(&mut fixture.command("evaluate"), &["broken.png"]);
}
