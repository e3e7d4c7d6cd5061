//! The losses against their authors' values, or against their definition.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, read_back};
use neuroinspect_testing::{
    assert_close,
    reference::{Reference, original},
    tables::{neuron_ids, table},
};

use super::{
    class_weighting::WeightedMean, con::ConLoss, focal::FocalLoss, logistic::l1_logistic,
    logit_adjustment::ShiftedCrossEntropy,
};
use crate::{
    Afr, Batch, DeviceTable, LayerTensors, Loss, LossAndGradient, MethodInput, Storage,
    data::indices,
};

/// The layer and the samples of the reference, and its class weights: 0.9, and 1 for class 3.
fn reference_batch() -> (Reference, LayerTensors, Batch, Tensor<2>) {
    let reference = original();
    let device = Device::flex();
    let layer = LayerTensors::of(&reference.decision_layer(), &device);
    let features: Array2<f32> = reference.array("counterfactual.features");
    let labels = reference.indices("editing.labels");
    let samples = DeviceTable::new(table(features, &labels, 10), &device, Storage::Device);
    let weights = samples.column(
        labels
            .iter()
            .map(|&label| if label == 3 { 1.0 } else { 0.9 }),
    );
    let all: Vec<usize> = (0..samples.len()).collect();
    (reference, layer, samples.batch(&all), weights)
}

#[test]
fn class_weighting_and_focal_loss_are_those_of_the_original() {
    let (reference, layer, batch, weights) = reference_batch();
    let mut losses: [(&str, Box<dyn Loss>); 2] = [
        (
            "class_weighting",
            Box::new(WeightedMean {
                weights: weights.clone(),
            }),
        ),
        (
            "focal",
            Box::new(FocalLoss {
                weights,
                gamma: 2.0,
            }),
        ),
    ];
    for (name, loss) in &mut losses {
        let theirs = reference.values(&format!("editing.{name}"));
        // Single precision on both sides, of values near 1.
        assert_close(loss.evaluate(&layer, &batch).loss, theirs, 0.0, 1e-6);
    }
}

fn con(reference: &Reference) -> ConLoss {
    let neurons: Vec<usize> = reference.constant("/editing/masked_neurons");
    ConLoss {
        class: ClassId(3),
        neurons: indices(&neuron_ids(&neurons), &Device::flex()),
        lambda3: 0.01,
    }
}

/// The reference has the penalty's gradient alone.
#[test]
fn con_is_that_of_the_original() {
    let (reference, layer, batch, _) = reference_batch();
    let whole = ConLoss {
        lambda3: 1.0,
        ..con(&reference)
    };
    let [ours, plain] = [
        whole.clone(),
        ConLoss {
            lambda3: 0.0,
            ..whole
        },
    ]
    .map(|mut loss| loss.evaluate(&layer, &batch));
    let values = |tensor: Tensor<1>| read_back(tensor, "a test's tensor").unwrap();
    // Both sides in single precision, values up to 3, gradients up to 1.
    let theirs = reference.values("editing.con.l2");
    assert_close(values(ours.penalty), theirs, 0.0, 1e-6);
    let weight = (ours.weight - plain.weight).flatten::<1>(0, 1);
    for (name, ours) in [
        ("grad_weight", weight),
        ("grad_bias", ours.bias - plain.bias),
    ] {
        let theirs = reference.values(&format!("editing.con.{name}"));
        assert_close(values(ours), theirs, 0.0, 3e-7);
    }
}

