//! `train` and `corrupt`.

use std::fs;

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::{
    fixture::{CLASSES, Fixture, fails},
    running::{Running, wait_for},
};

/// `train` on the fixture's images, from the start.
fn train(fixture: &Fixture, options: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.args(["train", "--model", "cifar_resnet20", "--data"]);
    command.arg(fixture.path("images"));
    command.arg("--out").arg(fixture.path("out"));
    command
        .args(["--batch-size", "8", "--seed", "4"])
        .args(options);
    command
}

/// Runs it to its end; its messages.
fn trained(fixture: &Fixture, options: &[&str]) -> String {
    let output = train(fixture, options).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    message
}

/// The weights, and the record without times.
fn results(fixture: &Fixture) -> (Vec<u8>, Value) {
    let mut record = fixture.json("out/training.json");
    for timing in record["run"]["timings"].as_array_mut().unwrap() {
        assert!(timing["seconds"].take().is_f64());
    }
    (
        fs::read(fixture.path("out/model.safetensors")).unwrap(),
        record,
    )
}

#[test]
fn a_network_is_trained_measured_and_read_again() {
    let fixture = Fixture::new();
    let options = [
        "--epochs", "2", "--flip", "--shift", "2", "--keep", "accuracy",
    ];
    let message = trained(&fixture, &options);
    assert!(message.contains("epoch 2: loss "), "{message}");
    let (weights, record) = results(&fixture);
    assert_eq!(record["schema"], "neuroinspect.training");
    // A tenth of eight images is one of each class.
    assert_eq!(record["training_images"], 21);
    assert_eq!(record["validation_images"], 3);
    assert_eq!(record["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(record["class_names"], json!(CLASSES));
    let training = &record["run"]["configs"]["training"];
    assert_eq!(training["augmentation"], json!({"flip": true, "shift": 2}));
    assert_eq!(training["seed"], 4);
    let kept = &record["epochs"][record["kept"].as_u64().unwrap() as usize - 1];

    // Measured on all images, the weights are what the record says of those held out.
    let path = fixture.path("out/model.safetensors");
    fixture
        .with_weights("cifar_resnet20", &path)
        .assert()
        .success();
    let evaluation = fixture.json("out/evaluation.json");
    assert_eq!(
        evaluation["run"]["weights_sha256"],
        record["weights_sha256"]
    );
    assert!(kept["validation"]["accuracy"].is_f64());

    // Trained again as the record says, it is the same.
    fs::copy(
        fixture.path("out/training.json"),
        fixture.path("first.json"),
    )
    .unwrap();
    fs::remove_dir_all(fixture.path("out")).unwrap();
    let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    again.args(["train", "--model", "cifar_resnet20", "--data"]);
    again
        .arg(fixture.path("images"))
        .arg("--out")
        .arg(fixture.path("out"));
    again.arg("--config").arg(fixture.path("first.json"));
    assert!(again.output().unwrap().status.success());
    assert!(results(&fixture).0 == weights);
}

/// Killed in its midst, the same command goes on, and ends with the very bytes of one left alone.
#[test]
fn a_killed_training_goes_on_where_it_was() {
    let options = [
        "--epochs",
        "5",
        "--optimizer",
        "sgd",
        "--learning-rate",
        "0.05",
    ];
    let fixture = Fixture::new();
    trained(&fixture, &options);
    let alone = results(&fixture);
    let begun_anew = trained(&fixture, &options);
    assert!(
        begun_anew.contains("taken up after step 15"),
        "{begun_anew}"
    );
    assert!(results(&fixture) == alone);

    fs::remove_dir_all(fixture.path("out")).unwrap();
    let mut command = train(&fixture, &options);
    let mut running = Running(command.spawn().unwrap());
    let state = fixture.path("out/training/state.json");
    wait_for("state", || state.exists());
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    assert!(!fixture.path("out/model.safetensors").exists());
    let message = trained(&fixture, &options);
    assert!(
        message.contains("an earlier run of this training was taken up"),
        "{message}"
    );
    assert!(results(&fixture) == alone);
    // With other options it is another training: what is there stays.
    let output = train(&fixture, &["--epochs", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = "keeps another training: its config.epochs is 5, and here it is 1";
    assert!(message.contains(expected), "{message}");
    assert!(results(&fixture) == alone);
}

/// Stopped by Ctrl-C as well.
#[cfg(unix)]
#[test]
fn an_interrupted_training_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let options = ["--epochs", "4"];
    let mut command = train(&fixture, &options);
    let mut running = Running(command.spawn().unwrap());
    wait_for("state", || fixture.path("out/training/state.json").exists());
    let id = running.0.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(130));
    let message = trained(&fixture, &options);
    assert!(message.contains("taken up after step"), "{message}");
    let (weights, _) = results(&fixture);
    fs::remove_dir_all(fixture.path("out")).unwrap();
    trained(&fixture, &options);
    assert!(results(&fixture).0 == weights);
}

#[test]
fn a_decision_layer_of_other_classes_leaves_the_backbone_as_it_is() {
    let fixture = Fixture::new();
    fixture.images("images", &["ant"]);
    let weights = fixture.path("model.safetensors");
    let weights = weights.to_str().unwrap();
    let message = trained(
        &fixture,
        &[
            "--weights",
            weights,
            "--recipe",
            "metashift",
            "--epochs",
            "2",
        ],
    );
    assert!(
        message.contains("linear.weight"),
        "what was left out is told: {message}"
    );
    let (trained, record) = results(&fixture);
    let training = &record["run"]["configs"]["training"];
    assert_eq!(training["part"], "decision_layer");
    assert_eq!(training["learning_rate"], 0.002);
    assert_eq!(training["optimizer"], "adam");

    let before = fs::read(fixture.path("model.safetensors")).unwrap();
    let [before, after] = [&before, &trained].map(|it| SafeTensors::deserialize(it).unwrap());
    assert_eq!(before.len(), after.len());
    for (name, tensor) in before.tensors() {
        if name.starts_with("linear.") {
            assert_eq!(after.tensor(&name).unwrap().shape()[0], 4);
        } else {
            assert!(
                after.tensor(&name).unwrap().data() == tensor.data(),
                "{name}"
            );
        }
    }
}

#[test]
fn corrupted_images_are_written_with_groups_that_commands_measure() {
    let fixture = Fixture::new();
    let mut corrupt = fixture.bare("corrupt");
    corrupt.arg("--data").arg(fixture.path("images"));
    corrupt.args(["--conflicting", "0.25", "--json"]);
    corrupt.assert().success();
    let record = fixture.json("out/corruption.json");
    assert_eq!(record["groups"][0], json!(["cat aligned", 6]));
    assert_eq!(record["groups"][1], json!(["cat conflicting", 2]));
    assert_eq!(record["run"]["configs"]["corruption"]["conflicting"], 0.25);
    fails(&mut corrupt, &["out/images", "move it away"]);

    fs::rename(fixture.path("out/images"), fixture.path("corrupted")).unwrap();
    let mut evaluate = fixture.bare("evaluate");
    evaluate.args(["--model", "cifar_resnet20", "--weights"]);
    evaluate.arg(fixture.path("model.safetensors"));
    evaluate.arg("--data").arg(fixture.path("corrupted"));
    let assert = evaluate.assert().success();
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.contains("worst group dog aligned (0.0%)"), "{text}");
    let evaluation = fixture.json("out/evaluation.json");
    assert_eq!(evaluation["group_names"][1], "cat conflicting");
    assert_eq!(
        evaluation["group_accuracy"],
        json!([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    );
}

#[test]
fn what_cannot_be_trained_or_corrupted_is_refused() {
    let fixture = Fixture::new();
    let with = |options: &[&str]| {
        let mut command = fixture.bare("train");
        command.args(["--model", "cifar_resnet20", "--data"]);
        command.arg(fixture.path("images")).args(options);
        command
    };
    for (options, parts) in [
        (
            &["--on-corrupt", "skip"][..],
            &["--on-corrupt", "remove the image"][..],
        ),
        (&["--keep", "worst-group"], &["no groups"]),
        (
            &["--decision-layer", "--flip"],
            &["augmentation", "features computed once"],
        ),
        (&["--validation", "missing"], &["missing"]),
        (&["--weights", "missing.pth"], &["missing.pth"]),
    ] {
        fails(&mut with(options), parts);
    }
    for class in CLASSES {
        for index in 2..8 {
            fs::remove_file(fixture.path(&format!("images/{class}/{index}.png"))).unwrap();
        }
    }
    fails(
        &mut with(&[]),
        &["too few images of each class", "--validation"],
    );
    let mut corrupt = fixture.bare("corrupt");
    corrupt
        .arg("--data")
        .arg(fixture.path("images"))
        .args(["--conflicting", "2"]);
    fails(
        &mut corrupt,
        &["conflicting = 2", "a share between 0 and 1"],
    );
}
