//! The losses against their authors' values, or against their definition.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, Groups, Seed, Silent, read_back};
use neuroinspect_testing::{
    assert_close,
    reference::{Reference, original},
    tables::{neuron_ids, table},
};

use rand::distr::weighted::WeightedIndex;

use super::{
    afr::AnchoredLoss, class_weighting::WeightedMean, contributions::ConLoss, disc::MixedLoss,
    focal::FocalLoss, group_dro::GroupLoss, logistic::l1_logistic,
    logit_adjustment::ShiftedCrossEntropy,
};
use crate::{
    Afr, DeviceTable, LayerTensors, Loss, LossAndGradient, MethodInput, SampleBatch,
    SelectiveFinetuning, Storage, data::indices,
};

/// The layer and the samples of the reference, and its class weights: 0.9, and 1 for class 3.
fn reference_batch() -> (Reference, LayerTensors, SampleBatch, Tensor<2>) {
    let reference = original();
    let device = Device::flex();
    let layer = LayerTensors::of(&reference.decision_layer(), &device);
    let features: Array2<f32> = reference.array("counterfactual.features");
    let labels = reference.indices("editing.labels");
    let samples = DeviceTable::new(table(features, &labels, 10), &device, Storage::Device).unwrap();
    let weights = samples.column(
        labels
            .iter()
            .map(|&label| if label == 3 { 1.0 } else { 0.9 }),
    );
    let all: Vec<usize> = (0..samples.len()).collect();
    (reference, layer, samples.batch(&all).unwrap(), weights)
}

/// The losses that have a weight for each sample.
fn weighted_losses(weights: Tensor<2>) -> Vec<(&'static str, Box<dyn Loss>)> {
    let mean = WeightedMean {
        weights: weights.clone(),
    };
    let gamma = 2.0;
    vec![
        ("class_weighting", Box::new(mean)),
        ("focal", Box::new(FocalLoss { weights, gamma })),
    ]
}

