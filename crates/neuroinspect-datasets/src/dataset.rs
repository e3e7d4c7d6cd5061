//! What a data set is.

use image::RgbImage;
use neuroinspect_core::ClassId;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is known of an image without decoding it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Name of the sample, unique in its data set and stable between runs.
    pub id: String,
    /// The true class.
    pub label: ClassId,
    /// Index into the data set's group names, where it has groups.
    pub group: Option<usize>,
}

/// A labelled set of images, in a fixed order.
///
/// Implement it for images of your own; [`ImageFolder`](crate::ImageFolder) is the one for files.
/// The trait is dyn-safe, and images are decoded from several threads at once.
///
/// ```
/// use image::{Rgb, RgbImage};
/// use neuroinspect_core::ClassId;
/// use neuroinspect_datasets::{ImageDataset, Result, Sample};
///
/// /// Flat colours, dark and bright.
/// struct Shades {
///     classes: Vec<String>,
///     samples: Vec<Sample>,
/// }
///
/// impl ImageDataset for Shades {
///     fn name(&self) -> &str {
///         "shades"
///     }
///     fn class_names(&self) -> &[String] {
///         &self.classes
///     }
///     fn samples(&self) -> &[Sample] {
///         &self.samples
///     }
///     fn image(&self, index: usize) -> Result<RgbImage> {
///         self.sample(index)?;
///         Ok(RgbImage::from_pixel(8, 8, Rgb([index as u8; 3])))
///     }
/// }
///
/// let shades = Shades {
///     classes: vec!["dark".into(), "bright".into()],
///     samples: (0..256)
///         .map(|shade| Sample {
///             id: format!("shade-{shade:03}"),
///             label: ClassId(shade / 128),
///             group: None,
///         })
///         .collect(),
/// };
/// assert_eq!(shades.image(200)?.get_pixel(0, 0).0, [200; 3]);
/// # Ok::<(), neuroinspect_datasets::Error>(())
/// ```
pub trait ImageDataset: Send + Sync {
    /// Name of the data set, for reports and provenance.
    fn name(&self) -> &str;

    /// Names of the classes; a [`Sample::label`] is an index into them.
    fn class_names(&self) -> &[String];

    /// Names of the groups, empty where the data set has none; a [`Sample::group`] is an index
    /// into them.
    fn group_names(&self) -> &[String] {
        &[]
    }

    /// The samples, in an order that never changes.
    fn samples(&self) -> &[Sample];

    /// The image of a sample as it is, decoded and not resized.
    ///
    /// # Errors
    ///
    /// When the sample does not exist or its image cannot be read or decoded.
    fn image(&self, index: usize) -> Result<RgbImage>;

    /// One sample.
    ///
    /// # Errors
    ///
    /// [`Error::SampleOutOfRange`].
    fn sample(&self, index: usize) -> Result<&Sample> {
        let samples = self.samples();
        samples.get(index).ok_or_else(|| Error::SampleOutOfRange {
            index,
            samples: samples.len(),
            dataset: self.name().to_owned(),
        })
    }
}
