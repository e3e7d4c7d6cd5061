//! Classifiers of CIFAR-10 and of Corrupted CIFAR-10.

use std::sync::Arc;

use anyhow::{Context, Result};
use neuroinspect::{
    Extraction, FeatureRequest,
    burn::tensor::Device,
    core::{FeatureTable, Seed},
    datasets::{
        ImageDataset, ImageFolder, ImageFolderConfig,
        corrupted::{Corrupted, CorruptedConfig, CorruptionGroups},
    },
    leaderboard::Repetition,
    models::{LoadConfig, LoadedClassifier, load_classifier},
};

use super::Comparison;
use crate::{
    args::{LeaderboardArgs, Network},
    console::Console,
};

/// Images of each class that are learnt from, the first by name. A network of corrupted images was trained
/// on these, see the README beside the weights, and on no others.
const TRAINING_IMAGES: usize = 1000;

/// A classifier, and where its images are.
pub(super) struct Opened {
    pub(super) setting: String,
    /// Its number, which its files of features bear.
    number: usize,
    loaded: LoadedClassifier,
    train: ImageFolder,
    test: ImageFolder,
    conflicting: Option<f64>,
}

/// The networks of the command line, and their images.
pub(super) fn open(args: &LeaderboardArgs, device: &Device) -> Result<Vec<Opened>> {
    let Some(root) = &args.cifar else {
        return Ok(Vec::new());
    };
    let folder = |name: &str, config: &ImageFolderConfig| {
        ImageFolder::open(root.join(name), config).context("--cifar")
    };
    let config = ImageFolderConfig::default();
    let test = folder("test", &config)?;
    let train = folder("train", &config.with_images_per_class(TRAINING_IMAGES))?;
    let open = |(number, network): (usize, &Network)| {
        let Network {
            model,
            weights,
            conflicting,
        } = network;
        let stem = weights.file_stem().unwrap_or_default().to_string_lossy();
        let images = match conflicting {
            Some(share) => format!("Corrupted CIFAR-10, {} % conflicting", 100.0 * share),
            None => "CIFAR-10".to_owned(),
        };
        Ok(Opened {
            setting: format!("{images}: {stem}"),
            number,
            loaded: load_classifier(model, weights, &LoadConfig::default(), device)?,
            train: train.clone(),
            test: test.clone(),
            conflicting: *conflicting,
        })
    };
    args.network.iter().enumerate().map(open).collect()
}

impl Opened {
    /// The samples of each seed.
    pub(super) fn repetitions(
        &self,
        comparison: &Comparison<'_>,
        seeds: &[Seed],
        console: &mut Console,
    ) -> Result<Vec<Repetition>> {
        let mut features = |dataset: &dyn ImageDataset, part: &str| {
            self.features(dataset, part, comparison, console)
        };
        let (train, test) = (self.train.clone(), self.test.clone());
        let (train, chosen_on, measured) = match self.conflicting {
            None => {
                let test = features(&test, "test")?;
                (features(&train, "train")?, Arc::clone(&test), test)
            }
            Some(share) => {
                let config = CorruptedConfig::default()
                    .with_conflicting(share)
                    .with_groups(CorruptionGroups::Corruption);
                let corrupted = |images| Corrupted::new(images, config.clone());
                let train = features(&corrupted(train)?, "train")?;
                let chosen_on = features(&corrupted(test.clone())?, "validation")?;
                let unbiased = Corrupted::unbiased(test, config.clone())?;
                (train, chosen_on, features(&unbiased, "test")?)
            }
        };
        let layer = self.loaded.model.decision_layer()?;
        let tables = [&chosen_on, &measured];
        let seeds = seeds.iter().copied();
        Ok(Repetition::of_halves(&layer, &train, tables, seeds)?)
    }

    /// What the classifier makes of images, kept in the run's folder.
    fn features(
        &self,
        dataset: &dyn ImageDataset,
        part: &str,
        comparison: &Comparison<'_>,
        console: &mut Console,
    ) -> Result<Arc<FeatureTable>> {
        let extraction = Extraction::new(self.loaded.model.as_ref(), dataset)
            .with_weights_sha256(&self.loaded.weights_sha256);
        let request = FeatureRequest {
            file: format!("features-{}-{part}.safetensors", self.number),
            device: comparison.common.device,
            complete: self.loaded.report.is_complete(),
        };
        let features = comparison.folder.features(&extraction, &request, console)?;
        Ok(Arc::new(features.extracted.table))
    }
}
