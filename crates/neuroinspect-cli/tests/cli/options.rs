//! Commands with options and in circumstances of their own.

use std::fs;

use assert_cmd::Command;
use ndarray::{Axis, stack};
use neuroinspect::{
    burn::tensor::Device,
    core::{ClassId, DecisionLayer, FeatureTable, Precision},
    models::{LoadConfig, load_classifier},
};
use neuroinspect_testing::largest_difference;
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
    for file in ["report.html", "summary.json", "report-edit.safetensors"] {
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

/// What an earlier run left does not pass for this one's, and is there until this one has something.
#[test]
fn a_folder_holds_one_run() {
    let fixture = Fixture::new();
    let debug = |class: &str, count: &str| {
        let mut debug = fixture.command("debug");
        debug.args(["--class", class, "--iterations", "1", "--count", count]);
        debug.output().unwrap().status.code()
    };
    let there = |name: &str| fixture.path("out").join(name).exists();
    let edit = |options: &[&str]| {
        let mut edit = fixture.command("edit");
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        edit.args(options).output().unwrap().status.code()
    };
    assert_eq!(debug("owl", "3"), Some(0));
    let picture = fixture.json("out/summary.json")["pictures"][2]["file"].clone();
    let picture = picture.as_str().unwrap();
    assert!(there(picture));
    // An edit of its own leaves the report's alone.
    let report_edit = || fs::read(fixture.path("out/report-edit.safetensors")).unwrap();
    let before = report_edit();
    assert_eq!(edit(&[]), Some(0));
    assert!(there("edit.safetensors") && report_edit() == before);
    // `cat` has no mistakes: nothing comes in the place of what is there.
    assert_eq!(debug("cat", "3"), Some(1));
    assert_eq!(fixture.json("out/summary.json")["class"], 2);
    assert!(there(picture) && report_edit() == before);

    assert_eq!(debug("owl", "2"), Some(0));
    assert!(!there(picture), "{picture}");
    // Nor does a failed edit take the place of the one before.
    let edits =
        || ["edit.json", "edit.safetensors"].map(|name| fixture.read(&format!("out/{name}")));
    let before = edits();
    assert_eq!(edit(&["--learning-rate", "1e300"]), Some(1));
    assert!(edits() == before);
}

#[test]
fn a_visualization_takes_the_place_of_the_one_before() {
    let fixture = Fixture::new();
    let visualize = |neurons: &str| {
        let mut visualize = fixture.command("visualize");
        visualize.args(["--class", "owl", "--iterations", "1", "--neurons", neurons]);
        visualize.assert().success();
    };
    let there = |neuron: usize| {
        let name = format!("out/neuron-{neuron}-class-2.png");
        fixture.path(&name).exists()
    };
    visualize("3,5");
    assert!(there(3) && there(5));
    visualize("5,7");
    assert!(!there(3) && there(5) && there(7));
}

/// What is there may be another run's: where it cannot be removed, nothing is written among it.
#[test]
fn a_folder_that_cannot_be_cleared_ends_the_work() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("out")).unwrap();
    fs::write(fixture.path("out/neurons"), "no folder").unwrap();
    let mut debug = fixture.command("debug");
    debug.args(["--class", "owl", "--iterations", "300"]);
    let output = debug.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot remove"), "{message}");
    assert_eq!(fixture.read("out/neurons"), b"no folder");
    for file in ["summary.json", "report.html"] {
        assert!(!fixture.path("out").join(file).exists(), "{file}");
    }
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
        .iter()
        .fold(0.0, |a: f32, b| a.max(b.abs()));
    let difference = largest_difference(exact.features(), rounded.features());
    // Eight significant bits, through twenty layers.
    assert!(
        difference > 0.0 && difference < 0.1 * f64::from(largest),
        "{difference}"
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