#[test]
fn class_weighting_and_focal_loss_are_those_of_the_original() {
    let (reference, layer, batch, weights) = reference_batch();
    for (name, mut loss) in weighted_losses(weights) {
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
    let anchor = LayerTensors {
        weight: layer.weight.clone() * 0.9,
        bias: layer.bias.clone() + 0.1,
    };
    let mixed = |step| MixedLoss {
        concepts: batch.features.clone().slice_dim(0, 0..2) * 3.0,
        choices: (0..10)
            .map(|class| (class, WeightedIndex::new([1.0, 2.0]).unwrap()))
            .collect(),
        seed: Seed(0),
        step,
    };
    // Group weights of a step of 0 stay as they are; concepts are drawn anew with each evaluation.
    let mut losses = weighted_losses(weights.clone());
    let con = ConLoss {
        lambda3: 1.0,
        ..con(&reference)
    };
    losses.push(("con", Box::new(con)));
    losses.push(("logit adjustment", Box::new(ShiftedCrossEntropy(shifts))));
    let anchored = AnchoredLoss {
        weights,
        anchor,
        lambda: 0.3,
    };
    losses.push(("afr", Box::new(anchored)));
    losses.push(("group dro", Box::new(group_loss(&[0, 1].repeat(6), 0.0))));
    losses.push(("disc", Box::new(mixed(0))));
    for (name, mut loss) in losses {
        let LossAndGradient {
            loss: before,
            weight,
            bias,
            ..
        } = loss.evaluate(&layer, &batch);
        let square: f32 =
            (weight.clone().square().sum() + bias.clone().square().sum()).into_scalar();
        let step = f64::from(1e-3 / square.max(1.0).sqrt());
        let moved = LayerTensors {
            weight: layer.weight.clone() - weight * step,
            bias: layer.bias.clone() - bias * step,
        };
        if name == "disc" {
            loss = Box::new(mixed(0));
        }
        let fallen: f32 = (before - loss.evaluate(&moved, &batch).loss).into_scalar();
        let expected = step as f32 * square;
        assert!(
            (fallen / expected - 1.0).abs() < 0.05,
            "{name}: {fallen} for {expected}"
        );
    }
}

/// The loss of group DRO for samples of these two groups.
fn group_loss(of_sample: &[usize], eta: f64) -> GroupLoss {
    let names = vec!["a".to_owned(), "b".to_owned()];
    let groups = Groups::new(names, of_sample.to_vec()).unwrap();
    GroupLoss::new(&groups, eta, &Device::flex())
}

/// `q` after a batch is `q exp(eta l)`, normalised, and the loss `sum_g q_g l_g`.
#[test]
fn the_weights_of_groups_follow_their_losses() {
    let device = Device::flex();
    let samples = table(array![[0.0], [0.5], [-1.0], [3.0]], &[0, 0, 1, 1], 2);
    let samples = DeviceTable::new(samples, &device, Storage::Device).unwrap();
    let layer = DecisionLayer::new(array![[1.0], [0.0]], array![0.0, 0.0]).unwrap();
    let layer = LayerTensors::of(&layer, &device);
    let mut loss = group_loss(&[0, 0, 0, 1], 1.0);
    let ce = |z: f64, right: bool| (1.0 + if right { (-z).exp() } else { z.exp() }).ln();
    let losses = [
        (ce(0.0, true) + ce(0.5, true) + ce(-1.0, false)) / 3.0,
        ce(3.0, false),
    ];
    let raw = losses.map(|loss| 0.5 * loss.exp());
    let q = raw.map(|it| it / (raw[0] + raw[1]));
    let result = loss.evaluate(&layer, &samples.batch(&[0, 1, 2, 3]).unwrap());
    let values = |it: Tensor<2>| read_back(it, "q").unwrap();
    assert_close(values(loss.q.clone()), q, 0.0, 1e-5);
    let expected = q[0] * losses[0] + q[1] * losses[1];
    assert_close(result.loss, [expected], 0.0, 1e-5);
    // A group that a batch lacks has a loss of 0.
    loss.evaluate(&layer, &samples.batch(&[3]).unwrap());
    let raw = [q[0], q[1] * losses[1].exp()];
    assert_close(
        values(loss.q),
        raw.map(|it| it / (raw[0] + raw[1])),
        0.0,
        1e-5,
    );
}

/// Samples on which the layer given and one trained from 0 for an epoch are furthest apart, classes
/// equally often.
#[test]
fn the_samples_of_self_are_those_that_are_seen_otherwise() {
    let device = Device::flex();
    let on_device = |it| DeviceTable::new(it, &device, Storage::Device).unwrap();
    // What training shows the early layer: a positive neuron 0 is class 0. The layer given goes by
    // neuron 1, which speaks in samples 1, 4 and 5 alone.
    let train = Array2::from_shape_fn((40, 2), |(row, neuron)| match neuron {
        0 => 1.0 - 2.0 * (row % 2) as f32,
        _ => 0.0,
    });
    let labels: Vec<usize> = (0..40).map(|row| row % 2).collect();
    let train = on_device(table(train, &labels, 2));
    let validation = array![
        [0.1, 0.0],
        [0.0, 4.0],
        [-0.1, 0.0],
        [0.1, 0.1],
        [0.0, -4.0],
        [0.0, 3.0]
    ];
    let validation = on_device(table(validation, &[0, 0, 1, 1, 1, 1], 2));
    let layer = DecisionLayer::new(array![[0.0, 1.0], [0.0, -1.0]], array![0.0, 0.0]).unwrap();
    let input = MethodInput::new(&train, &validation, &layer).unwrap();
    let method = SelectiveFinetuning {
        samples: 3,
        early_epochs: 1,
        training: Default::default(),
    };
    let weights = method.weights(&input, &mut Silent).unwrap();
    assert_eq!(weights, [0.0, 1.0, 0.0, 0.0, 0.5, 0.5]);
}

/// Of two samples `exp(-gamma p_y)` over the count of the class, 1 on average.
#[test]
fn the_weights_of_afr_are_its_authors_formula() {
    let device = Device::flex();
    let samples = table(array![[0.0], [2.0], [-1.0]], &[0, 0, 1], 2);
    let samples = DeviceTable::new(samples, &device, Storage::Device).unwrap();
    // p of class 0 is 1 / (1 + exp(-f)).
    let layer = DecisionLayer::new(array![[1.0], [0.0]], array![0.0, 0.0]).unwrap();
    let input = MethodInput::new(&samples, &samples, &layer).unwrap();
    let certain = Afr {
        gamma: 1e4,
        lambda: 0.0,
        training: Default::default(),
    };
    assert_eq!(certain.weights(&input).unwrap(), [3.0, 0.0, 0.0]);
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
fn check_minimum(x: &[[f32; 2]], labels: &[usize], penalty: f64) -> Vec<f32> {
    let device = Device::flex();
    let samples = x.len();
    let x = TensorData::new(x.concat(), [samples, 2]);
    let x = Tensor::<2>::from_data(x, &device);
    let one_hot = labels.iter().flat_map(|&it| [1.0 - it as f32, it as f32]);
    let one_hot = TensorData::new::<f32, _>(one_hot.collect(), [samples, 2]);
    let one_hot = Tensor::<2>::from_data(one_hot, &device);
    let (weight, bias) = l1_logistic(x.clone(), one_hot.clone(), penalty, 2000).unwrap();
    let logits = x.clone().matmul(weight.clone().transpose()) + bias.unsqueeze();
    let residual = burn::tensor::activation::softmax(logits, 1) - one_hot;
    let of_bias = residual.clone().sum_dim(0) / samples as f64;
    let of_bias = read_back(of_bias, "bias").unwrap();
    let gradient = residual.transpose().matmul(x) / samples as f64;
    let gradient = read_back(gradient, "gradient").unwrap();
    let weight = read_back(weight, "weight").unwrap();
    // Stopped where no weight changes by more than 1e-5 of the largest.
    assert!(of_bias.iter().all(|it| it.abs() < 1e-3), "{of_bias:?}");
    for (&weight, gradient) in weight.iter().zip(gradient) {
        let penalty = penalty as f32;
        match weight == 0.0 {
            true => assert!(gradient.abs() <= penalty + 1e-3, "{gradient}"),
            false => assert!(
                (gradient + penalty * weight.signum()).abs() < 1e-3,
                "{gradient}"
            ),
        }
    }
    weight
}

#[test]
fn l1_regression_comes_to_its_minimum() {
    let x = [
        [1.0, 0.1],
        [0.8, -0.3],
        [0.6, 0.2],
        [-0.9, 0.1],
        [-0.7, -0.2],
        [0.2, 0.15],
    ];
    let weight = check_minimum(&x, &[0, 0, 0, 1, 1, 1], 0.05);
    assert!(
        weight.contains(&0.0) && weight.iter().any(|&it| it != 0.0),
        "{weight:?}"
    );
    // Neurons in opposite pairs.
    let x = [
        [1.0, -1.0],
        [-1.0, 1.0],
        [1.0, -1.0],
        [-1.0, 1.0],
        [1.0, -1.0],
    ];
    check_minimum(&x, &[0, 1, 0, 1, 1], 0.01);
}
