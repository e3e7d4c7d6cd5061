//! How alike two images are to a network: rank correlation over the channels of a layer.

use ndarray::{Array2, ArrayView1};

/// The ranks of values, the mean of their places for equals, as a vector of length 1 around 0: the inner
/// product of two is Spearman's rank correlation. All zeros where all values are equal.
pub(crate) fn ranks(values: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    let mut ranks = vec![0.0; values.len()];
    let centre = (values.len() as f64 - 1.0) / 2.0;
    let mut place = 0;
    for equals in order.chunk_by(|&one, &other| values[one] == values[other]) {
        let rank = place as f64 + (equals.len() as f64 - 1.0) / 2.0 - centre;
        for &index in equals {
            ranks[index] = rank;
        }
        place += equals.len();
    }
    let length = ranks.iter().map(|rank| rank * rank).sum::<f64>().sqrt();
    let scale = if length > 0.0 { length.recip() } else { 0.0 };
    ranks.iter().map(|rank| (rank * scale) as f32).collect()
}

/// [`ranks`] of each row: `[N, C]`.
pub(crate) fn ranks_of_rows(values: &Array2<f32>) -> Array2<f32> {
    let mut all = Array2::zeros(values.dim());
    for (values, mut row) in values.rows().into_iter().zip(all.rows_mut()) {
        row.assign(&ArrayView1::from(&ranks(&values.to_vec())));
    }
    all
}

/// Spearman's rank correlation of two images' values.
pub(crate) fn spearman(one: &[f32], other: &[f32]) -> f32 {
    let (one, other) = (ranks(one), ranks(other));
    one.iter().zip(&other).map(|(a, b)| a * b).sum()
}

/// The chance that one of `chosen` has a higher number than one of the others, equals counting half; 0.5
/// where there are none to compare.
pub(crate) fn chance_of_higher(numbers: &[f32], chosen: &[usize]) -> f32 {
    let others = (0..numbers.len()).filter(|index| !chosen.contains(index));
    let others: Vec<f32> = others.map(|index| numbers[index]).collect();
    let comparisons = chosen.len() * others.len();
    if comparisons == 0 {
        return 0.5;
    }
    let won = |&index: &usize| {
        let over = |other: &f32| match numbers[index].total_cmp(other) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        others.iter().map(over).sum::<f64>()
    };
    (chosen.iter().map(won).sum::<f64>() / comparisons as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1 - 6 (1 + 1) / (4 * 15) = 0.8; with a tie, Pearson's correlation of ranks
    /// (1.5, 1.5, 3) and (1, 2, 3): 1.5 / sqrt(1.5 * 2).
    #[test]
    fn rank_correlations_by_hand() {
        let close = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}");
        close(spearman(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 5.0, 9.0]), 0.8);
        close(spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, -1.0]), -1.0);
        close(
            spearman(&[7.0, 7.0, 8.0], &[1.0, 2.0, 3.0]),
            1.5 / 3.0_f32.sqrt(),
        );
        close(spearman(&[7.0, 7.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn the_chance_counts_equals_half() {
        let numbers = [3.0, 1.0, 2.0, 2.0];
        assert_eq!(chance_of_higher(&numbers, &[0]), 1.0);
        assert_eq!(chance_of_higher(&numbers, &[2]), 1.5 / 3.0);
        assert_eq!(chance_of_higher(&numbers, &[0, 1]), 2.0 / 4.0);
        assert_eq!(chance_of_higher(&numbers, &[]), 0.5);
    }
}
