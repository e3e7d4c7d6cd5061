//! The image parameter: a spectrum in a decorrelated colour space.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData, activation::sigmoid};

use crate::{Error, Result};

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

/// The longest side of a picture; the two matrices of the transform then take 256 MiB.
const MOST_PIXELS: usize = 4096;

/// Reads real parameters as pictures.
///
/// A parameter `[N, 3, S, S]` is read as half a spectrum, `S x S/2` complex numbers with real and
/// imaginary part beside each other; the Nyquist column, the last of a real transform, is left
/// out and counts as zero. Each frequency is scaled by
/// `1 / max((fx^2 + fy^2)^0.75, sqrt(2) / S)`, with frequencies for a sample spacing of
/// `sqrt(0.5)`, so that one learning rate serves coarse and fine structure. Then come the inverse
/// real Fourier transform with orthonormal scaling, the map from decorrelated colours to red,
/// green and blue, and a squash into `[0, 1]`.
///
/// The transform is two products with constant cosine and sine matrices: exact, differentiable on
/// every backend, and at 224 pixels about as much work as a ResNet's first convolution.
#[derive(Clone, Debug)]
pub struct Spectrum {
    size: usize,
    /// Columns to pixels, `[1, 1, S, 2S]`: row `j` is real or imaginary part of column frequency
    /// `j / 2`; the result is a complex number per row frequency, real parts first.
    right: Tensor<4>,
    /// Rows to pixels, `[1, 1, S, 2S]`: real and imaginary part of each row frequency alternate.
    left: Tensor<4>,
    /// Scale of each number of the parameter: `[1, 1, S, S]`.
    scale: Tensor<4>,
    /// `[1, 3, 3]`.
    color: Tensor<3>,
}

/// How values are brought into `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Squash {
    /// The logistic function, for pictures that start from noise.
    Sigmoid,
    /// Clamping, for pictures that start from an image: its colours stay what they were.
    Clamp,
}

impl Spectrum {
    /// The transform for pictures of `size` pixels a side.
    ///
    /// # Errors
    ///
    /// When `size` is 0 or odd, as half a spectrum without its Nyquist column needs an even side, or
    /// above 4096, as the transform's matrices grow with its square.
    pub fn new(size: usize, device: &Device) -> Result<Self> {
        check_size(size)?;
        let matrix = |values: Vec<f64>, columns: usize| {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, size, columns]), device)
        };
        let color = COLOR_CORRELATION
            .as_flattened()
            .iter()
            .map(|&value| (value / COLOR_CORRELATION_NORM) as f32)
            .collect();
        Ok(Self {
            size,
            right: matrix(columns_to_pixels(size), 2 * size),
            left: matrix(rows_to_pixels(size), 2 * size),
            scale: matrix(frequency_scale(size), size),
            color: Tensor::from_data(TensorData::new(color, [1, 3, 3]), device),
        })
    }

    /// Side of the pictures in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The pictures that parameters stand for.
    ///
    /// # Shapes
    ///
    /// `[N, 3, S, S]` to `[N, 3, S, S]` in `[0, 1]`.
    pub fn images(&self, parameter: Tensor<4>, squash: Squash) -> Tensor<4> {
        let [n, s] = [parameter.dims()[0], self.size];
        let rows = (parameter * self.scale.clone()).matmul(self.right.clone());
        // `[S, 2S]` read as `[2S, S]`: real and imaginary parts of a row frequency alternate.
        let planes = self.left.clone().matmul(rows.reshape([n, 3, 2 * s, s]));
        let images = self
            .color
            .clone()
            .matmul(planes.reshape([n, 3, s * s]))
            .reshape([n, 3, s, s]);
        match squash {
            Squash::Sigmoid => sigmoid(images),
            Squash::Clamp => images.clamp(0.0, 1.0),
        }
    }

    /// The parameters of given images, for use with [`Squash::Clamp`].
    ///
    /// What lies in the Nyquist column cannot be represented and is lost.
    ///
    /// # Shapes
    ///
    /// `[N, 3, S, S]` to `[N, 3, S, S]`.
    pub fn parameter_of(&self, images: Tensor<4>) -> Tensor<4> {
        let [n, s] = [images.dims()[0], self.size];
        let device = images.device();
        let decorrelate: Vec<f32> = inverse(COLOR_CORRELATION)
            .as_flattened()
            .iter()
            .map(|&value| (value * COLOR_CORRELATION_NORM) as f32)
            .collect();
        let planes = Tensor::<3>::from_data(TensorData::new(decorrelate, [1, 3, 3]), &device)
            .matmul(images.reshape([n, 3, s * s]))
            .reshape([n, 3, s, s]);
        // The transform's adjoint is its inverse, but for the columns that stand for two.
        let columns = self.left.clone().swap_dims(2, 3).matmul(planes);
        let spectrum = columns
            .reshape([n, 3, s, 2 * s])
            .matmul(self.right.clone().swap_dims(2, 3));
        let multiplicity = (0..s).map(|j| multiplicity(j / 2) as f32).collect();
        let multiplicity =
            Tensor::<4>::from_data(TensorData::new(multiplicity, [1, 1, 1, s]), &device);
        spectrum / (self.scale.clone() * multiplicity)
    }
}

pub(crate) fn check_size(size: usize) -> Result<()> {
    if !(2..=MOST_PIXELS).contains(&size) || !size.is_multiple_of(2) {
        return Err(Error::option(
            "size",
            size,
            "an even number of pixels, 2 to 4096",
        ));
    }
    Ok(())
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
