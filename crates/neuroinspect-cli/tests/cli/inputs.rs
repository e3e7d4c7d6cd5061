//! Weights and images: those that are not as needed, and how those that are are taken.

use std::fs;

use ndarray::{Axis, stack};
use neuroinspect::{
    burn::tensor::Device,
    core::{ClassId, DecisionLayer, FeatureTable, Precision},
    models::{LoadConfig, load_classifier},
};
use neuroinspect_testing::largest_difference;

use crate::fixture::{CLASSES, Fixture, fails};

#[test]
fn weights_that_are_none_are_refused() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.path("model.safetensors")).unwrap();
    let bad = fixture.path("bad.safetensors");
    for (length, content) in [
        (0, Vec::new()),
        (100, whole[..100].to_vec()),
        (whole.len() - 7, whole[..whole.len() - 7].to_vec()),
    ] {
        assert_eq!(content.len(), length);
        fs::write(&bad, content).unwrap();
        fails(
            &mut fixture.with_weights("cifar_resnet20", &bad),
            &["bad.safetensors"],
        );
    }
    fs::write(&bad, "this is a letter, not a network\n".repeat(50)).unwrap();
    fails(
        &mut fixture.with_weights("cifar_resnet20", &bad),
        &["bad.safetensors"],
    );
    fails(
        &mut fixture.with_weights("cifar_resnet20", &fixture.path("absent.pth")),
        &["absent.pth"],
    );
    fails(
        &mut fixture.with_weights("cifar_resnet2", &bad),
        &["cifar_resnet2", "cifar_resnet20"],
    );
}

#[test]
fn a_checkpoint_of_another_architecture_is_recognised() {
    let fixture = Fixture::new();
    let weights = fixture.path("model.safetensors");
    fails(
        &mut fixture.with_weights("cifar_resnet32", &weights),
        &["cifar_resnet32", "looks like cifar_resnet20"],
    );
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    let fixture = Fixture::new();
    let path = fixture.path("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    fails(
        &mut fixture.command("evaluate"),
        &["model.safetensors", "tensor", "NaN"],
    );
}

#[test]
fn a_wrong_number_of_classes_is_counted() {
    let fixture = Fixture::new();
    fixture.image("images/yak/0.png", 0, 0);
    fails(
        &mut fixture.command("evaluate"),
        &["4 classes", "between 3"],
    );
}

#[test]
fn folders_of_some_of_the_classes_are_matched_by_name() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.path("images/cat")).unwrap();
    fails(
        &mut fixture.command("evaluate"),
        &["2 classes", "--classes FILE"],
    );
    fs::write(fixture.path("classes.txt"), "cat\ndog\nowl\n").unwrap();
    let mut command = fixture.command("evaluate");
    command.arg("--classes").arg(fixture.path("classes.txt"));
    command.assert().success();
    let summary = fixture.json("out/evaluation.json");
    assert!(summary["class_accuracy"][0].is_null());
    assert_eq!(summary["class_accuracy"][2], 0.0);
    assert_eq!(summary["samples"], 16);
}

#[test]
fn an_empty_folder_and_an_empty_class_are_named() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("empty")).unwrap();
    let mut empty = fixture.bare("evaluate");
    empty
        .args(["--model", "cifar_resnet20", "--weights"])
        .arg(fixture.path("model.safetensors"));
    fails(
        empty.arg("--data").arg(fixture.path("empty")),
        &["empty", "no class folders"],
    );

    fs::remove_dir_all(fixture.path("images/owl")).unwrap();
    fs::create_dir(fixture.path("images/owl")).unwrap();
    fails(
        fixture.command("debug").args(["--class", "owl"]),
        &["'owl'", "no samples"],
    );
}

#[test]
fn a_class_without_mistakes_is_said_to_have_none() {
    let fixture = Fixture::new();
    fails(
        fixture
            .command("debug")
            .args(["--class", "cat", "--iterations", "1"]),
        &["'cat'", "no mistakes"],
    );
}

