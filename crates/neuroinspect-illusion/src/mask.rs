//! Where in a picture a neuron is active.

use ndarray::{Array2, ArrayView2};

use crate::adapter::{aligned_corners, interpolation};

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
    // What the weights of the resizing, which are rounded, make of a constant.
    let largest = map
        .iter()
        .fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
    let varies = std > ROUNDING * largest;
    resized.mapv(|value| {
        let above = f64::from(value) - mean;
        let standardised = if varies { above / std } else { 0.0 };
        if standardised < threshold {
            reduction as f32
        } else {
            1.0
        }
    })
}

/// Standard deviation of a map, as a share of its largest value, that is rounding at most.
const ROUNDING: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Mean 1, unbiased standard deviation 2: standardised -0.5 three times, and 1.5.
    #[test]
    fn a_mask_by_hand() {
        let map = array![[0.0, 0.0], [0.0, 4.0]];
        let mask = |threshold, reduction| activation_mask(map.view(), 2, threshold, reduction);
        assert_eq!(mask(0.5, 0.25), array![[0.25, 0.25], [0.25, 1.0]]);
        assert_eq!(mask(1.51, 0.0), array![[0.0, 0.0], [0.0, 0.0]]);
        // On the threshold is not below it.
        assert_eq!(mask(-0.5, 0.0), array![[1.0, 1.0], [1.0, 1.0]]);
    }

    /// Corners stay corners, the middle is the mean of two.
    #[test]
    fn a_map_is_resized_with_aligned_corners() {
        // 0 1 2 after resizing; mean 1, standard deviation over three rows sqrt(6 / 8).
        let mask = activation_mask(array![[0.0, 2.0]].view(), 3, 0.0, 0.0);
        assert_eq!(
            mask,
            array![[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
        );
    }

    #[test]
    fn nothing_stands_out_of_a_constant_map() {
        let mask = activation_mask(array![[3.0, 3.0]].view(), 2, 0.5, 0.5);
        assert_eq!(mask, array![[0.5, 0.5], [0.5, 0.5]]);
        for (side, value) in [(7, 2.7), (8, 3.0), (14, 3.0), (14, -1e-3)] {
            let map = Array2::from_elem((side, side), value);
            let mask = activation_mask(map.view(), 224, 0.5, 0.0);
            assert_eq!(mask.sum(), 0.0, "{side} at {value}");
        }
        // One place stands out of the same by little.
        let mut map = Array2::from_elem((14, 14), 3.0);
        map[[4, 9]] = 3.01;
        assert!(activation_mask(map.view(), 224, 0.5, 0.0).sum() > 0.0);
    }
}
