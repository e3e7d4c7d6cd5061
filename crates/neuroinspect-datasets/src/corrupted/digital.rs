//! Elastic transformation and pixelation.

use image::RgbImage;
use ndarray::{Array2, Array3, Axis};
use rand::{Rng, RngExt};

use super::{
    Pixels, Plane,
    filter::{Edge, bilinear, gaussian},
};
use crate::resample::{Filter, Span, resize_window};

/// A random affine map that moves three points of a centred square by up to 0.96 pixels along each axis,
/// then smooth random displacements of every pixel.
pub(super) fn elastic(pixels: &Pixels, rng: &mut impl Rng) -> Pixels {
    let (_, height, width) = pixels.dim();
    let [y, x] = [height / 2, width / 2].map(|it| it as f64);
    let reach = (height.min(width) / 3) as f64;
    let corners = [
        (y + reach, x + reach),
        (y - reach, x + reach),
        (y - reach, x - reach),
    ];
    let moved = corners.map(|(y, x)| {
        let mut shift = || rng.random_range(-0.96..0.96);
        (y + shift(), x + shift())
    });
    let mut displacement = || {
        let noise = Array2::from_shape_simple_fn((height, width), || rng.random_range(-1.0..1.0));
        gaussian(&noise, 0.96, 3.0, Edge::Reflect) * 3.2
    };
    let (down, right) = (displacement(), displacement());
    displace(&affine(pixels, corners, moved), &down, &right)
}

/// The affine map that takes three points, of row and column, to three others; where either are on one
/// line, the image stays as it is.
pub(super) fn affine(pixels: &Pixels, from: [(f64, f64); 3], to: [(f64, f64); 3]) -> Pixels {
    let along = |points: [(f64, f64); 3], corner: usize| {
        let (origin, point) = (points[0], points[corner]);
        (point.0 - origin.0, point.1 - origin.1)
    };
    let area = |a: (f64, f64), b: (f64, f64)| a.0 * b.1 - a.1 * b.0;
    let (a, b) = (along(to, 1), along(to, 2));
    let (source_a, source_b) = (along(from, 1), along(from, 2));
    if area(a, b) == 0.0 || area(source_a, source_b) == 0.0 {
        return pixels.clone();
    }
    mapped(pixels, Edge::Reflect101, |y, x| {
        let offset = (y as f64 - to[0].0, x as f64 - to[0].1);
        // The place in coordinates of the two sides of the triangle, which the map keeps.
        let in_a = area(offset, b) / area(a, b);
        let in_b = area(a, offset) / area(a, b);
        (
            from[0].0 + in_a * source_a.0 + in_b * source_b.0,
            from[0].1 + in_a * source_a.1 + in_b * source_b.1,
        )
    })
}

/// Each pixel from so many pixels further down and right.
pub(super) fn displace(pixels: &Pixels, down: &Plane, right: &Plane) -> Pixels {
    mapped(pixels, Edge::Reflect, |y, x| {
        (y as f64 + down[[y, x]], x as f64 + right[[y, x]])
    })
}

/// Each pixel of the image from a place in it, of row and column.
fn mapped(pixels: &Pixels, edge: Edge, place: impl Fn(usize, usize) -> (f64, f64)) -> Pixels {
    let channels: Vec<_> = pixels
        .outer_iter()
        .map(|channel| channel.to_owned())
        .collect();
    let mut mapped = Array3::zeros(pixels.dim());
    for (mut to, from) in mapped.axis_iter_mut(Axis(0)).zip(&channels) {
        for ((y, x), value) in to.indexed_iter_mut() {
            let (row, column) = place(y, x);
            *value = bilinear(from, row, column, edge);
        }
    }
    mapped
}

/// Shrunk to 0.65 of each side and enlarged again.
pub(super) fn pixelate(image: &RgbImage) -> RgbImage {
    let resize = |image: &RgbImage, width: u32, height: u32| {
        let [columns, rows] = [width, height].map(|length| Span {
            resized: length.into(),
            start: 0,
            len: length as usize,
        });
        resize_window(image, columns, rows, Filter::Box)
    };
    let (width, height) = image.dimensions();
    let smaller = |length: u32| ((f64::from(length) * 0.65) as u32).max(1);
    resize(
        &resize(image, smaller(width), smaller(height)),
        width,
        height,
    )
}
