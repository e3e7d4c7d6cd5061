//! `mend`: what is recommended and what is written of it.

use ndarray::array;
use neuroinspect::core::{ActivationTable, DecisionLayer, FeatureTable};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, fails},
    tables::{PARTS, command, printed, write},
};

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
    let (features, provenance) = (
        train.features().unwrap().into_owned(),
        train.provenance().clone(),
    );
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
    assert_eq!(mended["mend"]["samples"], json!([40, 20]));
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
