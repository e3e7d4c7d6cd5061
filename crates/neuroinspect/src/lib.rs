//! Why an image classifier is wrong, what its neurons mean, and how to mend it.
//!
//! neuroinspect implements NeuroInspect (arXiv 2310.07184) on [Burn](https://burn.dev):
//!
//! 1. *counterfactual explanation*: which neurons of the penultimate layer caused the mistakes of a
//!    class ([`counterfactual`]);
//! 2. *CLIP-Illusion*: a picture of what each of those neurons means within the class
//!    ([`illusion`]);
//! 3. *decision-layer editing*: weaken a false correlation without new data, and measure accuracy
//!    per class and group before and after ([`editing`]).
//!
//! It works on checkpoints in timm's and torchvision's names and a folder of images
//! ([`models`], [`datasets`]), or on any Burn model that implements [`core::Classifier`].
//!
//! ```toml
//! [dependencies]
//! neuroinspect = { path = "../neuroinspect/crates/neuroinspect" } # not on crates.io yet
//! ```
//!
//! # Quick start
//!
//! ```no_run
//! use neuroinspect::prelude::*;
//!
//! # fn main() -> neuroinspect::Result<()> {
//! let device = "flex".parse::<DeviceName>()?.open()?;
//! let loaded = load_classifier("resnet18", "resnet18.safetensors", &LoadConfig::default(), &device)?;
//! let images = ImageFolder::open("photos", &ImageFolderConfig::default())?;
//!
//! // Features are computed once; every stage but the pictures works from them.
//! let classifier = loaded.model.as_ref();
//! let extraction =
//!     Extraction::new(classifier, &images).with_weights_sha256(&loaded.weights_sha256);
//! let seen = extract_features(&extraction, &mut Silent)?;
//! let table = &seen.table;
//! let layer = classifier.decision_layer()?;
//! println!("accuracy {:.3}", table.predicted_by(&layer)?.metrics()?.accuracy);
//!
//! let class = table.class_by_name_or_index("bird")?;
//! let edit_data = EditData::halves(table.clone(), Seed(0))?;
//! let inputs = DebugInputs::new(classifier, table)
//!     .with_edit_data(&edit_data)
//!     .with_images(&images, &seen.indices);
//! let findings = debug(&inputs, class, &DebugConfig::default(), &mut Silent)?;
//! for neuron in &findings.ranking.insufficient {
//!     println!("neuron {} was too weak in {:.0} % of the mistakes", neuron.neuron, 100.0 * neuron.prec_at_k);
//! }
//! inputs.report(&findings)?.write("bird-report")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Your model is not changed
//!
//! Features and pictures are computed on copies of a classifier, in evaluation state. Burn's batch
//! normalisation takes the statistics of the batch, and overwrites its running ones, whenever its
//! input can be differentiated and it has not been told otherwise: optimising a picture through the
//! model itself would change it. The copies share nothing with it that could be changed.
//!
//! # Map
//!
//! - [`debug`] chains the three stages; `extract_features` makes the [`core::FeatureTable`] they
//!   work from, `extract_activations` a table of any other layer; [`Findings`] are what comes out.
//! - [`concepts`]: what mistakes lack, what sways a class and what neurons mean, in words.
//! - `look_at_units` pictures units of any layer, channels, positions of them and directions, and
//!   `top_images` finds the real images that activate them most.
//! - `atlas` pictures every unit of a layer within its top classes, on several devices and machines.
//! - `FeatureShards` are the features of a large data set, computed by several processes and machines.
//! - `check` guards a classifier: limits to its accuracies, and what changed against an earlier check.
//! - [`leaderboard`] compares all methods of editing on the same samples.
//! - [`RunFolder`] is a folder that a run holds alone, and takes up again what an earlier run left.
//! - [`core`]: what every other module speaks of. [`models`], `datasets`: where classifiers and
//!   images come from. [`counterfactual`], [`illusion`], [`editing`]: the three stages. [`report`]:
//!   JSON, pictures and HTML.
//! - `experiments`: the tables and figures of the paper, on its data or on a stand-in.
//! - `training`: a network, or its decision layer alone, trained on images.
//! - `demo`: scenes with a planted false correlation, a classifier that fell for it, and a small
//!   CLIP, all embedded.
//!
//! # Feature flags
//!
//! - `datasets` (default): image folders, synthetic scenes, and features computed from images.
//! - `report` (default): pages and pictures of what was found; brings `datasets` with it. Without it
//!   there are still the findings and their JSON.
//! - `demo`: the embedded demo, with 7 MB of weights; brings `datasets` with it.
//! - `experiments`: the experiments of the paper; brings `demo` and `report` with it.
//! - `onnx`: classifiers out of ONNX files (`models::onnx`).
//! - `hub`: classifiers and CLIPs by their names on the Hugging Face hub (`models::hub`).
//! - `siglip`: the tokens of SigLIP's texts, so that it guides pictures and labels units as CLIP does.
//! - `parquet`: the index of an atlas as a table in Parquet, too; brings `report` with it.
//! - `schema`: JSON Schemas of what is written as JSON (`report::json_schema`); results implement
//!   `schemars::JsonSchema`.
//! - `turbojpeg`: JPEG files decoded by libjpeg-turbo, bit for bit as Pillow does; brings `datasets` with
//!   it, and needs CMake and a C compiler to build.
//!
//! And one per Burn backend, passed through: `flex` (default: pure Rust, CPU), `tch` (libtorch, CPU
//! and CUDA), `wgpu` (WGSL everywhere), `vulkan`, `metal`, `cuda`, `rocm`. One build can hold
//! several; which one is used is chosen at run time, by the [`Device`](burn::tensor::Device) a model
//! is loaded on. The default build pulls in neither wgpu nor libtorch.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "report")]
pub mod atlas;
#[cfg(feature = "report")]
pub mod check;
pub mod concepts;
mod config;
mod debug;
#[cfg(feature = "demo")]
pub mod demo;
mod error;
#[cfg(feature = "experiments")]
pub mod experiments;
#[cfg(feature = "datasets")]
mod extract;
#[cfg(feature = "datasets")]
mod given;
mod guide;
#[cfg(feature = "report")]
mod images;
mod inputs;
pub mod leaderboard;
#[cfg(feature = "datasets")]
mod outside;
mod parts;
mod quoted;
mod run_folder;
#[cfg(feature = "datasets")]
mod shard;
#[cfg(feature = "datasets")]
pub mod training;
#[cfg(feature = "datasets")]
mod trust;
#[cfg(feature = "datasets")]
mod units;
#[cfg(feature = "datasets")]
mod within_memory;

