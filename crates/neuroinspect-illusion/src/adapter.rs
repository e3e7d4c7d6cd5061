//! What a network is shown of a picture. Resizing is a product with small matrices, differentiable
//! on every backend.

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::InputSpec;

/// Makes pictures of one size into a network's input: resized and normalised, by constants that are
/// made once.
#[derive(Debug)]
pub(crate) struct InputAdapter {
    resize: Resize,
    /// `[1, 3, 1, 1]`.
    mean: Tensor<4>,
    /// `[1, 3, 1, 1]`.
    std: Tensor<4>,
}

impl InputAdapter {
    /// For pictures of `size` pixels a side.
    pub(crate) fn new(input: &InputSpec, size: usize, device: &Device) -> Self {
        let per_channel = |values: [f32; 3]| {
            Tensor::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), device)
        };
        Self {
            resize: Resize::new(size, input.size, device),
            mean: per_channel(input.mean),
            std: per_channel(input.std),
        }
    }

    /// [`InputSpec::normalize`] of the resized pictures: `[N, 3, S, S]` to `[N, 3, s, s]`.
    pub(crate) fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        (self.resize.apply(images) - self.mean.clone()) / self.std.clone()
    }
}

/// Resizes square images, with the triangle filter and as much antialiasing as shrinking needs.
#[derive(Debug)]
pub(crate) struct Resize {
    /// From the left and from the right, `[1, 1, to, from]` and `[1, 1, from, to]`; none where
    /// there is nothing to do.
    matrices: Option<[Tensor<4>; 2]>,
}

impl Resize {
    pub(crate) fn new(from: usize, to: usize, device: &Device) -> Self {
        let matrices = (from != to).then(|| {
            let ratio = from as f64 / to as f64;
            let positions = (0..to).map(|pixel| Some((pixel as f64 + 0.5) * ratio - 0.5));
            let matrix = interpolation(from, positions, ratio.max(1.0));
            let rows = Tensor::<4>::from_data(TensorData::new(matrix, [1, 1, to, from]), device);
            let columns = rows.clone().swap_dims(2, 3);
            [rows, columns]
        });
        Self { matrices }
    }

    /// `[N, 3, from, from]` to `[N, 3, to, to]`.
    pub(crate) fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        match &self.matrices {
            Some([rows, columns]) => rows.clone().matmul(images).matmul(columns.clone()),
            None => images,
        }
    }
}

/// Positions of a bilinear resize whose corner pixels stay corner pixels.
pub(crate) fn aligned_corners(from: usize, to: usize) -> impl Iterator<Item = Option<f64>> {
    let step = if to > 1 {
        (from - 1) as f64 / (to - 1) as f64
    } else {
        0.0
    };
    (0..to).map(move |pixel| Some(pixel as f64 * step))
}

/// A matrix that reads each row's position out of `input` pixels by linear interpolation:
/// `[positions, input]`, row by row.
///
/// A position is in pixels, 0 being the centre of the first; beyond the border it reads the
/// border. `None` reads zero. `radius` is half the triangle's base, 1 unless antialiasing.
pub(crate) fn interpolation(
    input: usize,
    positions: impl Iterator<Item = Option<f64>>,
    radius: f64,
) -> Vec<f32> {
    let last = input - 1;
    let mut matrix = Vec::new();
    for position in positions {
        let row = matrix.len();
        matrix.resize(row + input, 0.0);
        let Some(position) = position else { continue };
        let position = position.clamp(0.0, last as f64);
        let taps = (position - radius).ceil().max(0.0) as usize
            ..=((position + radius).floor() as usize).min(last);
        let weight = |pixel: usize| (1.0 - (pixel as f64 - position).abs() / radius).max(0.0);
        let total: f64 = taps.clone().map(weight).sum();
        for pixel in taps {
            matrix[row + pixel] = (weight(pixel) / total) as f32;
        }
    }
    matrix
}
