//! A run's folder: what an earlier run left is taken up again where it would come out the same, and
//! nowhere else.

mod debug;
mod features;
mod pictures;

use std::{fs, ops::ControlFlow, path::Path};

use image::{Rgb, RgbImage};
use neuroinspect::{
    burn::tensor::Device,
    core::{ClassId, Classifier, DeviceName, FeatureTable, Progress},
    datasets::{ImageFolder, ImageFolderConfig},
    illusion::{Objective, Recipe},
};
use neuroinspect_testing::networks::TinyClassifier;

pub(crate) const SIDE: usize = 16;

pub(crate) fn model() -> TinyClassifier {
    TinyClassifier::new(SIDE, &Device::flex())
}

/// The class that has most mistakes.
pub(crate) fn mistaken(model: &TinyClassifier, table: &FeatureTable) -> ClassId {
    let layer = model.decision_layer().unwrap();
    let predicted = table.predicted_by(&layer).unwrap();
    let mistakes = |&class: &ClassId| predicted.mistakes(class).unwrap().len();
    let classes = (0..TinyClassifier::CLASSES).map(ClassId);
    classes.max_by_key(mistakes).unwrap()
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
    Recipe::default()
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
