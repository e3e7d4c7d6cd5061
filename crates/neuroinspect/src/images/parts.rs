//! Where in real images neurons are active.

use std::fmt;

use image::RgbImage;
use ndarray::{Array3, Axis};
use neuroinspect_core::{Classifier, InputSpec, NeuronId, Precision};
use neuroinspect_datasets::preprocess;
use neuroinspect_illusion::activation_mask;
use neuroinspect_report::to_rgb_image;

use crate::{
    Result,
    extract::{images_on, map_of_one},
    units::around_peak,
};

/// An image as a classifier sees it, to the bit: resized images have 8 bits a colour.
pub(super) fn seen(image: &RgbImage, spec: &InputSpec) -> Result<RgbImage> {
    Ok(to_rgb_image(preprocess(image, spec)?.view())?)
}

/// A copy of a classifier that is asked where in images its neurons are active.
pub struct ActiveParts(Box<dyn Classifier>);

impl fmt::Debug for ActiveParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActiveParts").field(&self.0.name()).finish()
    }
}

impl ActiveParts {
    /// Copies the classifier.
    ///
    /// # Errors
    ///
    /// When it cannot be copied or folded.
    pub fn of(classifier: &dyn Classifier) -> Result<Self> {
        let device = classifier.device().without_autodiff();
        let mut copy = classifier.evaluation_copy(&device, Precision::F32)?;
        copy.fold()?;
        Ok(Self(copy))
    }

    /// The part of an image around the place where a neuron is most active, by a mask of the given
    /// [threshold](neuroinspect_illusion::Recipe::mask_threshold); the image as the classifier sees it where
    /// that does not say, or no place stands out.
    ///
    /// # Errors
    ///
    /// When the classifier does not have the neuron, or the device fails.
    pub fn part(&self, image: &RgbImage, neuron: NeuronId, threshold: f64) -> Result<RgbImage> {
        let image = seen(image, self.0.input())?;
        let parts = self.most_active(&image, &[neuron], threshold)?;
        Ok(parts.into_iter().flatten().next().unwrap_or(image))
    }

    /// The part around the place where each of some neurons is most active of an image as the classifier
    /// [sees](seen) it; `None` where it does not say, or no place stands out.
    pub(super) fn most_active(
        &self,
        seen: &RgbImage,
        neurons: &[NeuronId],
        threshold: f64,
    ) -> Result<Vec<Option<RgbImage>>> {
        let spec = self.0.input();
        let (width, height) = seen.dimensions();
        let shape = (3, height as usize, width as usize);
        let pixels = Array3::from_shape_fn(shape, |(channel, y, x)| {
            f32::from(seen[(x as u32, y as u32)][channel]) / 255.0
        });
        let images = images_on(pixels.view().insert_axis(Axis(0)), &self.0.device());
        let Some(map) = self.0.activations(spec.normalize(images)).map else {
            return Ok(vec![None; neurons.len()]);
        };
        let map = map_of_one(map)?;
        let part = |&neuron: &NeuronId| -> Result<_> {
            neuron.check(map.len_of(Axis(0)))?;
            let map = map.index_axis(Axis(0), neuron.0).to_owned();
            let mask = activation_mask(map.view(), spec.size, threshold, 0.0);
            let crop = around_peak(&map, &mask).and_then(|crop| crop.of(pixels.view()));
            Ok(crop.map(to_rgb_image).transpose()?)
        };
        neurons.iter().map(part).collect()
    }
}

#[cfg(all(test, feature = "demo"))]
mod tests {
    use image::GenericImageView;
    use neuroinspect_core::read_back;
    use neuroinspect_datasets::{
        ImageDataset,
        scenes::{Scenes, ScenesConfig},
    };

    use super::*;
    use crate::demo::Demo;

    /// Every part is one of the image, and has the place of the map's peak in it.
    #[test]
    fn a_part_holds_the_place_of_most_activity() {
        let demo = Demo::load(&burn::tensor::Device::flex()).unwrap();
        let classifier = demo.classifier.as_ref();
        let scenes = Scenes::new(ScenesConfig::test().with_samples(4)).unwrap();
        let parts = ActiveParts::of(classifier).unwrap();
        let spec = classifier.input();
        let (mut found, mut smaller) = (0, 0);
        for index in 0..4 {
            let image = scenes.image(index).unwrap();
            let pixels = preprocess(&image, spec).unwrap();
            let seen = seen(&image, spec).unwrap();
            let images = images_on(pixels.view().insert_axis(Axis(0)), &classifier.device());
            let map = classifier.activations(spec.normalize(images)).map.unwrap();
            let [_, neurons, height, width] = map.dims();
            let map = read_back(map, "the map").unwrap();
            let some: Vec<_> = (0..neurons).step_by(5).map(NeuronId).collect();
            let found_parts = parts.most_active(&seen, &some, 0.5).unwrap();
            assert_eq!(found_parts.len(), some.len());
            for (NeuronId(neuron), part) in some.into_iter().zip(found_parts) {
                let Some(part) = part else { continue };
                found += 1;
                let of_neuron = &map[neuron * height * width..][..height * width];
                let peak = (0..height * width)
                    .max_by(|&a, &b| of_neuron[a].total_cmp(&of_neuron[b]))
                    .unwrap();
                // The pixels of the peak's cell.
                let cell = |place: usize, cells: usize, size: u32| {
                    let side = size / cells as u32;
                    place as u32 * side..(place as u32 + 1) * side
                };
                let rows = cell(peak / width, height, seen.height());
                let columns = cell(peak % width, width, seen.width());
                let (across, down) = part.dimensions();
                smaller += usize::from(across < seen.width() && down < seen.height());
                let holds_it = |left: u32, top: u32| {
                    let meets = columns.start < left + across && left < columns.end;
                    let meets = meets && rows.start < top + down && top < rows.end;
                    meets && *seen.view(left, top, across, down).to_image() == *part
                };
                let mut places = (0..=seen.width() - across)
                    .flat_map(|left| (0..=seen.height() - down).map(move |top| (left, top)));
                assert!(
                    places.any(|(left, top)| holds_it(left, top)),
                    "scene {index}, neuron {neuron}"
                );
            }
        }
        assert!(found > 10 && smaller > 10, "{smaller} of {found}");
    }
}
