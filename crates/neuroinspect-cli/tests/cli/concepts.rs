//! Concepts and labels, on the demo's networks and scenes: what was planted is named.

use std::{fs, path::PathBuf};

use assert_cmd::Command;
use ndarray::Array2;
use neuroinspect::{
    concepts::ConceptBank,
    core::{ActivationTable, ClassId, DecisionLayer, FeatureTable, Provenance},
    datasets::{
        ImageDataset,
        scenes::{Context, Scenes, ScenesConfig},
    },
};
use serde_json::Value;

use crate::fixture::{Fixture, fails};

pub(crate) fn asset(name: &str) -> String {
    format!(
        "{}/../neuroinspect/assets/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// Test scenes by class in `scenes`, and others by what is behind them in `contexts`.
fn scenes() -> Fixture {
    let fixture = Fixture::new();
    let test = Scenes::new(ScenesConfig::test().with_samples(300)).unwrap();
    for index in 0..300 {
        let class = &test.class_names()[test.samples()[index].label.0];
        let context = test.scene(index).unwrap().context;
        let name = format!("scenes/{class}/{index}-on-{context}.png");
        fixture.picture(&name, &test.image(index).unwrap());
    }
    let others = Scenes::new(ScenesConfig::captioned().with_samples(240)).unwrap();
    for index in 0..240 {
        let context = others.scene(index).unwrap().context;
        let name = format!("contexts/{context}/{index}.png");
        fixture.picture(&name, &others.image(index).unwrap());
    }
    fixture
}

/// A command on the demo's classifier.
fn on(fixture: &Fixture, command: &[&str], data: &str) -> Command {
    let mut program = Command::cargo_bin("neuroinspect").unwrap();
    program
        .args(command)
        .arg("--out")
        .arg(fixture.path("out"))
        .args(["--model", "cifar_resnet20", "--weights"])
        .arg(asset("scenes_classifier.safetensors"))
        .arg("--data")
        .arg(fixture.path(data));
    program
}

fn printed(command: &mut Command) -> String {
    let output = command.arg("--quiet").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout).unwrap()
}

fn bank(fixture: &Fixture) -> PathBuf {
    fixture.path("out/concepts.safetensors")
}

#[test]
fn the_planted_background_is_what_mistakes_lack_and_what_sways_the_class() {
    let fixture = scenes();
    let text = printed(on(&fixture, &["concepts", "learn"], "contexts").args(["--samples", "40"]));
    assert!(text.contains("water"), "{text}");
    let learned = fixture.json("out/concepts.json");
    assert_eq!(learned["schema"], "neuroinspect.concepts");
    for concept in learned["concepts"].as_array().unwrap() {
        // Of both sides alike: always saying no comes to a half.
        let accuracy = concept["test_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.8, "{concept}");
    }
    let loaded = ConceptBank::load(bank(&fixture)).unwrap();
    assert_eq!(loaded.names().len(), Context::ALL.len());
    assert_eq!(loaded.mean_features().unwrap().ncols(), loaded.neurons());
    assert_eq!(loaded.provenance().unwrap().model, "cifar_resnet20");

    let mut explain = on(&fixture, &["concepts", "explain"], "scenes");
    explain
        .args(["--class", "star", "--bank"])
        .arg(bank(&fixture));
    let text = printed(explain.args(["--top", "1"]));
    assert!(text.contains("prec@1"), "{text}");
    let explained = fixture.json("out/concept-explanation.json");
    let first = &explained["ranking"]["concepts"][0];
    assert_eq!(first["name"], "water");
    assert!(first["prec_at_k"].as_f64().unwrap() > 0.9, "{first}");
    assert!(first["score"].as_f64().unwrap() > 0.1, "{first}");
    let mistakes = explained["counterfactuals"].as_array().unwrap();
    // The classifier is wrong about stars elsewhere.
    let elsewhere = |it: &&Value| !it["id"].as_str().unwrap().ends_with("-on-water.png");
    assert!(mistakes.iter().filter(elsewhere).count() * 10 >= mistakes.len() * 9);
    let flipped = mistakes.iter().filter(|it| it["flipped"] == true).count();
    assert_eq!(explained["ranking"]["flipped"], flipped);
    assert!(flipped > 0);

    let mut tcav = on(&fixture, &["concepts", "tcav"], "scenes");
    tcav.args(["--class", "star", "--concepts"]);
    let text = printed(tcav.arg(fixture.path("contexts")).args(["--runs", "30"]));
    assert!(text.contains("Bonferroni"), "{text}");
    let found = fixture.json("out/tcav.json");
    let mut water = found["concepts"].as_array().unwrap().iter();
    let water = water.find(|it| it["name"] == "water").unwrap();
    assert!(
        water["significant"] == true && water["score"].as_f64().unwrap() > 0.9,
        "{found}"
    );
    assert_eq!(found["threshold"], 0.05 / 4.0);

    // The same options again, from the file that records them.
    let mut again = on(&fixture, &["concepts", "explain"], "scenes");
    again
        .arg("--config")
        .arg(fixture.path("out/concept-explanation.json"));
    again.args(["--class", "star", "--top", "1", "--json", "--bank"]);
    let again: Value = serde_json::from_str(&printed(again.arg(bank(&fixture)))).unwrap();
    assert_eq!(again["ranking"], explained["ranking"]);
}

/// What `docs/concepts.md` begins with, and what the demo says of these scenes.
#[test]
fn the_demos_scenes_are_written_to_be_used() {
    let fixture = Fixture::new();
    let save = || {
        let mut save = fixture.bare("demo");
        save.arg("--save-scenes").arg(fixture.path("demo"));
        save
    };
    let text = printed(&mut save());
    assert!(
        text.contains("try:\nneuroinspect evaluate --model"),
        "{text}"
    );
    assert!(!fixture.path("out").exists(), "nothing else is written");
    let mut evaluate = fixture.bare("evaluate");
    evaluate.args(["--model", "cifar_resnet20", "--weights"]);
    evaluate.arg(fixture.path("demo/scenes_classifier.safetensors"));
    evaluate.arg("--data").arg(fixture.path("demo/test"));
    evaluate
        .arg("--classes")
        .arg(fixture.path("demo/classes.txt"));
    let text = printed(&mut evaluate);
    assert!(text.contains("accuracy 78.3% on 1000 images"), "{text}");
    assert!(text.contains("worst group star elsewhere (0.0%)"), "{text}");

    // One reason more to suspect a neuron, where outlines are known.
    let mend = |outlines: &str| {
        let mut mend = fixture.bare("mend");
        mend.args(["--model", "cifar_resnet20", "--class", "star", "--weights"]);
        mend.arg(fixture.path("demo/scenes_classifier.safetensors"));
        mend.arg("--data").arg(fixture.path("demo/test"));
        mend.arg("--classes").arg(fixture.path("demo/classes.txt"));
        mend.arg("--outlines").arg(fixture.path(outlines));
        mend
    };
    let text = printed(&mut mend("demo/test-outlines"));
    assert!(text.contains("that lies outside of the object\n"), "{text}");
    let mended = fixture.json("out/mend.json");
    let suspects = mended["mend"]["suspects"].as_array().unwrap();
    let outside = suspects
        .iter()
        .map(|it| it["outside_object"].as_f64().unwrap());
    assert!(
        outside.clone().all(|share| (0.0..=1.0).contains(&share)),
        "{mended}"
    );
    let page = String::from_utf8(fixture.read("out/mend.html")).unwrap();
    assert!(page.contains("outside of the object"), "{page}");
    fails(
        &mut mend("demo/contexts"),
        &["outlines", "circle/000000.png"],
    );

    let images = |name: &str| fs::read_dir(fixture.path(name)).unwrap().count();
    let contexts = Context::ALL.map(|context| images(&format!("demo/contexts/{context}")));
    assert_eq!(contexts.iter().sum::<usize>(), 240);
    assert_eq!(images("demo/train/star"), 600);
    assert_eq!(images("demo/test-outlines/star"), 200);
    let words = String::from_utf8(fixture.read("demo/words.txt")).unwrap();
    assert_eq!(
        words,
        "water\ngrass\nsand\nbrick\ncircle\nsquare\ntriangle\nstar\ncross\n"
    );
    assert_eq!(
        fixture.read("demo/scenes_clip.safetensors"),
        fs::read(asset("scenes_clip.safetensors")).unwrap()
    );
    // What is there stays as it is.
    fails(&mut save(), &["train", "something is there"]);
}

#[test]
fn neurons_are_labelled_and_found_by_word() {
    let fixture = scenes();
    fixture.write(
        "words",
        "water\ngrass\nsand\n\nbrick\nwater\nstar\ncircle\nsquare\ntriangle\ncross\n",
    );
    let clip = asset("scenes_clip.safetensors");
    let mut label = on(&fixture, &["label"], "scenes");
    label.args(["--clip-weights", &clip, "--find", "water", "--words"]);
    let output = label.arg(fixture.path("words")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    // By the classifier, then by the encoder.
    for stage in ["extracting features: ", "embedding images: "] {
        assert!(said.contains(stage), "{said}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("by 9 words and 300 images"), "{text}");
    let found = fixture.json("out/labels.json");
    let units = found["units"].as_array().unwrap();
    assert_eq!(units.len(), 64);
    let query = &found["queries"][0];
    assert_eq!(
        (&query["word"], &query["units"][0]["words_above"]),
        (&"water".into(), &0.into())
    );
    let first = query["units"][0]["unit"].as_u64().unwrap() as usize;
    assert_eq!(units[first]["labels"][0]["word"], "water");
    // What activates it most is on water.
    let top = units[first]["top_images"].as_array().unwrap();
    let on_water = |it: &&Value| it.as_str().unwrap().ends_with("-on-water.png");
    assert!(
        top.len() == 5 && top.iter().filter(on_water).count() >= 4,
        "{top:?}"
    );

    // The channels of another layer, by another similarity.
    let mut label = on(&fixture, &["label"], "scenes");
    label.args([
        "--clip-weights",
        &clip,
        "--layer",
        "layer1",
        "--similarity",
        "cos-similarity-cubed",
    ]);
    let text = printed(
        label
            .args(["--units", "3", "--words"])
            .arg(fixture.path("words")),
    );
    assert!(
        text.contains("layer 'layer1'") && text.contains("unit     3"),
        "{text}"
    );
    assert_eq!(
        fixture.json("out/labels.json")["units"]
            .as_array()
            .unwrap()
            .len(),
        16
    );

    let mut debug = on(&fixture, &["debug"], "scenes");
    debug.args([
        "--class",
        "star",
        "--clip-weights",
        &clip,
        "--iterations",
        "2",
        "--count",
        "2",
    ]);
    printed(debug.arg("--words").arg(fixture.path("words")));
    let labels = fixture.json("out/summary.json")["labels"].clone();
    assert_eq!(labels.as_array().unwrap().len(), 2);
    let html = String::from_utf8(fixture.read("out/report.html")).unwrap();
    assert!(html.contains("<dt>label<b>"));
}

/// 20 samples of each class, of two neurons each: `means` and a jitter.
fn table(names: [&str; 2], means: [[f32; 2]; 2]) -> FeatureTable {
    let row = |sample: usize| {
        let jitter = (sample % 7) as f32 / 50.0;
        let [first, second] = means[sample % 2];
        [first + jitter, second - jitter]
    };
    let values: Vec<f32> = (0..40).flat_map(row).collect();
    let values = Array2::from_shape_vec((40, 2), values).unwrap();
    let activations = ActivationTable::new(values, Provenance::new("toy", None)).unwrap();
    let labels = (0..40).map(|sample| ClassId(sample % 2)).collect();
    FeatureTable::new(activations, labels, names.map(String::from).to_vec()).unwrap()
}

/// Neuron 0 sees feathers, neuron 1 water, and the layer says "waterbird" for water alone.
#[test]
fn concepts_are_learned_and_used_on_tables() {
    let fixture = Fixture::new();
    let save = |name: &str, table: FeatureTable| table.save(fixture.path(name)).unwrap();
    save(
        "birds",
        table(["waterbird", "cow"], [[1.0, 0.2], [0.0, 0.2]]),
    );
    save(
        "concepts",
        table(["water", "feathers"], [[0.1, 1.0], [1.0, 0.1]]),
    );
    let weight = Array2::from_shape_vec((2, 2), vec![0.0, 2.0, 0.0, 0.0]).unwrap();
    let layer = DecisionLayer::new(weight, vec![-1.5, 0.0].into()).unwrap();
    layer.save(fixture.path("layer")).unwrap();
    let command = |name: &str, of: &str| {
        let mut command = Command::cargo_bin("neuroinspect").unwrap();
        command
            .args(["concepts", name, "--out"])
            .arg(fixture.path("out"));
        command.arg("--table").arg(fixture.path(of));
        command
    };
    let mut learn = command("learn", "concepts");
    let text = printed(learn.args(["--samples", "15", "--regularization", "1"]));
    assert!(text.contains("feathers      100.0%     100.0%"), "{text}");
    let learned = fixture.json("out/concepts.json");
    assert_eq!(learned["concepts"][0]["negatives"], 20);
    assert_eq!(
        learned["run"]["configs"]["concept_learning"]["regularization"],
        1.0
    );

    let birds = |name: &str| {
        let mut command = command(name, "birds");
        command.arg("--layer-file").arg(fixture.path("layer"));
        command.args(["--class", "waterbird"]);
        command
    };
    let mut explain = birds("explain");
    printed(explain.args(["--top", "1", "--bank"]).arg(bank(&fixture)));
    let first = &fixture.json("out/concept-explanation.json")["ranking"]["concepts"][0];
    assert_eq!(
        (&first["name"], &first["prec_at_k"]),
        (&"water".into(), &1.0.into())
    );

    let mut tcav = birds("tcav");
    printed(tcav.arg("--concepts").arg(fixture.path("concepts")));
    let found = fixture.json("out/tcav.json");
    assert_eq!(
        (&found["concepts"][0]["name"], &found["samples"]),
        (&"water".into(), &20.into())
    );
    assert_eq!(found["concepts"][0]["score"], 1.0);

    let mut learn = command("learn", "concepts");
    fails(
        learn.arg("--layer-file").arg(fixture.path("layer")),
        &["without a decision layer"],
    );
}

#[test]
fn what_concepts_need_is_said() {
    let fixture = Fixture::new();
    fixture.write("words", "\n");
    let mut label = fixture.command("label");
    fails(
        label.arg("--words").arg(fixture.path("words")),
        &["has no words"],
    );
    fixture.write("words", "fur\n");
    let mut label = fixture.command("label");
    fails(
        label.arg("--words").arg(fixture.path("words")),
        &["--clip-weights FILE"],
    );
    let mut label = fixture.command("label");
    label.args([
        "--clip-weights",
        &asset("scenes_clip.safetensors"),
        "--words",
    ]);
    fails(
        label.arg(fixture.path("words")),
        &["looks at the 100 images", "--top-images"],
    );
    let mut label = fixture.command("label");
    label.args(["--similarity", "rank-reorder", "--top-images", "2"]);
    fails(
        label.arg("--words").arg(fixture.path("words")),
        &["top_images = 2", "looks at all images or at a share"],
    );
    // In `debug` the other stages go on.
    let mut debug = fixture.command("debug");
    debug.args(["--class", "dog", "--iterations", "1", "--count", "1"]);
    debug.args([
        "--clip-weights",
        &asset("scenes_clip.safetensors"),
        "--words",
    ]);
    let output = debug.arg(fixture.path("words")).output().unwrap();
    assert!(!output.status.success());
    let failures = fixture.json("out/summary.json")["failures"].clone();
    let stages: Vec<_> = failures.as_array().unwrap().iter().collect();
    assert!(
        stages.iter().any(|it| it["stage"] == "labelling"),
        "{failures}"
    );
    assert!(fixture.path("out/report.html").exists());
    let model = fixture.path("model.safetensors");
    let mut explain = Command::cargo_bin("neuroinspect").unwrap();
    explain.args([
        "concepts",
        "explain",
        "--class",
        "dog",
        "--model",
        "cifar_resnet20",
    ]);
    explain
        .arg("--weights")
        .arg(&model)
        .arg("--bank")
        .arg(&model);
    explain.arg("--out").arg(fixture.path("out"));
    fails(
        explain.arg("--data").arg(fixture.path("images")),
        &["model.safetensors' is not a concept bank"],
    );
    // A concept of one class has nothing to be told from.
    fixture.images("one", &["cat"]);
    let mut learn = Command::cargo_bin("neuroinspect").unwrap();
    learn.args([
        "concepts",
        "learn",
        "--model",
        "cifar_resnet20",
        "--weights",
    ]);
    learn.arg(&model).arg("--out").arg(fixture.path("out"));
    fails(
        learn.arg("--data").arg(fixture.path("one")),
        &["concept 'cat' has 0 negative samples"],
    );
}
