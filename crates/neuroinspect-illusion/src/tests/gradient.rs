//! The gradient of the whole chain: parameter, augmentation, both networks, objective.

use neuroinspect_core::{ClassId, Direction, Unit, UnitKind};
use neuroinspect_testing::fill;

use super::{guided_networks, pairs, request, tensor, values};
use crate::{
    Coupling, ImageParameter, ImaginaryPart, Initial, Objective, Recipe, TransformDraw,
    batch::Batch,
    context::Context,
    view::{View, ViewConstants},
};

/// Central differences along random directions.
///
/// Losses are about 1 and known to 1e-6; a step of 1e-2 along a direction of length 1 makes the
/// difference quotient good to 1e-4, and its error of third order is as small. Gradients are 0.1
/// to 1 long, so agreement to 1 % of the gradient's length tells a wrong term from rounding.
fn check(recipe: &Recipe, from_images: bool) {
    let networks = guided_networks(10);
    let (shape, count) = ([2, 3, 12, 12], 2 * 3 * 144);
    let mut request = request(pairs([(1, 2), (4, 0)]), recipe);
    if from_images {
        request.initial = Initial::Images(ndarray::Array4::zeros(shape));
    }
    let context = Context::new(&networks, &request).unwrap();
    let batch = Batch::new(&context, &request.pairs, Vec::new()).unwrap();
    let view = ViewConstants::new(recipe, &request.pairs, 12, 1);
    let view = View::new(view, context.device());
    let parameter: Vec<f32> = match from_images {
        false => fill::normal("parameter", count)
            .iter()
            .map(|v| 0.02 * v)
            .collect(),
        // Of pictures that stay clear of 0 and 1, where the clamp has its kinks.
        true => {
            let images = tensor(fill::normal("images", count), shape) * 0.08 + 0.5;
            values(context.pictures.parameter_of(images))
        }
    };
    let inside = |parameter: &[f32]| {
        let images = context.pictures.images(tensor(parameter.to_vec(), shape));
        values(images)
            .iter()
            .all(|value| (0.05..0.95).contains(value))
    };
    let evaluate = |parameter: Vec<f32>| batch.evaluate(tensor(parameter, shape), &view).unwrap();
    let loss = |parameter| f64::from(values(evaluate(parameter).scores.losses.sum())[0]);
    let gradient = values(evaluate(parameter.clone()).gradient);
    let length = gradient
        .iter()
        .map(|g| f64::from(g * g))
        .sum::<f64>()
        .sqrt();
    assert!(length > 1e-2, "a gradient of {length} proves nothing");

    for direction in 0..4 {
        // Half a random direction, half the gradient's own, so that there is something to see.
        let noise = fill::normal(&format!("direction {direction}"), count);
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

fn recipe() -> Recipe {
    Recipe::default().with_size(12).with_steps(4)
}

#[test]
fn the_guided_objective_has_the_gradient_of_finite_differences() {
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        for draw in [TransformDraw::PerStep, TransformDraw::PerImage] {
            let recipe = recipe().with_coupling(coupling).with_transform_draw(draw);
            check(&recipe, false);
        }
    }
}

#[test]
fn the_plain_objectives_have_the_gradient_of_finite_differences() {
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        for objective in [
            Objective::without_clip(0.5),
            Objective::feature_visualization(0.1),
        ] {
            let recipe = recipe().with_objective(objective).with_coupling(coupling);
            check(&recipe, false);
        }
    }
}

/// Terms that the paper does not have. The total variation is of the picture before augmentation,
/// and its kinks are as many as the picture has neighbours: it gets a small weight.
#[test]
fn other_terms_have_the_gradient_of_finite_differences() {
    let direction = UnitKind::Direction(Direction::new(
        "normal",
        &fill::normal("direction", super::NEURONS),
    ));
    let unit = Objective::Unit(Unit::new("features", direction));
    let both = (unit + Objective::Logit(ClassId(3)) * -0.5) * Objective::Similarity;
    for objective in [
        both.clone(),
        both + Objective::TotalVariation * -0.05,
        Objective::Product(vec![Objective::Neuron + Objective::Constant(1.0); 3]) * 2.0,
    ] {
        for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
            let recipe = recipe()
                .with_objective(objective.clone())
                .with_coupling(coupling);
            check(&recipe, false);
        }
    }
}

/// The path from a given image.
#[test]
fn the_clamp_has_the_gradient_of_finite_differences() {
    for imaginary_part in [ImaginaryPart::Keep, ImaginaryPart::Drop] {
        let recipe = recipe().with_imaginary_part(imaginary_part);
        check(&recipe, true);
        check(&recipe.with_objective(Objective::without_clip(0.5)), true);
    }
}

#[test]
fn pixels_have_the_gradient_of_finite_differences() {
    let recipe = recipe().with_parameter(ImageParameter::Pixels);
    check(&recipe, false);
    check(&recipe, true);
}