/// Along its own gradient a loss falls by the square of its length, at first.
#[test]
fn gradients_are_those_of_their_losses() {
    let (reference, layer, batch, weights) = reference_batch();
    let shifts: Vec<f32> = (0..10_u8).map(|class| 0.3 * f32::from(class)).collect();
    let shifts = Tensor::from_data(TensorData::new(shifts, [1, 10]), &Device::flex());
    let losses: [(&str, Box<dyn Loss>); 4] = [
        (
            "class weighting",
            Box::new(WeightedMean {
                weights: weights.clone(),
            }),
        ),
        (
            "focal",
            Box::new(FocalLoss {
                weights,
                gamma: 2.0,
            }),
        ),
        (
            "con",
            Box::new(ConLoss {
                lambda3: 1.0,
                ..con(&reference)
            }),
        ),
        ("logit adjustment", Box::new(ShiftedCrossEntropy(shifts))),
    ];
    for (name, mut loss) in losses {
        let LossAndGradient {
            loss: before,
            weight,
            bias,
            ..
        } = loss.evaluate(&layer, &batch);
        let square: f32 =
            (weight.clone().square().sum() + bias.clone().square().sum()).into_scalar();
        let step = 1e-3;
        let moved = LayerTensors {
            weight: layer.weight.clone() - weight * step,
            bias: layer.bias.clone() - bias * step,
        };
        let fallen: f32 = (before - loss.evaluate(&moved, &batch).loss).into_scalar();
        let expected = step as f32 * square;
        assert!(
            (fallen / expected - 1.0).abs() < 0.05,
            "{name}: {fallen} for {expected}"
        );
    }
}

/// Of two samples `exp(-gamma p_y)` over the count of the class, 1 on average.
#[test]
fn the_weights_of_afr_are_its_authors_formula() {
    let device = Device::flex();
    let samples = table(array![[0.0], [2.0], [-1.0]], &[0, 0, 1], 2);
    let samples = DeviceTable::new(samples, &device, Storage::Device);
    // p of class 0 is 1 / (1 + exp(-f)).
    let layer = DecisionLayer::new(array![[1.0], [0.0]], array![0.0, 0.0]).unwrap();
    let input = MethodInput::new(&samples, &samples, &layer).unwrap();
    let afr = Afr {
        gamma: 4.0,
        lambda: 0.0,
        training: Default::default(),
    };
    let p = [0.5, 0.880797, 0.7310586_f64];
    let raw = [0, 1, 2].map(|sample| (-4.0 * p[sample]).exp() / [2.0, 2.0, 1.0][sample]);
    let mean = raw.iter().sum::<f64>() / 3.0;
    assert_close(
        afr.weights(&input).unwrap(),
        raw.map(|weight| weight / mean),
        0.0,
        1e-6,
    );
}

/// At the minimum the gradient is `penalty` against the sign of every weight that is not 0, within it of
/// every other one, and 0 of every bias.
#[test]
fn l1_regression_comes_to_its_minimum() {
    let device = Device::flex();
    let x = [
        [1.0, 0.1],
        [0.8, -0.3],
        [0.6, 0.2],
        [-0.9, 0.1],
        [-0.7, -0.2],
        [0.2, 0.15_f32],
    ];
    let labels = [
        [1.0, 0.0],
        [1.0, 0.0],
        [1.0, 0.0],
        [0.0, 1.0],
        [0.0, 1.0],
        [0.0, 1.0_f32],
    ];
    let (x, one_hot) = (
        Tensor::<2>::from_data(x, &device),
        Tensor::<2>::from_data(labels, &device),
    );
    let penalty = 0.05;
    let (weight, bias) = l1_logistic(x.clone(), one_hot.clone(), penalty, 2000).unwrap();
    let logits = x.clone().matmul(weight.clone().transpose()) + bias.unsqueeze();
    let residual = burn::tensor::activation::softmax(logits, 1) - one_hot;
    let of_bias = read_back(residual.clone().sum_dim(0), "bias").unwrap();
    let gradient = read_back(residual.transpose().matmul(x) / 6.0, "gradient").unwrap();
    let weight = read_back(weight, "weight").unwrap();
    assert!(of_bias.iter().all(|it| it.abs() < 1e-4), "{of_bias:?}");
    assert!(
        weight.contains(&0.0) && weight.iter().any(|&it| it != 0.0),
        "{weight:?}"
    );
    for (weight, gradient) in weight.into_iter().zip(gradient) {
        let penalty = penalty as f32;
        match weight == 0.0 {
            true => assert!(gradient.abs() <= penalty + 1e-4, "{gradient}"),
            false => assert!(
                (gradient + penalty * weight.signum()).abs() < 1e-4,
                "{gradient}"
            ),
        }
    }
}
