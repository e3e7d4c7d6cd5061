//! Features of an earlier run in the same folder: what of the command line decides whether they are
//! taken up again. What else does is tried without the program.

use std::fs;

use neuroinspect::{core::FeatureTable, models::PretrainedClassifier};

use crate::fixture::{CLASSES, Fixture, random_model};

/// Whether `evaluate` took features up again.
fn evaluate(fixture: &Fixture, options: &[&str]) -> bool {
    said(fixture, options).contains("features taken from")
}

/// What `evaluate` says beside its result.
fn said(fixture: &Fixture, options: &[&str]) -> String {
    let output = fixture.command("evaluate").args(options).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    message
}

#[test]
fn features_are_taken_up_again_while_nothing_has_changed() {
    let fixture = Fixture::new();
    assert!(!evaluate(&fixture, &[]));
    let before = fixture.json("out/evaluation.json");
    assert!(evaluate(&fixture, &[]));
    let after = fixture.json("out/evaluation.json");
    for key in ["accuracy", "class_accuracy", "class_names", "samples"] {
        assert_eq!(before[key], after[key]);
    }
    // Another command takes them, too.
    let mut explain = fixture.command("explain");
    let output = explain.args(["--class", "owl"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("features taken from"), "{message}");

    assert!(!evaluate(&fixture, &["--batch-size", "5"]));
    fs::write(fixture.path("names"), "Felis\nCanis\nStrix\n").unwrap();
    let names = fixture.path("names");
    let names = ["--class-names", names.to_str().unwrap()];
    assert!(!evaluate(&fixture, &names));
    let summary = fixture.json("out/evaluation.json");
    assert_eq!(summary["class_names"][2], "Strix");
    assert!(evaluate(&fixture, &names));
    let model = random_model();
    model.save(&fixture.path("model.safetensors")).unwrap();
    let message = said(&fixture, &names);
    assert!(!message.contains("features taken from"), "{message}");
    let why = "were made anew, as these have changed: the weights\n";
    assert!(message.contains(why), "{message}");
}

#[test]
fn features_to_edit_on_are_taken_up_again_too() {
    let fixture = Fixture::new();
    fixture.images("train", &CLASSES);
    let edit = |options: &[&str]| {
        let mut edit = fixture.command("edit");
        edit.arg("--train").arg(fixture.path("train"));
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        edit.args(options);
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
    assert_eq!(edit(&[]), 0);
    assert_eq!(edit(&[]), 2);
    fixture.image("train/owl/3.png", 0, 6);
    assert_eq!(edit(&[]), 1);
    // Views are of the training images.
    assert_eq!(edit(&["--views", "2"]), 2);
    assert_eq!(edit(&["--views", "2"]), 3);
    let path = fixture.path("out/view-features.safetensors");
    let views = FeatureTable::load(path).unwrap();
    let train = FeatureTable::load(fixture.path("out/train-features.safetensors")).unwrap();
    assert_eq!(views.len(), 2 * train.len());
    assert_eq!(
        views.sample_ids()[0],
        format!("{}#1", train.sample_ids()[0])
    );
    assert_ne!(
        views.features().unwrap().row(0),
        views.features().unwrap().row(train.len())
    );
    let mut edit = fixture.command("edit");
    edit.args(["--class", "owl", "--neurons", "3", "--views", "two"]);
    crate::fixture::fails(&mut edit, &["--views 'two'", "how many of each"]);
}

/// What hindered reading an image may be gone without a trace in the file.
#[test]
fn features_without_an_image_are_taken_while_it_cannot_be_read() {
    let fixture = Fixture::new();
    fs::write(fixture.path("images/owl/broken.png"), "no image").unwrap();
    let skip = ["--on-corrupt", "skip"];
    for taken in [false, true] {
        assert_eq!(evaluate(&fixture, &skip), taken);
        let skipped = &fixture.json("out/evaluation.json")["run"]["skipped_images"];
        assert_eq!(skipped[0]["path"], "owl/broken.png");
    }
    crate::fixture::fails(&mut fixture.command("evaluate"), &["broken.png"]);
}
