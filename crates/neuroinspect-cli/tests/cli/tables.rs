//! Commands on features made elsewhere.

use std::collections::HashMap;

use assert_cmd::Command;
use neuroinspect::{
    concepts::{ConceptBank, ConceptVector, Margins},
    core::{DecisionLayer, FeatureTable},
};
use neuroinspect_testing::tables::random_layer;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use crate::fixture::{Fixture, fails};

/// Neuron 0 sees the bird, neuron 1 the water, and the layer says "waterbird" for water.
const WEIGHT: [f32; 4] = [0.2, 2.0, 0.0, 0.0];
const BIAS: [f32; 2] = [-1.0, 0.0];
pub(crate) const PARTS: [&str; 3] = ["train", "validation", "test"];

/// Writes a table as a Python program does: 40 samples of each part named, water with every
/// waterbird and nothing else in training and validation, and by turns in the test.
pub(crate) fn write(fixture: &Fixture, name: &str, parts: &[&str], with_layer: bool) {
    let (mut features, mut labels, mut groups, mut split) = (vec![], vec![], vec![], vec![]);
    for (number, part) in parts.iter().enumerate() {
        for sample in 0..40_i64 {
            let class = sample % 2;
            let water = match *part {
                "test" => sample / 2 % 2,
                _ => 1 - class,
            };
            let jitter = (sample % 7) as f32 / 50.0;
            features.extend([1.0 - class as f32 + jitter, water as f32 - jitter]);
            labels.push(class);
            groups.push(2 * class + water);
            split.push(number as i64);
        }
    }
    let floats = |values: &[f32]| values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let indices = |values: &[i64]| values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let samples = labels.len();
    let mut tensors: Vec<(_, _, Vec<usize>, Vec<u8>)> = vec![
        ("features", Dtype::F32, vec![samples, 2], floats(&features)),
        ("labels", Dtype::I64, vec![samples], indices(&labels)),
        ("groups", Dtype::I64, vec![samples], indices(&groups)),
    ];
    let groups = json!([
        "waterbird on land",
        "waterbird on water",
        "landbird on land",
        "landbird on water"
    ]);
    let mut metadata = HashMap::from([
        (
            "class_names".to_owned(),
            json!(["waterbird", "landbird"]).to_string(),
        ),
        ("group_names".to_owned(), groups.to_string()),
    ]);
    if parts.len() > 1 {
        tensors.push(("split", Dtype::I64, vec![samples], indices(&split)));
        metadata.insert("split_names".to_owned(), json!(parts).to_string());
    }
    if with_layer {
        tensors.push(("weight", Dtype::F32, vec![2, 2], floats(&WEIGHT)));
        tensors.push(("bias", Dtype::F32, vec![2], floats(&BIAS)));
    }
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
        )
    });
    let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
    fixture.write(name, bytes);
}

pub(crate) fn command(fixture: &Fixture, name: &str, table: &str) -> Command {
    let mut command = fixture.bare(name);
    command.arg("--table").arg(fixture.path(table));
    command
}

