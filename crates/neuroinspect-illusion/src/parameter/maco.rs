//! Phases, at magnitudes that are given.

use burn::tensor::{Device, Tensor};

use super::{Magnitudes, Parametrization, Spectrum};

/// Phases of half a spectrum `[N, 3, S, S / 2]`, at the magnitudes of real images.
#[derive(Debug)]
pub(crate) struct Maco {
    size: usize,
    /// Scaled by the magnitudes.
    spectrum: Spectrum,
}

impl Maco {
    /// For pictures of `size` pixels a side.
    pub(crate) fn new(magnitudes: &Magnitudes, size: usize, device: &Device) -> Self {
        Self {
            size,
            spectrum: Spectrum::scaled(size, &scale(magnitudes, size), device),
        }
    }

    /// Real and imaginary parts side by side: twice `[N, 3, S, S / 2]` to `[N, 3, S, S]`.
    fn complex(&self, real: Tensor<4>, imaginary: Tensor<4>) -> Tensor<4> {
        let [n, s] = [real.dims()[0], self.size];
        Tensor::stack::<5>(vec![real, imaginary], 4).reshape([n, 3, s, s])
    }
}

/// The magnitude of each complex number, twice: `[3, S, S]`.
///
/// In the column of frequency 0, of rows that stand for a frequency and its negative one alone counts, for
/// both: the sum of two of phases of their own would be of any magnitude.
fn scale(magnitudes: &Magnitudes, size: usize) -> Vec<f64> {
    let mut scale = Vec::with_capacity(3 * size * size);
    for channel in 0..3 {
        for row in 0..size {
            let fy = row.min(size - row) as f64 / size as f64;
            for column in 0..size / 2 {
                let fx = column as f64 / size as f64;
                let magnitude = match (row, column) {
                    (0, 0) => f64::from(magnitudes.mean[channel]) * size as f64,
                    _ => magnitudes.at(channel, fx.hypot(fy)),
                };
                let counted = match column {
                    0 if row > size / 2 => 0.0,
                    0 if row > 0 && row < size / 2 => 2.0,
                    _ => 1.0,
                };
                scale.extend([magnitude * counted; 2]);
            }
        }
    }
    scale
}

impl Parametrization for Maco {
    fn shape(&self) -> [usize; 3] {
        [3, self.size, self.size / 2]
    }

    /// More than a turn: all phases are as likely.
    fn noise_std(&self) -> f64 {
        10.0
    }

    fn values(&self, parameter: Tensor<4>) -> Tensor<4> {
        let turned = self.complex(parameter.clone().cos(), parameter.sin());
        self.spectrum.values(turned)
    }

    fn pull_back(&self, parameter: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        let [n, s] = [parameter.dims()[0], self.size];
        let turned = self.complex(parameter.clone().sin().neg(), parameter.clone().cos());
        let gradient = self.spectrum.pull_back(parameter, gradient);
        (gradient * turned)
            .reshape([n, 3, s, s / 2, 2])
            .sum_dim(4)
            .reshape([n, 3, s, s / 2])
    }

    /// The phases of an image, whose magnitudes are lost.
    fn parameter_of(&self, values: Tensor<4>) -> Tensor<4> {
        let [n, s] = [values.dims()[0], self.size];
        let spectrum = self
            .spectrum
            .parameter_of(values)
            .reshape([n, 3, s, s / 2, 2]);
        let part = |index: usize| {
            let part = spectrum.clone().narrow(4, index, 1);
            part.reshape([n, 3, s, s / 2])
        };
        part(1).atan2(part(0))
    }
}
