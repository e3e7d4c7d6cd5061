//! Real images that pictures are compared with, and the network that judges them.

use burn::tensor::Device;
use neuroinspect_core::{Classifier, Precision, Unit};
use neuroinspect_datasets::preprocess;
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
        let classifier = &networks.classifier;
        let device: &Device = classifier.device();
        let prepare = |judge| PreparedClassifier::new(judge, device, Precision::F32);
        let judge = judge.map(prepare).transpose()?;
        let real = match images {
            Some(ImageSource { dataset, indices }) => {
                let count = indices.len().min(RealImages::ENOUGH);
                let chosen = (0..count).map(|place| indices[place * indices.len() / count]);
                let read = |index| preprocess(&dataset.image(index).ok()?, classifier.input()).ok();
                RealImages::new(
                    classifier,
                    judge.as_ref(),
                    units,
                    &mut chosen.filter_map(read),
                )?
            }
            None => None,
        };
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
