//! Training images: kept in memory once they are prepared, changed at random, and handed out in batches.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use image::{Rgb, RgbImage};
use ndarray::{Array4, Axis};
use neuroinspect_core::{InputSpec, ResizeRule, Seed};
use neuroinspect_datasets::{ImageDataset, Result, Sample, preprocess};
use rand::RngExt;

use super::TrainingAugmentation;

/// Most memory, in bytes, that prepared images take: 50,000 of 32 pixels, or 7000 of 224.
const MOST_MEMORY: usize = 1 << 30;

/// The images of a data set as the model wants to see them, each prepared once and kept while there is
/// room.
pub(super) struct Prepared<'a> {
    dataset: &'a dyn ImageDataset,
    spec: InputSpec,
    images: Vec<OnceLock<RgbImage>>,
    /// Images that there is room for yet.
    room: AtomicUsize,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(dataset: &'a dyn ImageDataset, spec: &InputSpec) -> Self {
        let bytes = 3 * spec.size * spec.size;
        Self {
            dataset,
            spec: spec.clone(),
            images: dataset.samples().iter().map(|_| OnceLock::new()).collect(),
            room: AtomicUsize::new(MOST_MEMORY / bytes.max(1)),
        }
    }

    /// How these images are to be prepared: they are.
    pub(super) fn spec(&self) -> InputSpec {
        self.spec.clone().with_resize(ResizeRule::Squash)
    }

    fn prepare(&self, index: usize) -> Result<RgbImage> {
        let pixels = preprocess(&self.dataset.image(index)?, &self.spec)?;
        let side = self.spec.size as u32;
        // They were whole levels before they were divided by 255.
        Ok(RgbImage::from_fn(side, side, |x, y| {
            let level = |channel| 255.0 * pixels[[channel, y as usize, x as usize]];
            Rgb([0, 1, 2].map(|channel| level(channel).round() as u8))
        }))
    }
}

impl ImageDataset for Prepared<'_> {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn class_names(&self) -> &[String] {
        self.dataset.class_names()
    }

    fn samples(&self) -> &[Sample] {
        self.dataset.samples()
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        self.sample(index)?;
        if let Some(image) = self.images[index].get() {
            return Ok(image.clone());
        }
        let image = self.prepare(index)?;
        let take = |room: usize| room.checked_sub(1);
        let (order, images) = (Ordering::Relaxed, &self.images);
        if self.room.fetch_update(order, order, take).is_ok() {
            let _ = images[index].set(image.clone());
        }
        Ok(image)
    }
}

impl TrainingAugmentation {
    /// Changes a batch, each image by what is drawn for it in this epoch.
    pub(super) fn apply(
        self,
        images: &mut Array4<f32>,
        samples: &[usize],
        seed: Seed,
        epoch: usize,
    ) {
        if self == Self::default() {
            return;
        }
        let (height, width) = (images.dim().2, images.dim().3);
        for (mut image, &sample) in images.axis_iter_mut(Axis(0)).zip(samples) {
            let mut rng = seed.rng("augmentation", &[epoch as u64, sample as u64]);
            let mirrored = rng.random::<bool>() && self.flip;
            let mut shift = || rng.random_range(0..=2 * self.shift);
            let (down, right) = (shift(), shift());
            let original = image.to_owned();
            for ((channel, y, x), value) in image.indexed_iter_mut() {
                // Outside of the image's frame it is black.
                let row = (y + down).wrapping_sub(self.shift);
                let column = (x + right).wrapping_sub(self.shift);
                let column = match mirrored {
                    true => (width - 1).wrapping_sub(column),
                    false => column,
                };
                let inside = row < height && column < width;
                *value = if inside {
                    original[[channel, row, column]]
                } else {
                    0.0
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of one image: each value says where it is from.
    fn image() -> Array4<f32> {
        Array4::from_shape_fn((1, 1, 4, 5), |(_, _, y, x)| (10 * y + x + 1) as f32)
    }

    fn changed(augmentation: TrainingAugmentation, sample: usize, epoch: usize) -> Array4<f32> {
        let mut images = image();
        augmentation.apply(&mut images, &[sample], Seed(3), epoch);
        images
    }

    #[test]
    fn half_of_the_images_are_mirrored() {
        let flip = TrainingAugmentation {
            flip: true,
            shift: 0,
        };
        let mut mirror = image();
        mirror.invert_axis(Axis(3));
        let mut mirrored = 0;
        for sample in 0..200 {
            let found = changed(flip, sample, 1);
            assert!(found == image() || found == mirror);
            mirrored += usize::from(found == mirror);
        }
        // Four standard deviations.
        assert!((72..=128).contains(&mirrored), "{mirrored} of 200");
        let differs = |sample| changed(flip, sample, 1) != changed(flip, sample, 2);
        assert!((0..20).any(differs), "another epoch, another draw");
    }

    #[test]
    fn shifted_images_are_whole_but_for_what_is_black() {
        let shift = TrainingAugmentation {
            flip: false,
            shift: 2,
        };
        let mut seen = Vec::new();
        for sample in 0..300 {
            let found = changed(shift, sample, 1);
            let place = |value: f32| ((value as i32 - 1) / 10, (value as i32 - 1) % 10);
            let mut offsets = Vec::new();
            for ((_, _, y, x), &value) in found.indexed_iter().filter(|it| *it.1 > 0.0) {
                let (row, column) = place(value);
                offsets.push((row - y as i32, column - x as i32));
            }
            offsets.dedup();
            let &[(down, right)] = &offsets[..] else {
                panic!("one shift for all: {offsets:?}");
            };
            let kept = (4 - down.abs()) * (5 - right.abs());
            let black = found.iter().filter(|&&value| value == 0.0).count() as i32;
            assert_eq!(black, 20 - kept);
            seen.push((down, right));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 25, "every shift comes");
    }
}
