//! What the commands write.

use std::{fs, path::Path};

use assert_cmd::Command;
use neuroinspect::core::io::sha256_of_file;
use serde_json::Value;

use crate::{
    fixture::{CLASSES, Fixture, fails},
    tables::printed,
};

#[test]
fn evaluate_writes_accuracies_at_the_top() {
    let fixture = Fixture::new();
    fixture.command("evaluate").assert().success();
    let summary = fixture.json("out/evaluation.json");
    assert_eq!(summary["accuracy"], 1.0 / 3.0);
    assert_eq!(
        summary["class_accuracy"],
        serde_json::json!([1.0, 0.0, 0.0])
    );
    assert_eq!(summary["worst_class_accuracy"], 0.0);
    assert!(fixture.path("out/features.safetensors").exists());
    let printed = fixture.command("evaluate").output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    for line in ["  cat     100.0%", "  dog       0.0%", "  owl       0.0%"] {
        assert!(printed.contains(line), "{printed}");
    }
}

#[test]
fn evaluate_tells_the_worst_group() {
    let fixture = Fixture::new();
    let group = |class| if class == "owl" { "night" } else { "day" };
    let lines = CLASSES.map(|class| {
        let line = |index| format!("{class}/{index}.png\t{}\n", group(class));
        (0..8).map(line).collect::<String>()
    });
    fixture.write("images/groups.tsv", lines.concat());
    let printed = fixture.command("evaluate").output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.contains("; worst group night (0.0%)"), "{printed}");
    let summary = fixture.json("out/evaluation.json");
    assert_eq!(summary["group_names"], serde_json::json!(["day", "night"]));
    assert_eq!(summary["group_accuracy"], serde_json::json!([0.5, 0.0]));
}

#[test]
fn json_on_standard_output_is_the_summary() {
    let fixture = Fixture::new();
    let output = fixture.command("evaluate").arg("--json").output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, fixture.json("out/evaluation.json"));
}

