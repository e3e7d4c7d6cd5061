//! The readers, each with what its memory is bounded by.

use std::fs;

use neuroinspect::{
    DebugConfig,
    check::Limit,
    concepts::ConceptBank,
    core::{ActivationTable, ClassId, DecisionLayer, DeviceName, FeatureTable, Unit},
    datasets::{ImageFolder, ImageFolderConfig, open_image},
    editing::LayerPatch,
    illusion::Objective,
    models::{
        Checkpoint,
        onnx::{OnnxConfig, OnnxModel},
        prompts::PromptTemplates,
    },
    report::{CheckReport, Schema, read_json},
};
use neuroinspect_testing::files::gradient;

use crate::{
    Input, Reader,
    seeds::{self, of_tests, text},
    try_out,
};

/// Every tensor is read, too. Inputs are a few KiB.
#[test]
fn checkpoints() {
    let names = [
        "bf16.pt",
        "ema.pt",
        "f16.pt",
        "f64.pt",
        "legacy.pth",
        "model.pt",
        "state_dict.pt",
        "whole_module.pt",
        "zip.pt",
    ];
    let mut inputs = of_tests("neuroinspect-models/tests/golden/checkpoints", &names);
    inputs.extend(seeds::layers());
    let reader = Reader {
        name: "checkpoints",
        read: |path| {
            let Ok(checkpoint) = Checkpoint::open(path) else {
                return false;
            };
            let names: Vec<_> = checkpoint.names().map(str::to_owned).collect();
            names.iter().all(|name| checkpoint.read(name).is_ok())
        },
        most_mib: 64,
    };
    try_out(reader, inputs, &[]);
}

/// Two exported networks, whose weights are in a file beside them.
#[test]
fn onnx_files() {
    const FOLDER: &str = "neuroinspect-models/tests/golden/onnx";
    let networks = ["test_vit.dynamo.onnx", "test_efficientnet.dynamo.onnx"];
    let weights = networks.map(|name| format!("{name}.data"));
    let beside = of_tests(FOLDER, &weights.each_ref().map(String::as_str));
    let reader = Reader {
        name: "onnx",
        read: |path| OnnxModel::read(path, &OnnxConfig::default()).is_ok(),
        most_mib: 256,
    };
    try_out(reader, of_tests(FOLDER, &networks), &beside);
}

#[test]
fn tables() {
    let reader = Reader {
        name: "tables",
        read: |path| {
            let _ = ActivationTable::load(path);
            FeatureTable::load(path).is_ok()
        },
        most_mib: 64,
    };
    try_out(reader, seeds::tables(), &[]);
}

#[test]
fn decision_layers() {
    let reader = Reader {
        name: "layers",
        read: |path| DecisionLayer::load(path).is_ok(),
        most_mib: 64,
    };
    try_out(reader, seeds::layers(), &[]);
}

#[test]
fn edits() {
    let reader = Reader {
        name: "edits",
        read: |path| LayerPatch::load(path).is_ok(),
        most_mib: 64,
    };
    try_out(reader, seeds::edits(), &[]);
}

#[test]
fn concept_banks() {
    let reader = Reader {
        name: "banks",
        read: |path| ConceptBank::load(path).is_ok(),
        most_mib: 64,
    };
    try_out(reader, seeds::banks(), &[]);
}

/// Half a GiB decoded is what is allowed, and a copy as RGB.
#[test]
fn images() {
    let reader = Reader {
        name: "images",
        read: |path| open_image(path).is_ok(),
        most_mib: 1100,
    };
    try_out(reader, seeds::images(), &[]);
}

#[test]
fn results_of_an_earlier_check() {
    let reader = Reader {
        name: "checks",
        read: |path| {
            let report = read_json::<CheckReport>(path, Schema::CHECK);
            report.is_ok_and(|report| report.validate().is_ok())
        },
        most_mib: 64,
    };
    try_out(reader, seeds::checks(), &[]);
}

#[test]
fn configurations() {
    let reader = Reader {
        name: "configs",
        read: |path| {
            let Ok(text) = fs::read_to_string(path) else {
                return false;
            };
            let config = match path.extension().is_some_and(|it| it == "toml") {
                true => toml::from_str::<DebugConfig>(&text).ok(),
                false => serde_json::from_str(&text).ok(),
            };
            config.is_some_and(|config| config.validate().is_ok())
        },
        most_mib: 64,
    };
    try_out(reader, seeds::configs(), &[]);
}

/// Names of classes, and groups, of a folder with two images.
#[test]
fn lists_of_an_image_folder() {
    let seeds = vec![
        text("groups.tsv", "cat/0.png\tindoors\ndog/0.png\toutdoors\n"),
        text("names.txt", "0\tcat\tthe cat\n1\tdog\tthe dog\n"),
        text("two.txt", "the cat\nthe dog\n"),
    ];
    let reader = Reader {
        name: "lists",
        read: |path| {
            let folder = neuroinspect_testing::files::Folder::new();
            for class in ["cat", "dog"] {
                folder.image(format!("{class}/0.png"), &gradient(0, 0, 4));
            }
            let mut config = ImageFolderConfig::default();
            match path.file_name().is_some_and(|name| name == "groups.tsv") {
                true => {
                    folder.write("groups.tsv", fs::read(path).unwrap());
                }
                false => config = config.with_class_names_file(path),
            }
            ImageFolder::open(folder.as_ref(), &config).is_ok()
        },
        most_mib: 64,
    };
    try_out(reader, seeds, &[]);
}

#[test]
fn prompts() {
    let reader = Reader {
        name: "prompts",
        read: |path| PromptTemplates::from_file(path).is_ok(),
        most_mib: 64,
    };
    try_out(
        reader,
        vec![text("prompts.txt", "a photo of a {}.\na {}\n")],
        &[],
    );
}

/// Texts of the command line, a line each.
#[test]
fn expressions_and_names() {
    let seeds: Vec<Input> = [
        ("objective", "(similarity + 0.05) * (neuron + 0.5 * logit)"),
        (
            "objective",
            "channel(layer4, 17) + 0.5 * logit(heron) - clamp(neuron, 0, 1)",
        ),
        ("device", "flex"),
        ("device", "tch:cuda:0"),
        ("limit", "class.heron=0.7"),
        (
            "unit",
            "{\"layer\": \"layer4\", \"kind\": {\"channel\": 3}}",
        ),
    ]
    .map(|(name, line)| text(name, line))
    .into();
    let reader = Reader {
        name: "words",
        read: |path| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            let class = |name: &str| (name == "heron").then_some(ClassId(3)).ok_or(String::new());
            // Each is given all, as a user may mistake one for another.
            let accepted = [
                Objective::parse(&text, class).is_ok(),
                text.parse::<DeviceName>().is_ok(),
                text.parse::<Limit>().is_ok(),
                serde_json::from_str::<Unit>(&text).is_ok(),
            ];
            accepted.contains(&true)
        },
        most_mib: 16,
    };
    try_out(reader, seeds, &[]);
}
