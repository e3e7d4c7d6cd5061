//! Against numbers computed by the authors' code.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use neuroinspect_testing::{
    assert_close,
    reference::{Reference, original},
};

use super::{device, tensor, values};
use crate::{
    Coupling, Initial, Objective, Recipe, activation_mask,
    augment::Transform,
    objective::{Response, similarity},
    parameter::Pictures,
    warp::{Warp, WarpConstants},
};

/// Values in `[0, 1]` out of sums of `S * S` terms up to some 20 in size, in another order than
/// the Fourier transform's: a few hundred roundings of 6e-8 relative. Gradients likewise, relative
/// to the largest.
#[test]
fn the_spectrum_is_read_as_by_the_original() {
    let reference = original();
    for size in [32, 64] {
        let name = |part: &str| format!("spectrum.{size}.{part}");
        let pictures = Pictures::new(&Recipe::default(), &Initial::Noise, size, &device()).unwrap();
        let drawn = pictures.draw(reference.tensor(&name("param")));
        let images = values(drawn.images.clone());
        let gradient = pictures.pull_back(drawn, reference.tensor(&name("weight")));

        assert_close(images, reference.values(&name("rgb")), 0.0, 2e-6);
        let expected = reference.values(&name("grad"));
        let largest = expected
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let tolerance = 2e-6 * f64::from(largest);
        assert_close(values(gradient), expected, 0.0, tolerance);
    }
}

/// Nearest pixels are copied; a blend of four is a few roundings of numbers up to 1, and the
/// original computes positions in single precision, which moves them by 48 * 6e-8 pixels.
#[test]
fn pictures_are_transformed_as_by_the_original() {
    let reference = original();
    let cases = [
        (10.0, [5, -3], [0.7, 1.1]),
        (-15.0, [-7, 7], [1.2, 0.6]),
        (3.5, [0, 2], [0.93, 0.81]),
        (-7.25, [3, 0], [1.2, 1.2]),
    ];
    let input = reference.tensor::<4>("transform.input");
    for (case, (angle, shift, scale)) in cases.into_iter().enumerate() {
        let transform = Transform {
            angle,
            shift,
            scale,
        };
        let turned = Transform {
            scale: [1.0; 2],
            ..transform
        };
        for (transform, stage, tolerance) in [(turned, "affine", 0.0), (transform, "cropped", 2e-5)]
        {
            let ours =
                Warp::new(WarpConstants::new(&[transform], 48), &device()).apply(input.clone());
            let theirs = reference.values(&format!("transform.{case}.{stage}"));
            assert_close(values(ours), theirs, 0.0, tolerance);
        }
    }
}

/// Means of 49 numbers near 1 and products of two such, results below 0.6: a few roundings of 3e-8.
const OBJECTIVE_TOLERANCE: f64 = 1e-7;

/// The objective of the first `n` images of the reference batch, and its gradients with respect to
/// feature map, logits and image embeddings.
fn losses(
    reference: &Reference,
    n: usize,
    objective: &Objective,
    coupling: Coupling,
) -> (Vec<f32>, [Vec<f32>; 3]) {
    let layer = reference.tensor::<4>("objective.layer").narrow(0, 0, n);
    let logits = reference.tensor::<2>("objective.logits").narrow(0, 0, n);
    let embeddings = reference
        .tensor::<2>("objective.image_features")
        .narrow(0, 0, n);
    let texts = reference
        .tensor::<2>("objective.text_features")
        .narrow(0, 0, n);
    let (layer, logits, embeddings) = (
        layer.autodiff().require_grad(),
        logits.autodiff().require_grad(),
        embeddings.autodiff().require_grad(),
    );
    let one_hot = |indices: Vec<usize>, width: usize| {
        let mut rows = vec![0.0; n * width];
        for (row, &index) in indices.iter().take(n).enumerate() {
            rows[row * width + index] = 1.0;
        }
        tensor(rows, [n, width])
    };
    let neurons = one_hot(reference.indices("objective.neurons"), 16);
    let classes = one_hot(reference.indices("objective.classes"), 10);
    let features = layer
        .clone()
        .reshape([n, 16, 49])
        .mean_dim(2)
        .squeeze_dim::<2>(2);
    let response = Response {
        activation: (features * neurons).sum_dim(1).squeeze_dim(1),
        logit: (logits.clone() * classes).sum_dim(1).squeeze_dim(1),
        similarity: Some(similarity(embeddings.clone(), texts)),
        logits: BTreeMap::new(),
        layers: BTreeMap::new(),
        picture: tensor(Vec::new(), [0; 4]),
    };
    let losses = objective.losses(&response, coupling).unwrap();
    let gradients = losses.clone().sum().backward();
    let gradient = |gradient: Option<_>| values::<2>(gradient.unwrap());
    (
        values(losses),
        [
            values(layer.grad(&gradients).unwrap()),
            gradient(logits.grad(&gradients)),
            // The plain objectives do not look at the embeddings.
            embeddings.grad(&gradients).map(values).unwrap_or_default(),
        ],
    )
}

