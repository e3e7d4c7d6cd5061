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
//! let sha256 = Some(loaded.weights_sha256.as_str());
//! let seen = extract_features(classifier, &images, None, sha256, &LoaderConfig::default(), &mut Silent)?;
//! let table = &seen.table;
//! println!("accuracy {:.3}", Metrics::of(table)?.accuracy);
//!
//! let class = table.class_by_name_or_index("bird")?;
//! let edit_data = EditData::halves(table, Seed(0))?;
//! let subject = Subject { classifier, table, guide: None, edit_data: Some(&edit_data) };
//! let findings = debug(subject, class, &DebugConfig::new(), &mut Silent)?;
//! for neuron in &findings.ranking.insufficient {
//!     println!("neuron {} was too weak in {:.0} % of the mistakes", neuron.neuron, 100.0 * neuron.prec_at_5);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! - [`debug`] chains the three stages; [`extract_features`] makes the [`core::FeatureTable`] they
//!   work from; [`Presentation`] makes a report of what they found.
//! - [`core`]: what every other module speaks of. [`models`], [`datasets`]: where classifiers and
//!   images come from. [`counterfactual`], [`illusion`], [`editing`]: the three stages. [`report`]:
//!   JSON, pictures and HTML.
//! - [`demo`]: scenes with a planted false correlation, a classifier that fell for it, and a small
//!   CLIP, all embedded.
//!
//! # Feature flags
//!
//! One per Burn backend, passed through: `flex` (default: pure Rust, CPU), `tch` (libtorch, CPU and
//! CUDA), `wgpu` (WGSL everywhere), `vulkan`, `metal`, `cuda`, `rocm`. One build can hold several;
//! which one is used is chosen at run time, by the [`Device`](burn::tensor::Device) a model is
//! loaded on. The default build pulls in neither wgpu nor libtorch.

mod config;
mod debug;
pub mod demo;
mod edit_data;
mod error;
mod extract;
mod findings;
mod guide;
mod mending;
mod present;

pub use config::{DebugConfig, NeuronChoice};
pub use debug::{Subject, debug, debug_each};
pub use edit_data::EditData;
pub use error::{Error, Result};
pub use extract::{Extracted, extract_features};
pub use findings::Findings;
pub use guide::{ClassTexts, GuideSource};
pub use mending::{Control, Mending, mend};
pub use present::{EditFile, Presentation};

/// The framework, as this crate was built with it.
pub use burn;

/// Its Rust code compiles.
#[cfg(doctest)]
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

/// JSON, pictures and HTML out of results.
pub mod report {
    pub use neuroinspect_report::*;
}

/// What most programs need: `use neuroinspect::prelude::*`.
pub mod prelude {
    pub use crate::{
        ClassTexts, DebugConfig, EditData, Findings, NeuronChoice, Presentation, Subject, debug,
        extract_features,
    };
    pub use neuroinspect_core::{
        ClassId, Classifier, DecisionLayer, DeviceName, FeatureTable, ImageTextEncoder, InputSpec,
        Metrics, NeuronId, Observer, Progress, Provenance, Seed, Silent,
    };
    pub use neuroinspect_counterfactual::{CounterfactualConfig, RankingConfig, explain, rank};
    pub use neuroinspect_datasets::{
        ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt,
    };
    pub use neuroinspect_editing::{Edit, EditConfig, EditScope, edit};
    pub use neuroinspect_illusion::{Guide, IllusionConfig, Objective, Pair, visualize};
    pub use neuroinspect_models::{LoadConfig, PretrainedClassifier, clip::Clip, load_classifier};
}
