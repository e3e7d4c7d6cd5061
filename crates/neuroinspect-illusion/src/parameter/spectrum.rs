//! A spectrum in a decorrelated colour space.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use super::Parametrization;

/// How the three decorrelated colour channels (columns) make red, green and blue (rows), before
/// division by [`COLOR_CORRELATION_NORM`]: a square root of the colour covariance of natural
/// images, as measured on ImageNet and published with lucid (Olah et al., "Feature Visualization",
/// Distill 2017).
pub const COLOR_CORRELATION: [[f64; 3]; 3] =
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];

/// The largest Euclidean norm of a column of [`COLOR_CORRELATION`], the first one's:
/// `sqrt(0.26^2 + 0.27^2 + 0.27^2)`.
pub const COLOR_CORRELATION_NORM: f64 = 0.461_952_378_498_043_94;

/// Exponent of the squared frequency: amplitudes fall as `1 / f^1.5`.
const DECAY_POWER: f64 = 0.75;

/// Half a spectrum, as [`ImageParameter::Spectrum`](super::ImageParameter::Spectrum) says.
///
/// The transform is two products with constant cosine and sine matrices: exact, and at 224 pixels
/// about as much work as a ResNet's first convolution. So is its pull-back, with the same matrices.
#[derive(Debug)]
pub(crate) struct Spectrum {
    size: usize,
    /// Columns to pixels, `[1, 1, S, 2S]`: row `j` is real or imaginary part of column frequency
    /// `j / 2`; the result is a complex number per row frequency, real parts first.
    right: Tensor<4>,
    /// Rows to pixels, `[1, 1, S, 2S]`: real and imaginary part of each row frequency alternate.
    left: Tensor<4>,
    /// Scale of each number of the parameter, 0 at parts that are left out: `[1, 1, S, S]`, or of each
    /// colour by itself `[1, 3, S, S]`.
    scale: Tensor<4>,
    /// The scale's inverse, over how many columns of the full spectrum a column stands for:
    /// of the same shape.
    inverse_scale: Tensor<4>,
    /// `[1, 3, 3]`.
    color: Tensor<3>,
}

impl Spectrum {
    /// For pictures of `size` pixels a side, an even number; with `real`, all imaginary parts count
    /// as zero.
    pub(crate) fn new(size: usize, real: bool, device: &Device) -> Self {
        let scale = frequency_scale(size);
        let mut spectrum = Self::scaled(size, &scale, device);
        if real {
            let parts = scale.iter().enumerate();
            let real = parts.map(|(index, scale)| if index % 2 == 0 { *scale } else { 0.0 });
            let real: Vec<f64> = real.collect();
            spectrum.scale = planes(&real, [1, size, size], device);
        }
        spectrum
    }

    /// With a scale of each number of the parameter: `[S, S]`, or `[3, S, S]` for each colour by itself.
    pub(crate) fn scaled(size: usize, scale: &[f64], device: &Device) -> Self {
        let channels = scale.len() / (size * size);
        let inverse = scale.iter().enumerate().map(|(index, scale)| {
            let column = index % size / 2;
            (scale * multiplicity(column)).recip()
        });
        // What is left out stays so.
        let inverse: Vec<f64> = inverse
            .map(|it| if it.is_finite() { it } else { 0.0 })
            .collect();
        Self {
            size,
            right: planes(&columns_to_pixels(size), [1, size, 2 * size], device),
            left: planes(&rows_to_pixels(size), [1, size, 2 * size], device),
            scale: planes(scale, [channels, size, size], device),
            inverse_scale: planes(&inverse, [channels, size, size], device),
            color: colors(
                COLOR_CORRELATION,
                |value| value / COLOR_CORRELATION_NORM,
                device,
            ),
        }
    }

    /// The transposed map, without the scale: `[N, 3, S, S]` to `[N, 3, S, S]`.
    fn transposed(&self, planes: Tensor<4>) -> Tensor<4> {
        let [n, s] = [planes.dims()[0], self.size];
        let rows = self.left.clone().swap_dims(2, 3).matmul(planes);
        // `[2S, S]` read as `[S, 2S]`: real and imaginary parts of a row frequency side by side.
        rows.reshape([n, 3, s, 2 * s])
            .matmul(self.right.clone().swap_dims(2, 3))
    }
}

impl Parametrization for Spectrum {
    fn shape(&self) -> [usize; 3] {
        [3, self.size, self.size]
    }

