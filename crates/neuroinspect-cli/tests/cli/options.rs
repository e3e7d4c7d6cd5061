//! Commands with options and in circumstances of their own.

use std::fs;

use assert_cmd::Command;
use neuroinspect::{
    burn::tensor::Device,
    core::DecisionLayer,
    models::{LoadConfig, load_classifier},
};
use serde_json::Value;

use crate::fixture::{CLASSES, Fixture, fails};

#[test]
fn the_version_is_told_under_the_programs_name() {
    let mut version = Command::cargo_bin("neuroinspect").unwrap();
    let told = version.arg("--version").output().unwrap().stdout;
    let expected = format!("neuroinspect {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(told).unwrap(), expected);
}

#[test]
fn debug_takes_clip_and_its_own_training_images() {
    let fixture = Fixture::new();
    fixture.images("train", &CLASSES);
    // Another picture in the place of one, so that seven of eight are measured and trained on.
    fixture.image("train/owl/3.png", 0, 7);
    fs::write(
        fixture.path("prompts"),
        "a drawing of a {}\n{} in a picture\n",
    )
    .unwrap();
    let clip = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../neuroinspect/assets/scenes_clip.safetensors"
    );
    let mut debug = fixture.command("debug");
    debug.arg("--train").arg(fixture.path("train"));
    debug.args(["--clip-weights", clip, "--domain", "animal", "--prompts"]);
    debug.arg(fixture.path("prompts"));
    debug.args(["--objective", "clip", "--iterations", "2", "--count", "1"]);
    debug.args(["--class", "owl", "--target", "1.5", "--epochs", "2"]);
    let output = debug.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let measured_on = "measured on 24 samples, 23 of which were trained on as well (among them 8 of \
                       the mistakes that the neurons were chosen from)";
    assert!(text.contains(measured_on), "{text}");
    let summary = fixture.json("out/summary.json");
    assert!(summary["pictures"][0]["clip_similarity"].is_f64());
    let objective = summary["recipe"]["objective"].to_string();
    assert!(objective.contains("similarity"), "{objective}");
    let method = &summary["edit"]["method"];
    assert_eq!(method["derived"]["target"], 1.5);
    assert!(summary["edit"]["control"]["measured"]["accuracy"].is_f64());
    assert_eq!(summary["edit"]["also_trained_on"], 23);
    assert_eq!(summary["edit"]["chosen_from"], 8);
    let stages: Vec<_> = summary["run"]["timings"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(stages[0]["stage"], "extracting features");
    assert_eq!(stages[1]["stage"], "extracting training features");
}

#[test]
fn feature_visualization_and_all_epochs() {
    let fixture = Fixture::new();
    let mut debug = fixture.command("debug");
    debug.args(["--class", "owl", "--objective", "feature"]);
    debug.args(["--iterations", "2", "--neurons", "7", "--epochs", "7"]);
    let output = debug.output().unwrap();
    assert!(output.status.success());
    let summary = fixture.json("out/summary.json");
    assert_eq!(
        summary["recipe"]["objective"],
        serde_json::json!({"sum": ["neuron", {"scale": [0.1, "class_logit"]}]}),
    );
    assert_eq!(
        summary["edit"]["epochs"].as_array().unwrap().len(),
        7,
        "the last is kept, so that all are run"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let measured_on = "measured on 12 samples not trained on\n";
    assert!(text.contains(measured_on), "{text}");
}

#[test]
fn the_command_that_applies_an_edit_can_be_given_as_it_is_printed() {
    let fixture = Fixture::new();
    let weights = fixture.path("my model.safetensors");
    fs::rename(fixture.path("model.safetensors"), &weights).unwrap();
    let mut debug = Command::cargo_bin("neuroinspect").unwrap();
    debug.args(["debug", "--model", "cifar_resnet20", "--weights"]);
    debug.arg(weights).arg("--data").arg(fixture.path("images"));
    debug.args([
        "--class",
        "owl",
        "--iterations",
        "1",
        "--count",
        "1",
        "--out",
    ]);
    debug.arg(fixture.path("the out")).assert().success();
    let summary = fixture.json("the out/summary.json");
    let command = summary["edit_file"]["how_to_apply"].as_str().unwrap();
    let arguments = command.strip_prefix("neuroinspect ").unwrap();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("\"$0\" {arguments} --out \"$1\""));
    shell.arg(env!("CARGO_BIN_EXE_neuroinspect"));
    shell.arg(fixture.path("out")).assert().success();
    assert!(fixture.path("out/edited.safetensors").exists());
}

#[test]
fn an_edit_can_be_applied_to_a_partly_loaded_checkpoint() {
    let fixture = Fixture::new();
    fixture.change_weights(|tensors| {
        let extra = tensors[0].1.clone();
        tensors.push(("another.part".to_owned(), extra));
    });
    fixture.edit_partly();
    fails(&mut fixture.apply(), &["another.part"]);
    fixture.apply().arg("--partial").assert().success();
}

#[test]
fn a_failed_edit_leaves_pictures_and_no_edit_file() {
    let fixture = Fixture::new();
    let debug = || {
        let mut debug = fixture.command("debug");
        debug.args(["--class", "owl", "--iterations", "1", "--count", "1"]);
        debug
    };
    debug().assert().success();
    assert!(fixture.path("out/report-edit.safetensors").exists());

    fixture.images("train", &["cat", "dog"]);
    fs::create_dir(fixture.path("train/owl")).unwrap();
    let output = debug()
        .arg("--train")
        .arg(fixture.path("train"))
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("warning: editing failed: class 2 ('owl')"),
        "{message}"
    );
    let summary = fixture.json("out/summary.json");
    assert_eq!(summary["failures"][0]["stage"], "editing");
    assert_eq!(summary["pictures"].as_array().unwrap().len(), 1);
    assert_eq!(summary["edit"], Value::Null);
    assert!(
        !fixture.path("out/report-edit.safetensors").exists(),
        "of the run before"
    );
}

