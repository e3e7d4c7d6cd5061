//! Resizing as products with small matrices, differentiable on every backend.

use burn::tensor::{Tensor, TensorData};

/// Resizes square images, with the triangle filter and as much antialiasing as shrinking needs.
///
/// # Shapes
///
/// `[N, 3, S, S]` to `[N, 3, size, size]`.
pub(crate) fn resize(images: Tensor<4>, size: usize) -> Tensor<4> {
    let from = images.dims()[2];
    if from == size {
        return images;
    }
    let ratio = from as f64 / size as f64;
    let positions = (0..size).map(|pixel| Some((pixel as f64 + 0.5) * ratio - 0.5));
    let matrix = interpolation(from, positions, ratio.max(1.0));
    let device = images.device().without_autodiff();
    let matrix = Tensor::<4>::from_data(TensorData::new(matrix, [1, 1, size, from]), &device);
    let columns = matrix.clone().swap_dims(2, 3);
    matrix.matmul(images).matmul(columns)
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