#[test]
fn images_that_cannot_be_read_are_named_or_skipped() {
    for content in [&b""[..], b"\x89PNG\r\n\x1a\n and no more", b"hello"] {
        let fixture = Fixture::new();
        fs::write(fixture.path("images/dog/broken.png"), content).unwrap();
        fails(&mut fixture.command("evaluate"), &["broken.png"]);
        fixture
            .command("evaluate")
            .args(["--on-corrupt", "skip"])
            .assert()
            .success();
        let summary = fixture.json("out/evaluation.json");
        assert_eq!(summary["samples"], 24);
        assert_eq!(
            summary["run"]["skipped_images"][0]["path"],
            "dog/broken.png"
        );
    }
}

#[test]
fn class_lists_are_not_mixed() {
    let fixture = Fixture::new();
    fixture.images("train", &["cat", "cow", "dog"]);
    for command in ["debug", "edit"] {
        let mut command = fixture.command(command);
        command.args(["--class", "owl", "--neurons", "3", "--train"]);
        fails(
            command.arg(fixture.path("train")),
            &["name of class 1", "'cow' and 'dog'"],
        );
    }
    assert!(!fixture.path("out/features.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let fixture = Fixture::new();
    let strange = fixture.path("").join(OsStr::from_bytes(b"im\xffages"));
    fs::rename(fixture.path("images"), &strange).unwrap();
    let mut edit = fixture.bare("edit");
    edit.args(["--model", "cifar_resnet20", "--weights"]);
    edit.arg(fixture.path("model.safetensors"));
    edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
    edit.arg("--data").arg(&strange).assert().success();
    let command = fixture.json("out/edit.json")["run"]["command"].clone();
    assert!(command.as_str().unwrap().contains("im\u{fffd}ages"));

    let mut apply = assert_cmd::Command::cargo_bin("neuroinspect").unwrap();
    apply
        .arg("apply")
        .arg("--edit")
        .arg(fixture.path("out/edit.safetensors"));
    apply.args(["--model", "cifar_resnet20", "--weights"]);
    apply.arg(fixture.path("model.safetensors"));
    apply
        .arg("--json")
        .arg("--out")
        .arg(&strange)
        .assert()
        .success();
    assert!(strange.join("edited.safetensors").exists());
}

/// What is known of a model's input can be corrected.
#[test]
fn an_input_of_ones_own_is_followed() {
    let fixture = Fixture::new();
    let features = |options: &[&str]| {
        fixture.command("evaluate").args(options).assert().success();
        fs::read(fixture.path("out/features.safetensors")).unwrap()
    };
    let plain = features(&[]);
    let recorded = fixture.json("out/evaluation.json")["run"]["configs"]["input"].clone();
    let file = fixture.path("input.json");
    let option = format!("--input={}", file.display());
    fs::write(&file, recorded.to_string()).unwrap();
    assert!(features(&[&option]) == plain, "the one that is known");

    let mut other = recorded;
    other["std"] = serde_json::json!([0.5, 0.5, 0.5]);
    fs::write(&file, other.to_string()).unwrap();
    assert!(features(&[&option]) != plain);
    assert_eq!(
        fixture.json("out/evaluation.json")["run"]["configs"]["input"],
        other
    );

    let mut debug = fixture.command("debug");
    debug.args(["--class", "owl", "--pictures", "0", &option]);
    debug.assert().success();
    let summary = fixture.json("out/summary.json");
    let how = summary["edit_file"]["how_to_apply"].as_str().unwrap();
    assert!(
        how.ends_with(&format!(" --input {}", file.display())),
        "{how}"
    );
    let mut apply = fixture.bare("apply");
    apply
        .arg("--edit")
        .arg(fixture.path("out/report-edit.safetensors"));
    apply.args(["--model", "cifar_resnet20", &option, "--weights"]);
    apply
        .arg(fixture.path("model.safetensors"))
        .assert()
        .success();
    let edited = fixture.path("out/edited.safetensors");
    fixture
        .with_weights("cifar_resnet20", &edited)
        .assert()
        .success();
    let input = &fixture.json("out/evaluation.json")["run"]["configs"]["input"];
    assert_eq!(input, &other, "kept with the weights");

    fs::write(&file, "bicubic").unwrap();
    fails(
        fixture.command("evaluate").arg(&option),
        &["input.json", "no model input"],
    );
}

#[test]
fn folders_in_another_order_than_the_classes_are_suspected() {
    let fixture = Fixture::new();
    let warning = |fixture: &Fixture| {
        let output = fixture.command("evaluate").output().unwrap();
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("less than chance")
    };
    // Ten images a class make a suspicion.
    for (class, name) in CLASSES.iter().enumerate() {
        for index in 8..12 {
            fixture.image(&format!("images/{name}/{index}.png"), class, index);
        }
    }
    assert!(!warning(&fixture), "a third is chance");
    fs::remove_dir_all(fixture.path("images/cat")).unwrap();
    for index in 0..12 {
        fixture.image(&format!("images/aardvark/{index}.png"), 0, index);
        fixture.image(&format!("images/dog/{index}b.png"), 1, index);
    }
    // aardvark, dog, owl: all of them "cat" to the model, fewer than a third of them the first.
    assert!(warning(&fixture));
}

#[test]
fn two_folders_in_each_other_s_place_are_suspected() {
    let fixture = Fixture::new();
    for (class, name) in CLASSES.iter().enumerate() {
        for index in 0..12 {
            // All of a class alike.
            fixture.image(&format!("images/{name}/{index}.png"), class, 0);
        }
    }
    fixture.command("evaluate").assert().success();
    // A layer that knows the classes: that of the nearest mean.
    let table = FeatureTable::load(fixture.path("out/features.safetensors")).unwrap();
    let means = (0..CLASSES.len()).map(|class| table.class_mean(ClassId(class)).unwrap());
    let means: Vec<_> = means.collect();
    let views: Vec<_> = means.iter().map(|mean| mean.view()).collect();
    let bias = means.iter().map(|mean| -mean.dot(mean) / 2.0).collect();
    let layer = DecisionLayer::new(stack(Axis(0), &views).unwrap(), bias).unwrap();
    let path = fixture.path("model.safetensors");
    let config = LoadConfig::default();
    let loaded = load_classifier("cifar_resnet20", &path, &config, &Device::flex());
    let mut model = loaded.unwrap().model;
    model.set_decision_layer(&layer).unwrap();
    model.save(&path).unwrap();

    let warnings = || {
        let output = fixture.command("evaluate").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!warnings().contains("most images"), "{}", warnings());
    let [dog, owl, other] = ["images/dog", "images/owl", "other"].map(|name| fixture.path(name));
    fs::rename(&dog, &other).unwrap();
    fs::rename(&owl, &dog).unwrap();
    fs::rename(&other, &owl).unwrap();
    let warnings = warnings();
    let expected = "most images are taken, of 'dog' for 'owl', of 'owl' for 'dog': are the folders";
    assert!(warnings.contains(expected), "{warnings}");
}

/// Networks compute in the number format asked for, and features in one are not taken for another.
#[test]
fn a_number_format_is_followed() {
    let fixture = Fixture::new();
    let features = |options: &[&str]| {
        let mut evaluate = fixture.command("evaluate");
        let output = evaluate.args(options).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        assert!(!message.contains("features taken from"), "{message}");
        let configs = fixture.json("out/evaluation.json")["run"]["configs"].clone();
        let precision = configs["precision"].as_str().unwrap().to_owned();
        let table = FeatureTable::load(fixture.path("out/features.safetensors")).unwrap();
        (precision, table)
    };
    let (precision, exact) = features(&[]);
    assert_eq!(precision, "f32");
    let (precision, rounded) = features(&["--precision", "bf16"]);
    assert_eq!(precision, "bf16");
    assert_eq!(rounded.provenance().precision, Precision::Bf16);
    let largest = exact
        .features()
        .unwrap()
        .iter()
        .fold(0.0, |a: f32, b| a.max(b.abs()));
    let difference = largest_difference(
        exact.features().unwrap().view(),
        rounded.features().unwrap().view(),
    );
    // Eight significant bits, through twenty layers.
    assert!(
        difference > 0.0 && difference < 0.1 * f64::from(largest),
        "{difference}"
    );
}