#[test]
fn progress_is_told_in_lines_where_there_is_no_terminal() {
    let said = |quiet: &[&str]| {
        let fixture = Fixture::new();
        let mut command = fixture.command("debug");
        let options = ["--class", "owl", "--iterations", "3", "--count", "2"];
        let output = command.args(options).args(quiet).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let lines = said(&[]);
    let mut at = 0;
    for stage in [
        "extracting features",
        "explaining",
        "editing",
        "visualizing",
    ] {
        let found = lines[at..].find(&format!("{stage}: "));
        at += found.unwrap_or_else(|| panic!("no {stage} after {at}: {lines}"));
    }
    assert_eq!(said(&["--quiet"]), "");
}

#[test]
fn debug_writes_every_stage_and_apply_takes_its_edit() {
    let fixture = Fixture::new();
    let mut debug = fixture.command("debug");
    debug
        .args(["--class", "owl", "--iterations", "3", "--count", "2"])
        .assert()
        .success();
    let summary = fixture.json("out/summary.json");
    assert_eq!(
        (&summary["ranking"]["mistakes"], &summary["samples"]),
        (&8.into(), &8.into())
    );
    for list in ["insufficient", "excessive"] {
        assert!(!summary["ranking"][list].as_array().unwrap().is_empty());
        for ranked in summary["ranking"][list].as_array().unwrap() {
            assert!(
                ranked["neuron"].is_u64()
                    && ranked["prec_at_k"].is_f64()
                    && ranked["importance"].is_f64()
            );
        }
    }
    assert_eq!(summary["edit"]["neurons"].as_array().unwrap().len(), 2);
    for side in ["before", "after"] {
        for key in ["accuracy", "class_accuracy", "worst_class_accuracy"] {
            let metrics = &summary["edit"]["comparison"][side];
            assert!(!metrics[key].is_null(), "{side} {key}");
        }
    }
    let pictures = summary["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 2);
    for picture in pictures {
        assert!(picture["activation"].is_f64());
        assert!(picture["clip_similarity"].is_null(), "no CLIP was given");
        for key in ["file", "masked_file"] {
            let path = fixture.path("out").join(picture[key].as_str().unwrap());
            assert_eq!(image::open(path).unwrap().width(), 32);
        }
    }
    let html = fs::read_to_string(fixture.path("out/report.html")).unwrap();
    assert!(html.contains("owl"));

    // The edit, applied to the checkpoint and taken back, leaves it as it was.
    let apply = |weights: &Path, revert: bool| {
        let mut command = fixture.bare("apply");
        command
            .arg("--edit")
            .arg(fixture.path("out/report-edit.safetensors"));
        command
            .args(["--model", "cifar_resnet20", "--weights"])
            .arg(weights);
        if revert {
            command.arg("--revert");
        }
        command.arg("--json").assert().success()
    };
    apply(&fixture.path("model.safetensors"), false);
    apply(&fixture.path("out/edited.safetensors"), true);
    // Behind the header, whose metadata come in any order.
    let weights = |name| {
        let bytes = fs::read(fixture.path(name)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(weights("out/edited.safetensors") != weights("model.safetensors"));
    assert!(weights("out/reverted.safetensors") == weights("model.safetensors"));
    let mut show = fixture.bare("apply");
    show.arg("--edit")
        .arg(fixture.path("out/report-edit.safetensors"));
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
    let fixture = Fixture::new();
    fixture
        .command("explain")
        .args(["--class", "1"])
        .assert()
        .success();
    let explained = fixture.json("out/explanation.json");
    let sha256 = sha256_of_file(fixture.path("model.safetensors")).unwrap();
    let is_recorded = |run: &Value| {
        assert_eq!(run["weights_sha256"], sha256.as_str());
        let stage = run["timings"][0]["stage"].as_str().unwrap();
        assert!(stage.starts_with("extracting features"), "{stage}");
    };
    is_recorded(&explained["run"]);
    assert_eq!(explained["class_name"], "dog");
    assert_eq!(explained["counterfactuals"].as_array().unwrap().len(), 8);

    let mut visualize = fixture.command("visualize");
    visualize
        .args(["--neurons", "3,5", "--class", "owl", "--iterations", "2"])
        .assert()
        .success();
    let pictured = fixture.json("out/visualizations.json");
    is_recorded(&pictured["run"]);
    let lines = &pictured["visualizations"];
    assert_eq!(lines.as_array().unwrap().len(), 2);
    assert_eq!(
        (&lines[1]["pair"]["neuron"], &lines[1]["class_name"]),
        (&5.into(), &"owl".into())
    );

    fixture
        .command("edit")
        .args(["--class", "owl", "--neurons", "3,5", "--epochs", "2"])
        .assert()
        .success();
    let edit = fixture.json("out/edit.json");
    is_recorded(&edit["run"]);
    let result = &edit["edit"];
    assert!(result["control"]["measured"]["accuracy"].is_f64());
    for side in ["before", "after"] {
        assert!(result["comparison"][side]["accuracy"].is_f64(), "{side}");
    }
    assert_eq!(result["also_trained_on"], 0);
}

#[test]
fn devices_and_models_are_listed() {
    let fixture = Fixture::new();
    let list = |name: &str| -> Value {
        let output = fixture.bare(name).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let devices = &list("devices")["devices"];
    assert_eq!(devices[0]["device"], "flex");
    assert_eq!(devices[0]["available"], true);
    let models = list("models");
    let classifiers = models["classifiers"].as_array().unwrap();
    let resnet18 = classifiers.iter().find(|it| it["name"] == "resnet18");
    let resnet18 = resnet18.unwrap();
    for (what, expected) in [
        ("parameters", 11_689_512),
        ("neurons", 512),
        ("classes", 1000),
        ("input_size", 224),
    ] {
        assert_eq!(resnet18[what], expected, "{what}");
    }
    let models = models.to_string();
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

/// The layers of a model, by timm's names, in the order of computation.
#[test]
fn layers_are_listed() {
    let fixture = Fixture::new();
    let layers = |model: &str| {
        let mut models = fixture.bare("models");
        models.args(["--layers", model, "--json"]);
        let output = models.output().unwrap();
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        listed["layers"].as_array().unwrap().clone()
    };
    let of_resnet = layers("resnet18");
    let layer = |name: &str| {
        let layer = of_resnet.iter().find(|layer| layer["name"] == name);
        layer.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let expected = serde_json::json!({"name": "layer3.1", "kind": "map", "channels": 256});
    assert_eq!(layer("layer3.1"), expected);
    assert_eq!(layer("global_pool")["kind"], "features");
    assert_eq!(layer("global_pool")["channels"], 512);
    assert_eq!(of_resnet.last().unwrap(), &layer("fc"));
    assert_eq!(layer("fc")["channels"], 1000, "classes of ImageNet");
    assert_eq!(layers("resnet18.a1_in1k"), of_resnet);
    // Its weights have no decision layer.
    let of_dino = layers("vit_small_patch8_224");
    assert!(of_dino.iter().any(|layer| layer["name"] == "blocks.10"));

    let mut models = fixture.bare("models");
    let output = models.args(["--layers", "resnet18"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("layer3.1 "));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words, ["layer3.1", "map", "256"]);
    fails(
        fixture.bare("models").args(["--layers", "resnet19"]),
        &["resnet19", "resnet18"],
    );
}

/// All that is written and printed as JSON says what it is.
#[test]
fn every_json_has_a_schema() {
    let fixture = Fixture::new();
    let debug = ["--class", "owl", "--iterations", "1", "--count", "1"];
    let edit = ["--neurons", "3", "--epochs", "1"];
    let visualize = ["--neurons", "3", "--class", "owl", "--iterations", "1"];
    let runs: [(&str, &[&str], &str); 5] = [
        ("evaluate", &[], "evaluation.json"),
        ("debug", &debug, "summary.json"),
        ("explain", &["--class", "owl"], "explanation.json"),
        ("edit", &edit, "edit.json"),
        ("visualize", &visualize, "visualizations.json"),
    ];
    for (name, options, file) in runs {
        let mut command = fixture.command(name);
        let output = command.args(options).arg("--json").output().unwrap();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, fixture.json(&format!("out/{file}")), "{name}");
        let schema = printed["schema"].as_str().unwrap();
        assert!(schema.starts_with("neuroinspect."), "{name}: {schema}");
        assert!(printed["schema_version"].is_u64(), "{name}");
    }
    let origin = fixture.json("out/features.origin.json");
    assert_eq!(origin["schema"], "neuroinspect.features-origin");
    assert!(origin["schema_version"].is_u64());
    // No command has taken what another wrote.
    let files = runs.map(|(_, _, file)| fixture.path("out").join(file));
    assert!(files.iter().all(|file| file.exists()), "{files:?}");
}

/// Without a class, all classes share the edit, and the program says so.
#[test]
fn edit_says_whose_ratios_it_changed() {
    let fixture = Fixture::new();
    let edit = |options: &[&str]| {
        let mut edit = fixture.command("edit");
        edit.args(["--neurons", "3,5", "--epochs", "1"])
            .args(options);
        let output = edit.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = edit(&[]);
    let of_all = "neurons 3, 5 influence all 3 classes less, as no --class was given: the mean";
    assert!(text.contains(of_all), "{text}");
    assert_eq!(fixture.json("out/edit.json")["scope"], "all_classes");
    let text = edit(&["--class", "owl"]);
    let of_one = "neurons 3, 5 influence 'owl' less: its probability ratio is pulled to ";
    assert!(text.contains(of_one), "{text}");
    assert!(text.contains("measured on 12 samples"), "{text}");
    assert!(text.contains("\nEditing neurons 3 and 5 "), "{text}");
}

/// The lines of `--classes` are folders, which `--class-names` calls otherwise.
#[test]
fn classes_are_asked_for_by_the_names_they_are_given() {
    let fixture = Fixture::new();
    let classes = fixture.write("classes", "cat\ndog\nowl\n");
    let names = fixture.write("names", "Felis\nCanis\ns/trix=1\n");
    let explain = |class: &str| {
        let mut explain = fixture.command("explain");
        explain.arg("--classes").arg(&classes);
        explain.arg("--class-names").arg(&names);
        explain.args(["--class", class]);
        explain
    };
    let text = printed(&mut explain("s/trix=1"));
    assert!(text.contains("edit ... --class=s/trix=1 "), "{text}");
    fails(&mut explain("owl"), &["no class is named 'owl'"]);
    // A name that two classes have is told by its index.
    fixture.write("names", "Felis\nStrix\nStrix\n");
    let text = printed(&mut explain("2"));
    assert!(text.contains("edit ... --class=index:2 "), "{text}");
}

/// There they would be taken for a class and its images.
#[test]
fn results_are_not_written_among_the_images() {
    let fixture = Fixture::new();
    for inside in [
        "images",
        "images/../images/new/out",
        "new/../images/out",
        "images/owl",
    ] {
        let mut evaluate = Command::cargo_bin("neuroinspect").unwrap();
        evaluate.args(["evaluate", "--model", "cifar_resnet20", "--weights"]);
        evaluate.arg(fixture.path("model.safetensors"));
        evaluate.arg("--data").arg(fixture.path("images"));
        evaluate.arg("--out").arg(fixture.path(inside));
        fails(&mut evaluate, &["in the folder of images", "--out"]);
    }
    // What is hidden is passed over, the second time, too.
    for _ in 0..2 {
        let mut hidden = Command::cargo_bin("neuroinspect").unwrap();
        hidden.args(["evaluate", "--model", "cifar_resnet20", "--weights"]);
        hidden.arg(fixture.path("model.safetensors"));
        hidden.arg("--data").arg(fixture.path("images"));
        printed(hidden.arg("--out").arg(fixture.path("images/.results")));
    }
    assert!(!fixture.path("images/new").exists());
    assert!(!fixture.path("images/.neuroinspect.lock").exists());
    fixture.command("evaluate").assert().success();
}
