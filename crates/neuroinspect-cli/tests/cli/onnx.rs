//! ONNX files in place of a model's name and weights.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

use crate::fixture::{Fixture, fails};

const CLASSES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// A network of ten classes and 32 px, with random weights.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../neuroinspect-models/tests/golden/onnx/test_resnet.torchscript.onnx")
}

/// A command on the file and images of its classes.
fn command(fixture: &Fixture, name: &str, file: &Path) -> Command {
    let mut command = fixture.bare(name);
    command.arg("--model").arg(file);
    command.arg("--data").arg(fixture.path("ten"));
    command
}

#[test]
fn every_stage_works_on_a_file_and_the_edit_goes_back_into_it() {
    let fixture = Fixture::new();
    fixture.images("ten", &CLASSES);
    let mut debug = command(&fixture, "debug", &file());
    debug.args(["--class", "b", "--iterations", "3", "--count", "1"]);
    debug.arg("--train").arg(fixture.path("ten"));
    let output = debug.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for part in [
        "layer '/fc/Gemm'",
        "features '/global_pool",
        "map '/layer4/layer4.0/act2/Relu'",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let summary = fixture.json("out/summary.json");
    assert_eq!(summary["run"]["model"], "test_resnet.torchscript");
    assert!(!summary["pictures"].as_array().unwrap().is_empty());

    // As the report says that it is applied.
    let mut apply = fixture.bare("apply");
    apply
        .arg("--edit")
        .arg(fixture.path("out/report-edit.safetensors"));
    apply.arg("--model").arg(file()).assert().success();
    let edited = fixture.path("out/edited.onnx");
    let mut revert = fixture.bare("apply");
    revert
        .arg("--edit")
        .arg(fixture.path("out/report-edit.safetensors"));
    revert
        .arg("--model")
        .arg(&edited)
        .arg("--revert")
        .assert()
        .success();
    assert!(fixture.read("out/edited.onnx") != std::fs::read(file()).unwrap());
    assert!(fixture.read("out/reverted.onnx") == std::fs::read(file()).unwrap());

    // The file is as accurate as the edit promised.
    command(&fixture, "evaluate", &edited).assert().success();
    let accuracy = &fixture.json("out/evaluation.json")["accuracy"];
    assert!(accuracy.is_f64());
    assert_eq!(
        *accuracy,
        summary["edit"]["comparison"]["after"]["accuracy"]
    );
}

#[test]
fn layers_are_listed() {
    let fixture = Fixture::new();
    let mut models = fixture.bare("models");
    let output = models.arg("--layers").arg(file()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("/layer3/layer3.0/act1/Relu"), "{listed}");
}

#[test]
fn what_does_not_go_with_a_file_is_refused() {
    let fixture = Fixture::new();
    fixture.images("ten", &CLASSES);
    let mut weights = command(&fixture, "evaluate", &file());
    weights
        .arg("--weights")
        .arg(fixture.path("model.safetensors"));
    fails(&mut weights, &["leave --weights out"]);
    let name = Path::new("cifar_resnet20");
    fails(
        &mut command(&fixture, "evaluate", name),
        &["needs --weights FILE"],
    );
    let mut node = command(&fixture, "evaluate", &file());
    node.args(["--decision-layer", "/fc/Gem"]);
    fails(&mut node, &["did you mean '/fc/Gemm'"]);
    let mut no_file = fixture.command("evaluate");
    no_file.args(["--decision-layer", "linear"]);
    fails(&mut no_file, &["is for ONNX files"]);
    let broken = fixture.write("broken.onnx", "no ONNX");
    fails(
        &mut command(&fixture, "evaluate", &broken),
        &["broken.onnx"],
    );
}
