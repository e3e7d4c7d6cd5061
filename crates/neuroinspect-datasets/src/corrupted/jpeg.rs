//! What is left of an image after JPEG (ITU-T T.81): everything lossy, and no file.

use std::f64::consts::PI;

use image::{Rgb, RgbImage};
use ndarray::Array2;

use super::Plane;

/// Table K.1 scaled to quality 40 as libjpeg does (1.25 times, rounded), row by row.
const LUMA: [[f64; 8]; 8] = scaled([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]);
/// Table K.2, scaled likewise.
const CHROMA: [[f64; 8]; 8] = scaled([
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
]);

const fn scaled(table: [[u32; 8]; 8]) -> [[f64; 8]; 8] {
    let mut scaled = [[0.0; 8]; 8];
    let mut place = 0;
    while place < 64 {
        let (row, column) = (place / 8, place % 8);
        scaled[row][column] = ((table[row][column] * 125 + 50) / 100) as f64;
        place += 1;
    }
    scaled
}

/// Compresses at quality 40, with one chroma value for four pixels, and decompresses.
pub(super) fn jpeg(image: &RgbImage) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    // Blocks of 16 pixels, the image's edge repeated in what is beyond it.
    let padded = (height.next_multiple_of(16), width.next_multiple_of(16));
    let of_rgb = |[red, green, blue]: [f64; 3], offset: f64| {
        Array2::from_shape_fn(padded, |(y, x)| {
            let (x, y) = (x.min(width - 1), y.min(height - 1));
            let [r, g, b] = image.get_pixel(x as u32, y as u32).0.map(f64::from);
            (red * r + green * g + blue * b + offset).round()
        })
    };
    let luma = of_rgb([0.299, 0.587, 0.114], 0.0);
    let blue = of_rgb([-0.168_735_892, -0.331_264_108, 0.5], 128.0);
    let red = of_rgb([0.5, -0.418_687_589, -0.081_312_411], 128.0);

    let luma = quantised(luma, &LUMA);
    let chroma = [blue, red].map(|plane| {
        let half = (height.div_ceil(2), width.div_ceil(2));
        doubled(&quantised(halved(&plane), &CHROMA), half)
    });
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let place = [y as usize, x as usize];
        let (y, cb, cr) = (
            luma[place],
            chroma[0][place] - 128.0,
            chroma[1][place] - 128.0,
        );
        let rgb = [
            y + 1.402 * cr,
            y - 0.344_136_286 * cb - 0.714_136_286 * cr,
            y + 1.772 * cb,
        ];
        Rgb(rgb.map(|value| value.round() as u8))
    })
}

/// The means of squares of four pixels; halves are rounded down and up in turn.
fn halved(plane: &Plane) -> Plane {
    let (height, width) = plane.dim();
    Array2::from_shape_fn((height / 2, width / 2), |(y, x)| {
        let row = |y: usize| plane[[y, 2 * x]] + plane[[y, 2 * x + 1]];
        let sum = row(2 * y) + row(2 * y + 1);
        ((sum + 1.0 + (x % 2) as f64) / 4.0).floor()
    })
}

/// Twice the rows and columns of the first `height` x `width`, each value by 9, 3, 3 and 1 sixteenths of the four nearest.
fn doubled(plane: &Plane, (height, width): (usize, usize)) -> Plane {
    let neighbour = |place: usize, length: usize| match place % 2 {
        0 => (place / 2).saturating_sub(1),
        _ => (place / 2 + 1).min(length - 1),
    };
    Array2::from_shape_fn((2 * height, 2 * width), |(y, x)| {
        let (near, far) = ([y / 2, x / 2], [neighbour(y, height), neighbour(x, width)]);
        let sum = 9.0 * plane[near]
            + 3.0 * plane[[far[0], near[1]]]
            + 3.0 * plane[[near[0], far[1]]]
            + plane[far];
        ((sum + 8.0 - (x % 2) as f64) / 16.0).floor()
    })
}

/// What is left of blocks of 8 x 8 pixels after rounding their cosine transforms to multiples of a
/// table.
fn quantised(mut plane: Plane, table: &[[f64; 8]; 8]) -> Plane {
    // Row `k` is the `k`-th cosine: an orthogonal matrix.
    let cosines = Array2::from_shape_fn((8, 8), |(k, n)| {
        let scale = if k == 0 { libm::sqrt(0.125) } else { 0.5 };
        scale * libm::cos(PI / 16.0 * ((2 * n + 1) * k) as f64)
    });
    let back = cosines.t().to_owned();
    for mut block in plane.exact_chunks_mut((8, 8)) {
        let mut spectrum = transformed(&cosines, &(&block - 128.0));
        for ((row, column), value) in spectrum.indexed_iter_mut() {
            let step = table[row][column];
            *value = (*value / step).round() * step;
        }
        let values = transformed(&back, &spectrum);
        block.assign(&values.mapv(|value| (value + 128.0).round().clamp(0.0, 255.0)));
    }
    plane
}

/// `matrix * block * matrix'`, summed in an order of our own: a library's depends on the processor, and
/// halves are rounded after it.
fn transformed(matrix: &Plane, block: &Plane) -> Plane {
    let product = |left: &Plane, right: &dyn Fn(usize, usize) -> f64| {
        Array2::from_shape_fn((8, 8), |(row, column)| {
            (0..8).map(|k| left[[row, k]] * right(k, column)).sum()
        })
    };
    let rows = product(matrix, &|k, column| block[[k, column]]);
    product(&rows, &|k, column| matrix[[column, k]])
}
