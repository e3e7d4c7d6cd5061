//! Weights and images that are not as needed.

use std::fs;

use crate::bench::{Bench, fails};

#[test]
fn weights_that_are_none_are_refused() {
    let bench = Bench::new();
    let whole = fs::read(bench.path("model.safetensors")).unwrap();
    let bad = bench.path("bad.safetensors");
    for (length, content) in [
        (0, Vec::new()),
        (100, whole[..100].to_vec()),
        (whole.len() - 7, whole[..whole.len() - 7].to_vec()),
    ] {
        assert_eq!(content.len(), length);
        fs::write(&bad, content).unwrap();
        fails(
            &mut bench.with_weights("cifar_resnet20", &bad),
            &["bad.safetensors"],
        );
    }
    fs::write(&bad, "this is a letter, not a network\n".repeat(50)).unwrap();
    fails(
        &mut bench.with_weights("cifar_resnet20", &bad),
        &["bad.safetensors"],
    );
    fails(
        &mut bench.with_weights("cifar_resnet20", &bench.path("absent.pth")),
        &["absent.pth"],
    );
    fails(
        &mut bench.with_weights("cifar_resnet2", &bad),
        &["cifar_resnet2", "cifar_resnet20"],
    );
}

#[test]
fn a_checkpoint_of_another_architecture_is_recognised() {
    let bench = Bench::new();
    let weights = bench.path("model.safetensors");
    fails(
        &mut bench.with_weights("cifar_resnet32", &weights),
        &["cifar_resnet32", "looks like cifar_resnet20"],
    );
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    let bench = Bench::new();
    let path = bench.path("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    fails(
        &mut bench.command("evaluate"),
        &["model.safetensors", "tensor", "NaN"],
    );
}

#[test]
fn a_wrong_number_of_classes_is_counted() {
    let bench = Bench::new();
    bench.image("images/yak/0.png", 0, 0);
    fails(&mut bench.command("evaluate"), &["4 classes", "between 3"]);
}

#[test]
fn folders_of_some_of_the_classes_are_matched_by_name() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("images/cat")).unwrap();
    fails(
        &mut bench.command("evaluate"),
        &["2 classes", "--classes FILE"],
    );
    fs::write(bench.path("classes.txt"), "cat\ndog\nowl\n").unwrap();
    let mut command = bench.command("evaluate");
    command.arg("--classes").arg(bench.path("classes.txt"));
    command.assert().success();
    let summary = bench.json("out/summary.json");
    assert!(summary["class_accuracy"][0].is_null());
    assert_eq!(summary["class_accuracy"][2], 0.0);
    assert_eq!(summary["samples"], 16);
}

#[test]
fn an_empty_folder_and_an_empty_class_are_named() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    let mut empty = bench.bare("evaluate");
    empty
        .args(["--model", "cifar_resnet20", "--weights"])
        .arg(bench.path("model.safetensors"));
    fails(
        empty.arg("--data").arg(bench.path("empty")),
        &["empty", "no class folders"],
    );

    fs::remove_dir_all(bench.path("images/owl")).unwrap();
    fs::create_dir(bench.path("images/owl")).unwrap();
    fails(
        bench.command("debug").args(["--class", "owl"]),
        &["'owl'", "no samples"],
    );
}

#[test]
fn a_class_without_mistakes_is_said_to_have_none() {
    let bench = Bench::new();
    fails(
        bench
            .command("debug")
            .args(["--class", "cat", "--iterations", "1"]),
        &["'cat'", "no mistakes"],
    );
}

#[test]
fn images_that_cannot_be_read_are_named_or_skipped() {
    for content in [&b""[..], b"\x89PNG\r\n\x1a\n and no more", b"hello"] {
        let bench = Bench::new();
        fs::write(bench.path("images/dog/broken.png"), content).unwrap();
        fails(&mut bench.command("evaluate"), &["broken.png"]);
        bench
            .command("evaluate")
            .args(["--on-corrupt", "skip"])
            .assert()
            .success();
        let summary = bench.json("out/summary.json");
        assert_eq!(summary["samples"], 24);
        assert_eq!(
            summary["run"]["skipped_images"][0]["path"],
            "dog/broken.png"
        );
    }
}

#[test]
fn class_lists_are_not_mixed() {
    let bench = Bench::new();
    bench.images("train", &["cat", "cow", "dog"]);
    for command in ["debug", "edit"] {
        let mut command = bench.command(command);
        command.args(["--class", "owl", "--neurons", "3", "--train"]);
        fails(
            command.arg(bench.path("train")),
            &["name of class 1", "'cow' and 'dog'"],
        );
    }
    assert!(!bench.path("out/features.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let bench = Bench::new();
    let strange = bench.path("").join(OsStr::from_bytes(b"im\xffages"));
    fs::rename(bench.path("images"), &strange).unwrap();
    let mut edit = bench.bare("edit");
    edit.args(["--model", "cifar_resnet20", "--weights"]);
    edit.arg(bench.path("model.safetensors"));
    edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
    edit.arg("--data").arg(&strange).assert().success();
    let command = bench.json("out/edit.json")["run"]["command"].clone();
    assert!(command.as_str().unwrap().contains("im\u{fffd}ages"));

    let mut apply = assert_cmd::Command::cargo_bin("neuroinspect").unwrap();
    apply
        .arg("apply")
        .arg("--edit")
        .arg(bench.path("out/edit.safetensors"));
    apply.args(["--model", "cifar_resnet20", "--weights"]);
    apply.arg(bench.path("model.safetensors"));
    apply
        .arg("--json")
        .arg("--out")
        .arg(&strange)
        .assert()
        .success();
    assert!(strange.join("edited.safetensors").exists());
}
