//! Scenes otherwise than they are.

use image::RgbImage;
use neuroinspect_core::ClassId;
use neuroinspect_datasets::{
    ImageDataset, Result, Sample,
    scenes::{Scene, Scenes},
};

/// Scenes that are changed, or of other classes than their objects.
pub(super) struct Staged {
    class_names: Vec<String>,
    scenes: Vec<Scene>,
    samples: Vec<Sample>,
}

impl Staged {
    pub(super) fn new(
        class_names: &[String],
        scenes: Vec<Scene>,
        class_of: impl Fn(&Scene) -> usize,
    ) -> Self {
        let sample = |(index, scene): (usize, &Scene)| Sample {
            id: index.to_string(),
            label: ClassId(class_of(scene)),
            group: None,
        };
        Self {
            class_names: class_names.to_vec(),
            samples: scenes.iter().enumerate().map(sample).collect(),
            scenes,
        }
    }
}

impl ImageDataset for Staged {
    fn name(&self) -> &str {
        "staged scenes"
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        self.sample(index)?;
        Ok(self.scenes[index].render())
    }
}

/// The outlines of scenes, as images of the same names.
pub(super) struct Outlines<'a>(pub(super) &'a Scenes);

impl ImageDataset for Outlines<'_> {
    fn name(&self) -> &str {
        "outlines of scenes"
    }

    fn class_names(&self) -> &[String] {
        self.0.class_names()
    }

    fn group_names(&self) -> &[String] {
        self.0.group_names()
    }

    fn samples(&self) -> &[Sample] {
        self.0.samples()
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        Ok(self.0.scene(index)?.outline())
    }
}
