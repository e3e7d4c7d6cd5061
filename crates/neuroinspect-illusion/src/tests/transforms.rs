//! The linear maps: spectrum, resize, augmentation.

use std::f64::consts::TAU;

use ndarray::{Array3, Array4};
use neuroinspect_core::{InputSpec, Seed};
use neuroinspect_testing::{assert_close, fill};
use proptest::prelude::*;

use super::{device, tensor, values};
use crate::{
    Augmentation, COLOR_CORRELATION, Error, ImageParameter, ImaginaryPart, Initial, Magnitudes,
    Recipe,
    adapter::{InputAdapter, Resize},
    augment::Transform,
    parameter::Pictures,
    warp::{Warp, WarpConstants},
};

fn pictures(initial: &Initial, size: usize) -> Pictures {
    Pictures::new(&Recipe::default(), initial, size, &device()).unwrap()
}

/// The definition, term by term, in double precision.
fn naive_images(parameter: &[f32], size: usize) -> Vec<f32> {
    let norm = COLOR_CORRELATION
        .iter()
        .map(|row| row[0] * row[0])
        .sum::<f64>()
        .sqrt();
    let spacing = 0.5_f64.sqrt() * size as f64;
    let plane = |channel: usize, row: usize, column: usize| {
        let mut sum = 0.0;
        for ky in 0..size {
            for kx in 0..size / 2 {
                let fy = if ky < size / 2 {
                    ky as f64
                } else {
                    ky as f64 - size as f64
                } / spacing;
                let fx = kx as f64 / spacing;
                let scale = 1.0
                    / (fx * fx + fy * fy)
                        .powf(0.75)
                        .max(2.0_f64.sqrt() / size as f64);
                let at = ((channel * size + ky) * size / 2 + kx) * 2;
                let (re, im) = (f64::from(parameter[at]), f64::from(parameter[at + 1]));
                let angle = TAU * (ky * row + kx * column) as f64 / size as f64;
                let twice = if kx == 0 { 1.0 } else { 2.0 };
                sum += twice * scale * (re * angle.cos() - im * angle.sin()) / size as f64;
            }
        }
        sum
    };
    let mut images = Vec::new();
    for color in COLOR_CORRELATION {
        for row in 0..size {
            for column in 0..size {
                let value: f64 = (0..3)
                    .map(|c| color[c] / norm * plane(c, row, column))
                    .sum();
                images.push((1.0 / (1.0 + (-value).exp())) as f32);
            }
        }
    }
    images
}

/// A hundred terms around 1 in single precision against double.
#[test]
fn the_spectrum_is_read_as_defined() {
    for size in [2, 6, 10] {
        let parameter = fill::normal("parameter", 3 * size * size);
        let expected = naive_images(&parameter, size);
        let parameter = tensor(parameter, [1, 3, size, size]);
        let images = pictures(&Initial::Noise, size).images(parameter);
        assert_close(values(images), expected, 0.0, 2e-6);
    }
}

/// Waves below the Nyquist frequency, sines as well as cosines: the original loses the imaginary
/// parts. Sums of 144 terms up to 1, divided and multiplied by scales up to 8.
#[test]
fn an_image_survives_its_spectrum() {
    let size = 12;
    let mut image = Vec::new();
    for channel in 0..3 {
        for row in 0..size {
            for column in 0..size {
                let angle = TAU * (2 * row + (channel + 3) * column) as f64 / size as f64;
                image.push((0.5 + 0.2 * angle.cos() + 0.15 * (2.0 * angle + 1.0).sin()) as f32);
            }
        }
    }
    // Channel 0's second wave is of column frequency 6, the Nyquist column: take a slower one.
    for (index, value) in image.iter_mut().take(size * size).enumerate() {
        *value = (0.5 + 0.3 * (TAU * (index % size) as f64 / size as f64 + 0.4).sin()) as f32;
    }
    let clamped = pictures(&Initial::Images(Array4::default((0, 0, 0, 0))), size);
    let parameter = clamped.parameter_of(tensor(image.clone(), [1, 3, size, size]));
    assert_close(values(clamped.images(parameter)), image, 0.0, 1e-5);
}

