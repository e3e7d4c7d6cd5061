//! Numbers that say what pictures are worth, and scores against a known truth.

use ndarray::{Array1, ArrayView1, ArrayView2};

use super::super::mean;

/// The percentage of values that are as high as `value` or lower, as [`TopImage::percentile`] counts; `None`
/// of no values.
///
/// [`TopImage::percentile`]: neuroinspect_report::TopImage::percentile
pub(in super::super) fn percentile(
    value: f32,
    others: impl IntoIterator<Item = f32>,
) -> Option<f64> {
    let (mut lower, mut all) = (0_usize, 0_usize);
    for other in others {
        lower += usize::from(other <= value);
        all += 1;
    }
    (all > 0).then(|| 100.0 * lower as f64 / all as f64)
}

/// Mean cosine of features `[N, D]` and others of the same pairs, row by row, both less `centre` `[D]`: 1 where
/// each points where its partner does, 0 where they have nothing in common but what all images have. Rows that
/// are the centre itself are left out; `None` where all are.
pub(in super::super) fn agreement(
    features: ArrayView2<'_, f32>,
    others: ArrayView2<'_, f32>,
    centre: ArrayView1<'_, f32>,
) -> Option<f64> {
    let rows = features.rows().into_iter().zip(others.rows());
    let cosines = rows.filter_map(|(a, b)| {
        let (a, b) = (&a - &centre, &b - &centre);
        let dot = |a: &Array1<f32>, b: &Array1<f32>| f64::from(a.dot(b));
        let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        cosine.is_finite().then_some(cosine)
    });
    mean(cosines)
}

/// The area under the ROC curve of scores that are to be low where `truth` holds: the chance that one of the
/// true scores less than one of the others, equal scores counted half. `None` where all are true, or none is.
pub(in super::super) fn area_of_low(scores: &[f64], truth: &[bool]) -> Option<f64> {
    let of = |wanted: bool| {
        let both = scores.iter().zip(truth);
        both.filter(move |(_, is)| **is == wanted)
            .map(|(score, _)| *score)
    };
    let wins = of(true).flat_map(|low| {
        of(false).map(move |other| match low.partial_cmp(&other) {
            Some(std::cmp::Ordering::Less) => 1.0,
            Some(std::cmp::Ordering::Equal) => 0.5,
            _ => 0.0,
        })
    });
    mean(wins)
}

/// The share of true ones among those of the `count` lowest scores, the first among equals first; `None` of none.
pub(in super::super) fn precision_of_lowest(
    scores: &[f64],
    truth: &[bool],
    count: usize,
) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len().min(truth.len())).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    mean(
        order
            .iter()
            .take(count)
            .map(|&place| f64::from(truth[place])),
    )
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_percentile_counts_those_as_high_or_lower() {
        let real = [0.0, 1.0, 2.0, 2.0];
        for (value, expected) in [
            (-1.0, 0.0),
            (0.0, 25.0),
            (1.5, 50.0),
            (2.0, 100.0),
            (9.0, 100.0),
        ] {
            assert_eq!(percentile(value, real), Some(expected), "{value}");
        }
        assert_eq!(percentile(1.0, []), None);
    }

    #[test]
    fn agreement_is_of_what_differs_from_the_centre() {
        let centre = array![1.0, 1.0];
        let features = array![[2.0, 1.0], [1.0, 3.0]];
        let agree = |others: Array2<f32>| agreement(features.view(), others.view(), centre.view());
        assert_eq!(agree(features.clone()), Some(1.0));
        // Opposite ways from the centre, and at a right angle: the raw vectors are all alike.
        assert_eq!(agree(array![[0.0, 1.0], [2.0, 1.0]]), Some(-0.5));
        // A row that is the centre says nothing.
        assert_eq!(agree(array![[1.0, 1.0], [1.0, 2.0]]), Some(1.0));
        assert_eq!(agree(array![[1.0, 1.0], [1.0, 1.0]]), None);
    }

    #[test]
    fn the_area_is_the_chance_that_a_true_one_scores_less() {
        let truth = [true, true, false, false];
        let area = |scores: [f64; 4]| area_of_low(&scores, &truth);
        assert_eq!(area([0.1, 0.2, 0.3, 0.4]), Some(1.0));
        assert_eq!(area([0.4, 0.3, 0.2, 0.1]), Some(0.0));
        assert_eq!(
            area([0.1, 0.3, 0.2, 0.3]),
            Some((1.0 + 1.0 + 0.0 + 0.5) / 4.0)
        );
        assert_eq!(area_of_low(&[0.1, 0.2], &[true, true]), None);
    }

    #[test]
    fn precision_is_of_the_lowest() {
        let (scores, truth) = ([0.9, 0.1, 0.5, 0.2], [true, true, false, false]);
        let lowest = |count| precision_of_lowest(&scores, &truth, count);
        assert_eq!(lowest(1), Some(1.0));
        assert_eq!(lowest(2), Some(0.5));
        assert_eq!(lowest(9), Some(0.5));
        assert_eq!(lowest(0), None);
    }
}
