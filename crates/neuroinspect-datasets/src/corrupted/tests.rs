//! The corruptions against SciPy, Pillow and scikit-image.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, f64::consts::PI};

use image::{Rgb, RgbImage};
use ndarray::{Array2, Array3, Axis};
use neuroinspect_core::Seed;
use serde::Deserialize;

use super::{
    Corruption, Plane, digital,
    filter::{Edge, gaussian, motion_blur, zoom},
};

/// What `tools/golden_corruptions.py` wrote.
#[derive(Deserialize)]
struct Golden {
    sizes: Vec<(u32, u32)>,
    rows: Vec<String>,
    filters: BTreeMap<String, Vec<f64>>,
    random: BTreeMap<String, Statistics>,
}

/// Of many draws of a random corruption.
#[derive(Debug, Deserialize)]
struct Statistics {
    /// Mean of each channel.
    channels: [f64; 3],
    /// Standard deviation of the images' means.
    spread_of_means: f64,
    /// Mean standard deviation of a channel within an image.
    spread_within: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/golden/corruptions.json")).unwrap()
}

/// The same picture as in `tools/golden_corruptions.py`.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0, 1, 2].map(|c| match (x / 5 + y / 3) % 3 {
            0 => (x * 8) as u8,
            1 => 200_i32.wrapping_sub((y * (3 + c)) as i32) as u8,
            _ => (x * (31 + c) + y * (17 + 5 * c) + (x * y) % 97 * 3) as u8,
        }))
    })
}

/// Values within so many levels of 255, and how far they are on average.
///
/// One level for what is computed in another order and cut off, not rounded. For JPEG half a level on average, and
/// ten where libjpeg's cosine transforms, which are integer ones, round a coefficient the other way: the
/// largest step is 151 eighths. None for pixelation, integers as Pillow's.
#[test]
fn deterministic_corruptions_are_the_published_ones() {
    let golden = golden();
    let sheet = image::load_from_memory(include_bytes!("../../tests/golden/corruptions.png"));
    let sheet = sheet.unwrap().into_rgb8();
    for (row, name) in golden.rows.iter().enumerate() {
        let named = |it: &&Corruption| it.to_string() == *name;
        let corruption = Corruption::ALL.iter().find(named).unwrap();
        let (most, mean) = match corruption {
            Corruption::Jpeg => (10, 0.5),
            Corruption::Pixelate => (0, 0.0),
            _ => (1, 0.02),
        };
        for (column, &(width, height)) in golden.sizes.iter().enumerate() {
            let found = corruption.apply(&picture(width, height), &mut Seed(0).rng("", &[]));
            assert_eq!(found.dimensions(), (width, height));
            let mut sum = 0.0;
            for (x, y, pixel) in found.enumerate_pixels() {
                let expected = sheet.get_pixel(32 * column as u32 + x, 32 * row as u32 + y);
                for (found, expected) in pixel.0.into_iter().zip(expected.0) {
                    let difference = found.abs_diff(expected);
                    assert!(
                        difference <= most,
                        "{name} at {x}, {y}: {found}, not {expected}"
                    );
                    sum += f64::from(difference);
                }
            }
            let found = sum / f64::from(3 * width * height);
            assert!(found <= mean, "{name}: {found} levels on average");
        }
    }
}

fn plane(height: usize, width: usize) -> Plane {
    Array2::from_shape_fn((height, width), |(y, x)| {
        ((7 * y + 13 * x + (y * x) % 11) % 17) as f64 / 17.0
    })
}