pub(crate) fn printed(command: &mut Command) -> String {
    let output = command.arg("--quiet").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_table_is_measured_explained_and_edited() {
    let fixture = Fixture::new();
    write(&fixture, "table", &PARTS, true);
    let text = printed(command(&fixture, "evaluate", "table").args(["--part", "test"]));
    assert!(text.contains("accuracy 50.0% on 40 images"), "{text}");
    assert!(
        text.contains("worst group waterbird on land (0.0%)"),
        "{text}"
    );
    let all = printed(&mut command(&fixture, "evaluate", "table"));
    assert!(all.contains("on 120 images"), "{all}");

    let mut explain = command(&fixture, "explain", "table");
    let text = printed(explain.args(["--class", "waterbird", "--part", "test"]));
    for line in [
        "10 of 20 images of 'waterbird' are mistaken; other activations make 10 of them right",
        "\ntoo weak      neuron   prec@5  importance      drawn again  smallest\n",
        "smallest: prec@5 by the smallest changes; 10 of 10 are proven to be the smallest",
        "prec@5: share of the mistakes in which it is among the 5 that would have to rise, or to fall, most",
        "next: neuroinspect edit ... --class=waterbird --neurons ",
    ] {
        assert!(text.contains(line), "{line} is not in: {text}");
    }
    let explained = fixture.json("out/explanation.json");
    assert_eq!(explained["ranking"]["mistakes"], 10);
    assert_eq!(explained["samples"], 20);
    let certificates = &explained["certified"]["explanation"]["certificates"];
    assert_eq!(certificates.as_array().unwrap().len(), 10);
    assert!(certificates[0]["at_least"].as_f64().unwrap() > 0.0);
    assert_eq!(explained["certified"]["stability"]["resamples"], 1000);

    // One rival alone, which all mistakes of two classes are taken for.
    let mut explain = command(&fixture, "explain", "table");
    explain.args([
        "--class",
        "waterbird",
        "--part",
        "test",
        "--rival",
        "landbird",
    ]);
    let text = printed(&mut explain);
    assert!(
        text.contains("changes that outdo the rival alone; 10 of 10"),
        "{text}"
    );
    let asked = fixture.json("out/explanation.json")["certified"]["explanation"]["rival"].clone();
    assert_eq!(asked, 1 - explained["class"].as_u64().unwrap());
    let mut explain = command(&fixture, "explain", "table");
    let output = explain
        .args(["--class", "waterbird", "--rival", "waterbird"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--rival is the class itself")
    );
    // Of all parts it is said what that does to an edit.
    for (part, warned) in [(None, true), (Some("validation"), false)] {
        let mut explain = command(&fixture, "explain", "table");
        explain.args(["--class", "waterbird"]);
        explain.args(part.into_iter().flat_map(|part| ["--part", part]));
        let output = explain.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let together = "the parts train, validation, test are explained together";
        assert_eq!(said.contains(together), warned, "{said}");
    }

    // The three parts are learnt from, chosen on and measured on.
    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--class", "waterbird", "--neurons", "1", "--target", "1"]);
    edit.args([
        "--lambda",
        "1",
        "--epochs",
        "300",
        "--learning-rate",
        "0.05",
    ]);
    let text = printed(&mut edit);
    let written = fixture.path("out/decision-layer.safetensors");
    assert!(text.contains(written.to_str().unwrap()), "{text}");
    let result = &fixture.json("out/edit.json")["edit"];
    let comparison = &result["comparison"];
    assert_eq!(comparison["before"]["accuracy"], 0.5);
    let promised = comparison["after"]["accuracy"].as_f64().unwrap();
    assert!(promised > 0.9, "{result}");
    assert_eq!(result["also_trained_on"], 0);

    // The layer that was written is worth what was promised.
    let mut evaluate = command(&fixture, "evaluate", "table");
    evaluate.args(["--part", "test", "--layer-file"]);
    printed(evaluate.arg(&written));
    assert_eq!(fixture.json("out/evaluation.json")["accuracy"], promised);
    let layer = DecisionLayer::load(&written).unwrap();
    assert_eq!(layer.sha256(), result["layer_sha256"].as_str().unwrap());
}

/// A result without what is of the one run.
fn result(fixture: &Fixture, file: &str) -> Value {
    let mut result = fixture.json(&format!("out/{file}"));
    let fields = result.as_object_mut().unwrap();
    fields.remove("run");
    result
}

#[test]
fn a_table_that_stays_in_its_file_comes_to_the_same() {
    let fixture = Fixture::new();
    write(&fixture, "table", &PARTS, true);
    for (name, file, options) in [
        ("evaluate", "evaluation.json", &[][..]),
        ("evaluate", "evaluation.json", &["--part", "test"]),
        ("explain", "explanation.json", &["--class", "waterbird"]),
        ("edit", "edit.json", &["--neurons", "1", "--epochs", "2"]),
        ("mend", "mend.json", &["--class", "waterbird"]),
    ] {
        let came_to = |memory: &str| {
            let mut command = command(&fixture, name, "table");
            let text = printed(command.args(options).args(["--memory", memory]));
            (text, result(&fixture, file))
        };
        let (in_memory, in_file) = (came_to("1MiB"), came_to("64"));
        assert_eq!(in_memory.1, in_file.1, "{name}");
        assert_eq!(in_memory.0, in_file.0, "{name}");
    }
    let mut evaluate = command(&fixture, "evaluate", "table");
    let output = evaluate.args(["--memory", "much"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("as in 512MiB or 4G"), "{message}");
    // Rather than nothing coming of it.
    for command in [&["demo"][..], &["methods"], &["leaderboard", "--scenes"]] {
        let mut refused = fixture.bare(command[0]);
        let refused = refused.args(&command[1..]).args(["--memory", "1G"]);
        fails(refused, &["does not heed --memory"]);
    }
}

#[test]
fn tables_of_training_and_test_go_together() {
    let fixture = Fixture::new();
    write(&fixture, "train", &["train"], true);
    write(&fixture, "test", &["test"], true);
    let mut edit = command(&fixture, "edit", "test");
    edit.arg("--train").arg(fixture.path("train"));
    printed(edit.args(["--neurons", "1", "--epochs", "1"]));
    let result = &fixture.json("out/edit.json")["edit"];
    assert_eq!(result["comparison"]["before"]["samples"], 40);

    // Written by neuroinspect, it is a table of the same kind.
    let table = FeatureTable::load(fixture.path("test")).unwrap();
    table.save(fixture.path("ours")).unwrap();
    let mut evaluate = command(&fixture, "evaluate", "ours");
    evaluate.arg("--layer-file").arg(fixture.path("train"));
    assert!(printed(&mut evaluate).contains("accuracy 50.0% on 40 images"));
}

#[test]
fn tables_not_as_needed_are_refused_by_name() {
    let fixture = Fixture::new();
    write(&fixture, "table", &["test"], false);
    fails(
        &mut command(&fixture, "evaluate", "table"),
        &["it has no tensor 'weight'", "--layer-file"],
    );
    random_layer(2, 3).save(fixture.path("wide")).unwrap();
    fails(
        command(&fixture, "evaluate", "table")
            .arg("--layer-file")
            .arg(fixture.path("wide")),
        &["wide", "expected [2, 2], found [2, 3]"],
    );
    write(&fixture, "whole", &["test"], true);
    fails(
        command(&fixture, "evaluate", "whole").args(["--part", "test"]),
        &["not split", "'test'"],
    );
    write(&fixture, "halves", &["train", "test"], true);
    fails(
        command(&fixture, "evaluate", "halves").args(["--part", "tset"]),
        &["'tset'", "train, test"],
    );
    fails(
        command(&fixture, "edit", "halves").args(["--neurons", "1"]),
        &["'validation'", "train, test"],
    );
    // What is of images is not left out without a word.
    let mut both = command(&fixture, "evaluate", "whole");
    let output = both.args(["--batch-size", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn any_method_edits() {
    let fixture = Fixture::new();
    write(&fixture, "table", &PARTS, true);
    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--method", "class_bias", "--class", "landbird"]);
    let text = printed(edit.args(["--option", "strength=0.5", "--option", "training=null"]));
    assert!(text.contains("raises the bias of class 1 by 0.5"), "{text}");
    let layer = DecisionLayer::load(fixture.path("out/decision-layer.safetensors")).unwrap();
    assert_eq!(layer.bias().to_vec(), [-1.0, 0.5]);
    assert_eq!(
        fixture.json("out/edit.json")["edit"]["method"]["name"],
        "class_bias"
    );

    // It keeps the neurons that it is to be as many as.
    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--method", "random_neurons", "--neurons", "1"]);
    printed(edit.args(["--class", "landbird", "--epochs", "1"]));

    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--method", "group_balanced", "--epochs", "2"]);
    printed(edit.args(["--option", "training.learning_rate=0.5"]));
    let method = &fixture.json("out/edit.json")["edit"]["method"];
    assert_eq!(method["options"]["training"]["learning_rate"], 0.5);
    assert_eq!(method["options"]["training"]["epochs"], 2);

    // Of the ratio edit, what options of their own say, too.
    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--neurons", "1", "--epochs", "1"]);
    printed(edit.args(["--option", "config.lambda3=0.25"]));
    let method = &fixture.json("out/edit.json")["edit"]["method"];
    assert_eq!(method["options"]["config"]["lambda3"], 0.25);
    assert_eq!(method["options"]["config"]["training"]["epochs"], 1);

    // The concepts of a bank, which tells of water what it looks like.
    let concept = |mean_features| ConceptVector {
        name: "water".to_owned(),
        vector: vec![0.0, 1.0].into(),
        intercept: 0.0,
        margins: Margins {
            max: 1.0,
            min: -1.0,
            pos_mean: Some(1.0),
            neg_mean: Some(-1.0),
            q_90: 1.0,
            q_10: -1.0,
        },
        train_accuracy: None,
        test_accuracy: None,
        mean_features,
    };
    let bank = |name: &str, mean_features| {
        let bank = ConceptBank::new(vec![concept(mean_features)]).unwrap();
        bank.save(fixture.path(name)).unwrap();
        format!("concepts={}", fixture.path(name).display())
    };
    let (whole, bare) = (
        bank("bank", Some(vec![0.25, 2.0].into())),
        bank("bare", None),
    );
    let mut edit = command(&fixture, "edit", "table");
    edit.args(["--method", "disc", "--class", "waterbird", "--epochs", "1"]);
    printed(edit.args(["--option", &whole]));
    let method = &fixture.json("out/edit.json")["edit"]["method"];
    let expected = json!([{"class": 0, "features": [0.25, 2.0]}]);
    assert_eq!(method["options"]["concepts"], expected);

    let edit = |options: &[&str]| {
        let mut edit = command(&fixture, "edit", "table");
        edit.args(options);
        edit
    };
    for (options, parts) in [
        (&[][..], &["probability_ratio", "the neurons"][..]),
        (&["--method", "class_bias"], &["the class to be helped"]),
        (
            &["--method", "jtt", "--option", "factr=2"],
            &["no option 'factr'", "factor"],
        ),
        (
            &["--method", "jtt", "--option", "factor=many"],
            &["options of the method", "many"],
        ),
        (&["--method", "jtt", "--target", "2"], &["--target"]),
        (&["--method", "dfr", "--epochs", "2"], &["--epochs"]),
        (
            &["--method", "jtt", "--neurons", "1"],
            &["leave out --neurons"],
        ),
        (&["--method", "jtt", "--class", "0"], &["leave out --class"]),
        (
            &[
                "--method",
                "jtt",
                "--epochs",
                "2",
                "--option",
                "training.epochs=1",
            ],
            &["--epochs and --option training.epochs say the same"],
        ),
        (
            &[
                "--neurons",
                "0",
                "--lambda",
                "2",
                "--option",
                "config.lambda3=3",
            ],
            &["--lambda and --option config.lambda3 say the same"],
        ),
        (
            &["--neurons", "0", "--epochs", "2", "--option", "config={}"],
            &["--epochs and --option config say the same"],
        ),
        (
            &["--method", "jtt", "--epochs", "18446744073709551615"],
            &["epochs", "from 1 to 1000000"],
        ),
        (&["--method", "disc", "--option", &whole], &["--class"]),
        (
            &["--method", "disc", "--class", "0", "--option", &bare],
            &["bare", "no mean features", "concepts learn"],
        ),
    ] {
        fails(&mut edit(options), parts);
    }
    let output = edit(&["--method", "jttt"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("'jtt'"), "{message}");
}

#[test]
fn methods_are_listed() {
    let fixture = Fixture::new();
    let output = fixture.bare("methods").arg("--json").output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let method = |name: &str| {
        let methods = listed["methods"].as_array().unwrap();
        let method = methods.iter().find(|method| method["name"] == name);
        method.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(method("probability_ratio")["needs"], json!(["--neurons"]));
    assert_eq!(method("class_bias")["needs"], json!(["--class"]));
    assert_eq!(method("dfr")["labels"], "groups_of_validation");
    assert_eq!(method("dfr")["worth_trying"], json!({}));
    assert_eq!(method("class_bias")["worth_trying"]["strength"][1], 0.0);
    assert!(method("jtt")["default_options"]["factor"].is_f64());
    let text = printed(&mut fixture.bare("methods"));
    assert!(text.contains("https://arxiv.org/abs/2310.07184"), "{text}");
}
