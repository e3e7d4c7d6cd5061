//! Methods by what they do to a few samples, computed by hand.

use burn::tensor::Device;
use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, NeuronId, Seed, Silent};
use neuroinspect_editing::{
    AdjustmentForm, ClassWeighting, DecisionMethod, DeviceTable, Fitted, Jtt, LogitAdjustment,
    MethodArguments, MethodInput, NeuronTune, RandomNeurons, Retrain, SingleWeight, Storage,
    method_named,
};
use neuroinspect_testing::{assert_close, tables::neuron_ids};
use serde_json::{Map, Value};

use crate::{
    fit,
    methods::{arguments, training},
    settled, table,
};

/// Features that say nothing, and three samples of class 0 for each of class 1.
fn rare() -> (FeatureTable, DecisionLayer) {
    let labels: Vec<usize> = (0..40).map(|sample| usize::from(sample % 4 == 0)).collect();
    let nothing = DecisionLayer::new(Array2::zeros((2, 1)), Array1::zeros(2)).unwrap();
    (table(Array2::zeros((40, 1)), &labels, 2), nothing)
}

#[test]
fn a_rare_class_is_not_ruled_out_for_being_rare() {
    let (samples, nothing) = rare();
    let fitted = |method: &dyn DecisionMethod| {
        fit(method, [&samples, &samples], &nothing, &mut Silent)
            .unwrap()
            .layer
    };
    // b_k - tau ln pi_k
    let adjustment = LogitAdjustment {
        tau: 2.0,
        ..LogitAdjustment::default()
    };
    let bias = fitted(&adjustment).bias().to_vec();
    let expected = [0.75, 0.25].map(|prior: f64| -2.0 * prior.ln());
    assert_close(bias, expected, 0.0, 1e-6);
    assert_eq!(adjustment.training(), None);
    // Plain training learns the prior; a layer that is told of it, or whose classes count alike, has
    // nothing to learn.
    let whole_batches = training().with_batch_size(40);
    let margin = |method: &dyn DecisionMethod| {
        let layer = fitted(method);
        layer.bias()[0] - layer.bias()[1]
    };
    let retrain = Retrain::new(whole_batches.clone());
    assert!(margin(&retrain) > 0.5);
    let in_the_loss = LogitAdjustment {
        tau: 1.0,
        form: AdjustmentForm::Loss,
        training: whole_batches.clone(),
    };
    let weighting = ClassWeighting {
        class: None,
        others: 0.9,
        training: whole_batches.clone(),
    };
    for method in [&in_the_loss as &dyn DecisionMethod, &weighting] {
        // Gradients of rounding errors are as good as any to Adam: a step is up to its rate.
        assert!(margin(method).abs() < 0.1, "{method:?}");
    }
    let favoured = ClassWeighting {
        class: Some(ClassId(1)),
        others: 0.1,
        training: whole_batches,
    };
    assert!(margin(&favoured) < -0.5);
}

#[test]
fn a_single_weight_is_that_of_the_largest_contribution() {
    let (samples, _) = settled();
    let layer = DecisionLayer::new(array![[2.0, 5.0], [0.5, 1.0]], array![0.0, 0.0]).unwrap();
    // The one sample of class 0 is (1, 0): neuron 1 has the larger weight, and contributes nothing.
    let method = SingleWeight {
        class: ClassId(0),
        neurons: vec![],
        strength: 0.75,
    };
    let fitted = fit(&method, [&samples, &samples], &layer, &mut Silent).unwrap();
    assert_eq!(fitted.layer.weight(), array![[0.5, 5.0], [0.5, 1.0]]);
    assert_eq!(fitted.derived[SingleWeight::NEURON], 0.0);
    assert_eq!(method.training(), None);
}

#[test]
fn random_neurons_are_others_and_the_seeds() {
    let drawn = |seed| {
        let arguments = MethodArguments {
            neurons: neuron_ids(&[2, 5, 7]),
            training: training().with_seed(Seed(seed)),
            ..arguments()
        };
        let method = method_named(RandomNeurons::NAME, &arguments, &Map::new()).unwrap();
        let options = Value::Object(method.options().unwrap());
        let method: RandomNeurons = serde_json::from_value(options).unwrap();
        method.drawn(64).unwrap().neurons
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    assert!(drawn(1).is_sorted() && drawn(1).len() == 3);
    for seed in 0..50 {
        assert!(
            drawn(seed)
                .iter()
                .all(|neuron| ![2, 5, 7].contains(&neuron.0))
        );
    }
}

/// Neuron 0 is more active in the mistakes of class 0, neuron 1 less, neuron 2 alike.
#[test]
fn biased_neurons_are_more_active_in_mistakes() {
    let features = array![
        [0.1, 1.0, 1.0],
        [0.2, 1.1, 1.0],
        [9.0, 1.2, 1.0],
        [0.8, 0.0, 1.0],
        [0.9, 0.1, 1.0],
        [0.0, 0.0, 0.0]
    ];
    let samples = table(features, &[0, 0, 0, 0, 0, 1], 2);
    let layer = DecisionLayer::new(array![[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]], array![-1.0, 0.0]);
    let layer = layer.unwrap();
    let samples = DeviceTable::new(samples, &Device::flex(), Storage::Device).unwrap();
    let input = MethodInput::new(&samples, &samples, &layer).unwrap();
    let biased = |threshold, most| {
        let method = NeuronTune {
            threshold,
            most,
            training: training(),
        };
        method.biased(&input).unwrap()
    };
    // The most biased first, and no more than a share of them.
    assert_eq!(biased(-9.0, 0.9), [NeuronId(0), NeuronId(2)]);
    assert_eq!(biased(-9.0, 0.5), [NeuronId(0)]);
    // Medians over the wrong and the right ones: 0.85 and 0.2.
    assert_eq!(biased(0.0, 0.9), [NeuronId(0)]);
    assert_eq!(biased(0.64, 0.9), [NeuronId(0)]);
    assert_eq!(biased(0.66, 0.9), []);
}

#[test]
fn jtt_draws_the_mistakes_of_a_short_training_more_often() {
    // One sample in ten is of class 1; a layer that has hardly learnt takes them for class 0.
    let labels: Vec<usize> = (0..100)
        .map(|sample| usize::from(sample % 10 == 0))
        .collect();
    let features = Array2::from_shape_fn((100, 1), |(row, _)| labels[row] as f32);
    let samples = table(features, &labels, 2);
    let layer = DecisionLayer::new(array![[0.0], [0.0]], array![1.0, -1.0]).unwrap();
    let fitted = |factor| {
        let training = training().with_batch_size(128).with_epochs(25, None);
        let method = Jtt {
            identification_epochs: 1,
            factor,
            training,
        };
        fit(&method, [&samples, &samples], &layer, &mut Silent).unwrap()
    };
    let accuracy = |fitted: &Fitted| {
        let predicted = samples.predicted_by(&fitted.layer).unwrap();
        predicted.metrics().unwrap().class_accuracy[1].unwrap()
    };
    let (even, upweighted) = (fitted(1.0), fitted(50.0));
    assert_eq!(upweighted.derived[Jtt::MISTAKES], 0.1);
    assert_eq!((accuracy(&even), accuracy(&upweighted)), (0.0, 1.0));
}
