//! Which pixels a model wants to see.

use burn::tensor::{Device, Tensor, TensorData};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::{Result, check_option};

/// How a model's input is made out of an image: resize, crop, scale to `[0, 1]`, normalise.
///
/// Images travel through neuroinspect as `[N, 3, S, S]` in `[0, 1]`, resized and cropped but not
/// yet normalised, because a classifier and an image-text encoder that look at the same image
/// normalise it each in their own way ([`normalize`](Self::normalize)).
///
/// ```
/// use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
///
/// // timm's default for 224 px ImageNet models: bicubic to 256, centre crop.
/// let spec = InputSpec::imagenet(224)
///     .with_resize(ResizeRule::ShorterSide { to: 256 })
///     .with_interpolation(Interpolation::Bicubic);
/// assert_eq!(spec.size, 224);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[setters(prefix = "with_", generate = false)]
pub struct InputSpec {
    /// Side `S` of the square input, in pixels.
    pub size: usize,
    /// Mean per channel (red, green, blue), subtracted from values in `[0, 1]`.
    pub mean: [f32; 3],
    /// Standard deviation per channel, divided by.
    pub std: [f32; 3],
    /// How an image of another size is brought to `S x S`.
    #[setters(generate)]
    pub resize: ResizeRule,
    /// The resampling filter, antialiased as in PIL.
    #[setters(generate)]
    pub interpolation: Interpolation,
}

/// How an image of any size is brought to a square of side `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// Resize both sides to `S`, whatever the aspect ratio; an image of that size is left alone.
    Squash,
    /// Resize so that the shorter side is `to` pixels, then crop `S x S` from the centre.
    ShorterSide {
        /// Length of the shorter side after resizing, in pixels. Below `S`, the image is padded with
        /// black.
        to: usize,
    },
}

/// Resampling filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Catmull-Rom-like cubic with a = -0.5, as PIL has it.
    Bicubic,
}

impl InputSpec {
    /// The largest side of a model's input, in pixels. A batch of images takes `12 S^2` bytes for
    /// each: 200 MB at this side.
    pub const MAX_SIZE: usize = 4096;

    /// The longest side an image may be resized to before it is cropped, in pixels: a JPEG's.
    pub const MAX_SIDE: usize = 65_535;

    /// `size` pixels a side, values left in `[0, 1]`, images squashed to the square, bilinear.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            mean: [0.0; 3],
            std: [1.0; 3],
            resize: ResizeRule::Squash,
            interpolation: Interpolation::Bilinear,
        }
    }

    /// [`new`](Self::new) with the mean and the standard deviation of ImageNet's training images.
    pub fn imagenet(size: usize) -> Self {
        Self::new(size).with_normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    }

    /// Sets mean and standard deviation per channel.
    pub fn with_normalization(mut self, mean: [f32; 3], std: [f32; 3]) -> Self {
        self.mean = mean;
        self.std = std;
        self
    }

    /// Checks that images can be made as this says.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](crate::Error::InvalidOption) for a size that is zero or above
    /// [`MAX_SIZE`](Self::MAX_SIZE), a shorter side that is zero or above
    /// [`MAX_SIDE`](Self::MAX_SIDE), a mean that is not finite, a standard deviation that is not
    /// finite or not above zero.
    pub fn validate(&self) -> Result<()> {
        let in_size = (1..=Self::MAX_SIZE).contains(&self.size);
        check_option("input size", self.size, in_size, "1 to 4096 pixels")?;
        if let ResizeRule::ShorterSide { to } = self.resize {
            let in_side = (1..=Self::MAX_SIDE).contains(&to);
            check_option("shorter side", to, in_side, "1 to 65535 pixels")?;
        }
        let (mean, std) = (self.mean, self.std);
        let finite = mean.iter().all(|value| value.is_finite());
        let expected = "three finite numbers";
        check_option("mean", format!("{mean:?}"), finite, expected)?;
        let positive = std.iter().all(|&it| it.is_finite() && it > 0.0);
        let expected = "three finite numbers above 0";
        check_option("std", format!("{std:?}"), positive, expected)
    }

    /// Normalises images for the model: `(x - mean) / std`, per channel.
    ///
    /// # Shapes
    ///
    /// `[N, 3, S, S]` in `[0, 1]` to `[N, 3, S, S]`.
    pub fn normalize(&self, images: Tensor<4>) -> Tensor<4> {
        let device = images.device().without_autodiff();
        let dtype = images.dtype();
        let mean = per_channel(self.mean, &device).cast(dtype);
        let std = per_channel(self.std, &device).cast(dtype);
        (images - mean) / std
    }
}

fn per_channel(values: [f32; 3], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, 3, 1, 1]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_that_cannot_be_followed_are_refused() {
        assert!(InputSpec::imagenet(224).validate().is_ok());
        let std = |std| InputSpec::new(8).with_normalization([0.0; 3], std);
        let shorter = |to| InputSpec::new(8).with_resize(ResizeRule::ShorterSide { to });
        assert!(shorter(4).validate().is_ok(), "padded");
        assert!(shorter(InputSpec::MAX_SIDE).validate().is_ok());
        assert!(InputSpec::new(InputSpec::MAX_SIZE).validate().is_ok());
        let nan = InputSpec::new(8).with_normalization([f32::NAN, 0.0, 0.0], [1.0; 3]);
        for (spec, message) in [
            (
                InputSpec::new(0),
                "input size = 0: expected 1 to 4096 pixels",
            ),
            (
                InputSpec::new(4097),
                "input size = 4097: expected 1 to 4096 pixels",
            ),
            (shorter(0), "shorter side = 0: expected 1 to 65535 pixels"),
            (
                shorter(70_000),
                "shorter side = 70000: expected 1 to 65535 pixels",
            ),
            (nan, "mean = [NaN, 0.0, 0.0]: expected three finite numbers"),
            (
                std([1.0, 0.0, 1.0]),
                "std = [1.0, 0.0, 1.0]: expected three finite numbers above 0",
            ),
            (
                std([1.0, -0.5, 1.0]),
                "std = [1.0, -0.5, 1.0]: expected three finite numbers above 0",
            ),
            (
                std([1.0, 1.0, f32::INFINITY]),
                "std = [1.0, 1.0, inf]: expected three finite numbers above 0",
            ),
        ] {
            assert_eq!(spec.validate().unwrap_err().to_string(), message);
        }
    }
}
