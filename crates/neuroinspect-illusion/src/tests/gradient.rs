//! The gradient of the whole chain: spectrum, augmentation, both networks, objective.

use super::{normals, tensor, values};
use crate::{
    Coupling, Guide, IllusionConfig, ImaginaryPart, Objective, Squash, TransformDraw,
    batch::Batch,
    tests::tiny::{Encoder, Net, pairs},
    visualize::Studio,
};

/// Central differences along random directions.
///
/// Losses are about 1 and known to 1e-6; a step of 1e-2 along a direction of length 1 makes the
/// difference quotient good to 1e-4, and its error of third order is as small. Gradients are 0.1
/// to 1 long, so agreement to 1 % of the gradient's length tells a wrong term from rounding.
fn check(config: &IllusionConfig, guide: Option<&Guide<'_>>, squash: Squash) {
    let net = Net::new(10);
    let studio = Studio::new(&net, guide, config).unwrap();
    let pairs = pairs([(1, 2), (4, 0)]);
    let batch = Batch::new(&studio, &pairs).unwrap();
    let view = batch.view(1);
    let (shape, count) = ([2, 3, 12, 12], 2 * 3 * 144);
    let parameter: Vec<f32> = match squash {
        Squash::Sigmoid => normals("parameter", count)
            .iter()
            .map(|v| 0.02 * v)
            .collect(),
        // Of pictures that stay clear of 0 and 1, where the clamp has its kinks.
        Squash::Clamp => {
            let images = tensor(normals("images", count), shape) * 0.08 + 0.5;
            values(studio.spectrum.parameter_of(images))
        }
    };
    let inside = |parameter: &[f32]| {
        let images = studio.images(tensor(parameter.to_vec(), shape), squash);
        values(images)
            .iter()
            .all(|value| (0.05..0.95).contains(value))
    };
    let slope = |parameter: Vec<f32>| {
        batch
            .slope(tensor(parameter, shape), squash, &view)
            .unwrap()
    };
    let loss = |parameter| f64::from(values(slope(parameter).losses.sum())[0]);
    let gradient = values(slope(parameter.clone()).gradient);
    let length = gradient
        .iter()
        .map(|g| f64::from(g * g))
        .sum::<f64>()
        .sqrt();
    assert!(length > 1e-2, "a gradient of {length} proves nothing");

    for direction in 0..4 {
        // Half a random direction, half the gradient's own, so that there is something to see.
        let noise = normals(&format!("direction {direction}"), count);
        let noise_length = (count as f64).sqrt();
        let direction: Vec<f64> = noise
            .iter()
            .zip(&gradient)
            .map(|(&n, &g)| 0.5 * f64::from(n) / noise_length + 0.5 * f64::from(g) / length)
            .collect();
        let step = 1e-2;
        let moved = |by: f64| -> Vec<f32> {
            let moved = parameter.iter().zip(&direction);
            let moved: Vec<f32> = moved
                .map(|(&p, d)| (f64::from(p) + by * d) as f32)
                .collect();
            assert!(inside(&moved), "a kink is near");
            moved
        };
        let difference = (loss(moved(step)) - loss(moved(-step))) / (2.0 * step);
        let product: f64 = direction
            .iter()
            .zip(&gradient)
            .map(|(d, &g)| d * f64::from(g))
            .sum();
        let error = (difference - product).abs();
        assert!(error < 0.01 * length, "{difference} against {product}");
    }
}

fn config() -> IllusionConfig {
    IllusionConfig::new().with_size(12).with_steps(4)
}

#[test]
fn the_guided_objective_has_the_gradient_of_finite_differences() {
    let encoder = Encoder::new(8);
    let guide = encoder.guide();
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        for draw in [TransformDraw::PerStep, TransformDraw::PerImage] {
            let config = config().with_coupling(coupling).with_transform_draw(draw);
            check(&config, Some(&guide), Squash::Sigmoid);
        }
    }
}

#[test]
fn the_plain_objectives_have_the_gradient_of_finite_differences() {
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        for objective in [
            Objective::ClassConditional,
            Objective::FeatureVisualization { logit_weight: 0.1 },
        ] {
            let config = config().with_objective(objective).with_coupling(coupling);
            check(&config, None, Squash::Sigmoid);
        }
    }
}

/// The path from a given image.
#[test]
fn the_clamp_has_the_gradient_of_finite_differences() {
    let encoder = Encoder::new(8);
    let guide = encoder.guide();
    for imaginary_part in [ImaginaryPart::Keep, ImaginaryPart::Drop] {
        let config = config().with_imaginary_part(imaginary_part);
        check(&config, Some(&guide), Squash::Clamp);
        let config = config.with_objective(Objective::ClassConditional);
        check(&config, None, Squash::Clamp);
    }
}