#[test]
fn a_reader_that_stops_reading_costs_no_report() {
    let fixture = Fixture::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    demo.args(["demo", "--iterations", "1", "--out"]);
    demo.arg(fixture.path("out")).stdout(writer);
    assert!(demo.status().unwrap().success());
    for file in [
        "report.html",
        "summary.json",
        "report-edit.safetensors",
        "features.safetensors",
        "train-features.safetensors",
    ] {
        assert!(fixture.path("out").join(file).exists(), "{file}");
    }
}

/// Nor does it hide that a stage failed.
#[test]
fn a_reader_that_stops_reading_hides_no_failure() {
    let fixture = Fixture::new();
    fixture.images("train", &["cat", "dog"]);
    fs::create_dir(fixture.path("train/owl")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut debug = std::process::Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    debug.args(["debug", "--model", "cifar_resnet20", "--weights"]);
    debug.arg(fixture.path("model.safetensors"));
    debug.arg("--data").arg(fixture.path("images"));
    debug.arg("--train").arg(fixture.path("train"));
    debug.args(["--class", "owl", "--pictures", "0", "--out"]);
    let output = debug
        .arg(fixture.path("out"))
        .stdout(writer)
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("editing failed"), "{message}");
}

/// Each option reaches the stage it is for.
#[test]
fn options_reach_their_stages() {
    let fixture = Fixture::new();
    let options = [
        ("--neurons=all", "neurons", "\"listed\""),
        ("--pictures=1", "pictures", "1"),
        ("--iterations=2", "recipe/steps", "2"),
        (
            "--class-gamma=0.25",
            "recipe/objective/sum/1/scale/0",
            "0.25",
        ),
        ("--size=16", "recipe/size", "16"),
        ("--picture-batch=3", "execution/batch_size", "3"),
        ("--target=1.25", "editing/target/fixed", "1.25"),
        ("--ratio=per-neuron", "editing/ratio_form", "\"per_neuron\""),
        ("--lambda=0.5", "editing/lambda3", "0.5"),
        ("--epochs=4", "editing/training/epochs", "4"),
        ("--patience=2", "editing/training/patience", "2"),
        (
            "--learning-rate=0.125",
            "editing/training/learning_rate",
            "0.125",
        ),
        (
            "--keep=worst-class",
            "editing/training/keep",
            "\"worst_class\"",
        ),
        ("--seed=9", "editing/training/seed", "9"),
        ("--seed=9", "recipe/seed", "9"),
    ];
    let config = |given: &[&str]| {
        let mut debug = fixture.command("debug");
        debug
            .args(["--class", "owl"])
            .args(given)
            .assert()
            .success();
        fixture.json("out/summary.json")["run"]["configs"]["debug"].clone()
    };
    let mut given: Vec<_> = options.iter().map(|(option, ..)| *option).collect();
    given.dedup();
    let with = config(&given);
    let pictures = fixture.json("out/summary.json")["pictures"].clone();
    assert_eq!(pictures.as_array().unwrap().len(), 1);
    let without = config(&["--iterations=1", "--count=1"]);
    for (option, pointer, value) in options {
        let pointer = format!("/{pointer}");
        let found = with.pointer(&pointer).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(value), "{option}");
        let default = without.pointer(&pointer).map(ToString::to_string);
        assert_ne!(found, default, "{option} is the default");
    }

    let explained = |given: &[&str]| {
        let mut explain = fixture.command("explain");
        explain
            .args(["--class", "owl"])
            .args(given)
            .assert()
            .success();
        fixture.json("out/explanation.json")["run"]["configs"].clone()
    };
    assert_ne!(explained(&["--original"]), explained(&[]));
}

