//! Augmented views of images.

use image::{Rgb, RgbImage};
use neuroinspect_core::{Seed, check_option};
use rand::RngExt;

use crate::{ImageDataset, Result, Sample, fingerprint_of};

/// Some augmented views of every image of a data set, to learn from beside the images as they are: each is
/// mirrored, left to right, with a probability of a half, and shifted by up to an eighth of its height and of its
/// width, black coming in. A seed, the image's id and the view's number decide which.
///
/// First comes the first view of all images, in their order, then the second. A view has the class and group of
/// its image, and its id with `#` and the view's number behind it, from 1: `cat/7.png#2`.
///
/// ```
/// use neuroinspect_core::Seed;
/// use neuroinspect_datasets::{ImageDataset, Views, scenes::{Scenes, ScenesConfig}};
///
/// let scenes = Scenes::new(ScenesConfig::train().with_samples(10))?;
/// let id = format!("{}#2", scenes.samples()[3].id);
/// let views = Views::new(&scenes, 2, Seed(0))?;
/// assert_eq!(views.samples().len(), 20);
/// assert_eq!(views.samples()[13].id, id);
/// # Ok::<(), neuroinspect_datasets::Error>(())
/// ```
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "data sets need not have it")]
pub struct Views<'a> {
    original: &'a dyn ImageDataset,
    samples: Vec<Sample>,
    name: String,
    seed: Seed,
}

impl<'a> Views<'a> {
    /// So many views of each image.
    ///
    /// # Errors
    ///
    /// When there are to be none.
    pub fn new(original: &'a dyn ImageDataset, views: usize, seed: Seed) -> Result<Self> {
        check_option("views", views, views > 0, "at least 1")?;
        let of_view = |view: usize| {
            let samples = original.samples().iter();
            samples.map(move |sample| Sample {
                id: format!("{}#{view}", sample.id),
                ..sample.clone()
            })
        };
        Ok(Self {
            samples: (1..=views).flat_map(of_view).collect(),
            name: format!("{}, {views} views of each", original.name()),
            original,
            seed,
        })
    }
}

impl ImageDataset for Views<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn class_names(&self) -> &[String] {
        self.original.class_names()
    }

    fn group_names(&self) -> &[String] {
        self.original.group_names()
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Covers the seed and the images; `None` where those have none.
    fn fingerprint(&self) -> Option<String> {
        let original = self.original.fingerprint()?;
        let options = format!("views, version 1: {}", self.seed.0);
        Some(fingerprint_of(self, [original, options]))
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        let id = &self.sample(index)?.id;
        let image = self.original.image(index % self.original.samples().len())?;
        let mut rng = self.seed.rng(&format!("view {id}"), &[]);
        let is_mirrored = rng.random::<bool>();
        let (width, height) = image.dimensions();
        // By as much to the one side as to the other, or between.
        let mut shift = |side: u32| {
            let most = i64::from(side / 8);
            rng.random_range(-most..=most)
        };
        let (right, down) = (shift(width), shift(height));
        Ok(RgbImage::from_fn(width, height, |x, y| {
            let x = if is_mirrored { width - 1 - x } else { x };
            let (x, y) = (i64::from(x) - right, i64::from(y) - down);
            let inside = u32::try_from(x).ok().zip(u32::try_from(y).ok());
            let pixel = inside.and_then(|(x, y)| image.get_pixel_checked(x, y));
            pixel.copied().unwrap_or(Rgb([0; 3]))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use neuroinspect_core::ClassId;

    /// Images of 16 x 8 whose pixels say where they are from.
    struct Places(Vec<Sample>);

    impl ImageDataset for Places {
        fn name(&self) -> &str {
            "places"
        }

        fn class_names(&self) -> &[String] {
            &[]
        }

        fn samples(&self) -> &[Sample] {
            &self.0
        }

        fn fingerprint(&self) -> Option<String> {
            Some(fingerprint_of(self, ["places"]))
        }

        fn image(&self, index: usize) -> Result<RgbImage> {
            let place = |x: u32, y: u32| Rgb([x as u8 + 1, y as u8 + 1, index as u8 + 1]);
            Ok(RgbImage::from_fn(16, 8, place))
        }
    }

    fn places() -> Places {
        let sample = |index: usize| Sample {
            id: format!("{index}.png"),
            label: ClassId(index),
            group: Some(index),
        };
        Places((0..5).map(sample).collect())
    }

    #[test]
    fn a_view_is_its_image_mirrored_and_shifted() {
        let places = places();
        let views = Views::new(&places, 20, Seed(0)).unwrap();
        let mut seen = BTreeSet::new();
        for (index, sample) in views.samples().iter().enumerate() {
            let (image, view) = (index % 5, index / 5 + 1);
            assert_eq!(sample.id, format!("{image}.png#{view}"));
            assert_eq!((sample.label, sample.group), (ClassId(image), Some(image)));
            let found = views.image(index).unwrap();
            let (x, y) = (8, 4);
            let [column, row, number] = found.get_pixel(x, y).0.map(i64::from);
            assert_eq!(number, image as i64 + 1);
            let step = i64::from(found.get_pixel(x + 1, y).0[0]) - column;
            assert_eq!(step.abs(), 1, "mirrored or not");
            let place = if step < 0 {
                15 - i64::from(x)
            } else {
                i64::from(x)
            };
            let (right, down) = (place + 1 - column, i64::from(y) + 1 - row);
            assert!(right.abs() <= 2 && down.abs() <= 1, "{right} {down}");
            // Every pixel is moved alike, and black comes in.
            for (x, y, pixel) in found.enumerate_pixels() {
                let x = if step < 0 {
                    15 - i64::from(x)
                } else {
                    i64::from(x)
                } - right;
                let y = i64::from(y) - down;
                let is_inside = (0..16).contains(&x) && (0..8).contains(&y);
                let place = [x + 1, y + 1, image as i64 + 1].map(|it| it as u8);
                assert_eq!(pixel.0, if is_inside { place } else { [0; 3] });
            }
            seen.insert((step, right, down));
        }
        assert!(seen.len() > 20, "of 30 that there are: {}", seen.len());
        assert!(views.image(100).is_err());
    }

    #[test]
    fn the_seed_decides_the_views() {
        let places = places();
        let views = |seed| Views::new(&places, 2, Seed(seed)).unwrap();
        let image = |seed, index| views(seed).image(index).unwrap().into_raw();
        let all = |seed| (0..10).map(|index| image(seed, index)).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert_eq!(views(1).fingerprint(), views(1).fingerprint());
        assert_ne!(views(1).fingerprint(), views(2).fingerprint());
        let none = Views::new(&places, 0, Seed(0)).err().unwrap();
        assert!(none.to_string().contains("views"));
    }
}