/// What autodiff makes of the same pictures, for each parameter and each squash. Sums of a hundred
/// products around 1.
#[test]
fn pull_backs_are_those_of_autodiff() {
    let size = 12;
    let shape = [2, 3, size, size];
    let count = shape.iter().product();
    let weight = || tensor(fill::normal("weight", count), shape);
    for parameter in [ImageParameter::Spectrum, ImageParameter::Pixels] {
        for (initial, imaginary_part) in [
            (Initial::Noise, ImaginaryPart::Keep),
            (
                Initial::Images(Array4::default((0, 0, 0, 0))),
                ImaginaryPart::Keep,
            ),
            (
                Initial::Images(Array4::default((0, 0, 0, 0))),
                ImaginaryPart::Drop,
            ),
        ] {
            let recipe = Recipe::default()
                .with_parameter(parameter.clone())
                .with_imaginary_part(imaginary_part);
            let pictures = Pictures::new(&recipe, &initial, size, &device()).unwrap();
            // Also beyond the ends of the clamp.
            let parameter = tensor(fill::normal("parameter", count), shape);
            let tracked = parameter.clone().autodiff().require_grad();
            let loss = (pictures.images(tracked.clone()) * weight()).sum();
            let expected = tracked.grad(&loss.backward()).unwrap();
            let ours = pictures.pull_back(pictures.draw(parameter), weight());
            assert_close(values(ours), values(expected), 1e-5, 1e-5);
        }
    }
}

/// Magnitudes that fall as `1 / f`, small enough for all colours to be far from black and white.
fn falling() -> Magnitudes {
    let frequencies = (0..31).map(|place| f64::from(place - 30) / 4.0 - 0.5);
    let magnitudes: Vec<f32> = frequencies
        .map(|octaves| (0.02 / octaves.exp2()) as f32)
        .collect();
    Magnitudes {
        mean: [0.1; 3],
        channels: [magnitudes.clone(), magnitudes.clone(), magnitudes],
    }
}

fn phases(size: usize) -> Pictures {
    let recipe = Recipe::maco(falling());
    Pictures::new(&recipe, &Initial::Noise, size, &device()).unwrap()
}

#[test]
fn a_pull_back_of_phases_is_that_of_autodiff() {
    let (size, pictures) = (12, phases(12));
    let shape = [2, 3, size, size / 2];
    assert_eq!(pictures.shape(), [3, size, size / 2]);
    let parameter = tensor(fill::normal("phases", shape.iter().product()), shape);
    let weight = || tensor(fill::normal("weight", 6 * size * size), [2, 3, size, size]);
    let tracked = parameter.clone().autodiff().require_grad();
    let loss = (pictures.images(tracked.clone()) * weight()).sum();
    let expected = tracked.grad(&loss.backward()).unwrap();
    let ours = pictures.pull_back(pictures.draw(parameter), weight());
    assert_close(values(ours), values(expected), 1e-5, 1e-5);
}

/// Whatever the phases. A frequency's place is up to an eighth of an octave off, above which and below the
/// mean of `1 / f` is that in the middle to 1 %; the row of the Nyquist frequency has its sign alone.
#[test]
fn phases_leave_the_magnitudes() {
    let size = 32;
    let drawn = (0..8).map(|index| {
        let normals = fill::normal(&format!("phases {index}"), 3 * size * size / 2);
        let parameter = tensor(normals, [1, 3, size, size / 2]) * 10.0;
        let image = values(phases(size).images(parameter));
        Array3::from_shape_vec((3, size, size), image).unwrap()
    });
    let (found, expected) = (Magnitudes::measure(drawn).unwrap(), falling());
    for channel in 0..3 {
        // Of 31 places, the first that 32 pixels have is that of 1 / 32; the last are corners.
        for place in 12..27 {
            let [found, expected] = [&found, &expected].map(|it| it.channels[channel][place]);
            assert!(
                (found / expected - 1.0).abs() < 0.1,
                "{channel} {place}: {found} {expected}"
            );
        }
    }
}

#[test]
fn phases_do_not_start_from_an_image() {
    let initial = Initial::Images(Array4::default((0, 0, 0, 0)));
    let error = Pictures::new(&Recipe::maco(falling()), &initial, 12, &device()).unwrap_err();
    assert!(error.to_string().contains("parameter"), "{error}");
}

/// Black and white pixels are on the ends of the clamp, and not beyond: they can move.
#[test]
fn the_ends_of_the_clamp_pass_the_gradient() {
    let recipe = Recipe::default().with_parameter(ImageParameter::Pixels);
    let initial = Initial::Images(Array4::default((0, 0, 0, 0)));
    let pictures = Pictures::new(&recipe, &initial, 2, &device()).unwrap();
    let parameter = tensor([0.0, 1.0, -0.1, 1.1].repeat(3), [1, 3, 2, 2]);
    let drawn = pictures.draw(parameter.clone());
    let gradient = pictures.pull_back(drawn, parameter.ones_like());
    assert_eq!(values(gradient), [1.0, 1.0, 0.0, 0.0].repeat(3));
}

