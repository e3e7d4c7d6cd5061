//! Pictures that other programs made, measured as those made here are.

mod compare;
mod mean;
mod read;

use std::path::PathBuf;

use neuroinspect_illusion::{AppearanceDistance, Pair, Trust};
use serde::{Deserialize, Serialize};

pub use self::{
    compare::{GivenComparison, GivenInputs},
    read::read_given,
};

/// A picture of a neuron within a class, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPicture {
    /// Its file.
    pub file: PathBuf,
    /// The neuron and the class.
    pub pair: Pair,
    /// Which of several pictures of the pair it is.
    pub seed: u64,
}

/// Pictures made in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPictures {
    /// What the way is called.
    pub name: String,
    /// Its pictures.
    pub pictures: Vec<GivenPicture>,
}

/// What was measured of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GivenTrust {
    /// Its file.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub file: PathBuf,
    /// The neuron and the class.
    pub pair: Pair,
    /// Which of several pictures of the pair it is.
    pub seed: u64,
    /// Activation of the neuron.
    pub activation: f32,
    /// Logit of the class, and its probability.
    pub logit: f32,
    /// In `[0, 1]`.
    pub probability: f32,
    /// How far its colours and spectrum are from real images'.
    pub appearance: AppearanceDistance,
    /// How like pictures of the pair with other seeds are to it, on average: Spearman's rank correlation of the
    /// classifier's features. Null or absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f32>,
    /// How far it can be trusted.
    pub trust: Trust,
}

/// What was measured of pictures made in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GivenPicturesTrust {
    /// What the way is called.
    pub name: String,
    /// Of all its pictures.
    pub mean: MeanTrust,
    /// Of each.
    pub pictures: Vec<GivenTrust>,
}

/// Means over pictures made in one way, of those that have the number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeanTrust {
    /// How many they are.
    pub pictures: usize,
    /// Share that the judge takes for their class, in `[0, 1]`.
    pub recognised: Option<f64>,
    /// Of the pictures whose class has real images: the share that the judge takes for their class, over the share of
    /// real images that it takes for theirs, each class weighing as much as it does among these pictures. Null where it
    /// takes no real image for theirs.
    pub recognised_over_real: Option<f64>,
    /// [Chance](neuroinspect_illusion::Recognition::chance) that a real image that activates the neuron much
    /// is more like the picture than another, to the judge.
    pub judge_chance: Option<f64>,
    /// [Score](neuroinspect_illusion::PathLikeness::score) of the path.
    pub path: Option<f64>,
    /// [Likeness of the path](neuroinspect_illusion::LayerLikeness::normalised) on the paper's scale, over
    /// all its layers.
    pub path_normalised: Option<f64>,
    /// [Largest jump](neuroinspect_illusion::Continuity::jump) of the activation between real images and the picture.
    pub jump: Option<f64>,
    /// Percentile of the activation among real images'.
    pub percentile: Option<f64>,
    /// Activation of the neuron.
    pub activation: f64,
    /// Logit of the class.
    pub logit: f64,
    /// Agreement of seeds.
    pub agreement: Option<f64>,
    /// The same of pictures of other pairs: what it is by chance.
    pub agreement_by_chance: Option<f64>,
    /// Distance of colours from real images'.
    pub colour: f64,
    /// Distance of the spectrum from real images'.
    pub spectrum: f64,
    /// Share that nothing speaks against, in `[0, 1]`.
    pub trusted: f64,
}

/// What was measured of real images, which pictures are measured by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RealTrust {
    /// How many of them paths, colours and spectra were compared with.
    pub images: usize,
    /// Mean distance of one of them from all.
    pub appearance: AppearanceDistance,
    /// How many of each class the judge was asked about, those of classes that pictures are of; empty where there is no
    /// judge, or it has another number of classes.
    pub judged: Vec<usize>,
    /// Share of those of each class that it takes for theirs; null where it was asked about none.
    pub recognised: Vec<Option<f64>>,
}
