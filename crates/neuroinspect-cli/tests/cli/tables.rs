//! Commands on features made elsewhere.

use std::collections::HashMap;

use assert_cmd::Command;
use ndarray::array;
use neuroinspect::{
    concepts::{ConceptBank, ConceptVector, Margins},
    core::{ActivationTable, DecisionLayer, FeatureTable, io::sha256_of_file},
};
use neuroinspect_testing::tables::random_layer;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use crate::fixture::{CLASSES, Fixture, fails};

/// Neuron 0 sees the bird, neuron 1 the water, and the layer says "waterbird" for water.
const WEIGHT: [f32; 4] = [0.2, 2.0, 0.0, 0.0];
const BIAS: [f32; 2] = [-1.0, 0.0];
const PARTS: [&str; 3] = ["train", "validation", "test"];

/// Writes a table as a Python program does: 40 samples of each part named, water with every
/// waterbird and nothing else in training and validation, and by turns in the test.
fn write(fixture: &Fixture, name: &str, parts: &[&str], with_layer: bool) {
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

fn command(fixture: &Fixture, name: &str, table: &str) -> Command {
    let mut command = fixture.bare(name);
    command.arg("--table").arg(fixture.path(table));
    command
}

fn printed(command: &mut Command) -> String {
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
        "next: neuroinspect edit ... --class waterbird --neurons ",
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

#[test]
fn a_mend_is_chosen_and_measured_once() {
    let fixture = Fixture::new();
    write(&fixture, "test", &["test"], true);
    let text = printed(&mut command(&fixture, "mend", "test"));
    let mended = fixture.json("out/mend.json");
    assert_eq!(mended["mend"]["samples"], json!([14, 12]));
    assert_eq!(mended["edit"]["comparison"]["before"]["samples"], 14);
    // Water says nothing here, and the bird everything.
    assert!(mended["mend"]["recommended"].is_object(), "{mended}");
    let accuracy = &mended["edit"]["comparison"]["after"]["accuracy"];
    assert!(accuracy.as_f64().unwrap() > 0.9, "{mended}");
    assert!(text.contains("worst group"), "{text}");
    assert!(
        text.contains("measured on 14 samples not trained on"),
        "{text}"
    );
    assert!(text.contains("mean class accuracy +"), "{text}");
    assert!(text.contains("12 to choose on)"), "{text}");
    assert!(
        text.contains("(control: plain retraining on the same samples)"),
        "{text}"
    );

    let written = fixture.path("out/mended-layer.safetensors");
    let mut evaluate = command(&fixture, "evaluate", "test");
    printed(evaluate.arg("--layer-file").arg(&written));
    let mut show = fixture.bare("apply");
    show.arg("--edit").arg(fixture.path("out/mend.safetensors"));
    let shown: Value = serde_json::from_str(&printed(show.arg("--json"))).unwrap();
    let layer = DecisionLayer::load(&written).unwrap();
    assert_eq!(shown["sha256_after"], layer.sha256());

    // Of parts, and of a table to train on.
    write(&fixture, "parts", &PARTS, true);
    let mut mend = command(&fixture, "mend", "parts");
    printed(mend.args(["--class", "waterbird", "--method", "auto"]));
    let mended = fixture.json("out/mend.json");
    assert_eq!(mended["mend"]["class"], 0);
    let page = String::from_utf8(fixture.read("out/mend.html")).unwrap();
    assert!(page.contains("<svg class=\"frontier\""), "{page}");
    assert_eq!(mended["mend"]["samples"], json!([40, 40]));
    write(&fixture, "train", &["train"], true);
    let mut mend = command(&fixture, "mend", "test");
    mend.arg("--train").arg(fixture.path("train"));
    printed(mend.args(["--by", "data"]));
    assert_eq!(
        fixture.json("out/mend.json")["mend"]["samples"],
        json!([40, 20])
    );
    let mut mend = command(&fixture, "mend", "parts");
    mend.arg("--train").arg(fixture.path("train"));
    fails(&mut mend, &["--train", "neither table may be split"]);
}

/// A table of views of the training samples is learnt from as well.
#[test]
fn views_are_learnt_from() {
    let fixture = Fixture::new();
    write(&fixture, "test", &["test"], true);
    write(&fixture, "train", &["train"], false);
    let train = FeatureTable::load(fixture.path("train")).unwrap();
    let ids = train.sample_ids().iter().map(|id| format!("{id}#1"));
    let (features, provenance) = (train.features().to_owned(), train.provenance().clone());
    let features = ActivationTable::of_samples(ids.collect(), features, provenance).unwrap();
    let (labels, names) = (train.labels().to_vec(), train.class_names().to_vec());
    let views = FeatureTable::new(features, labels, names).unwrap();
    views.save(fixture.path("views")).unwrap();
    let with = |views: &str| {
        let mut mend = command(&fixture, "mend", "test");
        mend.arg("--train").arg(fixture.path("train"));
        mend.arg("--views").arg(fixture.path(views));
        mend
    };
    printed(&mut with("views"));
    let mended = fixture.json("out/mend.json");
    assert_eq!(mended["mend"]["samples"], json!([80, 20]));
    let configs = mended["run"]["configs"]["views"].as_str().unwrap();
    assert!(configs.ends_with("views"), "{configs}");
    fails(&mut with("train"), &["none of the 40 views", "cat/7.png#2"]);
}

/// A layer that is right everywhere needs no mend, and no file passes for one.
#[test]
fn where_nothing_helps_no_edit_is_written() {
    let fixture = Fixture::new();
    write(&fixture, "parts", &PARTS, true);
    printed(&mut command(&fixture, "mend", "parts"));
    let files = ["out/mend.safetensors", "out/mended-layer.safetensors"];
    let files = files.map(|name| fixture.path(name));
    let helped = fixture.json("out/mend.json")["mend"]["recommended"].is_object();
    assert_eq!(files.each_ref().map(|file| file.exists()), [helped; 2]);
    for file in &files {
        std::fs::write(file, "of an earlier run").unwrap();
    }

    let layer = DecisionLayer::new(array![[4.0, 0.0], [-4.0, 0.0]], array![-2.0, 2.0]);
    layer.unwrap().save(fixture.path("right")).unwrap();
    // Chosen by `edit` as well, it is compared with the same.
    let text = printed(command(&fixture, "edit", "parts").args(["--method", "auto"]));
    let control = "(control: plain retraining on the same samples)";
    assert!(text.contains(control), "{text}");

    let mut mend = command(&fixture, "mend", "parts");
    let text = printed(mend.arg("--layer-file").arg(fixture.path("right")));
    let lead = "The layer is left as it is: no mend is sure to help; the best tried is to ";
    assert!(text.starts_with(lead), "{text}");
    assert!(
        text.contains("no edit file is written, as nothing changes"),
        "{text}"
    );
    assert!(!text.contains("   after"), "{text}");
    for file in &files {
        assert!(!file.exists(), "{}", file.display());
    }
    let mended = fixture.json("out/mend.json");
    assert_eq!(mended.get("file"), None);
    assert_eq!(mended["edit"]["comparison"]["before"]["accuracy"], 1.0);
    let page = String::from_utf8(fixture.read("out/mend.html")).unwrap();
    assert!(
        page.contains("No recommendation: no mend is sure to help"),
        "{page}"
    );
}

#[test]
fn methods_are_compared_over_seeds() {
    let fixture = Fixture::new();
    write(&fixture, "birds-1", &PARTS, true);
    write(&fixture, "birds-2", &PARTS, true);
    let mut compare = fixture.bare("leaderboard");
    let files = ["birds-1", "birds-2"].map(|name| fixture.path(name).display().to_string());
    compare.args(["--table", &files.join(","), "--seeds", "2", "--seed", "7"]);
    let text = printed(compare.args(["--methods", "class_bias,dfr", "--class", "waterbird"]));
    let page = String::from_utf8(fixture.read("out/leaderboard.md")).unwrap();
    assert!(text.starts_with(&page), "{text}");
    assert!(page.contains("\n## birds\n"), "{page}");
    assert!(
        page.contains("to be helped: waterbird; seeds 7, 8."),
        "{page}"
    );
    let board = &fixture.json("out/leaderboard.json")["settings"][0];
    assert_eq!(board["samples"], json!([40, 40, 40]));
    assert_eq!(
        board["before"]["average"],
        json!({"mean": 0.5, "margin": 0.0})
    );
    let bias = &board["rows"][0];
    assert_eq!(bias["method"], "class_bias");
    assert!(bias["scores"]["class"]["margin"].is_f64(), "{bias}");
    assert!(bias["options"][1]["strength"].is_f64(), "{bias}");
    assert!(page.contains("\n- `class_bias`: strength "), "{page}");
    let dfr = &board["rows"][1];
    assert_eq!(dfr["labels"], "groups_of_validation");

    for (files, seeds, expected) in [
        (files.join(","), "3", "give --seeds 2"),
        (files.join(","), "1", "give --seeds 2"),
        (files[0].clone(), "2", "give --seeds 1"),
    ] {
        let mut compare = fixture.bare("leaderboard");
        compare.args(["--table", &files, "--seeds", seeds]);
        fails(&mut compare, &["birds-1", expected]);
    }

    // What has been compared is not compared again; with another option it is.
    let compare = |fixture: &Fixture, count: &str| {
        let mut compare = fixture.bare("leaderboard");
        compare.args(["--table", &files.join(","), "--seeds", "2", "--seed", "7"]);
        compare.args([
            "--methods",
            "class_bias,dfr",
            "--class",
            "waterbird",
            "--count",
            count,
        ]);
        let output = compare.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        message
    };
    let board = fixture.json("out/leaderboard.json")["settings"][0].clone();
    assert!(compare(&fixture, "5").contains("birds: taken from an earlier run"));
    assert_eq!(fixture.json("out/leaderboard.json")["settings"][0], board);
    assert!(!compare(&fixture, "4").contains("taken from"));

    // What another command compared in this folder stays.
    let mut other = fixture.bare("leaderboard");
    other.arg("--table").arg(fixture.path("birds-1"));
    printed(other.args(["--seeds", "1", "--methods", "dfr,auto", "--each-class"]));
    let settings = &fixture.json("out/leaderboard.json")["settings"];
    let of_class = &settings[0]["each_class"][1];
    assert_eq!(of_class["class"], "landbird", "{of_class}");
    assert!(of_class["difference"]["margin"].is_f64(), "{of_class}");
    assert_eq!(settings[1]["each_class"], json!([]));
    let names = [&settings[0]["setting"], &settings[1]["setting"]];
    assert_eq!(names, ["birds-1", "birds"]);
    // And is told with its own command and options.
    let [first, kept] = [0, 1].map(|index| settings[index]["command"].as_str().unwrap());
    assert!(
        kept.contains("--count 4") && !first.contains("--count"),
        "{kept}"
    );
    assert_eq!(settings[1]["config"]["neurons"], 4);
    let page = String::from_utf8(fixture.read("out/leaderboard.md")).unwrap();
    assert!(page.contains(first) && page.contains(kept), "{page}");

    // Results go by names: another table takes none that is there, nor do two of one command share one.
    for (tables, called) in [
        (&["other/birds-1"][..], "both be called 'birds-1'"),
        (&["bats", "other/bats"], "both be called 'bats'"),
    ] {
        let mut compare = fixture.bare("leaderboard");
        for table in tables {
            write(&fixture, table, &PARTS, true);
            compare.arg("--table").arg(fixture.path(table));
        }
        compare.args(["--seeds", "1", "--methods", "dfr"]);
        fails(&mut compare, &["other/", called, "--out"]);
    }
    assert_eq!(fixture.json("out/leaderboard.json")["settings"], *settings);

    write(&fixture, "bare", &PARTS, false);
    let mut compare = fixture.bare("leaderboard");
    compare.arg("--table").arg(fixture.path("bare"));
    fails(&mut compare, &["bare", "it has no tensor 'weight'"]);
}

/// Of the same images, as they are and corrupted: other settings, on the same network.
#[test]
fn methods_are_compared_on_networks_of_images() {
    let fixture = Fixture::new();
    fixture.images("cifar/train", &CLASSES);
    fixture.images("cifar/test", &CLASSES);
    let weights = fixture.path("model.safetensors").display().to_string();
    let mut compare = fixture.bare("leaderboard");
    compare.arg("--cifar").arg(fixture.path("cifar"));
    for share in ["", ",0.25"] {
        let network = format!("cifar_resnet20={weights}{share}");
        compare.args(["--network", &network]);
    }
    let text = printed(compare.args(["--seeds", "2", "--methods", "logit_adjustment"]));
    for title in [
        "## CIFAR-10: model",
        "## Corrupted CIFAR-10, 25 % conflicting: model",
    ] {
        assert!(text.contains(title), "{text}");
    }
    assert!(text.contains("## Published figures"), "{text}");
    let record = fixture.json("out/leaderboard.json");
    let [plain, corrupted] = [0, 1].map(|index| &record["settings"][index]);
    for board in [plain, corrupted] {
        assert_eq!(board["samples"], json!([24, 12, 12]));
    }
    assert_eq!(plain["before"]["worst_group"], json!(null));
    assert_eq!(corrupted["before"]["worst_group"]["mean"], 0.0);
    // Named by the network's weights, which are the same.
    let network = sha256_of_file(fixture.path("model.safetensors")).unwrap();
    for part in [
        "train",
        "test",
        "train-0.25",
        "validation-0.25",
        "test-0.25",
    ] {
        let file = format!("out/features-{}-{part}.safetensors", &network[..8]);
        assert!(fixture.path(&file).exists(), "{file}");
    }
}
