//! Image files to 8-bit RGB, as PIL's `Image.open(path).convert("RGB")` does it.

use std::{
    io::{Cursor, Read},
    path::Path,
};

use image::{ColorType, DynamicImage, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use neuroinspect_core::io::open_regular;

use crate::{Error, Result, jpeg};

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
/// - repeats grey in the three channels, and takes the inks of CMYK off white, those that JPEG files
///   have turned over, as Adobe's programs write them;
/// - keeps the upper 8 of 16 bits. PIL does so for colour; 16-bit grey, of which it makes white wherever
///   it is above 255 of 65535, is treated like colour here, as a white image tells a model nothing;
/// - refuses a truncated file, also a JPEG file with an end that has less than a bit for each 8 x 8 block of its
///   size, which PIL paints grey, one of more than 1 GiB, and one of more than 512 MiB decoded, before
///   any memory of that size is asked for.
///
/// PNG, WebP, BMP files of 24 bits, and GIF files whose first frame fills the screen decode as in Pillow 12, bit for bit.
/// What a smaller frame leaves is black. A JPEG decoder is free in its
/// rounding: over 1000 ImageNet images, values (0 to 255) differ from Pillow's libjpeg-turbo 3.1 by 0.09
/// on average and 4 at most, and 93 % are equal. (The decoder that the `image` crate brings differs by
/// 0.20 and 10, always to the same side, which costs a classifier some tenths of a point: hence one of our
/// own choice.) With the feature `turbojpeg` it is libjpeg-turbo, and none of these differs; nor of 10,000
/// CIFAR-10 images. It computes the inverse transform by accurate integers and interpolates chroma, the
/// library's defaults, which Pillow keeps. A file it warns of is left to the other decoder.
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
    let is_jpeg = image::guess_format(bytes).ok() == Some(ImageFormat::Jpeg);
    if is_jpeg && let Some(reason) = jpeg::missing(bytes) {
        return Err(Error::Truncated {
            path: path.to_owned(),
            reason,
        });
    }
    let decode = || {
        if is_jpeg && let Some(image) = jpeg::decode(bytes, MAX_DECODED_BYTES)? {
            return Ok(image);
        }
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        reader.decode().map(to_rgb)
    };
    decode().map_err(|source| Error::Decode {
        path: path.to_owned(),
        source,
    })
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
