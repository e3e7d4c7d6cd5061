//! A run's folder: what an earlier run left is taken up again where it would come out the same, and
//! nowhere else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod debug;
mod features;
mod pictures;

use std::{fs, ops::ControlFlow, path::Path};

use image::{Rgb, RgbImage};
use neuroinspect::{
    burn::tensor::Device,
    core::{DeviceName, Progress},
    datasets::{ImageFolder, ImageFolderConfig},
    illusion::{Objective, Recipe},
};
use neuroinspect_testing::networks::TinyClassifier;

pub(crate) const SIDE: usize = 16;

pub(crate) fn model() -> TinyClassifier {
    TinyClassifier::new(SIDE, &Device::flex())
}

pub(crate) fn device() -> DeviceName {
    "flex".parse().unwrap()
}

/// Six images of each of the tiny classifier's four classes.
pub(crate) fn images(root: &Path) -> ImageFolder {
    for class in 0..TinyClassifier::CLASSES {
        let folder = root.join(format!("class-{class}"));
        fs::create_dir_all(&folder).unwrap();
        for index in 0..6 {
            let image = RgbImage::from_fn(16, 16, |x, y| {
                let value = 16 * x as usize + y as usize * (3 * class + index);
                Rgb([value as u8, (60 * class) as u8, (40 * index) as u8])
            });
            image.save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
    ImageFolder::open(root, &ImageFolderConfig::default()).unwrap()
}

pub(crate) const STEPS: usize = 4;

pub(crate) fn recipe() -> Recipe {
    Recipe::new()
        .with_objective(Objective::without_clip(0.5))
        .with_steps(STEPS)
}

/// Stops the work at a step, counted over all batches.
pub(crate) fn stopping_at(step: usize) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
    move |progress: Progress<'_>| match progress.stage == "visualizing" && progress.done >= step {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}