/// The reference's gradients with respect to the same three, `case` being "" or "single.".
///
/// It takes normalised embeddings and differentiates with respect to them; ours does the
/// normalising, which takes away the part of the gradient along the embedding.
fn reference_gradients(reference: &Reference, case: &str) -> [Vec<f32>; 3] {
    let named = |input: &str| reference.values(&format!("objective.{case}grad_{input}"));
    let mut across = named("image_features");
    let embeddings = reference.values("objective.image_features");
    for (gradient, embedding) in across.chunks_mut(12).zip(embeddings.chunks(12)) {
        let along: f32 = gradient.iter().zip(embedding).map(|(g, e)| g * e).sum();
        for (g, e) in gradient.iter_mut().zip(embedding) {
            *g -= along * e;
        }
    }
    [named("layer"), named("logits"), across]
}

/// That of the reference, for Food-101.
fn clip_illusion() -> Objective {
    Objective::clip_illusion(0.45, 0.05)
}

#[test]
fn the_coupled_objective_is_the_originals() {
    let reference = original();
    let (loss, gradients) = losses(&reference, 3, &clip_illusion(), Coupling::WholeBatch);
    let expected = reference.values("objective.loss");
    assert_close(loss, expected, 0.0, OBJECTIVE_TOLERANCE);
    for (ours, theirs) in gradients.iter().zip(reference_gradients(&reference, "")) {
        assert_close(ours, theirs, 0.0, OBJECTIVE_TOLERANCE);
    }
}

#[test]
fn a_single_image_has_the_same_objective_under_both_couplings() {
    let reference = original();
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        let (loss, gradients) = losses(&reference, 1, &clip_illusion(), coupling);
        let expected = reference.values("objective.single.loss");
        assert_close(loss, expected, 0.0, OBJECTIVE_TOLERANCE);
        for (ours, theirs) in gradients
            .iter()
            .zip(reference_gradients(&reference, "single."))
        {
            assert_close(ours, theirs, 0.0, OBJECTIVE_TOLERANCE);
        }
    }
}

#[test]
fn the_plain_objectives_are_the_originals() {
    let reference = original();
    let loss = |objective| losses(&reference, 3, &objective, Coupling::WholeBatch).0;
    let activation = reference.values("objective.activation")[0];
    let without_clip = loss(Objective::without_clip(0.45));
    assert_close(without_clip, [-activation], 0.0, OBJECTIVE_TOLERANCE);

    let visualization = loss(Objective::feature_visualization(0.1));
    let expected = reference.values("objective.channel_loss");
    assert_close(visualization, expected, 0.0, OBJECTIVE_TOLERANCE);
}

/// Exact: no standardised activation of the reference lies within rounding of its threshold.
#[test]
fn masks_are_the_originals() {
    let reference = original();
    let layer = reference.values("objective.layer");
    let neurons = reference.indices("objective.neurons");
    for (name, threshold, reduction) in [("mask.0.5.0.5", 0.5, 0.5), ("mask.0.25.0.0", 0.25, 0.0)] {
        let mut ours = Vec::new();
        for (image, neuron) in neurons.iter().enumerate() {
            let start = (image * 16 + neuron) * 49;
            let map = ArrayView2::from_shape((7, 7), &layer[start..start + 49]).unwrap();
            ours.extend(activation_mask(map, 48, threshold, reduction));
        }
        assert_eq!(ours, reference.values(name));
    }
}
