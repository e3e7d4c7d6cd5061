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
    for Segment { marker, body, .. } in segments(bytes) {
        match (marker, body) {
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => jfif |= body.len() >= 14,
            (0xee, [b'A', b'd', b'o', b'b', b'e', ..]) => adobe = body.get(11).copied().or(adobe),
            // Tables of Huffman's and of arithmetic coding have numbers among those of frames.
            (0xc4 | 0xc8 | 0xcc, _) => {}
            (0xc0..=0xcf, [_, _, _, _, _, _, numbers @ ..]) => {
                components.get_or_insert_with(|| numbers.iter().step_by(3).collect::<Vec<_>>());
            }
            (START_OF_SCAN, _) => break,
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

/// What a JPEG file lacks, if it is cut: its end, or data for what its frame promises.
///
/// Of a block of 8 x 8 values Huffman's codes take a bit at the least, that of its mean (ITU-T T.81, F.1.2.1 and
/// G.1.2.1): of a file with less a decoder would paint millions of pixels grey, for seconds. Of frames that are coded
/// otherwise nothing is known.
pub(crate) fn missing(bytes: &[u8]) -> Option<&'static str> {
    let (mut blocks, mut data_from) = (None, None);
    for Segment { marker, body, end } in segments(bytes) {
        match marker {
            // Baseline, extended and progressive frames by Huffman's codes.
            0xc0..=0xc2 => blocks = blocks.or_else(|| Some(blocks_of(body))),
            START_OF_SCAN => data_from = data_from.or(Some(end)),
            END_OF_IMAGE => {
                let data = data_from.map_or(0, |from| end - from) as u64;
                let is_short = data * 8 < blocks.unwrap_or(0);
                return is_short
                    .then_some("its JPEG data is shorter than an image of its size can be");
            }
            _ => {}
        }
    }
    Some("its JPEG data has no end marker")
}

/// Blocks of 8 x 8 values in a frame, of all its components (ITU-T T.81, A.1.1 and B.2.2); 0 of one that is none.
fn blocks_of(frame: &[u8]) -> u64 {
    let &[_, y1, y0, x1, x0, _, ref components @ ..] = frame else {
        return 0;
    };
    let sides = [[x1, x0], [y1, y0]].map(|side| u64::from(u16::from_be_bytes(side)));
    let factors = components.chunks_exact(3).map(|component| {
        let factors = component[1];
        [factors >> 4, factors & 15].map(u64::from)
    });
    let largest = [0, 1].map(|axis| factors.clone().map(|it| it[axis]).max().unwrap_or(0).max(1));
    let along = |axis: usize, factor: u64| (sides[axis] * factor).div_ceil(8 * largest[axis]);
    factors.map(|[h, v]| along(0, h) * along(1, v)).sum()
}

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// A marker with what its segment holds.
struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
    /// The place after it in the file; of the end of the image, before its marker.
    end: usize,
}

/// The markers of a JPEG file that are not within entropy-coded data, to the end of the image, with what
/// their segments hold (ITU-T T.81, B.1).
///
/// Markers within a segment, such as those of a thumbnail, are not the file's own.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
            let before = bytes.len() - rest.len() + at;
            rest = &rest[at + 1..];
            match *rest {
                [END_OF_IMAGE, ..] => {
                    rest = &[];
                    return Some(Segment {
                        marker: END_OF_IMAGE,
                        body: &[],
                        end: before,
                    });
                }
                // Stuffed zero or restart marker of entropy-coded data; markers without a segment.
                [0x00 | 0x01 | 0xd0..=0xd7 | START_OF_IMAGE, ref after @ ..] => rest = after,
                // Fill byte: the marker follows.
                [0xff, ..] => {}
                [marker, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let body = rest.get(3..1 + length).unwrap_or_default();
                    rest = rest.get(1 + length..).unwrap_or_default();
                    let end = bytes.len() - rest.len();
                    return Some(Segment { marker, body, end });
                }
                _ => return None,
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::{blocks_of, missing};

    /// A file of a frame, whose components have these factors, and so many bytes of data.
    fn file(marker: u8, [width, height]: [u16; 2], factors: &[u8], data: usize) -> Vec<u8> {
        let length = 8 + 3 * factors.len() as u16;
        let mut file = vec![0xff, 0xd8, 0xff, marker];
        file.extend(length.to_be_bytes());
        file.push(8);
        file.extend([height, width].map(u16::to_be_bytes).concat());
        file.push(factors.len() as u8);
        for &factors in factors {
            file.extend([1, factors, 0]);
        }
        file.extend([0xff, 0xda, 0, 2]);
        file.extend(vec![0; data]);
        file.extend([0xff, 0xd9]);
        file
    }

    /// The least number of bytes is told to the byte, whatever comes after the end.
    #[test]
    fn a_bit_a_block_is_asked_for() {
        for (sides, factors, blocks) in [
            ([65, 25], &[0x11][..], 9 * 4),
            ([65, 25], &[0x11; 3], 3 * 9 * 4),
            ([65, 25], &[0x21, 0x11, 0x11], 9 * 4 + 2 * 5 * 4),
            ([65, 25], &[0x12, 0x11, 0x11], 9 * 4 + 2 * 9 * 2),
            ([33, 17], &[0x22, 0x11, 0x11], 5 * 3 + 2 * 3 * 2),
        ] {
            let least = usize::div_ceil(blocks, 8);
            for marker in 0xc0..=0xc2 {
                assert_eq!(missing(&file(marker, sides, factors, least)), None);
                let mut short = file(marker, sides, factors, least - 1);
                short.extend([0; 1000]);
                let lacks = missing(&short).unwrap();
                assert!(lacks.contains("shorter"), "{sides:?}, {factors:x?}");
            }
            // Arithmetic coding may take less.
            assert_eq!(missing(&file(0xc9, sides, factors, 0)), None);
        }
        assert_eq!(blocks_of(&[]), 0);
        assert_eq!(
            missing(&[0xff, 0xd8]),
            Some("its JPEG data has no end marker")
        );
    }
}
