//! The program end to end: what it writes, and what it says when the input is not as needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use neuroinspect::{
    burn::tensor::Device,
    core::{Classifier, DecisionLayer},
    models::{CifarResNetConfig, PretrainedClassifier},
};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a model of three classes, `cat`, `dog` and `owl`, that says `cat` whatever it
/// sees, and eight images of each: `cat` has no mistakes, the others nothing but.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let device = Device::flex();
        device.seed(0);
        let mut model = CifarResNetConfig::new(20, 3).init(&device).unwrap();
        let layer = model.decision_layer().unwrap();
        let bias = [50.0, 0.0, 0.0].to_vec().into();
        let layer = DecisionLayer::new(layer.weight().to_owned(), bias).unwrap();
        model.set_decision_layer(&layer).unwrap();
        model.save(&bench.path("model.safetensors")).unwrap();
        for (class, name) in ["cat", "dog", "owl"].into_iter().enumerate() {
            for index in 0..8 {
                bench.image(&format!("images/{name}/{index}.png"), class, index);
            }
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn image(&self, name: &str, class: usize, index: usize) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shade = |x: u32, y: u32| {
            Rgb([
                (40 * class as u32 + 9 * x) as u8,
                (30 * index as u32 + 5 * y) as u8,
                90,
            ])
        };
        RgbImage::from_fn(32, 32, shade).save(path).unwrap();
    }

    /// A command on this model and these images; `--out` is `out`.
    fn command(&self, name: &str) -> Command {
        let mut command = self.bare(name);
        command
            .args(["--model", "cifar_resnet20", "--weights"])
            .arg(self.path("model.safetensors"));
        command.arg("--data").arg(self.path("images"));
        command
    }

    fn bare(&self, name: &str) -> Command {
        let mut command = Command::cargo_bin("neuroinspect").unwrap();
        command.arg(name).arg("--out").arg(self.path("out"));
        command
    }

    /// `evaluate` with other weights.
    fn with_weights(&self, model: &str, weights: &Path) -> Command {
        let mut command = self.bare("evaluate");
        command.args(["--model", model, "--weights"]).arg(weights);
        command.arg("--data").arg(self.path("images"));
        command
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// Exit code 1, nothing on standard output, and a message with all of `parts`.
fn fails(command: &mut Command, parts: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn evaluate_writes_accuracies_at_the_top() {
    let bench = Bench::new();
    bench.command("evaluate").assert().success();
    let summary = bench.json("out/summary.json");
    assert_eq!(summary["accuracy"], 1.0 / 3.0);
    assert_eq!(
        summary["class_accuracy"],
        serde_json::json!([1.0, 0.0, 0.0])
    );
    assert_eq!(summary["worst_class_accuracy"], 0.0);
    assert!(bench.path("out/features.safetensors").exists());
}

#[test]
fn json_on_standard_output_is_the_summary() {
    let bench = Bench::new();
    let output = bench.command("evaluate").arg("--json").output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, bench.json("out/summary.json"));
    assert!(output.stderr.is_empty(), "quiet when not on a terminal");
}

#[test]
fn debug_writes_every_stage_and_apply_takes_its_edit() {
    let bench = Bench::new();
    let mut debug = bench.command("debug");
    debug
        .args(["--class", "owl", "--iterations", "3", "--count", "2"])
        .assert()
        .success();
    let summary = bench.json("out/summary.json");
    assert_eq!(
        (&summary["mistakes"], &summary["samples"]),
        (&8.into(), &8.into())
    );
    for list in ["insufficient", "excessive"] {
        for ranked in summary["ranking"][list].as_array().unwrap() {
            assert!(
                ranked["neuron"].is_u64()
                    && ranked["prec_at_5"].is_f64()
                    && ranked["importance"].is_f64()
            );
        }
    }
    assert_eq!(summary["edit"]["neurons"].as_array().unwrap().len(), 2);
    for side in ["before", "after"] {
        for key in ["accuracy", "class_accuracy", "worst_class_accuracy"] {
            assert!(!summary["edit"][side][key].is_null(), "{side} {key}");
        }
    }
    let visualizations = summary["visualizations"].as_array().unwrap();
    assert_eq!(visualizations.len(), 2);
    for visualization in visualizations {
        assert!(visualization["activation"].is_f64());
        assert!(
            visualization["clip_similarity"].is_null(),
            "no CLIP was given"
        );
        for key in ["image", "masked_image"] {
            let path = bench.path("out").join(visualization[key].as_str().unwrap());
            assert_eq!(image::open(path).unwrap().width(), 32);
        }
    }
    let html = fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(html.contains("owl"));

    // The edit, applied to the checkpoint and taken back, leaves it as it was.
    let apply = |weights: &Path, revert: bool| {
        let mut command = bench.bare("apply");
        command
            .arg("--edit")
            .arg(bench.path("out/edit.safetensors"));
        command
            .args(["--model", "cifar_resnet20", "--weights"])
            .arg(weights);
        if revert {
            command.arg("--revert");
        }
        command.arg("--json").assert().success()
    };
    apply(&bench.path("model.safetensors"), false);
    apply(&bench.path("out/edited.safetensors"), true);
    // Behind the header, whose metadata come in any order.
    let weights = |name| {
        let bytes = fs::read(bench.path(name)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(weights("out/edited.safetensors") != weights("model.safetensors"));
    assert!(weights("out/reverted.safetensors") == weights("model.safetensors"));
    let mut show = bench.bare("apply");
    show.arg("--edit").arg(bench.path("out/edit.safetensors"));
    let shown = show.output().unwrap();
    assert!(
        String::from_utf8(shown.stdout)
            .unwrap()
            .contains("cifar_resnet20")
    );
}

#[test]
fn explain_visualize_and_edit_stand_alone() {
    let bench = Bench::new();
    bench
        .command("explain")
        .args(["--class", "1"])
        .assert()
        .success();
    let explained = bench.json("out/explanation.json");
    assert_eq!(explained["class_name"], "dog");
    assert_eq!(explained["outcomes"].as_array().unwrap().len(), 8);

    let mut visualize = bench.command("visualize");
    visualize
        .args(["--neurons", "3,5", "--class", "owl", "--iterations", "2"])
        .assert()
        .success();
    let lines = bench.json("out/visualizations.json");
    assert_eq!(lines.as_array().unwrap().len(), 2);
    assert_eq!(
        (&lines[1]["neuron"], &lines[1]["class_name"]),
        (&5.into(), &"owl".into())
    );

    bench
        .command("edit")
        .args(["--class", "owl", "--neurons", "3,5", "--epochs", "2"])
        .assert()
        .success();
    let edit = bench.json("out/edit.json");
    assert!(edit["before"]["accuracy"].is_f64() && edit["after"]["accuracy"].is_f64());
}

#[test]
fn devices_and_models_are_listed() {
    let bench = Bench::new();
    let list = |name: &str| -> Value {
        let output = bench.bare(name).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(list("devices")[0]["device"], "flex");
    assert_eq!(list("devices")[0]["available"], true);
    let models = list("models").to_string();
    for name in [
        "resnet18",
        "resnet152",
        "cifar_resnet56",
        "tf_efficientnet_lite0",
        "ViT-L-14",
    ] {
        assert!(models.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn a_command_line_not_understood_exits_with_2() {
    let bench = Bench::new();
    let mut unknown = bench.bare("evaluate");
    assert_eq!(unknown.output().unwrap().status.code(), Some(2));
    let mut device = bench.command("evaluate");
    let output = device.args(["--device", "abacus"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("names no device")
    );
}

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
fn neurons_and_classes_out_of_range_are_refused() {
    let bench = Bench::new();
    let range = "64 neurons, 0 to 63";
    fails(
        bench
            .command("debug")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench
            .command("edit")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench
            .command("visualize")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench.command("explain").args(["--class", "3"]),
        &["class 3", "3 classes"],
    );
    fails(
        bench.command("explain").args(["--class", "ow1"]),
        &["'ow1'", "did you mean 'owl'"],
    );
}

#[test]
fn an_out_folder_that_cannot_be_written_is_known_before_the_work() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args([
        "evaluate",
        "--model",
        "cifar_resnet20",
        "--weights",
        "none",
        "--data",
        "none",
    ]);
    fails(
        command.arg("--out").arg(bench.path("file/out")),
        &["file/out", "--out"],
    );
}

#[test]
fn a_backend_left_out_says_how_to_get_it() {
    let bench = Bench::new();
    fails(
        bench.command("evaluate").args(["--device", "rocm"]),
        &["rocm", "cargo feature"],
    );
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
fn options_out_of_range_are_refused_by_their_names() {
    let bench = Bench::new();
    for (option, value) in [
        ("--iterations", "0"),
        ("--picture-batch", "0"),
        ("--target", "0.5"),
        ("--lambda", "-1"),
        ("--learning-rate", "0"),
        ("--neurons", "3,3"),
        ("--epochs", "none"),
    ] {
        let mut command = bench.command("debug");
        command
            .args(["--class", "owl"])
            .arg(format!("{option}={value}"));
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {message}");
        assert!(message.contains(option), "{message}");
        assert!(!bench.path("out").exists());
    }
}

/// Ctrl-C while pictures are made: what was found by then is written, and the exit code says so.
#[cfg(unix)]
#[test]
fn a_stopped_run_keeps_what_it_has() {
    use std::{
        process::{Command as System, Stdio},
        thread::sleep,
        time::{Duration, Instant},
    };

    let bench = Bench::new();
    let mut program = System::new(assert_cmd::cargo::cargo_bin("neuroinspect"))
        .args(["debug", "--class", "owl", "--iterations", "1000000"])
        .args(["--model", "cifar_resnet20", "--weights"])
        .arg(bench.path("model.safetensors"))
        .arg("--data")
        .arg(bench.path("images"))
        .arg("--out")
        .arg(bench.path("out"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !bench.path("out/features.safetensors").exists() {
        assert!(Instant::now() < deadline, "no features");
        sleep(Duration::from_millis(50));
    }
    // Explaining and editing 24 small images takes less than this, a million steps take hours.
    sleep(Duration::from_secs(5));
    assert!(program.try_wait().unwrap().is_none(), "it ended by itself");
    let mut kill = System::new("kill");
    kill.args(["-INT", &program.id().to_string()]);
    assert!(kill.status().unwrap().success());
    assert_eq!(program.wait().unwrap().code(), Some(130));
    let summary = bench.json("out/summary.json");
    assert_eq!(summary["mistakes"], 8);
    assert!(bench.path("out/report.html").exists());
    assert_eq!(summary["interrupted"], true);
    assert!(bench.path("out/edit.safetensors").exists());
    assert!(!summary["visualizations"].as_array().unwrap().is_empty());
}