pub use config::{DebugConfig, NeuronChoice, check_recipe};
pub use debug::{chosen_from, debug, debug_each, explain};
pub use error::{Error, Result};
#[cfg(feature = "datasets")]
pub use extract::{Extracted, Extraction, embed_images, extract_activations, extract_features};
#[cfg(feature = "datasets")]
pub use given::{
    GivenComparison, GivenInputs, GivenPicture, GivenPictures, GivenPicturesTrust, GivenTrust,
    MeanTrust, RealTrust, read_given,
};
pub use guide::{ClassTexts, GuideSource};
#[cfg(feature = "report")]
pub use images::ActiveParts;
pub use inputs::DebugInputs;
#[cfg(feature = "datasets")]
pub use inputs::ImageSource;
pub use neuroinspect_report::Findings;
#[cfg(feature = "datasets")]
pub use outside::look_outside_objects;
pub use parts::{PARTS, edit_data, explained_rows};
pub use quoted::quoted;
#[cfg(feature = "datasets")]
pub use run_folder::{
    FeatureRequest, FeatureShards, FeatureShardsStatus, FolderFeatures, FolderTopImages,
};
pub use run_folder::{FolderHolder, Kept, PictureFolder, PictureOrigin, RunFolder};
#[cfg(feature = "datasets")]
pub use shard::{Shard, array_expression};
#[cfg(feature = "datasets")]
pub use trust::Comparison;

#[cfg(feature = "datasets")]
pub use units::{
    TopRequest, UnitInputs, UnitsConfig, UnitsSeen, around_peak, look_at_units, top_images,
    units_of_layer,
};

/// The framework, as this crate was built with it.
pub use burn;

/// Its Rust code compiles.
#[cfg(all(doctest, feature = "report"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// What every other module speaks of: classifiers, decision layers, feature tables, metrics.
pub mod core {
    pub use neuroinspect_core::*;
}

/// Which neurons caused a class's mistakes.
pub mod counterfactual {
    pub use neuroinspect_counterfactual::*;
}

/// Image folders, preprocessing, and synthetic scenes.
#[cfg(feature = "datasets")]
pub mod datasets {
    pub use neuroinspect_datasets::*;
}

/// Weakening a false correlation in the decision layer.
pub mod editing {
    pub use neuroinspect_editing::*;
}

/// Pictures of what a neuron means within a class.
pub mod illusion {
    pub use neuroinspect_illusion::*;
}

/// Classifiers and CLIP, with their weights.
pub mod models {
    pub use neuroinspect_models::*;
}

/// What was found, as data, JSON and, with the feature `report`, pictures and HTML.
pub mod report {
    pub use neuroinspect_report::*;
}

/// What most programs need: `use neuroinspect::prelude::*`.
pub mod prelude {
    pub use crate::{
        ClassTexts, DebugConfig, DebugInputs, Findings, NeuronChoice, RunFolder, debug,
    };
    #[cfg(feature = "datasets")]
    pub use crate::{Extraction, extract_activations, extract_features};
    pub use neuroinspect_core::{
        Activations, ClassId, Classifier, DecisionLayer, DeviceName, FeatureTable,
        ImageTextEncoder, InputSpec, Metrics, NeuronId, Observer, Precision, Progress, Provenance,
        Seed, Silent, is_cancellation,
    };
    pub use neuroinspect_counterfactual::{CounterfactualConfig, Explainer, RankingConfig, rank};
    #[cfg(feature = "datasets")]
    pub use neuroinspect_datasets::{
        ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt,
    };
    pub use neuroinspect_editing::{
        EditConfig, EditData, EditScope, EditSession, LayerPatch, RatioEdit,
    };
    pub use neuroinspect_illusion::{
        Execution, Guide, Networks, Objective, Pair, Recipe, Request, visualize,
    };
    pub use neuroinspect_models::{LoadConfig, PretrainedClassifier, clip::Clip, load_classifier};
}
