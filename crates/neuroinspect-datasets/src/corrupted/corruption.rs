//! The ten corruptions.

use derive_more::Display;
use image::{Rgb, RgbImage};
use ndarray::Array3;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Pixels, colour, digital, jpeg, weather};

/// One of the ten corruptions of Corrupted CIFAR-10, in the order of the classes that they belong to.
///
/// The definitions are those of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
/// Common Corruptions and Perturbations" (ICLR 2019), with their constants for images of 32 pixels at
/// severity 5, the highest: in the names of Nam et al.'s data sets `Type0` and `Severity4`, counted
/// from 0. Lengths are in pixels whatever the image's size. As there, values are cut off to 8 bits,
/// not rounded. What differs stands at each corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "lowercase")]
pub enum Corruption {
    /// Streaks of white over paler colours.
    Snow,
    /// A layer of ice. Theirs is cut out of one of five photographs, which are not ours to ship; ours is
    /// a random texture with each photograph's mean colour and spread and their common autocorrelation.
    Frost,
    /// Clouds of white (diamond-square noise).
    Fog,
    /// The value of each pixel (of hue, saturation, value) raised by 0.3.
    Brightness,
    /// Distance to each channel's mean times 0.15.
    Contrast,
    /// Splashes of mud.
    Spatter,
    /// A random affine map and local displacements.
    Elastic,
    /// Compressed at quality 40 with halved chroma, as by libjpeg but for the rounding of its cosine
    /// transforms: 0.04 of 255 levels of luma on average over 100 images of CIFAR-10.
    Jpeg,
    /// Averaged over blocks of a side of 1 / 0.65 pixels, by Pillow's box filter.
    Pixelate,
    /// The saturation of each pixel times 2.5, and 0.2 more.
    Saturate,
}

impl Corruption {
    /// All ten, in the order of the classes.
    pub const ALL: [Self; 10] = [
        Self::Snow,
        Self::Frost,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::Spatter,
        Self::Elastic,
        Self::Jpeg,
        Self::Pixelate,
        Self::Saturate,
    ];

    /// The image corrupted, with random numbers of `rng` where the corruption is random. An image
    /// without pixels stays as it is.
    pub fn apply(self, image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
        if image.is_empty() {
            return image.clone();
        }
        let pixels = || {
            let (width, height) = (image.width() as usize, image.height() as usize);
            Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
                f64::from(image.get_pixel(x as u32, y as u32).0[channel]) / 255.0
            })
        };
        let corrupted = match self {
            Self::Snow => weather::snow(&pixels(), rng),
            Self::Frost => weather::frost(&pixels(), rng),
            Self::Fog => weather::fog(&pixels(), rng),
            Self::Brightness => colour::brightness(pixels()),
            Self::Contrast => colour::contrast(pixels()),
            Self::Spatter => weather::spatter(&pixels(), rng),
            Self::Elastic => digital::elastic(&pixels(), rng),
            Self::Jpeg => return jpeg::jpeg(image),
            Self::Pixelate => return digital::pixelate(image),
            Self::Saturate => colour::saturate(pixels()),
        };
        to_image(&corrupted)
    }
}

/// Cut off to 8 bits.
fn to_image(pixels: &Pixels) -> RgbImage {
    let (_, height, width) = pixels.dim();
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb([0, 1, 2].map(|channel| {
            let value = pixels[[channel, y as usize, x as usize]];
            (value.clamp(0.0, 1.0) * 255.0) as u8
        }))
    })
}