    fn values(&self, parameter: Tensor<4>) -> Tensor<4> {
        let [n, s] = [parameter.dims()[0], self.size];
        let rows = (parameter * self.scale.clone()).matmul(self.right.clone());
        // `[S, 2S]` read as `[2S, S]`: real and imaginary parts of a row frequency alternate.
        let planes = self.left.clone().matmul(rows.reshape([n, 3, 2 * s, s]));
        mixed(self.color.clone(), planes)
    }

    fn pull_back(&self, _: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        let planes = mixed(self.color.clone().swap_dims(1, 2), gradient);
        self.transposed(planes) * self.scale.clone()
    }

    /// What lies in the Nyquist column cannot be represented and is lost.
    fn parameter_of(&self, values: Tensor<4>) -> Tensor<4> {
        let decorrelate = colors(decorrelation(), |value| value, &values.device());
        // The transposed transform is its inverse, but for the columns that stand for two.
        self.transposed(mixed(decorrelate, values)) * self.inverse_scale.clone()
    }
}

/// Constants: `[1, C, H, W]`.
fn planes(values: &[f64], shape: [usize; 3], device: &Device) -> Tensor<4> {
    let [channels, height, width] = shape;
    let values = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(
        TensorData::new(values, [1, channels, height, width]),
        device,
    )
}

/// From red, green and blue (columns) to the decorrelated colour channels (rows).
pub(super) fn decorrelation() -> [[f64; 3]; 3] {
    inverse(COLOR_CORRELATION).map(|row| row.map(|value| value * COLOR_CORRELATION_NORM))
}

/// A matrix of colours, scaled: `[1, 3, 3]`.
fn colors(matrix: [[f64; 3]; 3], scale: impl Fn(f64) -> f64, device: &Device) -> Tensor<3> {
    let values = matrix.as_flattened().iter();
    let values = values.map(|&value| scale(value) as f32).collect();
    Tensor::from_data(TensorData::new(values, [1, 3, 3]), device)
}

/// The colours of each pixel through a matrix `[1, 3, 3]`: `[N, 3, S, S]` to `[N, 3, S, S]`.
fn mixed(matrix: Tensor<3>, planes: Tensor<4>) -> Tensor<4> {
    let shape = planes.dims();
    let [n, channels, height, width] = shape;
    let flat = planes.reshape([n, channels, height * width]);
    matrix.matmul(flat).reshape(shape)
}

/// How many columns of the full spectrum a column of the half spectrum stands for.
fn multiplicity(column: usize) -> f64 {
    if column == 0 { 1.0 } else { 2.0 }
}

fn turn(frequency: usize, pixel: usize, size: usize) -> f64 {
    TAU * (frequency * pixel % size) as f64 / size as f64
}

/// `[S, 2S]`: the sum over column frequencies, and all constant factors.
fn columns_to_pixels(size: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; size * 2 * size];
    for column in 0..size / 2 {
        let factor = multiplicity(column) / size as f64;
        for pixel in 0..size {
            let (sin, cos) = turn(column, pixel, size).sin_cos();
            let real = 2 * column * 2 * size;
            let imaginary = real + 2 * size;
            matrix[real + pixel] = factor * cos;
            matrix[real + size + pixel] = factor * sin;
            matrix[imaginary + pixel] = -factor * sin;
            matrix[imaginary + size + pixel] = factor * cos;
        }
    }
    matrix
}

/// `[S, 2S]`: the real part of the sum over row frequencies.
fn rows_to_pixels(size: usize) -> Vec<f64> {
    let mut matrix = Vec::with_capacity(size * 2 * size);
    for pixel in 0..size {
        for row in 0..size {
            let (sin, cos) = turn(row, pixel, size).sin_cos();
            matrix.extend([cos, -sin]);
        }
    }
    matrix
}

/// `[S, S]`: the scale of each frequency, twice, for its real and its imaginary part.
fn frequency_scale(size: usize) -> Vec<f64> {
    let spacing = 0.5_f64.sqrt();
    let frequency = |index: usize| index as f64 / (size as f64 * spacing);
    let least = 2.0_f64.sqrt() / size as f64;
    let mut scale = Vec::with_capacity(size * size);
    for row in 0..size {
        // The upper half of the rows holds the negative frequencies.
        let fy = frequency(row.min(size - row));
        for column in 0..size / 2 {
            let fx = frequency(column);
            let decay = (fx * fx + fy * fy).powf(DECAY_POWER).max(least);
            scale.extend([1.0 / decay; 2]);
        }
    }
    scale
}

fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let [r1, r2] = [(row + 1) % 3, (row + 2) % 3];
        let [c1, c2] = [(column + 1) % 3, (column + 2) % 3];
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f64 = (0..3)
        .map(|column| m[0][column] * cofactor(0, column))
        .sum();
    std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
}
