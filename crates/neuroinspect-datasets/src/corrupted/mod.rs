//! Corrupted CIFAR-10, of CIFAR-10 or of any other images: a corruption for each class gives the class
//! away without having to do with it.
//!
//! After Nam et al., "Learning from Failure" (NeurIPS 2020): nearly every sample of a class, the
//! *aligned* ones, has the [`Corruption`] of its class, and a few *conflicting* ones have one of another
//! class, equally often each. A classifier learns the corruption, and on images in which class and
//! corruption are independent its accuracy, the unbiased one, falls.
//!
//! Nothing is stored: an image is corrupted when it is asked for. How it is corrupted depends on the seed
//! and the sample's id alone, and differs between an unbiased data set and any other of the same ids;
//! which samples conflict depends on the other samples of their class, too. (Nam et al. take the last
//! ones in the file's order.)
//!
//! ```no_run
//! use neuroinspect_datasets::{ImageFolder, ImageFolderConfig, corrupted::{Corrupted, CorruptedConfig}};
//!
//! # fn main() -> Result<(), neuroinspect_datasets::Error> {
//! let folders = ImageFolderConfig::default();
//! let train = ImageFolder::open("cifar10/train", &folders)?;
//! let train = Corrupted::new(train, CorruptedConfig::default().with_conflicting(0.05))?;
//! let test = Corrupted::unbiased(ImageFolder::open("cifar10/test", &folders)?, CorruptedConfig::default())?;
//! # Ok(())
//! # }
//! ```

mod colour;
mod config;
mod corruption;
mod digital;
mod filter;
mod jpeg;
#[cfg(test)]
mod tests;
mod weather;

use image::RgbImage;
use ndarray::{Array2, Array3};
use neuroinspect_core::{ClassId, Error as CoreError, Split};
use rand::RngExt;

pub use config::{CorruptedConfig, CorruptionGroups};
pub use corruption::Corruption;

use crate::{Error, ImageDataset, Result, Sample, fingerprint_of};

/// `[3, H, W]`: channel, row, column; in `[0, 1]`.
type Pixels = Array3<f64>;
/// `[H, W]`.
type Plane = Array2<f64>;

/// A data set with a corruption of each class: see the [module](self).
#[derive(Clone, Debug)]
pub struct Corrupted<D> {
    original: D,
    config: CorruptedConfig,
    /// What the images' random numbers are for.
    purpose: &'static str,
    name: String,
    group_names: Vec<String>,
    samples: Vec<Sample>,
    corruptions: Vec<Corruption>,
}

impl<D: ImageDataset> Corrupted<D> {
    /// `original` as `config` corrupts it; class `k` has the corruption `Corruption::ALL[k]`.
    ///
    /// Which samples conflict is drawn class by class: of `n` samples `n * conflicting`, rounded; those
    /// of a smaller share are among those of a larger.
    ///
    /// # Errors
    ///
    /// As [`CorruptedConfig::validate`], and when the share is not a single sample of some class;
    /// [`Error::ClassCount`] for fewer than two classes or more than
    /// ten; [`Error::UnknownClass`] for a sample of a class without a name.
    pub fn new(original: D, config: CorruptedConfig) -> Result<Self> {
        config.validate()?;
        let classes = original.class_names().len();
        if !(2..=Corruption::ALL.len()).contains(&classes) {
            return Err(Error::ClassCount {
                dataset: original.name().to_owned(),
                classes,
                expected: "2 to 10, one for each corruption",
            });
        }
        let corruptions = assign(&original, &config)?;
        let group = |label: ClassId, corruption: usize| match config.groups {
            CorruptionGroups::Aligned => 2 * label.0 + usize::from(corruption != label.0),
            CorruptionGroups::Corruption => classes * label.0 + corruption,
        };
        let samples = original.samples().iter().zip(&corruptions);
        let samples = samples.map(|(sample, &corruption)| Sample {
            group: Some(group(sample.label, corruption)),
            ..sample.clone()
        });
        let kinds: Vec<_> = match config.groups {
            CorruptionGroups::Aligned => vec!["aligned".to_owned(), "conflicting".to_owned()],
            CorruptionGroups::Corruption => Corruption::ALL[..classes]
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        let names = original.class_names().iter();
        Ok(Self {
            samples: samples.collect(),
            corruptions: corruptions.iter().map(|&it| Corruption::ALL[it]).collect(),
            group_names: names
                .flat_map(|class| kinds.iter().map(move |kind| format!("{class} {kind}")))
                .collect(),
            name: format!(
                "{} corrupted, {} conflicting",
                original.name(),
                config.conflicting
            ),
            purpose: "corruption",
            original,
            config,
        })
    }

    /// `original` with all corruptions equally often in every class, to measure on, whatever
    /// [`conflicting`](CorruptedConfig::conflicting) says.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn unbiased(original: D, config: CorruptedConfig) -> Result<Self> {
        let classes = original.class_names().len().max(1) as f64;
        let corrupted = Self::new(original, config.with_conflicting(1.0 - 1.0 / classes))?;
        // Test images often have the ids of training images: they are not to have their snow, too.
        Ok(Self {
            purpose: "unbiased corruption",
            ..corrupted
        })
    }

