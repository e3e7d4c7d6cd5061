//! Files and preprocessing against Pillow and timm, for every network of the registry.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule, io::sha256_of_bytes};
use neuroinspect_datasets::{open_image, preprocess};
use neuroinspect_models::classifiers;
use serde::Deserialize;

/// What `tools/golden_photographs.py` wrote.
#[derive(Deserialize)]
struct Golden {
    levels: Vec<f32>,
    normalizations: Vec<Normalization>,
    transforms: Vec<Transform>,
}

#[derive(Deserialize)]
struct Normalization {
    mean: [f32; 3],
    std: [f32; 3],
    /// Of each channel, the levels over 255 normalised.
    values: [Vec<f32>; 3],
}

#[derive(Deserialize)]
struct Transform {
    size: usize,
    shorter: Option<usize>,
    interpolation: Interpolation,
    /// Of the pixels, the first digits of the hash, by the name of the file.
    sha256: BTreeMap<String, String>,
}

impl Transform {
    fn input(&self) -> InputSpec {
        let resize = match self.shorter {
            Some(to) => ResizeRule::ShorterSide { to },
            None => ResizeRule::Squash,
        };
        InputSpec::new(self.size)
            .with_interpolation(self.interpolation)
            .with_resize(resize)
    }
}

/// Pixels known of each picture, a row and a column.
const GRID: usize = 6;

/// Largest difference allowed at a pixel of a JPEG, of 255: where rounding is another by a level of luma and
/// by one of chroma, blue is off by 1 + 1.772 (ITU-T T.871, 7).
const LEVELS: u8 = if cfg!(feature = "turbojpeg") { 0 } else { 3 };

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/photographs.json")).unwrap()
}

fn photograph(name: &str) -> RgbImage {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/photographs/");
    open_image(format!("{folder}{name}")).unwrap()
}

/// Tolerance: none for all files but JPEGs. Resampling is in integers, and what is stored without a loss
/// has one reading.
///
/// A JPEG decoder is free in its rounding, and `jpeg-decoder` rounds the inverse transform and chroma
/// otherwise than Pillow's libjpeg-turbo ([`LEVELS`]). With the feature `turbojpeg` nothing differs.
#[test]
fn photographs_are_what_timm_makes_of_them() {
    let sheet = image::load_from_memory(include_bytes!("../golden/photographs.png")).unwrap();
    let sheet = sheet.into_rgb8();
    let mut images = BTreeMap::new();
    for (row, transform) in golden().transforms.iter().enumerate() {
        let input = transform.input();
        for (column, (name, sha256)) in transform.sha256.iter().enumerate() {
            let image = images
                .entry(name.clone())
                .or_insert_with(|| photograph(name));
            let pixels = preprocess(image, &input).unwrap();
            let pixels = pixels.mapv(|value| (value * 255.0).round() as u8);
            let at = |line| line * (input.size - 1) / (GRID - 1);
            for (y, x) in (0..GRID * GRID).map(|place| (place / GRID, place % GRID)) {
                let expected = sheet.get_pixel((column * GRID + x) as u32, (row * GRID + y) as u32);
                for channel in 0..3 {
                    let (found, expected) = (pixels[[channel, at(y), at(x)]], expected[channel]);
                    assert!(
                        (0..=LEVELS).contains(&found.abs_diff(expected)),
                        "{name}, {input:?}, {channel}, {y}, {x}: {found}, expected {expected}"
                    );
                }
            }
            if cfg!(feature = "turbojpeg") || !name.ends_with(".jpg") {
                let interleaved = pixels.permuted_axes([1, 2, 0]);
                let bytes: Vec<u8> = interleaved.iter().copied().collect();
                let found = sha256_of_bytes(&bytes);
                assert!(found.starts_with(sha256), "{name}, {input:?}");
            }
        }
    }
    assert_eq!(images.len(), 23);
}

/// Each input of each network and of each of its published weights is one of the golden ones, and these
/// are no others.
#[test]
fn the_inputs_of_the_registry_are_those_known() {
    let models = classifiers().unwrap();
    // A family that timm does not have takes images of its own size.
    let of_timm = models.iter().filter(|model| !model.tags.is_empty());
    let inputs = of_timm.flat_map(|model| model.tags.iter().map(|tag| &tag.input));
    let golden = golden();
    let mut transforms = vec![false; golden.transforms.len()];
    let mut normalizations = vec![false; golden.normalizations.len()];
    for input in inputs {
        let place = golden.transforms.iter().position(|it| {
            let it = it.input();
            (it.size, it.resize, it.interpolation)
                == (input.size, input.resize, input.interpolation)
        });
        transforms[place.unwrap_or_else(|| panic!("no values for {input:?}"))] = true;
        let place = golden
            .normalizations
            .iter()
            .position(|it| (it.mean, it.std) == (input.mean, input.std));
        normalizations[place.unwrap_or_else(|| panic!("no values for {input:?}"))] = true;
    }
    assert!(transforms.iter().chain(&normalizations).all(|&met| met));
}

/// Tolerance: a subtraction and a division in `f32`, of numbers up to 3.
#[test]
fn normalisation_is_torchvisions() {
    let Golden {
        levels,
        normalizations,
        ..
    } = golden();
    for Normalization { mean, std, values } in normalizations {
        let input = InputSpec::new(1).with_normalization(mean, std);
        let width = levels.len();
        let ramp: Vec<f32> = levels.iter().map(|level| level / 255.0).collect();
        let ramp = TensorData::new(ramp.repeat(3), [1, 3, 1, width]);
        let found = input.normalize(Tensor::from_data(ramp, &Device::flex()));
        let found: Vec<f32> = found.into_data().try_into_vec_as().unwrap();
        for (found, expected) in found.iter().zip(values.concat()) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
