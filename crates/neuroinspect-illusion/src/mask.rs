//! Where in a picture a neuron is active.

use ndarray::{Array2, ArrayView2};

use crate::resample::{aligned_corners, interpolation};

/// The mask of a neuron's map: 1 where the neuron is active, `reduction` elsewhere.
///
/// The map `[h, w]` is resized bilinearly with aligned corners to `[size, size]` and standardised
/// (mean 0, unbiased standard deviation 1); what is below `threshold` is reduced. A constant map,
/// whose standard deviation is 0, counts as 0 everywhere: nothing stands out.
pub fn activation_mask(
    map: ArrayView2<'_, f32>,
    size: usize,
    threshold: f64,
    reduction: f64,
) -> Array2<f32> {
    let (height, width) = map.dim();
    if height == 0 || width == 0 {
        return Array2::from_elem((size, size), reduction as f32);
    }
    let matrix = |from: usize| {
        let rows = interpolation(from, aligned_corners(from, size), 1.0);
        Array2::from_shape_fn((size, from), |(row, column)| rows[row * from + column])
    };
    let resized = matrix(height).dot(&map).dot(&matrix(width).t());
    let count = resized.len() as f64;
    let mean = resized.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = |value: &f32| (f64::from(*value) - mean).powi(2);
    let std = (resized.iter().map(squares).sum::<f64>() / (count - 1.0)).sqrt();
    resized.mapv(|value| {
        let above = f64::from(value) - mean;
        let standardised = if std > 0.0 { above / std } else { 0.0 };
        if standardised < threshold {
            reduction as f32
        } else {
            1.0
        }
    })
}
