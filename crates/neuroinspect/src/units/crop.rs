//! The part of an image where a unit is most active.

use ndarray::Array2;
use neuroinspect_report::Crop;

/// A part is at least this share of the image's side: of an early layer's unit it would be a few pixels.
const LEAST: usize = 8;

/// The box around the region that `mask` `[S, S]` leaves as it is (1) and that holds the peak of the
/// `map` `[h, w]` which it was made of, each side at least an eighth of the image's. `None` where the
/// peak does not stand out.
///
/// # Shapes
///
/// A map of any size, corner on corner of the image, as [`activation_mask`](neuroinspect_illusion::activation_mask) takes
/// it.
pub fn around_peak(map: &Array2<f32>, mask: &Array2<f32>) -> Option<Crop> {
    let (height, width) = map.dim();
    let size = mask.nrows();
    let peak = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1))?.0;
    // Corners of the map are corners of the image, as where the mask was made.
    let scaled = |at: usize, length: usize| match length {
        0 | 1 => size / 2,
        length => at * (size - 1) / (length - 1),
    };
    let start = (scaled(peak.0, height), scaled(peak.1, width));
    let active = |at: (usize, usize)| mask.get(at).is_some_and(|&value| value >= 1.0);
    if !active(start) {
        return None;
    }
    let mut seen = Array2::from_elem(mask.dim(), false);
    seen[start] = true;
    let mut waiting = vec![start];
    let (mut first, mut last) = (start, start);
    while let Some((row, column)) = waiting.pop() {
        first = (first.0.min(row), first.1.min(column));
        last = (last.0.max(row), last.1.max(column));
        for next in [
            (row.wrapping_sub(1), column),
            (row + 1, column),
            (row, column.wrapping_sub(1)),
            (row, column + 1),
        ] {
            if active(next) && !seen[next] {
                seen[next] = true;
                waiting.push(next);
            }
        }
    }
    let side = |first: usize, last: usize| {
        let length = (last - first + 1).max(size / LEAST).max(1);
        let middle = (first + last).div_ceil(2);
        let from = middle.saturating_sub(length / 2).min(size - length);
        (from, length)
    };
    let ((top, height), (left, width)) = (side(first.0, last.0), side(first.1, last.1));
    Some(Crop {
        left,
        top,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use neuroinspect_illusion::activation_mask;

    use super::*;

    /// Two regions of a map of 8 by 8, shown at 8 by 8: the peak is in the second.
    #[test]
    fn the_part_is_the_region_of_the_peak() {
        let mut map = Array2::zeros((8, 8));
        map[[0, 0]] = 5.0;
        for (row, column) in [(3, 4), (3, 5), (4, 5), (5, 5)] {
            map[[row, column]] = 6.0;
        }
        map[[4, 5]] = 9.0;
        let mask = activation_mask(map.view(), 8, 0.5, 0.0);
        let expected = Crop {
            left: 4,
            top: 3,
            width: 2,
            height: 3,
        };
        assert_eq!(around_peak(&map, &mask), Some(expected));
    }

    #[test]
    fn a_part_is_never_too_small_and_never_beyond_the_border() {
        let mut map = Array2::zeros((32, 32));
        map[[31, 0]] = 1.0;
        let mask = activation_mask(map.view(), 32, 0.5, 0.0);
        let expected = Crop {
            left: 0,
            top: 28,
            width: 4,
            height: 4,
        };
        assert_eq!(around_peak(&map, &mask), Some(expected));
    }

    #[test]
    fn of_a_constant_map_there_is_no_part() {
        let map = Array2::from_elem((4, 4), 2.0);
        let mask = activation_mask(map.view(), 8, 0.5, 0.5);
        assert_eq!(around_peak(&map, &mask), None);
    }
}