/// The layer's weights for one class are so large that its pictures leave the finite numbers.
#[test]
fn a_picture_that_diverges_is_named_and_costs_no_other() {
    let fixture = Fixture::new();
    let device = Device::flex();
    let config = LoadConfig::default();
    let path = fixture.path("model.safetensors");
    let mut loaded = load_classifier("cifar_resnet20", &path, &config, &device).unwrap();
    let layer = loaded.model.decision_layer().unwrap();
    let mut weight = layer.weight().to_owned();
    weight.row_mut(2).fill(3e38);
    let layer = DecisionLayer::new(weight, layer.bias().to_owned()).unwrap();
    loaded.model.set_decision_layer(&layer).unwrap();
    loaded.model.save(&path).unwrap();

    fs::write(fixture.path("classes"), "cat\ndog\nowl\n").unwrap();
    let mut visualize = fixture.bare("visualize");
    visualize
        .args(["--model", "cifar_resnet20", "--weights"])
        .arg(&path);
    visualize.arg("--classes").arg(fixture.path("classes"));
    visualize.args(["--neurons", "3", "--count", "3", "--iterations", "2"]);
    let output = visualize.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("warning: the picture of neuron 3 for class 2"),
        "{message}"
    );
    let pictured = fixture.json("out/visualizations.json");
    assert_eq!(pictured["diverged"][0]["pair"]["class"], 2);
    let names: Vec<_> = pictured["visualizations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["class_name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names.contains(&"cat") && names.contains(&"dog"),
        "{names:?}"
    );
}

/// Classes by their names, which are those of the images' folders.
#[test]
fn an_objective_can_be_written_by_hand() {
    let fixture = Fixture::new();
    let objective = "neuron + 2 * logit(owl) - 0.5 * total_variation";
    let mut visualize = fixture.command("visualize");
    visualize.args(["--neurons", "3", "--class", "owl", "--iterations", "2"]);
    visualize
        .args(["--objective", objective])
        .assert()
        .success();
    let record = fixture.json("out/visualizations.json");
    let owl = CLASSES.iter().position(|name| *name == "owl").unwrap();
    assert_eq!(
        record["run"]["configs"]["recipe"]["objective"],
        serde_json::json!({"sum": [
            "neuron",
            {"scale": [2.0, {"logit": owl}]},
            {"scale": [-0.5, "total_variation"]},
        ]})
    );

    for (objective, said) in [
        ("neuron + logit(howl)", "howl"),
        ("neuron +", "character 9"),
        ("featur", "did you mean 'feature'?"),
    ] {
        let mut visualize = fixture.command("visualize");
        visualize.args(["--neurons", "3", "--class", "owl", "--objective", objective]);
        let output = visualize.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said), "{text}");
    }
}
