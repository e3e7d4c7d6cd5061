//! Decoding files as PIL's `Image.open(path).convert("RGB")` does, and refusing broken ones.

use std::{
    error::Error as _,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use neuroinspect_datasets::{Error, open_image};
use tempfile::TempDir;

fn gradient() -> RgbImage {
    RgbImage::from_fn(20, 12, |x, y| Rgb([x as u8 * 12, y as u8 * 20, 90]))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Saves as PNG and reads back.
fn through_png(image: impl Into<DynamicImage>) -> RgbImage {
    let folder = tempfile::tempdir().unwrap();
    open_image(write(&folder, "a.png", &encode(image, ImageFormat::Png))).unwrap()
}

/// The message and its cause, without the path.
fn refusal(path: &Path) -> String {
    let error = open_image(path).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    match error.source() {
        Some(source) => source.to_string(),
        None => message.replace(&path.display().to_string(), "PATH"),
    }
}

#[test]
fn lossless_formats_come_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
        let path = write(&folder, "image", &encode(gradient(), format));
        assert_eq!(open_image(path).unwrap(), gradient(), "{format:?}");
    }
    // A GIF has 256 colours: one with fewer is exact.
    let flat = RgbImage::from_pixel(5, 4, Rgb([10, 200, 30]));
    let path = write(&folder, "image", &encode(flat.clone(), ImageFormat::Gif));
    assert_eq!(open_image(path).unwrap(), flat);
}

#[test]
fn grey_is_repeated_and_alpha_dropped() {
    let grey = GrayImage::from_pixel(3, 2, Luma([77]));
    assert_eq!(through_png(grey).get_pixel(2, 1).0, [77; 3]);
    // Transparent pixels keep their colour: nothing is blended.
    let clear = ImageBuffer::from_pixel(3, 2, Rgba([10_u8, 20, 30, 0]));
    assert_eq!(through_png(clear).get_pixel(0, 0).0, [10, 20, 30]);
    let clear = ImageBuffer::from_pixel(3, 2, LumaA([40_u8, 0]));
    assert_eq!(through_png(clear).get_pixel(0, 0).0, [40; 3]);
}

#[test]
fn sixteen_bits_keep_their_upper_eight() {
    let [r, g, b] = [0x12ff_u16, 0x8000, 0x00ff];
    let colour = ImageBuffer::from_fn(2, 2, |x, _| Rgb([r, g, b + x as u16]));
    let decoded = through_png(colour);
    assert_eq!(decoded.get_pixel(0, 1).0, [0x12, 0x80, 0]);
    assert_eq!(decoded.get_pixel(1, 0).0, [0x12, 0x80, 1]);
    let colour = ImageBuffer::from_pixel(2, 2, Rgba([r, g, b, 7]));
    assert_eq!(through_png(colour).get_pixel(0, 0).0, [0x12, 0x80, 0]);
    let grey = ImageBuffer::from_pixel(2, 2, Luma([r]));
    assert_eq!(through_png(grey).get_pixel(0, 0).0, [0x12; 3]);
    let grey = ImageBuffer::from_pixel(2, 2, LumaA([g, 7]));
    assert_eq!(through_png(grey).get_pixel(0, 0).0, [0x80; 3]);
}

#[test]
fn the_format_is_told_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "a.jpg", &encode(gradient(), ImageFormat::Png));
    assert_eq!(open_image(path).unwrap(), gradient());
}

#[test]
fn exif_orientation_is_left_alone() {
    let jpeg = encode(gradient(), ImageFormat::Jpeg);
    // APP1 with one TIFF entry: orientation (0x0112) = 6, a quarter turn.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\
        \x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
    let folder = tempfile::tempdir().unwrap();
    let plain = open_image(write(&folder, "plain.jpg", &jpeg)).unwrap();
    assert_eq!(plain.dimensions(), (20, 12));
    let path = write(&folder, "turned.jpg", &turned);
    assert_eq!(open_image(path).unwrap(), plain);
}

/// A file of `tests/golden/photographs`.
fn photograph(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/photographs/");
    fs::read(format!("{folder}{name}")).unwrap()
}

/// A JPEG file's components under other numbers.
fn numbered(mut jpeg: Vec<u8>, numbers: &[u8]) -> Vec<u8> {
    let marker = |kind| jpeg.windows(2).position(|it| it == [0xff, kind]).unwrap();
    let (frame, scan) = (marker(0xc0), marker(0xda));
    for (index, &number) in numbers.iter().enumerate() {
        jpeg[frame + 10 + 3 * index] = number;
        jpeg[scan + 5 + 2 * index] = number;
    }
    jpeg
}

/// A JPEG file with another transform in Adobe's marker.
fn by_adobe(mut jpeg: Vec<u8>, transform: u8) -> Vec<u8> {
    let marker = jpeg.windows(5).position(|it| it == b"Adobe").unwrap();
    jpeg[marker + 11] = transform;
    jpeg
}

