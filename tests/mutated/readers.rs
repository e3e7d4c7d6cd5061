//! The readers, each with what its memory is bounded by and with valid inputs. The fuzz targets in `fuzz` read by the
//! same.

use std::{fs, path::Path, sync::OnceLock};

use neuroinspect::{
    DebugConfig, Extraction, FeatureRequest, RunFolder,
    burn::tensor::Device,
    check::Limit,
    concepts::ConceptBank,
    core::{
        ActivationTable, ClassId, DecisionLayer, DeviceName, FeatureTable, MemoryLimit, Silent,
        Unit,
    },
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
use neuroinspect_testing::{
    files::{Folder, gradient},
    networks::TinyClassifier,
};

use crate::seeds::{self, Input, of_tests, text};

/// Something that reads what others wrote.
pub(crate) struct Reader {
    /// What it is called: as the function is that makes it.
    pub(crate) name: &'static str,
    /// Reads a file; whether it is valid.
    pub(crate) read: fn(&Path) -> bool,
    /// The memory that it may ask for, in MiB.
    pub(crate) most_mib: usize,
    /// Valid inputs.
    pub(crate) seeds: Vec<Input>,
    /// Files beside the one that is read.
    pub(crate) beside: Vec<Input>,
}

/// Hands the names of all readers to a macro.
macro_rules! for_each_reader {
    ($apply:ident) => {
        $apply! {
            checkpoints, onnx, tables, layers, edits, banks, images, checks, configs, lists, prompts, words, runs
        }
    };
}
pub(crate) use for_each_reader;

/// Every tensor is read, too. Inputs are a few KiB.
pub(crate) fn checkpoints() -> Reader {
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
    Reader {
        name: "checkpoints",
        read: |path| {
            let Ok(checkpoint) = Checkpoint::open(path) else {
                return false;
            };
            let names: Vec<_> = checkpoint.names().map(str::to_owned).collect();
            names.iter().all(|name| checkpoint.read(name).is_ok())
        },
        most_mib: 64,
        seeds: inputs,
        beside: Vec::new(),
    }
}

/// Two exported networks, whose weights are in a file beside them.
pub(crate) fn onnx() -> Reader {
    const FOLDER: &str = "neuroinspect-models/tests/golden/onnx";
    let networks = ["test_vit.dynamo.onnx", "test_efficientnet.dynamo.onnx"];
    let weights = networks.map(|name| format!("{name}.data"));
    let beside = of_tests(FOLDER, &weights.each_ref().map(String::as_str));
    Reader {
        name: "onnx",
        read: |path| OnnxModel::read(path, &OnnxConfig::default()).is_ok(),
        most_mib: 256,
        seeds: of_tests(FOLDER, &networks),
        beside,
    }
}

pub(crate) fn tables() -> Reader {
    Reader {
        name: "tables",
        read: |path| {
            let _ = ActivationTable::load(path);
            let read = FeatureTable::load(path).is_ok();
            // One that stays in its file is looked at when it is read.
            let kept = FeatureTable::load_within(path, MemoryLimit::of_bytes(0));
            let kept = kept.is_ok_and(|it| it.activations().chunks().all(|chunk| chunk.is_ok()));
            assert_eq!(read, kept, "in memory, and from its file");
            read
        },
        most_mib: 64,
        seeds: seeds::tables(),
        beside: Vec::new(),
    }
}

pub(crate) fn layers() -> Reader {
    Reader {
        name: "layers",
        read: |path| DecisionLayer::load(path).is_ok(),
        most_mib: 64,
        seeds: seeds::layers(),
        beside: Vec::new(),
    }
}

pub(crate) fn edits() -> Reader {
    Reader {
        name: "edits",
        read: |path| LayerPatch::load(path).is_ok(),
        most_mib: 64,
        seeds: seeds::edits(),
        beside: Vec::new(),
    }
}

pub(crate) fn banks() -> Reader {
    Reader {
        name: "banks",
        read: |path| ConceptBank::load(path).is_ok(),
        most_mib: 64,
        seeds: seeds::banks(),
        beside: Vec::new(),
    }
}

/// Half a GiB decoded is what is allowed, and a copy as RGB.
pub(crate) fn images() -> Reader {
    Reader {
        name: "images",
        read: |path| open_image(path).is_ok(),
        most_mib: 1100,
        seeds: seeds::images(),
        beside: Vec::new(),
    }
}

pub(crate) fn checks() -> Reader {
    Reader {
        name: "checks",
        read: |path| {
            let report = read_json::<CheckReport>(path, Schema::CHECK);
            report.is_ok_and(|report| report.validate().is_ok())
        },
        most_mib: 64,
        seeds: seeds::checks(),
        beside: Vec::new(),
    }
}

pub(crate) fn configs() -> Reader {
    Reader {
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
        seeds: seeds::configs(),
        beside: Vec::new(),
    }
}

/// Names of classes, and groups, of a folder with two images.
pub(crate) fn lists() -> Reader {
    let seeds = vec![
        text("groups.tsv", "cat/0.png\tindoors\ndog/0.png\toutdoors\n"),
        text("names.txt", "0\tcat\tthe cat\n1\tdog\tthe dog\n"),
        text("two.txt", "the cat\nthe dog\n"),
    ];
    Reader {
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
        seeds,
        beside: Vec::new(),
    }
}

pub(crate) fn prompts() -> Reader {
    Reader {
        name: "prompts",
        read: |path| PromptTemplates::from_file(path).is_ok(),
        most_mib: 64,
        seeds: vec![text("prompts.txt", "a photo of a {}.\na {}\n")],
        beside: Vec::new(),
    }
}

/// Texts of the command line, a line each.
pub(crate) fn words() -> Reader {
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
    Reader {
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
        seeds,
        beside: Vec::new(),
    }
}

/// A folder in which features lie, with the record of what they are of, which are taken up where both are as they were.
pub(crate) fn runs() -> Reader {
    Reader {
        name: "runs",
        read: |path| {
            let run = run();
            for file in seeds::features() {
                let path = run.folder.join(&file.name);
                fs::write(path, &file.bytes).unwrap();
            }
            fs::copy(path, run.folder.join(path.file_name().unwrap())).unwrap();
            run.reused()
        },
        most_mib: 64,
        seeds: seeds::features().to_vec(),
        beside: Vec::new(),
    }
}

/// A tiny classifier with images, and the folder of its run.
pub(crate) struct Run {
    pub(crate) folder: RunFolder,
    images: ImageFolder,
    model: TinyClassifier,
    _root: Folder,
}

/// The one of this program.
pub(crate) fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let root = Folder::new();
        for class in 0..TinyClassifier::CLASSES {
            root.image(format!("images/{class}/0.png"), &gradient(class, 0, 16));
        }
        Run {
            folder: RunFolder::open(root.path("out"), None).unwrap(),
            images: ImageFolder::open(root.path("images"), &ImageFolderConfig::default()).unwrap(),
            model: TinyClassifier::new(16, &Device::flex()),
            _root: root,
        }
    })
}

/// A hash.
const WEIGHTS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Run {
    /// Takes up features, or computes them; whether they were taken up.
    pub(crate) fn reused(&self) -> bool {
        let request = FeatureRequest {
            file: "features.safetensors".to_owned(),
            device: "flex".parse().unwrap(),
            complete: true,
        };
        let extraction = Extraction::new(&self.model, &self.images).with_weights_sha256(WEIGHTS);
        let features = self.folder.features(&extraction, &request, &mut Silent);
        features.unwrap().reused
    }
}
