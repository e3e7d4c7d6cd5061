//! Against numbers computed by the authors' code.

use burn::tensor::Device;
use ndarray::ArrayView2;
use neuroinspect_testing::reference::{Reference, original};

use super::{assert_near, tensor, values};
use crate::{
    Coupling, IllusionConfig, Objective, Spectrum, Squash, activation_mask,
    augment::{Transform, Warp},
    objective::{Response, losses, similarity},
};

/// Values in `[0, 1]` out of sums of `S * S` terms up to some 20 in size, in another order than
/// the Fourier transform's: a few hundred roundings of 6e-8 relative. Gradients likewise, relative
/// to the largest.
#[test]
fn the_spectrum_is_read_as_by_the_original() {
    let reference = original();
    for size in [32, 64] {
        let name = |part: &str| format!("spectrum.{size}.{part}");
        let spectrum = Spectrum::new(size, &Device::flex()).unwrap();
        let parameter = reference
            .tensor::<4>(&name("param"))
            .autodiff()
            .require_grad();
        let images = spectrum.images(parameter.clone(), Squash::Sigmoid);
        let loss = (images.clone() * reference.tensor(&name("weight"))).sum();
        let gradient = values(parameter.grad(&loss.backward()).unwrap());

        assert_near(&values(images), &reference.values(&name("rgb")), 2e-6);
        let expected = reference.values(&name("grad"));
        let largest = expected
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert_near(&gradient, &expected, 2e-6 * largest);
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
            let ours = Warp::new(&[transform], 48, &Device::flex()).apply(input.clone());
            let theirs = reference.values(&format!("transform.{case}.{stage}"));
            assert_near(&values(ours), &theirs, tolerance);
        }
    }
}

/// Means of 49 numbers near 1 and products of two such, results below 0.6: a few roundings of 3e-8.
const OBJECTIVE_TOLERANCE: f32 = 1e-7;

/// The objective of the first `n` images of the reference batch, and its gradients with respect to
/// feature map, logits and image embeddings.
fn objective(
    reference: &Reference,
    n: usize,
    config: &IllusionConfig,
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
    };
    let losses = losses(&response, config).unwrap();
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

fn original_config() -> IllusionConfig {
    IllusionConfig::original().with_class_gamma(0.45)
}

#[test]
fn the_coupled_objective_is_the_originals() {
    let reference = original();
    let (loss, gradients) = objective(&reference, 3, &original_config());
    assert_near(
        &loss,
        &reference.values("objective.loss"),
        OBJECTIVE_TOLERANCE,
    );
    for (ours, theirs) in gradients.iter().zip(reference_gradients(&reference, "")) {
        assert_near(ours, &theirs, OBJECTIVE_TOLERANCE);
    }
}

#[test]
fn a_single_image_has_the_same_objective_under_both_couplings() {
    let reference = original();
    for coupling in [Coupling::PerImage, Coupling::WholeBatch] {
        let (loss, gradients) =
            objective(&reference, 1, &original_config().with_coupling(coupling));
        assert_near(
            &loss,
            &reference.values("objective.single.loss"),
            OBJECTIVE_TOLERANCE,
        );
        for (ours, theirs) in gradients
            .iter()
            .zip(reference_gradients(&reference, "single."))
        {
            assert_near(ours, &theirs, OBJECTIVE_TOLERANCE);
        }
    }
}

#[test]
fn the_plain_objectives_are_the_originals() {
    let reference = original();
    let config = original_config().with_objective(Objective::ClassConditional);
    let (loss, _) = objective(&reference, 3, &config);
    let activation = reference.values("objective.activation")[0];
    assert_near(&loss, &[-activation], OBJECTIVE_TOLERANCE);

    let config =
        original_config().with_objective(Objective::FeatureVisualization { logit_weight: 0.1 });
    let (loss, _) = objective(&reference, 3, &config);
    assert_near(
        &loss,
        &reference.values("objective.channel_loss"),
        OBJECTIVE_TOLERANCE,
    );
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
