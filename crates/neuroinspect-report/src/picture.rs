//! From arrays to pictures and files.

use std::{
    io::{self, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use image::{
    ExtendedColorType, ImageEncoder, ImageResult, Rgb, RgbImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::{self, FilterType},
};
use ndarray::ArrayView3;
use neuroinspect_core::{Error as CoreError, io::write_atomically};

use crate::{Error, Result};

/// Side of a tile of a contact sheet, in pixels.
const TILE: u32 = 128;
/// Space between tiles and around them.
const GAP: u32 = 6;
/// Up to this side a picture is embedded without loss and magnified with its pixels visible.
pub(crate) const SMALL: u32 = 64;
/// JPEG quality at which artefacts do not pass for texture that a neuron responds to.
const JPEG_QUALITY: u8 = 90;

/// How long a frame of an animation is shown, and the last one.
const FRAME_MILLISECONDS: u16 = 80;
const LAST_MILLISECONDS: u16 = 1500;

/// A picture with 8 bits per channel out of values in `[0, 1]`; values beyond are clamped.
///
/// # Shapes
///
/// `[3, H, W]` (red, green, blue) to `W x H` pixels.
///
/// # Errors
///
/// When the shape is another, a side is 0, or a value is NaN.
pub fn to_rgb_image(image: ArrayView3<'_, f32>) -> Result<RgbImage> {
    let (channels, height, width) = image.dim();
    let (Ok(columns), Ok(rows)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(wrong_shape(image.shape()));
    };
    if channels != 3 || columns == 0 || rows == 0 {
        return Err(wrong_shape(image.shape()));
    }
    if let Some(&value) = image.iter().find(|value| value.is_nan()) {
        let what = "a pixel".to_owned();
        return Err(CoreError::NotFinite { what, value }.into());
    }
    Ok(RgbImage::from_fn(columns, rows, |x, y| {
        let channel =
            |c| (image[[c, y as usize, x as usize]].clamp(0.0, 1.0) * 255.0).round() as u8;
        Rgb([channel(0), channel(1), channel(2)])
    }))
}

fn wrong_shape(found: &[usize]) -> Error {
    CoreError::shape("an image", ["3", "height", "width"], found).into()
}

/// Writes a picture as PNG, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written; what stood at `path` before is then untouched.
pub fn save_png(path: impl AsRef<Path>, image: &RgbImage) -> Result<()> {
    write_atomically(path, |out| encode_png(out, image).map_err(io::Error::other))?;
    Ok(())
}

fn encode_png(out: &mut dyn Write, image: &RgbImage) -> ImageResult<()> {
    let (width, height) = image.dimensions();
    PngEncoder::new(out).write_image(image, width, height, ExtendedColorType::Rgb8)
}

/// Writes pictures of one size as an animated PNG that shows them one after another, over and over, the last
/// one longest; what knows no animation shows the last. Whole or not at all.
///
/// # Errors
///
/// When there are no pictures, they differ in size, or the file cannot be written.
pub fn save_animation(path: impl AsRef<Path>, frames: &[RgbImage]) -> Result<()> {
    let Some((last, others)) = frames.split_last() else {
        return Err(CoreError::empty("frames of an animation").into());
    };
    let size = last.dimensions();
    if let Some(odd) = others.iter().find(|frame| frame.dimensions() != size) {
        let what = "a frame of an animation";
        return Err(CoreError::shape(what, [size.0, size.1], odd.dimensions()).into());
    }
    write_atomically(path, |out| {
        encode_animation(out, others, last).map_err(io::Error::other)
    })?;
    Ok(())
}

fn encode_animation(
    out: &mut dyn Write,
    others: &[RgbImage],
    last: &RgbImage,
) -> std::result::Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(out, last.width(), last.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(others.len() as u32 + 1, 0)?;
    encoder.set_sep_def_img(true)?;
    encoder.set_frame_delay(FRAME_MILLISECONDS, 1000)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(last)?;
    for frame in others {
        writer.write_image_data(frame)?;
    }
    writer.set_frame_delay(LAST_MILLISECONDS, 1000)?;
    writer.write_image_data(last)?;
    writer.finish()
}

/// Pictures in rows of equal square tiles on white, scaled to fit; rows may differ in length.
///
/// Nothing is written on it. The sheet of no pictures is a single white pixel.
pub fn contact_sheet<'a, R>(rows: impl IntoIterator<Item = R>) -> RgbImage
where
    R: IntoIterator<Item = &'a RgbImage>,
{
    let rows: Vec<Vec<&RgbImage>> = rows
        .into_iter()
        .map(|row| row.into_iter().collect())
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |tiles: usize| (tiles as u32 * (TILE + GAP) + GAP).max(1);
    let white = Rgb([255; 3]);
    if columns == 0 {
        return RgbImage::from_pixel(1, 1, white);
    }
    let mut sheet = RgbImage::from_pixel(length(columns), length(rows.len()), white);
    for (y, row) in rows.iter().enumerate() {
        for (x, picture) in row.iter().enumerate() {
            let tile = fit(picture, TILE, Upscale::Yes);
            let corner = |index: usize, side: u32| {
                i64::from(index as u32 * (TILE + GAP) + GAP + (TILE - side.min(TILE)) / 2)
            };
            let (left, top) = (corner(x, tile.width()), corner(y, tile.height()));
            imageops::replace(&mut sheet, &tile, left, top);
        }
    }
    sheet
}

/// Whether a picture that is smaller already is enlarged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upscale {
    Yes,
    No,
}

/// Scales a picture so that its longer side is `side` pixels, keeping its aspect ratio.
pub(crate) fn fit(picture: &RgbImage, side: u32, upscale: Upscale) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longer = width.max(height);
    if longer == 0 || longer == side || (longer < side && upscale == Upscale::No) {
        return picture.clone();
    }
    let scaled = |length: u32| {
        let exact = f64::from(length) * f64::from(side) / f64::from(longer);
        (exact.round() as u32).max(1)
    };
    imageops::resize(
        picture,
        scaled(width),
        scaled(height),
        FilterType::CatmullRom,
    )
}

/// The picture as a `data:` URI: PNG where it is small, JPEG otherwise.
///
/// # Errors
///
/// When it has no pixels.
pub(crate) fn data_uri(what: &str, picture: &RgbImage) -> Result<String> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let (kind, encoded) = if width.max(height) <= SMALL {
        ("png", encode_png(&mut bytes, picture))
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        let encoded = encoder.write_image(picture, width, height, ExtendedColorType::Rgb8);
        ("jpeg", encoded)
    };
    encoded.map_err(|source| Error::Encode {
        what: what.to_owned(),
        source,
    })?;
    Ok(format!("data:image/{kind};base64,{}", BASE64.encode(bytes)))
}