    /// What the data set was made from.
    pub fn config(&self) -> &CorruptedConfig {
        &self.config
    }

    /// The corruption of each sample.
    pub fn corruptions(&self) -> &[Corruption] {
        &self.corruptions
    }
}

/// For each sample the class whose corruption it has.
fn assign(original: &dyn ImageDataset, config: &CorruptedConfig) -> Result<Vec<usize>> {
    let (samples, classes) = (original.samples(), original.class_names().len());
    let mut of_class = vec![Vec::new(); classes];
    for (index, Sample { id, label, .. }) in samples.iter().enumerate() {
        let Some(of_class) = of_class.get_mut(label.0) else {
            return Err(Error::UnknownClass {
                sample: id.clone(),
                dataset: original.name().to_owned(),
                class: label.0,
                classes,
            });
        };
        let turn: u64 = config.seed.rng(&format!("conflict of {id}"), &[]).random();
        of_class.push((turn, index));
    }
    let mut corruptions: Vec<_> = samples.iter().map(|sample| sample.label.0).collect();
    for (class, mut samples) in of_class.into_iter().enumerate() {
        samples.sort_unstable();
        let conflicting = (samples.len() as f64 * config.conflicting).round() as usize;
        if conflicting == 0 && config.conflicting > 0.0 && !samples.is_empty() {
            return Err(CoreError::InvalidOption {
                option: "conflicting",
                value: config.conflicting.to_string(),
                expected: "0, or a share that is a sample or more of every class",
            }
            .into());
        }
        for (place, &(_, index)) in samples[..conflicting].iter().enumerate() {
            corruptions[index] = (class + 1 + place % (classes - 1)) % classes;
        }
    }
    Ok(corruptions)
}

impl<D: ImageDataset> ImageDataset for Corrupted<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn class_names(&self) -> &[String] {
        self.original.class_names()
    }

    fn group_names(&self) -> &[String] {
        &self.group_names
    }

    fn split(&self) -> Option<&Split> {
        self.original.split()
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Covers the options and the images corrupted; `None` where those have none.
    fn fingerprint(&self) -> Option<String> {
        let original = self.original.fingerprint()?;
        let options = format!("{}, version 1: {:?}", self.purpose, self.config);
        Some(fingerprint_of(self, [original, options]))
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        let id = &self.sample(index)?.id;
        let purpose = format!("{} of {id}", self.purpose);
        let mut rng = self.config.seed.rng(&purpose, &[]);
        Ok(self.corruptions[index].apply(&self.original.image(index)?, &mut rng))
    }
}
