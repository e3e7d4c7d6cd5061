//! What is optimised in place of the pixels.

mod maco;
mod magnitudes;
mod pixels;
mod spectrum;

use std::fmt::Debug;

use burn::tensor::{Device, Tensor, activation::sigmoid};
use neuroinspect_core::check_option;
use serde::{Deserialize, Serialize};

use self::maco::Maco;
pub use self::{
    magnitudes::Magnitudes,
    spectrum::{COLOR_CORRELATION, COLOR_CORRELATION_NORM},
};
pub(crate) use self::{magnitudes::spectrum_magnitudes, pixels::Pixels, spectrum::Spectrum};
use crate::{ImaginaryPart, Initial, Recipe, Result};

/// The longest side of a picture; the two matrices of the spectrum's transform then take 256 MiB.
const MOST_PIXELS: usize = 4096;

/// What is optimised in place of the pixels; the picture is computed from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageParameter {
    /// Half a Fourier spectrum in a decorrelated colour space.
    ///
    /// A parameter `[N, 3, S, S]` is read as half a spectrum, `S x S/2` complex numbers with real and
    /// imaginary part beside each other; the Nyquist column, the last of a real transform, is left
    /// out and counts as zero. Each frequency is scaled by
    /// `1 / max((fx^2 + fy^2)^0.75, sqrt(2) / S)`, with frequencies for a sample spacing of
    /// `sqrt(0.5)`, so that one learning rate serves coarse and fine structure. Then come the
    /// inverse real Fourier transform with orthonormal scaling, the map from decorrelated colours
    /// ([`COLOR_CORRELATION`]) to red, green and blue, and a squash into `[0, 1]`: the logistic
    /// function, or clamping for pictures that start from an image.
    #[default]
    Spectrum,
    /// Red, green and blue of each pixel before the squash: `[N, 3, S, S]`. Without the spectrum's
    /// scale high frequencies are as easy to change as low ones, and prevail.
    Pixels,
    /// The phases of half a spectrum, `[N, 3, S, S/2]`, at the magnitudes of real images: no frequency can
    /// prevail, so that pictures are less noisy and more like photographs. Phases turn slowly at the rate
    /// that serves spectra: [`Recipe::maco`] has one that serves them. A picture cannot start from an image.
    ///
    /// MACO: Fel et al., "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
    /// Optimization", NeurIPS 2023, arXiv 2306.06805. There magnitudes are of each frequency and
    /// orientation, here of each frequency.
    Maco(Magnitudes),
}

/// A way to read parameters as pictures. What [`ImageParameter`] names is built as one of these:
/// another way is another variant there, and a type here.
///
/// Pull-backs are in closed form, so that an optimisation step records no graph but the networks'.
pub(crate) trait Parametrization: Debug + Send + Sync {
    /// Shape of one image's parameter.
    fn shape(&self) -> [usize; 3];

    /// Standard deviation of the noise that a parameter starts from, where the recipe says none.
    fn noise_std(&self) -> f64 {
        0.001
    }

    /// What the squash makes pictures of: `[N, ..]` to `[N, 3, S, S]`.
    ///
    /// Under [`Squash::Sigmoid`] any numbers, of which 0 is grey and those beyond -5 and 5 are all but
    /// black and white; under [`Squash::Clamp`] they begin as an image in `[0, 1]`, and those that
    /// leave it pass no gradient.
    fn values(&self, parameter: Tensor<4>) -> Tensor<4>;

    /// The gradient with respect to `parameter`, `[N, ..]`, out of that with respect to its
    /// [`values`](Self::values), `[N, 3, S, S]`.
    fn pull_back(&self, parameter: Tensor<4>, gradient: Tensor<4>) -> Tensor<4>;

    /// The parameter whose values are nearest to `values`, an image in `[0, 1]` (under
    /// [`Squash::Clamp`], which alone starts from one): `[N, 3, S, S]` to `[N, ..]`.
    fn parameter_of(&self, values: Tensor<4>) -> Tensor<4>;
}

