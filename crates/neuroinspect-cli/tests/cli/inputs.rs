//! Weights and images that are not as needed.

use std::fs;

use crate::fixture::{Fixture, fails};

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
