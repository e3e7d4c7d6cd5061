//! Real images that pictures are compared with, and the network that judges them.

use ndarray::Array3;
use neuroinspect_core::{Classifier, Precision, Unit};
use neuroinspect_datasets::{Result as DatasetResult, preprocess};
use neuroinspect_illusion::{Illusion, Networks, PreparedClassifier, RealImages, Trust};

use crate::{ImageSource, Result};

/// What pictures are compared with, to say how far each can be trusted: real images and, where one is given,
/// a second network.
///
/// The stages that make pictures do so by themselves; this is for pictures that
/// [`visualize`](neuroinspect_illusion::visualize) made.
#[derive(Debug)]
pub struct Comparison {
    real: Option<RealImages>,
    judge: Option<PreparedClassifier>,
}

impl Comparison {
    /// Looks at [as many images as say enough](RealImages::ENOUGH), evenly chosen; those that cannot be read
    /// are left out. `units` are those that are pictured, none where neurons are.
    ///
    /// # Errors
    ///
    /// When the judge cannot be prepared, the classifier does not have the units, or a device fails.
    pub fn new(
        networks: &Networks,
        judge: Option<&dyn Classifier>,
        units: &[Unit],
        images: Option<ImageSource<'_>>,
    ) -> Result<Self> {
        let judge = prepared(networks, judge)?;
        match images {
            Some(source) => {
                let read = read_evenly(networks, source).filter_map(|(_, read)| read.ok());
                Self::of_images(networks, judge, units, read)
            }
            None => Ok(Self { real: None, judge }),
        }
    }

    /// The same with images that have been read, as the classifier sees them: `[3, S, S]`.
    pub(crate) fn of_images(
        networks: &Networks,
        judge: Option<PreparedClassifier>,
        units: &[Unit],
        mut images: impl Iterator<Item = Array3<f32>>,
    ) -> Result<Self> {
        let classifier = &networks.classifier;
        let real = RealImages::new(classifier, judge.as_ref(), units, &mut images)?;
        Ok(Self { real, judge })
    }

    /// How far each picture can be trusted.
    ///
    /// # Errors
    ///
    /// As [`RealImages::trust`].
    pub fn trust(&self, networks: &Networks, pictures: &[Illusion]) -> Result<Vec<Trust>> {
        match &self.real {
            Some(real) => Ok(real.trust(&networks.classifier, self.judge.as_ref(), pictures)?),
            None => Ok(pictures.iter().map(Trust::without_real).collect()),
        }
    }
}

/// The judge where the classifier is.
pub(crate) fn prepared(
    networks: &Networks,
    judge: Option<&dyn Classifier>,
) -> Result<Option<PreparedClassifier>> {
    let device = networks.classifier.device();
    let prepare = |judge| PreparedClassifier::new(judge, device, Precision::F32);
    Ok(judge.map(prepare).transpose()?)
}

/// As many images as say enough, evenly chosen, each with its index, as the classifier sees it.
pub(crate) fn read_evenly<'a>(
    networks: &'a Networks,
    ImageSource { dataset, indices }: ImageSource<'a>,
) -> impl Iterator<Item = (usize, DatasetResult<Array3<f32>>)> + 'a {
    let input = networks.classifier.input();
    let read = move |index| {
        let image = dataset.image(index);
        (index, image.and_then(|image| preprocess(&image, input)))
    };
    evenly(indices, RealImages::ENOUGH).map(read)
}

/// Up to `most` of `all`, evenly chosen, in their order.
pub(crate) fn evenly(all: &[usize], most: usize) -> impl Iterator<Item = usize> {
    let count = all.len().min(most);
    (0..count).map(move |place| all[place * all.len() / count])
}
