//! Image files to 8-bit RGB, as PIL's `Image.open(path).convert("RGB")` does it.

use std::{
    io::{Cursor, Read},
    path::Path,
};

use image::{
    ColorType, DynamicImage, GrayImage, ImageError, ImageFormat, ImageReader, ImageResult, Limits,
    Rgb, RgbImage,
    error::{DecodingError, LimitError, LimitErrorKind},
};
use jpeg_decoder::{CodingProcess, PixelFormat};
use neuroinspect_core::io::open_regular;

use crate::{Error, Result};

/// Largest decoded image, in bytes: 179 million RGB pixels, where PIL too refuses what it takes
/// for a decompression bomb.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Largest file, in bytes: an image of the largest size, uncompressed, fits with room to spare.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads an image file (JPEG, PNG, WebP, BMP, GIF) as 8-bit RGB.
///
/// The format is told by the file's content, not by its name. Like PIL's
/// `Image.open(path).convert("RGB")`, this
///
/// - does not rotate by the EXIF orientation, so that a model sees what it saw in training;
/// - drops an alpha channel without blending it with a background;
/// - takes the first frame of an animation;
/// - repeats grey in the three channels, and keeps the upper 8 of 16 bits (PIL does so for colour;
///   16-bit grey, which it cuts off at 255, is treated like colour here);
/// - refuses a truncated file, one of more than 1 GiB, and one of more than 512 MiB decoded, before
///   any memory of that size is asked for.
///
/// PNG, GIF, BMP and WebP files were found to decode as in Pillow 12, bit for bit. A JPEG decoder is
/// free in its rounding: over 1000 ImageNet images, values (0 to 255) differ from Pillow's
/// libjpeg-turbo 3.1 by 0.09 on average and 4 at most, and 93 % are equal. (The decoder that the
/// `image` crate brings differs by 0.20 and 10, always to the same side, which costs a classifier
/// some tenths of a point: hence one of our own choice.)
///
/// # Errors
///
/// When the file cannot be read, is a folder or a pipe, is no image of a known format, is damaged,
/// truncated or too large.
pub fn open_image(path: impl AsRef<Path>) -> Result<RgbImage> {
    let path = path.as_ref();
    decode_image(path, &read_file(path)?)
}

/// Decodes the bytes of an image file as [`open_image`] does; `path` is what messages call it.
pub(crate) fn decode_image(path: &Path, bytes: &[u8]) -> Result<RgbImage> {
    // What is missing is painted grey by one decoder and told in its own words by another.
    let jpeg = image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg);
    if jpeg && !jpeg_ends(bytes) {
        return Err(Error::Truncated {
            path: path.to_owned(),
            reason: "its JPEG data has no end marker",
        });
    }
    let decode = || {
        if jpeg && let Some(image) = decode_jpeg(bytes)? {
            return Ok(image);
        }
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        reader.decode()
    };
    let image = decode().map_err(|source| Error::Decode {
        path: path.to_owned(),
        source,
    })?;
    Ok(to_rgb(image))
}

/// The bytes of a file of at most [`MAX_FILE_BYTES`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |source| neuroinspect_core::Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = open_regular(path)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    if size <= MAX_FILE_BYTES {
        // One more, so that the end is found without growing.
        bytes.reserve_exact(size as usize + 1);
        // A file may grow.
        let mut file = file.take(MAX_FILE_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if size.max(bytes.len() as u64) > MAX_FILE_BYTES {
        return Err(Error::FileTooLarge {
            path: path.to_owned(),
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

/// Decodes a grey or colour JPEG as libjpeg does but for rounding; `None` for the kinds left to the
/// `image` crate: CMYK, 16-bit grey, and lossless ones, whose samples of 9 to 16 bits this decoder
/// gives out as two bytes each and calls RGB all the same.
fn decode_jpeg(bytes: &[u8]) -> ImageResult<Option<DynamicImage>> {
    let damaged = |error: jpeg_decoder::Error| {
        ImageError::Decoding(DecodingError::new(ImageFormat::Jpeg.into(), error))
    };
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().map_err(damaged)?;
    let Some(info) = decoder.info() else {
        return Ok(None);
    };
    if !matches!(info.pixel_format, PixelFormat::L8 | PixelFormat::RGB24)
        || info.coding_process == CodingProcess::Lossless
    {
        return Ok(None);
    }
    // The decoder's own limit is looked at only after its working memory has been allocated.
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let pixels = u64::from(width) * u64::from(height);
    let size = pixels * info.pixel_format.pixel_bytes() as u64;
    if size > MAX_DECODED_BYTES {
        let limit = LimitError::from_kind(LimitErrorKind::InsufficientMemory);
        return Err(ImageError::Limits(limit));
    }
    let values = decoder.decode().map_err(damaged)?;
    if values.len() as u64 != size {
        return Ok(None);
    }
    Ok(match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, values).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, values).map(DynamicImage::from),
    })
}

/// Repeats grey, drops alpha and the lower byte of 16 bits.
fn to_rgb(image: DynamicImage) -> RgbImage {
    use ColorType::{L16, La16, Rgb16, Rgba16};
    if !matches!(image.color(), L16 | La16 | Rgb16 | Rgba16) {
        return image.into_rgb8();
    }
    let (width, height) = (image.width(), image.height());
    let wide = image.into_rgb16();
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(wide.get_pixel(x, y).0.map(|value| (value >> 8) as u8))
    })
}

/// Whether a JPEG file reaches its end-of-image marker (ITU-T T.81, B.1).
///
/// Walks the segments, so that the end marker of a thumbnail inside of one is not taken for the
/// file's own.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[at + 1..];
        match rest {
            [END_OF_IMAGE, ..] => return true,
            // Stuffed zero or restart marker of entropy-coded data; markers without a segment.
            [0x00 | 0x01 | 0xd0..=0xd7 | START_OF_IMAGE, after @ ..] => rest = after,
            // Fill byte: the marker follows.
            [0xff, ..] => {}
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}