#[test]
fn odd_and_empty_pictures_are_refused() {
    for size in [0, 7] {
        let error =
            Pictures::new(&Recipe::default(), &Initial::Noise, size, &device()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("size = {size}: expected an even number of pixels, 2 to 4096")
        );
    }
}

/// By hand: halving four pixels, a triangle of radius 2 about 0.5 weighs them 3 : 3 : 1 : 0.
#[test]
fn shrinking_is_antialiased_as_in_pil() {
    let row = [7.0, 14.0, 70.0, 0.0];
    let image = tensor(row.repeat(12), [1, 3, 4, 4]);
    let (left, right) = (
        (3.0 * 7.0 + 3.0 * 14.0 + 70.0) / 7.0,
        (14.0 + 3.0 * 70.0) / 7.0,
    );
    let resized = Resize::new(4, 2, &device()).apply(image);
    assert_close(values(resized), [left, right].repeat(6), 0.0, 1e-5);
}

/// The constants made once are those of the input's own normalisation.
#[test]
fn a_network_sees_what_its_input_asks_for() {
    let images = || tensor(fill::normal("images", 2 * 3 * 64), [2, 3, 8, 8]);
    for size in [6, 8, 10] {
        let input = InputSpec::imagenet(size);
        let expected = input.normalize(Resize::new(8, size, &device()).apply(images()));
        let seen = InputAdapter::new(&input, 8, &device()).apply(images());
        assert_eq!(values(seen), values(expected));
    }
}

#[test]
fn nothing_drawn_changes_nothing() {
    let off = Augmentation::off();
    let transform = Transform::draw(&off, 8, &mut Seed(1).rng("test", &[]));
    let images = fill::normal("images", 2 * 3 * 64);
    let warp = Warp::new(WarpConstants::new(&[transform], 8), &device());
    assert_eq!(
        values(warp.apply(tensor(images.clone(), [2, 3, 8, 8]))),
        images
    );
}

#[test]
fn draws_stay_in_their_ranges() {
    let ranges = Augmentation::default();
    for draw in 0..200 {
        let transform = Transform::draw(&ranges, 40, &mut Seed(draw).rng("test", &[]));
        assert!(transform.angle.abs() <= 15.0);
        assert!(transform.shift.iter().all(|shift| shift.abs() <= 6));
        assert!(
            transform
                .scale
                .iter()
                .all(|scale| (0.6..=1.2).contains(scale))
        );
    }
}

#[test]
fn bad_ranges_are_refused_by_name() {
    let bad = [
        (
            Augmentation {
                rotation: -1.0,
                ..Augmentation::off()
            },
            "augmentation.rotation",
        ),
        (
            Augmentation {
                shift: 1.0,
                ..Augmentation::off()
            },
            "augmentation.shift",
        ),
        (
            Augmentation {
                scale: (0.0, 1.0),
                ..Augmentation::off()
            },
            "augmentation.scale",
        ),
        (
            Augmentation {
                scale: (1.2, 1.0),
                ..Augmentation::off()
            },
            "augmentation.scale",
        ),
        (
            Augmentation {
                scale: (1.0, f64::NAN),
                ..Augmentation::off()
            },
            "augmentation.scale",
        ),
    ];
    for (ranges, name) in bad {
        let Err(Error::Core(neuroinspect_core::Error::InvalidOption { option, .. })) =
            ranges.validate()
        else {
            panic!("{ranges:?} was accepted");
        };
        assert_eq!(option, name);
    }
}

proptest! {
    /// `<A x, y> = <x, A* y>`, for one transform per batch and one per image. Sums of 600 products
    /// around 1, of either sign.
    #[test]
    fn the_adjoint_is_the_adjoint(seed in 0_u64..1000, per_image in any::<bool>()) {
        let size = 10;
        let ranges = Augmentation { rotation: 60.0, shift: 0.5, scale: (0.3, 1.9) };
        let draw = |image| Transform::draw(&ranges, size, &mut Seed(seed).rng("test", &[image]));
        let transforms: Vec<_> = (0..if per_image { 2 } else { 1 }).map(draw).collect();
        let warp = Warp::new(WarpConstants::new(&transforms, size), &device());
        let shape = [2, 3, size, size];
        let x = tensor(fill::normal("x", 600), shape);
        let y = tensor(fill::normal("y", 600), shape);
        let forward = values((warp.apply(x.clone()) * y.clone()).sum())[0];
        let backward = values((x * warp.adjoint(y)).sum())[0];
        prop_assert!((forward - backward).abs() < 1e-3, "{} and {}", forward, backward);
    }
}
