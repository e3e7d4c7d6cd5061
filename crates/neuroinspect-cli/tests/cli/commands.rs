//! What the commands write.

use std::{fs, path::Path};

use neuroinspect::core::sha256_of_file;
use serde_json::Value;

use crate::bench::Bench;

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
    let printed = bench.command("evaluate").output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    for line in ["  cat    100.0 %", "  dog      0.0 %", "  owl      0.0 %"] {
        assert!(printed.contains(line), "{printed}");
    }
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
        assert!(!summary["ranking"][list].as_array().unwrap().is_empty());
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
            .arg(bench.path("out/report-edit.safetensors"));
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
    show.arg("--edit")
        .arg(bench.path("out/report-edit.safetensors"));
    let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
    assert!(shown.contains("cifar_resnet20"));
    let json = show.arg("--json").output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["shape"], serde_json::json!([3, 64]));
    assert!(json["largest_weight_change"].as_f64().unwrap() > 0.0);
    assert!(!json["changed_classes"].as_array().unwrap().is_empty());
    for hash in ["sha256_before", "sha256_after"] {
        assert!(shown.contains(json[hash].as_str().unwrap()), "{hash}");
    }
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
    let sha256 = sha256_of_file(bench.path("model.safetensors")).unwrap();
    let is_recorded = |run: &Value| {
        assert_eq!(run["weights_sha256"], sha256.as_str());
        let stage = run["timings"][0]["stage"].as_str().unwrap();
        assert!(stage.starts_with("extracting features"), "{stage}");
    };
    is_recorded(&explained["run"]);
    assert_eq!(explained["class_name"], "dog");
    assert_eq!(explained["outcomes"].as_array().unwrap().len(), 8);

    let mut visualize = bench.command("visualize");
    visualize
        .args(["--neurons", "3,5", "--class", "owl", "--iterations", "2"])
        .assert()
        .success();
    let pictured = bench.json("out/visualizations.json");
    is_recorded(&pictured["run"]);
    let lines = &pictured["visualizations"];
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
    is_recorded(&edit["run"]);
    assert!(edit["control"]["accuracy"].is_f64());
    assert!(edit["before"]["accuracy"].is_f64() && edit["after"]["accuracy"].is_f64());
    assert_eq!(edit["also_trained_on"], 0);
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
