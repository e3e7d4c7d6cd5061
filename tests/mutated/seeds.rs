//! Valid inputs, most of them written by the library itself.

use std::{fs, path::Path, sync::OnceLock};

use ndarray::array;
use neuroinspect::{
    DebugConfig,
    check::{CheckConfig, check},
    concepts::{ConceptBank, ConceptVector, Margins},
    core::{ClassId, DecisionLayer, FeatureTable, Groups, NeuronId, Silent},
    editing::{EditScope, Fitted, LayerPatch, MethodRecord, RatioEdit},
    report::{Schema, to_json},
};
use neuroinspect_testing::{
    files::{Folder, gradient},
    pages::root,
    tables::{random_layer, random_table},
};

use crate::readers::run;

/// A valid input, by the name of its file.
#[derive(Clone)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Files of the tests of a crate.
pub(crate) fn of_tests(folder: &str, names: &[&str]) -> Vec<Input> {
    let folder = root().join("crates").join(folder);
    let inputs = names.iter().map(|name| Input {
        name: (*name).to_owned(),
        bytes: fs::read(folder.join(name)).unwrap(),
    });
    inputs.collect()
}

/// What a function writes under a name.
fn written(name: &str, write: impl FnOnce(&Path)) -> Input {
    let folder = Folder::new();
    write(&folder.path(name));
    Input {
        name: name.to_owned(),
        bytes: folder.read(name),
    }
}

pub(crate) fn text(name: &str, text: &str) -> Input {
    Input {
        name: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn table() -> (FeatureTable, DecisionLayer) {
    let layer = random_layer(3, 5);
    let table = random_table("mutated", 24, &layer);
    let groups = Groups::new(
        ["sea", "land"].map(String::from).to_vec(),
        (0..24).map(|sample| sample % 2).collect(),
    );
    (table.with_groups(groups.unwrap()).unwrap(), layer)
}

/// Tables, one of them as another program writes it.
pub(crate) fn tables() -> Vec<Input> {
    let mut tables = of_tests("neuroinspect-core/tests/data", &["table.safetensors"]);
    let (table, _) = table();
    tables.push(written("ours.safetensors", |path| {
        table.save(path).unwrap()
    }));
    tables
}

pub(crate) fn layers() -> Vec<Input> {
    let (_, layer) = table();
    vec![written("layer.safetensors", |path| {
        layer.save(path).unwrap()
    })]
}

pub(crate) fn edits() -> Vec<Input> {
    let (_, before) = table();
    let mut weight = before.weight().to_owned();
    weight.row_mut(1).fill(0.5);
    let after = DecisionLayer::new(weight, before.bias().to_owned()).unwrap();
    let method = RatioEdit::new(vec![NeuronId(2)], EditScope::Class(ClassId(1)));
    let record = MethodRecord::new(&method, &Fitted::new(after.clone())).unwrap();
    let patch = LayerPatch::between("toy", [&before, &after], record).unwrap();
    vec![written("edit.safetensors", |path| {
        patch.save(path).unwrap()
    })]
}

pub(crate) fn banks() -> Vec<Input> {
    let concept = ConceptVector {
        name: "water".to_owned(),
        vector: array![0.0, 1.0],
        intercept: 0.25,
        margins: Margins {
            max: 1.0,
            min: -1.0,
            pos_mean: Some(0.5),
            neg_mean: Some(-0.5),
            q_90: 0.75,
            q_10: -0.75,
        },
        train_accuracy: Some(1.0),
        test_accuracy: None,
        mean_features: Some(array![0.5, 2.0]),
    };
    let bank = ConceptBank::new(vec![concept]).unwrap();
    vec![written("bank.safetensors", |path| bank.save(path).unwrap())]
}

/// A picture in every format.
pub(crate) fn images() -> Vec<Input> {
    ["png", "jpg", "webp", "bmp", "gif"]
        .map(|extension| {
            let name = format!("picture.{extension}");
            written(&name, |path| gradient(1, 2, 24).save(path).unwrap())
        })
        .into()
}

/// The results of a check.
pub(crate) fn checks() -> Vec<Input> {
    let (table, layer) = table();
    let predicted = table.predicted_by(&layer).unwrap();
    let device = neuroinspect::burn::tensor::Device::flex();
    let report = check(
        &predicted,
        &CheckConfig::default(),
        None,
        &device,
        &mut Silent,
    )
    .unwrap();
    vec![text(
        "check.json",
        &to_json(Schema::CHECK, &report).unwrap(),
    )]
}

/// Options of all stages, as JSON and as TOML.
pub(crate) fn configs() -> Vec<Input> {
    let config = DebugConfig::default();
    vec![
        text("config.json", &serde_json::to_string(&config).unwrap()),
        text(
            "config.toml",
            "pictures = 3\n[ranking]\ntop = 3\n[editing]\nlambda3 = 1.0\n[editing.training]\nepochs = 20\n",
        ),
    ]
}

/// Features of a run, and the record of what they are of.
pub(crate) fn features() -> &'static [Input] {
    static FEATURES: OnceLock<Vec<Input>> = OnceLock::new();
    FEATURES.get_or_init(|| {
        let run = run();
        assert!(!run.reused(), "the folder is new");
        let written = ["features.safetensors", "features.origin.json"].map(|name| Input {
            name: name.to_owned(),
            bytes: fs::read(run.folder.join(name)).unwrap(),
        });
        written.into()
    })
}
