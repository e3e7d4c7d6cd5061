//! Preprocessing against torchvision, and its refusals.

use image::{Rgb, RgbImage};
use ndarray::Axis;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use neuroinspect_datasets::{Error, preprocess, thumbnail};
use proptest::prelude::*;
use serde::Deserialize;

/// What `tools/golden_transforms.py` wrote.
#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    width: u32,
    height: u32,
    side: usize,
    shorter: Option<usize>,
    filter: Interpolation,
}

/// Side of a tile on the golden sheet.
const TILE: u32 = 17;

/// The same picture as in `tools/golden_transforms.py`.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0, 1, 2].map(|c| match (x / 5 + y / 3) % 3 {
            0 => 0,
            1 => 255,
            _ => (x * (31 + c) + y * (17 + 5 * c) + (x * y) % 97 * 3) as u8,
        }))
    })
}

/// Tolerance: none. Both resize in integers and divide by 255 in `f32`.
#[test]
fn preprocessing_is_torchvisions_bit_for_bit() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/transforms.json")).unwrap();
    let sheet = image::load_from_memory(include_bytes!("../golden/transforms.png"))
        .unwrap()
        .into_rgb8();
    assert_eq!(sheet.height(), golden.cases.len() as u32 * TILE);
    for (tile, case) in golden.cases.iter().enumerate() {
        let spec = InputSpec::new(case.side)
            .with_interpolation(case.filter)
            .with_resize(match case.shorter {
                Some(to) => ResizeRule::ShorterSide { to },
                None => ResizeRule::Squash,
            });
        let found = preprocess(&picture(case.width, case.height), &spec).unwrap();
        assert_eq!(found.dim(), (3, case.side, case.side));
        for ((channel, row, column), &value) in found.indexed_iter() {
            let pixel = sheet.get_pixel(column as u32, tile as u32 * TILE + row as u32);
            let expected = f32::from(pixel.0[channel]) / 255.0;
            assert_eq!(value, expected, "{case:?}, {channel}, {row}, {column}");
        }
    }
}

#[test]
fn a_sliver_is_not_blown_up() {
    // Resized whole, this would be 224 x 14,679,840 pixels.
    let spec = InputSpec::new(224).with_resize(ResizeRule::ShorterSide { to: 224 });
    let pixels = preprocess(&RgbImage::from_pixel(1, 65_535, Rgb([51; 3])), &spec).unwrap();
    assert!(pixels.iter().all(|&value| value == 0.2));
}

#[test]
fn a_sliver_too_long_to_squash_is_refused() {
    // As a PNG of one grey this is a file of less than a megabyte; squashing it to 224 x 224 would
    // go through an image of 224 x 170,000,000.
    for (width, height) in [(1, 170_000_000), (65_536, 1)] {
        let image = RgbImage::new(width, height);
        let error = preprocess(&image, &InputSpec::new(224)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "an image of {width} x {height} pixels cannot be resized: \
                 a side is above 65535 pixels; crop or shrink it first"
            )
        );
    }
    let longest = RgbImage::from_pixel(65_535, 1, Rgb([51; 3]));
    assert!(preprocess(&longest, &InputSpec::new(2)).is_ok());
}

#[test]
fn sizes_out_of_range_are_refused() {
    let image = picture(4, 4);
    for (spec, message) in [
        (
            InputSpec::new(0),
            "input size = 0: expected 1 to 4096 pixels",
        ),
        (
            InputSpec::new(8).with_resize(ResizeRule::ShorterSide { to: 70_000 }),
            "shorter side = 70000: expected 1 to 65535 pixels",
        ),
    ] {
        let error = preprocess(&image, &spec).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let error = thumbnail(&image, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "thumbnail side = 0: expected 1 to 65535 pixels"
    );
    assert_eq!(thumbnail(&image, 5000).unwrap().width(), 5000);
}

#[test]
fn an_image_without_pixels_is_refused() {
    let error = preprocess(&RgbImage::new(0, 3), &InputSpec::new(8)).unwrap_err();
    assert!(matches!(
        error,
        Error::EmptyImage {
            width: 0,
            height: 3
        }
    ));
}

#[test]
fn a_thumbnail_is_the_centre_square() {
    // White between two black thirds.
    let image = RgbImage::from_fn(30, 10, |x, _| Rgb([if x / 10 == 1 { 255 } else { 0 }; 3]));
    let square = thumbnail(&image, 10).unwrap();
    assert_eq!(square, RgbImage::from_pixel(10, 10, Rgb([255; 3])));
    assert_eq!(thumbnail(&image, 4).unwrap().dimensions(), (4, 4));
}

proptest! {
    /// Fixed-point weights sum to one within rounding: a flat colour stays what it is.
    #[test]
    fn a_flat_image_stays_flat(
        width in 1..90_u32,
        height in 1..90_u32,
        side in 1..40_usize,
        surplus in 0..9_usize,
        colour in any::<[u8; 3]>(),
        bicubic in any::<bool>(),
    ) {
        let spec = InputSpec::new(side)
            .with_resize(ResizeRule::ShorterSide { to: side + surplus })
            .with_interpolation(match bicubic {
                true => Interpolation::Bicubic,
                false => Interpolation::Bilinear,
            });
        let pixels = preprocess(&RgbImage::from_pixel(width, height, Rgb(colour)), &spec).unwrap();
        for (channel, &value) in colour.iter().enumerate() {
            let plane = pixels.index_axis(Axis(0), channel);
            prop_assert!(plane.iter().all(|&pixel| pixel == f32::from(value) / 255.0));
        }
    }
}