/// How values are brought into `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Squash {
    /// The logistic function, for pictures that start from noise.
    Sigmoid,
    /// Clamping, for pictures that start from an image: its colours stay what they were.
    Clamp,
}

impl Squash {
    fn apply(self, values: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Sigmoid => sigmoid(values),
            Self::Clamp => values.clamp(0.0, 1.0),
        }
    }

    /// The gradient with respect to `values`, out of that with respect to the `images` they make.
    fn pull_back(self, values: Tensor<4>, images: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Sigmoid => gradient * (images.clone() - images.square()),
            Self::Clamp => {
                let outside = values
                    .clone()
                    .lower_elem(0.0)
                    .bool_or(values.greater_elem(1.0));
                gradient.mask_fill(outside, 0.0)
            }
        }
    }
}

/// Pictures and what they were made from, for the way back.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    parameter: Tensor<4>,
    values: Tensor<4>,
    /// `[N, 3, S, S]` in `[0, 1]`.
    pub(crate) images: Tensor<4>,
}

/// Parameters and the pictures they stand for.
#[derive(Debug)]
pub(crate) struct Pictures {
    parametrization: Box<dyn Parametrization>,
    squash: Squash,
    size: usize,
}

impl Pictures {
    /// Pictures of `size` pixels a side, as a recipe wants them.
    pub(crate) fn new(
        recipe: &Recipe,
        initial: &Initial,
        size: usize,
        device: &Device,
    ) -> Result<Self> {
        check_size(size)?;
        let squash = match initial {
            Initial::Images(_) => Squash::Clamp,
            Initial::Noise | Initial::Parameters(_) => Squash::Sigmoid,
        };
        let real = squash == Squash::Clamp && recipe.imaginary_part == ImaginaryPart::Drop;
        let parametrization: Box<dyn Parametrization> = match &recipe.parameter {
            ImageParameter::Spectrum => Box::new(Spectrum::new(size, real, device)),
            ImageParameter::Pixels => Box::new(Pixels { size }),
            ImageParameter::Maco(magnitudes) => {
                let expected = "spectrum or pixels for pictures that start from an image";
                check_option("parameter", "maco", squash == Squash::Sigmoid, expected)?;
                Box::new(Maco::new(magnitudes, size, device))
            }
        };
        Ok(Self {
            parametrization,
            squash,
            size,
        })
    }

    /// Side of the pictures in pixels.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Shape of one image's parameter.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.parametrization.shape()
    }

    /// Standard deviation of the noise that a parameter starts from, where the recipe says none.
    pub(crate) fn noise_std(&self) -> f64 {
        self.parametrization.noise_std()
    }

    /// The pictures that parameters stand for: `[N, ..]` to `[N, 3, S, S]` in `[0, 1]`.
    pub(crate) fn images(&self, parameter: Tensor<4>) -> Tensor<4> {
        self.draw(parameter).images
    }

    /// [`images`](Self::images), with what [`pull_back`](Self::pull_back) needs.
    pub(crate) fn draw(&self, parameter: Tensor<4>) -> Drawn {
        let values = self.parametrization.values(parameter.clone());
        Drawn {
            images: self.squash.apply(values.clone()),
            parameter,
            values,
        }
    }

    /// The gradient with respect to the parameters, `[N, ..]`, out of that with respect to the
    /// pictures, `[N, 3, S, S]`.
    pub(crate) fn pull_back(&self, drawn: Drawn, gradient: Tensor<4>) -> Tensor<4> {
        let gradient = self.squash.pull_back(drawn.values, drawn.images, gradient);
        self.parametrization.pull_back(drawn.parameter, gradient)
    }

    /// The parameters of given pictures: `[N, 3, S, S]` to `[N, ..]`.
    pub(crate) fn parameter_of(&self, images: Tensor<4>) -> Tensor<4> {
        self.parametrization.parameter_of(images)
    }
}

pub(crate) fn check_size(size: usize) -> Result<()> {
    let allowed = (2..=MOST_PIXELS).contains(&size) && size.is_multiple_of(2);
    let expected = "an even number of pixels, 2 to 4096";
    Ok(check_option("size", size, allowed, expected)?)
}