/// Tolerance: sums in another order; ImageMagick's motion blur is computed in single precision there.
#[test]
fn filters_are_those_of_scipy() {
    let golden = golden();
    let x = plane(19, 26);
    let channels = |plane: &Plane| Array3::from_shape_fn((3, 19, 26), |(_, y, x)| plane[[y, x]]);
    let first = |pixels: Array3<f64>| pixels.index_axis(Axis(0), 0).to_owned();
    let down = plane(19, 26) * 4.0 - 2.0;
    let right = plane(26, 19).t().to_owned() * 3.0 - 1.5;
    let from = [(18.0, 20.0), (4.0, 20.0), (4.0, 6.0)];
    let to = [(18.6, 19.5), (3.4, 20.9), (4.7, 6.2)];
    for (name, found) in [
        ("gaussian_0.5", gaussian(&x, 0.5, 4.0, Edge::Nearest)),
        ("gaussian_0.96", gaussian(&x, 0.96, 3.0, Edge::Reflect)),
        ("motion_-100", motion_blur(&x, 5, 4.0, -100.0 * PI / 180.0)),
        ("motion_30", motion_blur(&x, 5, 4.0, 30.0 * PI / 180.0)),
        ("zoom", zoom(&x, 1.25)),
        ("affine", first(digital::affine(&channels(&x), from, to))),
        (
            "displace",
            first(digital::displace(&channels(&x), &down, &right)),
        ),
    ] {
        let expected = &golden.filters[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (found - expected).abs() < 1e-6;
            assert!(close, "{name} at {place}: {found}, not {expected}");
        }
    }
}

/// What is drawn differs; how it is distributed does not. Tolerance: four standard errors of the
/// difference of two means over 1000 images, and a tenth for spreads; for frost, drawn otherwise, twice
/// that.
#[test]
fn random_corruptions_are_distributed_as_the_published_ones() {
    const DRAWS: u64 = 1000;
    let grey = RgbImage::from_pixel(32, 32, Rgb([128; 3]));
    for (name, expected) in golden().random {
        let named = |it: &&Corruption| it.to_string() == name;
        let corruption = Corruption::ALL.iter().find(named).unwrap();
        let mut channels = [0.0; 3];
        let (mut means, mut within) = (Vec::new(), 0.0);
        for draw in 0..DRAWS {
            let image = corruption.apply(&grey, &mut Seed(0).rng("draw", &[draw]));
            let mut of_image = [0.0; 3];
            for (channel, mean) in of_image.iter_mut().enumerate() {
                let values = image.pixels().map(|it| f64::from(it.0[channel]) / 255.0);
                let values: ndarray::Array1<f64> = values.collect();
                *mean = values.mean().unwrap();
                channels[channel] += *mean / DRAWS as f64;
                within += values.std(0.0) / (3 * DRAWS) as f64;
            }
            means.push(of_image.iter().sum::<f64>() / 3.0);
        }
        let means: ndarray::Array1<f64> = means.into_iter().collect();
        let slack = if name == "frost" { 2.0 } else { 1.0 };
        let standard_error = expected.spread_of_means * (2.0 / DRAWS as f64).sqrt();
        for (found, expected) in channels.iter().zip(expected.channels) {
            let off = (found - expected).abs();
            assert!(
                off < slack * 4.0 * standard_error,
                "{name}: {channels:?}, not {expected:?}"
            );
        }
        for (what, found, expected) in [
            ("of means", means.std(0.0), expected.spread_of_means),
            ("within", within, expected.spread_within),
        ] {
            let off = (found / expected - 1.0).abs();
            assert!(
                off < slack * 0.1,
                "{name}, spread {what}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn elastic_moves_pixels_and_keeps_colours() {
    let image = picture(32, 32);
    let elastic = |seed| Corruption::Elastic.apply(&image, &mut Seed(seed).rng("", &[]));
    assert_eq!(elastic(0), elastic(0));
    assert_ne!(elastic(0), elastic(1));
    let flat = RgbImage::from_pixel(32, 32, Rgb([51, 102, 204]));
    let bent = Corruption::Elastic.apply(&flat, &mut Seed(0).rng("", &[]));
    // Cut off, not rounded.
    let same = |&Rgb([r, g, b]): &Rgb<u8>| r.abs_diff(51) + g.abs_diff(102) + b.abs_diff(204) <= 3;
    assert!(bent.pixels().all(same));
}

#[test]
fn every_corruption_takes_an_image_of_any_size() {
    for (width, height) in [(1, 1), (1, 40), (33, 2), (70, 45), (0, 0)] {
        let image = RgbImage::from_pixel(width, height, Rgb([10, 128, 250]));
        for corruption in Corruption::ALL {
            let corrupted = corruption.apply(&image, &mut Seed(0).rng("", &[]));
            assert_eq!(corrupted.dimensions(), (width, height), "{corruption}");
        }
    }
}
