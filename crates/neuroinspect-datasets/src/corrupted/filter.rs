//! What several corruptions are made of: filters of a plane, and random planes.

use std::f64::consts::PI;

use ndarray::{Array2, Axis, Zip};
use rand::{Rng, RngExt};

use super::Plane;

/// What lies beyond an edge.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// The last value again and again.
    Nearest,
    /// The values mirrored, the last twice: `b a a b`.
    Reflect,
    /// The values mirrored, the last once: `b a b`.
    Reflect101,
}

impl Edge {
    /// The place within `0..length` that stands for `place`.
    fn within(self, place: isize, length: usize) -> usize {
        let length = length as isize;
        let place = match self {
            Self::Nearest => place.clamp(0, length - 1),
            Self::Reflect => {
                let place = place.rem_euclid(2 * length);
                place.min(2 * length - 1 - place)
            }
            Self::Reflect101 if length == 1 => 0,
            Self::Reflect101 => {
                let period = 2 * (length - 1);
                let place = place.rem_euclid(period);
                place.min(period - place)
            }
        };
        place as usize
    }
}

/// The value at a place between pixels, from the four around it.
pub(super) fn bilinear(plane: &Plane, y: f64, x: f64, edge: Edge) -> f64 {
    let (height, width) = plane.dim();
    let (top, left) = (libm::floor(y), libm::floor(x));
    let (down, right) = (y - top, x - left);
    let at = |row: f64, column: f64| {
        let row = edge.within(row as isize, height);
        plane[[row, edge.within(column as isize, width)]]
    };
    let above = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
    let below = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
    above * (1.0 - down) + below * down
}

/// Gaussian smoothing, the kernel cut off at `truncate` standard deviations, as SciPy's
/// `gaussian_filter`.
pub(super) fn gaussian(plane: &Plane, sigma: f64, truncate: f64, edge: Edge) -> Plane {
    let radius = (truncate * sigma + 0.5) as isize;
    let weight = |offset: isize| {
        let distance = offset as f64 / sigma;
        libm::exp(-0.5 * distance * distance)
    };
    let total: f64 = (-radius..=radius).map(weight).sum();
    let kernel: Vec<_> = (-radius..=radius)
        .map(|offset| (offset, weight(offset) / total))
        .collect();
    let mut smooth = plane.clone();
    for axis in [Axis(0), Axis(1)] {
        for mut lane in smooth.lanes_mut(axis) {
            let values = lane.to_vec();
            for (place, value) in lane.iter_mut().enumerate() {
                let under = kernel.iter().map(|(offset, weight)| {
                    weight * values[edge.within(place as isize + offset, values.len())]
                });
                *value = under.sum();
            }
        }
    }
    smooth
}

/// A trail of `2 * radius + 1` pixels behind each, fading as a Gaussian, towards `angle` in radians
/// from the positive columns to the positive rows: ImageMagick's motion blur.
pub(super) fn motion_blur(plane: &Plane, radius: usize, sigma: f64, angle: f64) -> Plane {
    let (height, width) = plane.dim();
    let weight = |step: usize| {
        let distance = step as f64 / sigma;
        libm::exp(-0.5 * distance * distance)
    };
    let total: f64 = (0..=2 * radius).map(weight).sum();
    let along = |step: usize, share: f64| libm::ceil(step as f64 * share - 0.5) as isize;
    let steps: Vec<_> = (0..=2 * radius)
        .map(|step| {
            let (down, right) = (libm::sin(angle), libm::cos(angle));
            (along(step, down), along(step, right), weight(step) / total)
        })
        .collect();
    Array2::from_shape_fn((height, width), |(y, x)| {
        let under = steps.iter().map(|&(down, right, weight)| {
            let row = Edge::Nearest.within(y as isize + down, height);
            let column = Edge::Nearest.within(x as isize + right, width);
            weight * plane[[row, column]]
        });
        under.sum()
    })
}

/// The centre of a plane, enlarged to the whole, interpolated linearly with corners on corners.
pub(super) fn zoom(plane: &Plane, factor: f64) -> Plane {
    // Of an axis: the first pixel of the centre, the step within it, the first pixel that is kept.
    let axis = |length: usize| {
        let centre = libm::ceil(length as f64 / factor);
        let start = (length - centre as usize) / 2;
        let enlarged = (centre * factor).round_ties_even();
        let step = match enlarged > 1.0 {
            true => (centre - 1.0) / (enlarged - 1.0),
            false => 0.0,
        };
        (start, step, (enlarged as usize - length) / 2)
    };
    let (height, width) = plane.dim();
    let (rows, columns) = (axis(height), axis(width));
    let place = |(start, step, first): (usize, f64, usize), pixel: usize| {
        start as f64 + (first + pixel) as f64 * step
    };
    Array2::from_shape_fn((height, width), |(y, x)| {
        bilinear(plane, place(rows, y), place(columns, x), Edge::Nearest)
    })
}

/// A standard normal number (Box and Muller), the same on every platform.
pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, turn): (f64, f64) = (rng.random(), rng.random());
    libm::sqrt(-2.0 * libm::log(1.0 - radius)) * libm::cos(2.0 * PI * turn)
}

/// A plane of independent normal numbers.
pub(super) fn normals(shape: (usize, usize), mean: f64, spread: f64, rng: &mut impl Rng) -> Plane {
    Array2::from_shape_simple_fn(shape, || mean + spread * normal(rng))
}

/// Clouds that repeat after `side` pixels, a power of two, by the diamond-square algorithm: the centre
/// of every square, then of every edge, is the mean of the four around it and a uniform number, whose
/// range shrinks by `decay` squared from one size of squares to the next. From 0 to 1.
pub(super) fn plasma(side: usize, decay: f64, rng: &mut impl Rng) -> Plane {
    let mut map = Array2::<f64>::zeros((side, side));
    let (mut half, mut range) = (side / 2, 1.0);
    while half > 0 {
        // The neighbours of a centre are its corners, those of an edge's middle left, right, above, below.
        let back = side - half;
        let corners = [(half, half), (half, back), (back, half), (back, back)];
        let sides = [(half, 0), (back, 0), (0, half), (0, back)];
        for (odd, neighbours) in [((1, 1), corners), ((0, 1), sides), ((1, 0), sides)] {
            for y in (odd.0 * half..side).step_by(2 * half) {
                for x in (odd.1 * half..side).step_by(2 * half) {
                    let around = neighbours
                        .map(|(down, right)| map[[(y + down) % side, (x + right) % side]]);
                    let mean = around.iter().sum::<f64>() / 4.0;
                    map[[y, x]] = mean + rng.random_range(-range..range);
                }
            }
        }
        half /= 2;
        range /= decay * decay;
    }
    let least = map.fold(f64::INFINITY, |a, &b| a.min(b));
    map -= least;
    let most = map.fold(0.0, |a: f64, &b| a.max(b));
    match most > 0.0 {
        true => map / most,
        false => map,
    }
}

/// Each channel of the pixels by what it is and the same plane.
pub(super) fn blend(
    pixels: &super::Pixels,
    plane: &Plane,
    mix: impl Fn(f64, f64) -> f64,
) -> super::Pixels {
    let mut mixed = pixels.clone();
    for mut channel in mixed.outer_iter_mut() {
        Zip::from(&mut channel)
            .and(plane)
            .for_each(|value, &other| *value = mix(*value, other));
    }
    mixed
}
