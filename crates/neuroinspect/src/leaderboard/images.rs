//! Classifiers of images in folders, as settings of a comparison.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use neuroinspect_core::{DeviceName, FeatureTable, Observer, Seed};
use neuroinspect_datasets::{
    ImageDataset, ImageFolder, ImageFolderConfig,
    corrupted::{Corrupted, CorruptedConfig, CorruptionGroups},
};
use neuroinspect_models::{LoadConfig, LoadedClassifier, load_classifier};
use serde::{Deserialize, Serialize};

use super::Repetition;
use crate::{Extraction, FeatureRequest, Result, RunFolder};

/// Images of each class that are learnt from, the first by name. The networks of corrupted images in
/// `benches/networks` were trained on these, see the README there, and on no others.
const TRAINING_IMAGES: usize = 1000;

/// A network, by its name in the registry and the file of its weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkFile {
    /// The name.
    pub model: String,
    /// The weights: safetensors or PyTorch.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub weights: PathBuf,
}

/// A classifier, and the images that methods are compared on with it.
#[derive(Debug)]
pub struct ImageSetting {
    /// What it is called: data set and network.
    pub title: String,
    loaded: LoadedClassifier,
    train: ImageFolder,
    test: ImageFolder,
    conflicting: Option<f64>,
}

impl ImageSetting {
    /// A network of CIFAR-10, or of images like it: folders `train`, of which the first 1000 images of each class
    /// are learnt from, and `test`. With a share `conflicting`, the images are corrupted
    /// ([`Corrupted`]), such a share of them otherwise than most of their class.
    ///
    /// # Errors
    ///
    /// When the folders or the weights cannot be read.
    pub fn open(
        root: &Path,
        network: &NetworkFile,
        conflicting: Option<f64>,
        device: &Device,
    ) -> Result<Self> {
        let config = ImageFolderConfig::default();
        let test = ImageFolder::open(root.join("test"), &config)?;
        let few = config.with_images_per_class(TRAINING_IMAGES);
        let images = match conflicting {
            Some(share) => format!("Corrupted CIFAR-10, {} % conflicting", 100.0 * share),
            None => "CIFAR-10".to_owned(),
        };
        let NetworkFile { model, weights } = network;
        let stem = weights.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            title: format!("{images}: {stem}"),
            loaded: load_classifier(model, weights, &LoadConfig::default(), device)?,
            train: ImageFolder::open(root.join("train"), &few)?,
            test,
            conflicting,
        })
    }

    /// What decides the features: the weights, and the state of the images; `None` where that cannot be told.
    #[cfg(feature = "experiments")]
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let images = [&self.train, &self.test].map(ImageDataset::fingerprint);
        let [train, test] = images;
        Some(format!(
            "{} {} {}",
            self.loaded.weights_sha256, train?, test?
        ))
    }

    /// The samples of each seed: a half of every class of the test images to choose on, and the other half to
    /// measure on. Features are kept in the folder.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, the images' classes are not the network's, the features cannot be written,
    /// or the observer asks to stop.
    pub fn repetitions(
        &self,
        folder: &RunFolder,
        device: DeviceName,
        seeds: impl IntoIterator<Item = Seed>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Repetition>> {
        let mut features = |dataset: &dyn ImageDataset, part: &str| -> Result<_> {
            let extraction = Extraction::new(self.loaded.model.as_ref(), dataset)
                .with_weights_sha256(&self.loaded.weights_sha256);
            // Networks of one name differ in their weights, and their images in the share that conflicts.
            let network = self.loaded.weights_sha256.get(..8).unwrap_or_default();
            let shared = self
                .conflicting
                .map_or_else(String::new, |it| format!("-{it}"));
            let request = FeatureRequest {
                file: format!("features-{network}-{part}{shared}.safetensors"),
                device,
                complete: self.loaded.report.is_complete(),
            };
            let features = folder.features(&extraction, &request, observer)?;
            Ok(Arc::<FeatureTable>::new(features.extracted.table))
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
        Repetition::of_halves(&layer, &train, [&chosen_on, &measured], seeds)
    }
}
