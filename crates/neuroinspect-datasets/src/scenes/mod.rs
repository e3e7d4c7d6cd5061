//! Small labelled images with a planted false correlation.
//!
//! Each scene shows one [`Object`], which is its class, on one [`Context`], a textured background.
//! In the training scenes one class, the planted one, nearly always comes with one context, which
//! the other classes nearly never have: a classifier can tell that class by its background, and
//! will. In the test scenes object and context are independent, and the mistakes show. Because the
//! cause is known, what a method says about those mistakes can be checked:
//! [`Scene::with_context`] changes the background and nothing else, so the neurons that respond to
//! it are found by experiment.
//!
//! Scenes are not stored. Scene `index` of a part is drawn from the generator keyed by seed,
//! part and index, whenever it is asked for, and is the same bytes on every platform: only
//! exactly rounded operations and the pure-Rust `libm` go into a pixel.
//!
//! ```
//! use neuroinspect_datasets::{ImageDataset, scenes::{Context, Scenes, ScenesConfig}};
//!
//! # fn main() -> Result<(), neuroinspect_datasets::Error> {
//! let scenes = Scenes::new(ScenesConfig::test().with_samples(100))?;
//! assert_eq!(scenes.class_names(), ["circle", "square", "triangle", "star", "cross"]);
//!
//! let scene = scenes.scene(3)?;
//! println!("{}", scene.caption()); // such as "a red star on grass"
//! let picture = scene.render();
//! let toggled = scene.with_context(Context::Water).render();
//! assert_eq!(picture.dimensions(), toggled.dimensions());
//! # Ok(())
//! # }
//! ```

mod config;
mod context;
mod object;
mod scene;

use image::RgbImage;
use neuroinspect_core::ClassId;

pub use config::{Part, Planted, ScenesConfig};
pub use context::Context;
pub use object::{Colour, Object};
pub use scene::Scene;

use crate::{ImageDataset, Result, Sample, fingerprint_of};

/// A generated data set: see the [module](self).
///
/// Classes follow each other in turn: scene `i` is of class `i mod K`. There are two groups for
/// each class, with the planted context and elsewhere: `"star on water"`, `"star elsewhere"`.
#[derive(Clone, Debug)]
pub struct Scenes {
    config: ScenesConfig,
    name: String,
    class_names: Vec<String>,
    group_names: Vec<String>,
    samples: Vec<Sample>,
}

impl Scenes {
    /// The data set `config` describes.
    ///
    /// # Errors
    ///
    /// As [`ScenesConfig::validate`].
    pub fn new(config: ScenesConfig) -> Result<Self> {
        config.validate()?;
        let class_names: Vec<_> = config.classes.iter().map(ToString::to_string).collect();
        let group_names = class_names
            .iter()
            .flat_map(|class| {
                [
                    format!("{class} on {}", config.planted.context),
                    format!("{class} elsewhere"),
                ]
            })
            .collect();
        let samples = (0..config.samples)
            .map(|index| {
                let class = index % config.classes.len();
                let elsewhere = !config.carries_planted_context(index);
                Sample {
                    id: format!("{}/{index}", config.part),
                    label: ClassId(class),
                    group: Some(2 * class + usize::from(elsewhere)),
                }
            })
            .collect();
        Ok(Self {
            name: format!("scenes-{}", config.part),
            config,
            class_names,
            group_names,
            samples,
        })
    }

    /// What the data set was made from.
    pub fn config(&self) -> &ScenesConfig {
        &self.config
    }

    /// The planted class.
    pub fn planted_class(&self) -> ClassId {
        let planted = self.config.planted.class;
        let of_planted = |&class: &Object| class == planted;
        // `validate` saw to it that the planted class is one of the classes.
        ClassId(self.config.classes.iter().position(of_planted).unwrap_or(0))
    }

    /// What stands in a scene.
    ///
    /// # Errors
    ///
    /// When `index` is not below the number of samples.
    pub fn scene(&self, index: usize) -> Result<Scene> {
        self.sample(index)?;
        Ok(Scene::draw(&self.config, index))
    }

    /// A scene in words: [`Scene::caption`].
    ///
    /// # Errors
    ///
    /// As [`scene`](Self::scene).
    pub fn caption(&self, index: usize) -> Result<String> {
        Ok(self.scene(index)?.caption())
    }
}

impl ImageDataset for Scenes {
    fn name(&self) -> &str {
        &self.name
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn group_names(&self) -> &[String] {
        &self.group_names
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Covers the options too, which decide every pixel.
    fn fingerprint(&self) -> Option<String> {
        Some(fingerprint_of(self, [format!("{:?}", self.config)]))
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        Ok(self.scene(index)?.render())
    }

    fn outline(&self, index: usize) -> Result<Option<RgbImage>> {
        Ok(Some(self.scene(index)?.outline()))
    }
}