/// In which space colours are stored is told by JFIF's marker, Adobe's, and the components' numbers, in this
/// order. Expected are the pixels that Pillow (libjpeg-turbo 3.1) has at three places of each file; a
/// decoder is free to round otherwise by three levels, and wrong spaces are apart by tens.
#[test]
fn colours_are_told_as_libjpeg_does() {
    let rgb = || photograph("not_converted.jpg");
    let as_rgb = [[143, 95, 77], [134, 63, 25], [181, 155, 137]];
    let as_ycc = [[71, 191, 85], [0, 230, 19], [194, 165, 229]];
    let ycc = || photograph("full_chroma.jpg");
    let of_jfif = [[138, 87, 66], [136, 93, 58], [154, 121, 102]];
    let inks = || photograph("cmyk.jpg");
    let as_ycck = [[208, 63, 190], [205, 62, 180], [185, 75, 170]];
    let folder = tempfile::tempdir().unwrap();
    for (name, jpeg, expected) in [
        ("Adobe's RGB", rgb(), as_rgb),
        (
            "Adobe's RGB, numbered 1, 2, 3",
            numbered(rgb(), &[1, 2, 3]),
            as_rgb,
        ),
        ("Adobe's YCbCr, named R, G, B", by_adobe(rgb(), 1), as_ycc),
        ("JFIF's", ycc(), of_jfif),
        ("JFIF's, named R, G, B", numbered(ycc(), b"RGB"), of_jfif),
        ("Adobe's YCCK", by_adobe(inks(), 2), as_ycck),
        ("Adobe's unknown one of inks", by_adobe(inks(), 1), as_ycck),
    ] {
        let image = open_image(write(&folder, "it.jpg", &jpeg)).unwrap();
        let found = [(0, 0), (20, 30), (36, 48)].map(|(x, y)| image.get_pixel(x, y).0);
        let pairs = found.as_flattened().iter().zip(expected.as_flattened());
        let apart = pairs.map(|(found, expected)| i32::from(*found).abs_diff(*expected));
        let levels = if cfg!(feature = "turbojpeg") { 0 } else { 3 };
        assert!(
            apart.max().unwrap() <= levels,
            "{name}: {found:?}, expected {expected:?}"
        );
    }
}

/// Any byte of a file may be wrong: what comes is an image of the size that its frame says, or an error.
#[test]
fn damaged_jpegs_are_images_or_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (mut images, mut refused) = (0, 0);
    for name in [
        "grey.jpg",
        "full_chroma.jpg",
        "cmyk.jpg",
        "progressive.jpg",
        "not_converted.jpg",
    ] {
        let whole = photograph(name);
        // Every byte of the headers, and some of the data.
        let scan = whole.windows(2).position(|it| it == [0xff, 0xda]).unwrap();
        let places = (2..scan + 12)
            .step_by(3)
            .chain((scan + 12..whole.len()).step_by(97));
        for place in places {
            for value in [0x00, 0x01, 0xff, whole[place] ^ 0x80] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                match open_image(write(&folder, "damaged.jpg", &damaged)) {
                    Ok(image) => {
                        assert!(image.width() > 0 && image.height() > 0);
                        images += 1;
                    }
                    Err(Error::Decode { .. } | Error::Truncated { .. }) => refused += 1,
                    Err(error) => panic!("{name}, {place}: {error}"),
                }
            }
        }
    }
    assert!(
        images > 100 && refused > 100,
        "{images} images, {refused} refused"
    );
}

#[test]
fn truncated_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = encode(gradient(), ImageFormat::Jpeg);
    // An EXIF thumbnail brings an end marker of its own, which is not the file's.
    let thumbnail = [b"\xff\xe1\x00\x06\xff\xd8\xff\xd9".as_slice(), &jpeg[2..]].concat();
    let with_thumbnail = [&jpeg[..2], &thumbnail].concat();
    assert!(open_image(write(&folder, "whole.jpg", &with_thumbnail)).is_ok());
    // PIL accepts bytes after the end, and so do we.
    assert!(open_image(write(&folder, "longer.jpg", &[&jpeg[..], b"more"].concat())).is_ok());
    for bytes in [&jpeg, &with_thumbnail] {
        for missing in [1, 2, 20] {
            let path = write(&folder, "cut.jpg", &bytes[..bytes.len() - missing]);
            assert_eq!(
                refusal(&path),
                "image 'PATH' is truncated: its JPEG data has no end marker"
            );
        }
    }
    // The end is there, and the sides are those of another image: 4120 x 33048 pixels take seconds to be painted grey.
    for (name, frame) in [
        ("grey.jpg", 0xc0),
        ("cmyk.jpg", 0xc0),
        ("progressive.jpg", 0xc2),
    ] {
        let mut bytes = photograph(name);
        let start = bytes.windows(2).position(|it| it == [0xff, frame]);
        let sides = start.unwrap() + 5;
        bytes[sides..sides + 4].copy_from_slice(&[0x10, 0x18, 0x81, 0x18]);
        assert_eq!(
            refusal(&write(&folder, "sides.jpg", &bytes)),
            "image 'PATH' is truncated: its JPEG data is shorter than an image of its size can be",
            "{name}"
        );
    }
    // Of one colour a file is short, and whole.
    let plain = RgbImage::from_pixel(2000, 1000, Rgb([120; 3]));
    let plain = encode(plain, ImageFormat::Jpeg);
    let plain = open_image(write(&folder, "plain.jpg", &plain)).unwrap();
    assert_eq!(plain.dimensions(), (2000, 1000));
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
    ] {
        let bytes = encode(gradient(), format);
        let path = write(&folder, "cut", &bytes[..bytes.len() / 2]);
        assert!(
            matches!(open_image(&path), Err(Error::Decode { .. })),
            "{format:?}"
        );
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = encode(gradient(), ImageFormat::Jpeg);
    for length in 0..jpeg.len() {
        let path = write(&folder, "cut.jpg", &jpeg[..length]);
        assert!(open_image(&path).is_err(), "{length} of {}", jpeg.len());
    }
}

