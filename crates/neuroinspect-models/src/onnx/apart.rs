//! Whether images are told apart where the export of a network fixed their number.

use burn::tensor::{Tensor, TensorData};
use neuroinspect_core::{Classifier as _, read_back};

use crate::{GraphClassifier, Result};

/// How far features may be from those of an image by itself: of what a neuron differs by between the images, of its value,
/// and of the largest value. The latter two are for rounding, which other sizes of a batch do in other ways; where numbers of images
/// are mixed, it is the first that they differ by.
const TOLERANCES: [f32; 3] = [0.05, 1e-3, 1e-4];

/// Whether the features of two images are beside each other what they are by themselves. By itself an image goes by the
/// shapes as the export has them.
pub(super) fn images_are_apart(model: &GraphClassifier) -> Result<bool> {
    let (size, device) = (model.input().size, model.device());
    let pixels: Vec<f32> = (0..2 * 3 * size * size)
        .map(|index| pixel(index, size))
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [2, 3, size, size]), &device);
    let features = |images: Tensor<4>| -> Result<Vec<f32>> {
        Ok(read_back(model.activations(images).features, "features")?)
    };
    let beside = features(images.clone())?;
    let alone = [0, 1].map(|image| features(images.clone().slice_dim(0, image..image + 1)));
    let [first, second] = alone;
    let (first, second) = (first?, second?);
    if beside.len() != 2 * first.len() || first.len() != second.len() {
        return Ok(false);
    }
    let finite = first.iter().chain(&second).filter(|it| it.is_finite());
    let largest = finite.fold(0.0_f32, |most, it| most.max(it.abs()));
    let [of_difference, of_value, of_largest] = TOLERANCES;
    let is_same = |neuron: usize| {
        let (one, other) = (first[neuron], second[neuron]);
        // What is not finite tells nothing here, and is refused where features are computed.
        if !(one.is_finite() && other.is_finite()) {
            return true;
        }
        let value = one.abs().max(other.abs());
        let allowed = of_difference * (one - other).abs() + of_value * value + of_largest * largest;
        let [beside_one, beside_other] = [beside[neuron], beside[first.len() + neuron]];
        (beside_one - one).abs() <= allowed && (beside_other - other).abs() <= allowed
    };
    Ok((0..first.len()).all(is_same))
}

/// A pixel in `[0, 1]` of two images that are as unlike as images are: the first is dark, the second bright, with other
/// colours, ramps and textures.
fn pixel(index: usize, size: usize) -> f32 {
    let (column, row) = (index % size, index / size % size);
    let (channel, image) = (index / (size * size) % 3, index / (3 * size * size));
    let mixed = (index as u32).wrapping_add(1).wrapping_mul(0x9E37_79B9);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    let noise = (mixed >> 24) as f32 / 255.0;
    let along = |place: usize| place as f32 / size as f32;
    match image {
        0 => 0.1 * noise + 0.2 * along(column) + 0.1 * channel as f32,
        _ => {
            let squares = ((row / 4 + column / 4) % 2) as f32;
            0.4 * noise + 0.3 * squares * along(row) + 0.15 * (2 - channel) as f32
        }
    }
}
