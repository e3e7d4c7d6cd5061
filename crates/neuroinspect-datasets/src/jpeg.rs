//! JPEG files to 8-bit RGB, as Pillow makes it of what libjpeg decodes.

use image::{
    ImageError, ImageFormat, ImageResult, RgbImage,
    error::{DecodingError, LimitError, LimitErrorKind},
};
use jpeg_decoder::{CodingProcess, ColorTransform, PixelFormat};

/// The values of an image, row by row, its channels interleaved.
struct Decoded {
    width: u32,
    height: u32,
    colour: Colour,
    values: Vec<u8>,
}

/// What the channels of a decoded image are.
#[derive(Clone, Copy)]
enum Colour {
    Grey,
    Rgb,
    /// Amounts of ink.
    Cmyk,
}

impl Colour {
    fn channels(self) -> u64 {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Decodes a JPEG file of 8 bits, grey, colour or CMYK, of at most `limit` bytes decoded; `None` for the
/// kinds left to the `image` crate: 16-bit grey, and lossless ones, whose samples of 9 to 16 bits the
/// `jpeg-decoder` crate gives out as two bytes each and calls RGB all the same.
///
/// With the feature `turbojpeg` bit for bit as libjpeg-turbo. A file that it warns of, as it has bytes too
/// many or entropy-coded data too few, is decoded as without the feature.
pub(crate) fn decode(bytes: &[u8], limit: u64) -> ImageResult<Option<RgbImage>> {
    #[cfg(feature = "turbojpeg")]
    if let Some(decoded) = by_libjpeg_turbo(bytes, limit) {
        return Ok(to_rgb(decoded));
    }
    Ok(by_jpeg_decoder(bytes, limit)?.and_then(to_rgb))
}

/// Decodes by libjpeg-turbo: accurate integer DCT and interpolated chroma, its defaults and Pillow's.
#[cfg(feature = "turbojpeg")]
fn by_libjpeg_turbo(bytes: &[u8], limit: u64) -> Option<Decoded> {
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

    let mut decompressor = Decompressor::new().ok()?;
    let header = decompressor.read_header(bytes).ok()?;
    let (colour, format) = match header.colorspace {
        Colorspace::Gray => (Colour::Grey, PixelFormat::GRAY),
        Colorspace::RGB | Colorspace::YCbCr => (Colour::Rgb, PixelFormat::RGB),
        Colorspace::CMYK | Colorspace::YCCK => (Colour::Cmyk, PixelFormat::CMYK),
    };
    let (width, height) = (header.width, header.height);
    let size = width as u64 * height as u64 * colour.channels();
    if header.is_lossless || size > limit {
        return None;
    }
    let mut values = vec![0; size as usize];
    let image = Image {
        pixels: &mut values[..],
        width,
        pitch: width * colour.channels() as usize,
        height,
        format,
    };
    decompressor.decompress(bytes, image).ok()?;
    if let Colour::Cmyk = colour {
        // As Adobe writes them, whose marker is not looked at: 0 is all of an ink.
        for value in &mut values {
            *value = 255 - *value;
        }
    }
    Some(Decoded {
        width: width as u32,
        height: height as u32,
        colour,
        values,
    })
}

/// Decodes by the `jpeg-decoder` crate: as libjpeg but for rounding.
fn by_jpeg_decoder(bytes: &[u8], limit: u64) -> ImageResult<Option<Decoded>> {
    let damaged = |error: jpeg_decoder::Error| {
        ImageError::Decoding(DecodingError::new(ImageFormat::Jpeg.into(), error))
    };
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    if let Some(transform) = colour_transform(bytes) {
        decoder.set_color_transform(transform);
    }
    decoder.read_info().map_err(damaged)?;
    let Some(info) = decoder.info() else {
        return Ok(None);
    };
    let colour = match info.pixel_format {
        _ if info.coding_process == CodingProcess::Lossless => return Ok(None),
        PixelFormat::L8 => Colour::Grey,
        PixelFormat::RGB24 => Colour::Rgb,
        // Inks as Adobe writes them, turned over.
        PixelFormat::CMYK32 => Colour::Cmyk,
        PixelFormat::L16 => return Ok(None),
    };
    // The decoder's own limit is looked at only after its working memory has been allocated.
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let size = u64::from(width) * u64::from(height) * colour.channels();
    if size > limit {
        let limit = LimitError::from_kind(LimitErrorKind::InsufficientMemory);
        return Err(ImageError::Limits(limit));
    }
    let values = decoder.decode().map_err(damaged)?;
    Ok((values.len() as u64 == size).then_some(Decoded {
        width,
        height,
        colour,
        values,
    }))
}

/// Repeats grey, and takes inks off white as Pillow's `cmyk2rgb` (`src/libImaging/Convert.c`): what black
/// leaves, less the ink's share of it, rounded.
fn to_rgb(decoded: Decoded) -> Option<RgbImage> {
    let Decoded { values, .. } = decoded;
    let values = match decoded.colour {
        Colour::Grey => values.into_iter().flat_map(|value| [value; 3]).collect(),
        Colour::Rgb => values,
        Colour::Cmyk => values
            .chunks_exact(4)
            .flat_map(|inks| {
                let left = 255 - u32::from(inks[3]);
                [0, 1, 2].map(|ink| {
                    let product = u32::from(inks[ink]) * left + 128;
                    (left - (((product >> 8) + product) >> 8)) as u8
                })
            })
            .collect(),
    };
    RgbImage::from_raw(decoded.width, decoded.height, values)
}

/// In which space the channels of a colour file are stored, told as libjpeg does (`default_decompress_parms`
/// of its `jdapimin.c`): by JFIF's marker, else by Adobe's, else by the numbers of the components. The
/// `jpeg-decoder` crate looks at the numbers first. None for grey, and where the file has no frame.
fn colour_transform(bytes: &[u8]) -> Option<ColorTransform> {
    let (mut jfif, mut adobe, mut components) = (false, None, None);
    for (marker, body) in segments(bytes) {
        match (marker, body) {
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => jfif |= body.len() >= 14,
            (0xee, [b'A', b'd', b'o', b'b', b'e', ..]) => adobe = body.get(11).copied().or(adobe),
            // Tables of Huffman's and of arithmetic coding have numbers among those of frames.
            (0xc4 | 0xc8 | 0xcc, _) => {}
            (0xc0..=0xcf, [_, _, _, _, _, _, numbers @ ..]) => {
                components.get_or_insert_with(|| numbers.iter().step_by(3).collect::<Vec<_>>());
            }
            // The scan.
            (0xda, _) => break,
            _ => {}
        }
    }
    match (&components?[..], adobe) {
        ([_, _, _], _) if jfif => Some(ColorTransform::YCbCr),
        ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Some(ColorTransform::RGB),
        ([_, _, _], _) => Some(ColorTransform::YCbCr),
        ([_, _, _, _], None | Some(0)) => Some(ColorTransform::CMYK),
        ([_, _, _, _], Some(_)) => Some(ColorTransform::YCCK),
        _ => None,
    }
}

/// Whether a JPEG file reaches its end-of-image marker.
pub(crate) fn has_end(bytes: &[u8]) -> bool {
    segments(bytes).any(|(marker, _)| marker == END_OF_IMAGE)
}

/// Whether a JPEG file is long enough for what its frame promises. Of a block of 8 x 8 values Huffman's codes take
/// a bit at the least, that of its mean (ITU-T T.81, F.1.2.1 and G.1.2.1): of a file with less a decoder would paint
/// millions of pixels grey, for seconds.
///
/// Of frames that are coded otherwise, and of files without one, nothing is known: `true`.
pub(crate) fn has_room_for_blocks(bytes: &[u8]) -> bool {
    let blocks = segments(bytes).find_map(|(marker, body)| match (marker, body) {
        // Baseline, extended and progressive frames by Huffman's codes.
        (0xc0..=0xc2, [_, y1, y0, x1, x0, _, components @ ..]) => {
            let side = |high: &u8, low: &u8| u64::from(u16::from_be_bytes([*high, *low]));
            let factors = |component: &[u8]| {
                let factors = component.get(1).copied().unwrap_or_default();
                [factors >> 4, factors & 15].map(u64::from)
            };
            let factors: Vec<_> = components.chunks_exact(3).map(factors).collect();
            let largest = |axis: usize| factors.iter().map(|it| it[axis]).max().unwrap_or(0).max(1);
            let along =
                |side: u64, axis: usize, factor: u64| (side * factor).div_ceil(8 * largest(axis));
            let (width, height) = (side(x1, x0), side(y1, y0));
            let blocks = factors.iter();
            Some(
                blocks
                    .map(|&[h, v]| along(width, 0, h) * along(height, 1, v))
                    .sum::<u64>(),
            )
        }
        _ => None,
    });
    blocks.is_none_or(|blocks| bytes.len() as u64 * 8 >= blocks)
}

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;

/// The markers of a JPEG file that are not within entropy-coded data, to the end of the image, with what
/// their segments hold (ITU-T T.81, B.1).
///
/// Markers within a segment, such as those of a thumbnail, are not the file's own.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
            rest = &rest[at + 1..];
            match *rest {
                [END_OF_IMAGE, ..] => {
                    rest = &[];
                    return Some((END_OF_IMAGE, &[][..]));
                }
                // Stuffed zero or restart marker of entropy-coded data; markers without a segment.
                [0x00 | 0x01 | 0xd0..=0xd7 | START_OF_IMAGE, ref after @ ..] => rest = after,
                // Fill byte: the marker follows.
                [0xff, ..] => {}
                [marker, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let body = rest.get(3..1 + length).unwrap_or_default();
                    rest = rest.get(1 + length..).unwrap_or_default();
                    return Some((marker, body));
                }
                _ => return None,
            }
        }
        None
    })
}
