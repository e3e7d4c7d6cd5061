//! What an experiment is run with.

use std::path::PathBuf;

use derive_setters::Setters;
use neuroinspect_core::{DeviceName, Error as CoreError, Seed, check_option};
use serde::Serialize;

use super::Mode;
use crate::{Result, leaderboard::NetworkFile};

/// What an experiment is run with.
#[derive(Clone, Debug, PartialEq, Serialize, Setters)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[setters(prefix = "with_", strip_option)]
pub struct ExperimentConfig {
    /// The published data: an archive, or a folder of what was extracted of it. `None`: the stand-in.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub data: Option<PathBuf>,
    /// What the classes of folders of images are called, as
    /// [`class_names_file`](neuroinspect_datasets::ImageFolderConfig::class_names_file) says, where the experiment
    /// pictures neurons of the networks. `None`: as their folders are.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub class_names: Option<PathBuf>,
    /// The networks to be looked at, where there are data; what the experiment
    /// [needs](super::Experiment::needs) says which.
    pub networks: Vec<NetworkFile>,
    /// Weights of the image-text encoder, where the experiment pictures neurons of the networks.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub clip: Option<PathBuf>,
    /// A [file](crate::concepts::ConceptBank::load) of a bank of concepts, where the experiment explains by concepts
    /// and is run on data.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub concepts: Option<PathBuf>,
    /// As the paper has it, as its authors' code does it, or as it should be; the last.
    pub mode: Mode,
    /// How many repetitions, each with a seed of its own; 5.
    #[setters(strip_option = false)]
    pub seeds: usize,
    /// The first of the seeds; 0.
    pub seed: Seed,
    /// Share of the stand-in's samples, and of the steps of its pictures; 1. For trials: the numbers of less
    /// than the whole are not to be compared.
    pub scale: f64,
    /// Where to compute; `flex`.
    pub device: DeviceName,
}

impl Default for ExperimentConfig {
    fn default() -> Self {
        Self {
            data: None,
            class_names: None,
            networks: Vec::new(),
            clip: None,
            concepts: None,
            mode: Mode::Fixed,
            seeds: 5,
            seed: Seed(0),
            scale: 1.0,
            device: DeviceName::default(),
        }
    }
}

impl ExperimentConfig {
    /// The seeds of the repetitions.
    pub(super) fn all_seeds(&self) -> impl Iterator<Item = Seed> + use<> {
        let first = self.seed.0;
        (0..self.seeds as u64).map(move |more| Seed(first.wrapping_add(more)))
    }

    /// So many samples or steps, or the share of them that is asked for, at least `least`.
    pub(super) fn scaled(&self, count: usize, least: usize) -> usize {
        ((count as f64 * self.scale).round() as usize).max(least)
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        check_option("seeds", self.seeds, self.seeds > 0, "at least 1")?;
        let allowed = self.scale > 0.0 && self.scale <= 1.0;
        check_option("scale", self.scale, allowed, "a share above 0, 1 at most")?;
        let files = [&self.class_names, &self.concepts, &self.clip];
        let needs_data = !self.networks.is_empty() || files.into_iter().any(Option::is_some);
        if self.data.is_none() && needs_data {
            return Err(CoreError::InvalidOption {
                option: "data",
                value: "none".to_owned(),
                expected: "the published data that networks, names of classes, concepts or an image-text encoder are for",
            }
            .into());
        }
        Ok(())
    }
}
