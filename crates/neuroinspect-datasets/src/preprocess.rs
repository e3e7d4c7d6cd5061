//! From a decoded image to the pixels a model wants to see.

use image::{RgbImage, imageops::replace};
use ndarray::Array3;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule, check_option};

use crate::{
    Error, Result,
    resample::{Filter, Span, resize_window},
};

/// The longest side, in pixels, an image may have before resizing as well as after.
const MAX_SIDE: u32 = InputSpec::MAX_SIDE as u32;

/// Resizes and crops an image as `spec` says and scales it to `[0, 1]`.
///
/// Bit for bit what torchvision makes of a PIL image with `Resize`, `CenterCrop` and `ToTensor`
/// (Pillow before 13, which may resize columns before rows). That is also timm's evaluation
/// transform (`timm/data/transforms_factory.py`), short of the normalisation:
///
/// - [`ResizeRule::ShorterSide`]: the shorter side becomes `to`, the longer
///   `floor(to * longer / shorter)`; the crop begins at half the surplus, halves rounded to even;
///   where the resized image is smaller than `S` it is padded with black.
/// - [`ResizeRule::Squash`]: both sides become `S`.
/// - An axis that has its length already is not filtered.
///
/// # Shapes
///
/// Returns `[3, S, S]`: channel (red, green, blue), row, column.
///
/// # Errors
///
/// When a side of the image is zero or above 65,535, and as [`InputSpec::validate`]. Whose image it
/// is, the error does not say; those of [`batches`](crate::batches) do.
pub fn preprocess(image: &RgbImage, spec: &InputSpec) -> Result<Array3<f32>> {
    spec.validate()?;
    let square = resize_to_square(image, spec.size as u32, spec.resize, spec.interpolation)?;
    let mut pixels = Array3::zeros((3, spec.size, spec.size));
    for (channel, mut plane) in pixels.outer_iter_mut().enumerate() {
        let values = square.as_raw().iter().skip(channel).step_by(3);
        for (pixel, &value) in plane.iter_mut().zip(values) {
            *pixel = f32::from(value) / 255.0;
        }
    }
    Ok(pixels)
}

/// The largest centred square of an image, `side` pixels a side, for a report.
///
/// # Errors
///
/// When a side of the image or `side` is zero or above 65,535.
pub fn thumbnail(image: &RgbImage, side: u32) -> Result<RgbImage> {
    let allowed = (1..=MAX_SIDE).contains(&side);
    check_option("thumbnail side", side, allowed, "1 to 65535 pixels")?;
    let rule = ResizeRule::ShorterSide { to: side as usize };
    resize_to_square(image, side, rule, Interpolation::Bicubic)
}

fn resize_to_square(
    image: &RgbImage,
    side: u32,
    rule: ResizeRule,
    interpolation: Interpolation,
) -> Result<RgbImage> {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::EmptyImage { width, height });
    }
    if width.max(height) > MAX_SIDE {
        return Err(Error::SideTooLong {
            width,
            height,
            limit: MAX_SIDE,
        });
    }
    let resized = |length: u32| match rule {
        ResizeRule::Squash => u64::from(side),
        ResizeRule::ShorterSide { to } => {
            to as u64 * u64::from(length) / u64::from(width.min(height))
        }
    };
    let (columns, left) = centre(resized(width), side);
    let (rows, top) = centre(resized(height), side);
    let window = resize_window(image, columns, rows, Filter::Smooth(interpolation));
    if window.dimensions() == (side, side) {
        return Ok(window);
    }
    let mut square = RgbImage::new(side, side);
    replace(&mut square, &window, left.into(), top.into());
    Ok(square)
}

/// The centred stretch of an axis, at most `side` long, and the padding before it.
fn centre(resized: u64, side: u32) -> (Span, u32) {
    let wanted = u64::from(side);
    if resized <= wanted {
        let span = Span {
            resized,
            start: 0,
            len: resized as usize,
        };
        return (span, (wanted - resized) as u32 / 2);
    }
    let surplus = resized - wanted;
    // Python's round: half to even.
    let start = surplus / 2 + u64::from(surplus % 4 == 3);
    let span = Span {
        resized,
        start,
        len: side as usize,
    };
    (span, 0)
}