#[test]
fn files_that_are_no_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("empty.jpg", b"".as_slice()), ("text.png", b"not an image")] {
        let path = write(&folder, name, bytes);
        assert!(matches!(open_image(&path), Err(Error::Decode { .. })));
        assert_eq!(
            refusal(&path),
            "The image format could not be determined",
            "{name}"
        );
    }
    let missing = folder.path().join("missing.png");
    assert!(matches!(
        open_image(&missing),
        Err(Error::Core(neuroinspect_core::Error::Read { .. }))
    ));
}

/// The error of a file that promises too many pixels.
fn check_limits(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let error = open_image(write(&folder, name, bytes)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Decode {
                source: image::ImageError::Limits(_),
                ..
            }
        ),
        "{name}: {error:?}"
    );
}

#[test]
fn a_decompression_bomb_is_refused() {
    // 54 bytes that promise 60,000 x 60,000 pixels.
    let mut header = encode(RgbImage::new(1, 1), ImageFormat::Bmp);
    for field in [18, 22] {
        header[field..field + 4].copy_from_slice(&60_000_u32.to_le_bytes());
    }
    check_limits("bomb.bmp", &header);
}

/// A file that promises 65,500 x 65,500 pixels, baseline and progressive: refused by the
/// header alone, before the decoder asks for the 10 GB and more that it would work in.
#[test]
fn a_jpeg_bomb_is_refused() {
    let jpeg = encode(RgbImage::new(8, 8), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
    for marker in [0xc0, 0xc2] {
        let mut bomb = jpeg.clone();
        bomb[frame + 1] = marker;
        // Marker, length and precision come before height and width.
        for side in [frame + 5, frame + 7] {
            bomb[side..side + 2].copy_from_slice(&65_500_u16.to_be_bytes());
        }
        // With data for all its blocks.
        let end = bomb.len() - 2;
        bomb.splice(end..end, vec![0; 26 << 20]);
        check_limits("bomb.jpg", &bomb);
    }
}

/// Neither decoder reads lossless JPEG: what one of them makes of it must not pass for an image.
#[test]
fn a_lossless_jpeg_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = encode(gradient(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
    for bits in [8, 12, 16] {
        let mut lossless = jpeg.clone();
        lossless[frame + 1] = 0xc3;
        lossless[frame + 4] = bits;
        // Nothing is quantised: each of three components names table 0.
        for component in 0..3 {
            lossless[frame + 12 + 3 * component] = 0;
        }
        // In the scan, the start of the spectral selection is the predictor, and its end 0.
        let scan = lossless.windows(2).rposition(|it| it == [0xff, 0xda]);
        let data = scan.unwrap() + 2 + usize::from(lossless[scan.unwrap() + 3]);
        lossless[data - 3..data - 1].copy_from_slice(&[1, 0]);
        // Differences of zero, two bits for each sample: grey in the middle of the range.
        lossless.truncate(data);
        lossless.extend([0; 20 * 12 * 3 * 2 / 8]);
        lossless.extend([0xff, 0xd9]);
        let path = write(&folder, "lossless.jpg", &lossless);
        assert!(
            matches!(open_image(&path), Err(Error::Decode { .. })),
            "{bits} bits"
        );
    }
}

#[test]
fn a_file_of_gigabytes_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "huge.png", b"");
    let file = fs::File::options().write(true).open(&path).unwrap();
    // Sparse: it takes no room on the disk.
    file.set_len(1 << 40).unwrap();
    let error = open_image(&path).unwrap_err();
    assert!(matches!(error, Error::FileTooLarge { .. }), "{error:?}");
}
