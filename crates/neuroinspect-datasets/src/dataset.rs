//! What a data set is.

use image::RgbImage;
use neuroinspect_core::{ClassId, Groups, Split, io::sha256_of_bytes};
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

    /// The part each sample is in, where the data set is split, as published ones are.
    fn split(&self) -> Option<&Split> {
        None
    }

    /// The samples, in an order that never changes.
    fn samples(&self) -> &[Sample];

    /// The image of a sample as it is, decoded and not resized.
    ///
    /// # Errors
    ///
    /// When the sample does not exist or its image cannot be read or decoded.
    fn image(&self, index: usize) -> Result<RgbImage>;

    /// Where the object is in a sample's image, of the same size: white on it and black elsewhere; `None`
    /// where that is not known, as by default.
    ///
    /// # Errors
    ///
    /// When the sample does not exist or its outline cannot be read or decoded.
    fn outline(&self, index: usize) -> Result<Option<RgbImage>> {
        self.sample(index)?;
        Ok(None)
    }

    /// SHA-256, in hexadecimal, over what decides the samples and their images: `None` when that
    /// cannot be told, as by default.
    ///
    /// It stands in the provenance of what is computed from the data set, and says whether that may
    /// be used again; without one, it is computed again. Implement it by [`fingerprint_of`], with
    /// whatever else decides the images: the state of files, or nothing where a sample's id decides
    /// its image.
    ///
    /// ```
    /// # use image::RgbImage;
    /// # use neuroinspect_datasets::{ImageDataset, Result, Sample, fingerprint_of};
    /// # struct Shades { classes: Vec<String>, samples: Vec<Sample> }
    /// impl ImageDataset for Shades {
    ///     // ...
    /// #   fn name(&self) -> &str { "shades" }
    /// #   fn class_names(&self) -> &[String] { &self.classes }
    /// #   fn samples(&self) -> &[Sample] { &self.samples }
    /// #   fn image(&self, _: usize) -> Result<RgbImage> { Ok(RgbImage::new(1, 1)) }
    ///     fn fingerprint(&self) -> Option<String> {
    ///         Some(fingerprint_of(self, ["flat colours, version 1"]))
    ///     }
    /// }
    /// # let shades = Shades { classes: vec!["dark".into()], samples: Vec::new() };
    /// # assert_eq!(shades.fingerprint().map(|it| it.len()), Some(64));
    /// ```
    fn fingerprint(&self) -> Option<String> {
        None
    }

    /// The group of each of these samples, in their order; `None` where the data set has no groups.
    ///
    /// # Errors
    ///
    /// [`Error::MissingGroup`] and [`Error::UnknownGroup`] name the first sample whose group is not
    /// one of [`group_names`](Self::group_names), [`Error::SampleOutOfRange`] one that does not
    /// exist; two groups of one name are an error of core's.
    fn groups_of(&self, indices: &[usize]) -> Result<Option<Groups>> {
        let names = self.group_names();
        let group = |&index: &usize| {
            let sample = self.sample(index)?;
            let (id, dataset) = (|| sample.id.clone(), || self.name().to_owned());
            match sample.group {
                None if names.is_empty() => Ok(None),
                None => Err(Error::MissingGroup {
                    sample: id(),
                    dataset: dataset(),
                    groups: names.join(", "),
                }),
                Some(group) if group < names.len() => Ok(Some(group)),
                Some(group) => Err(Error::UnknownGroup {
                    sample: id(),
                    dataset: dataset(),
                    group,
                    groups: names.len(),
                }),
            }
        };
        let of_sample: Vec<Option<usize>> = indices.iter().map(group).collect::<Result<_>>()?;
        match of_sample.into_iter().collect() {
            Some(of_sample) if !names.is_empty() => {
                Ok(Some(Groups::new(names.to_vec(), of_sample)?))
            }
            _ => Ok(None),
        }
    }

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

/// A data set behind a pointer is the data set.
impl<D: ImageDataset + ?Sized> ImageDataset for Box<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn class_names(&self) -> &[String] {
        (**self).class_names()
    }

    fn group_names(&self) -> &[String] {
        (**self).group_names()
    }

    fn samples(&self) -> &[Sample] {
        (**self).samples()
    }

    fn split(&self) -> Option<&Split> {
        (**self).split()
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        (**self).image(index)
    }

    fn outline(&self, index: usize) -> Result<Option<RgbImage>> {
        (**self).outline(index)
    }

    fn fingerprint(&self) -> Option<String> {
        (**self).fingerprint()
    }
}

/// SHA-256, in hexadecimal, over class names, group names, ids, labels and groups of a data set, and
/// over whatever else decides its images.
pub fn fingerprint_of<D: ImageDataset + ?Sized, T: AsRef<str>>(
    dataset: &D,
    images: impl IntoIterator<Item = T>,
) -> String {
    let mut bytes = Vec::new();
    // With its length before it, no text can be taken for two.
    let mut add = |text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for names in [dataset.class_names(), dataset.group_names()] {
        add(&names.len().to_string());
        names.iter().for_each(|name| add(name));
    }
    add(&dataset.samples().len().to_string());
    for Sample { id, label, group } in dataset.samples() {
        add(id);
        add(&label.to_string());
        add(&group.map_or_else(String::new, |group| group.to_string()));
    }
    images.into_iter().for_each(|image| add(image.as_ref()));
    sha256_of_bytes(&bytes)
}
