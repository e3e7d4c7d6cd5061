//! The three stages on another backend, against the default one.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); the backend must be built in:
//!
//! ```text
//! NEUROINSPECT_DEVICE=wgpu cargo test -p neuroinspect --features wgpu --test facade -- backends
//! ```
//!
//! On `flex` itself it only shows that the same work gives the same results twice.

use ndarray::{Array1, Array2, Array4};
use neuroinspect::{
    burn::tensor::Device,
    core::{
        ActivationTable, Backend, ClassId, DecisionLayer, DeviceName, FeatureTable, InputSpec,
        NeuronId, Provenance, Seed, Silent, is_flex, is_tch,
    },
    counterfactual::{Explainer, Explanation},
    editing::{EditConfig, EditData, EditScope, EditSession, RatioEdit, TrainingConfig},
    illusion::{Augmentation, Illusion, Networks, Objective, Pair, Recipe, Request, visualize},
    models::{CifarResNetConfig, LoadConfig, PretrainedClassifier, load_classifier},
};
use rand::RngExt;

fn device_name() -> DeviceName {
    let name = std::env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    name.parse().unwrap()
}

fn device() -> Device {
    device_name().open().unwrap()
}

#[test]
fn a_device_is_told_by_its_backend() {
    for device in [device(), device().autodiff()] {
        let backend = device_name().backend();
        assert_eq!(is_flex(&device), backend == Backend::Flex);
        assert_eq!(is_tch(&device), backend == Backend::Tch);
    }
}

/// 96 samples of 3 classes over 16 neurons, with a layer that gets some of them wrong.
fn table() -> (FeatureTable, DecisionLayer) {
    let mut rng = Seed(3).rng("table", &[]);
    let weight = Array2::from_shape_simple_fn((3, 16), || rng.random_range(-1.0..1.0));
    let layer = DecisionLayer::new(weight, Array1::zeros(3)).unwrap();
    let features = Array2::from_shape_simple_fn((96, 16), || rng.random_range(0.0..1.0));
    let labels = (0..96).map(|sample| ClassId(sample % 3)).collect();
    let names = ["a", "b", "c"].map(String::from).to_vec();
    let provenance = Provenance::new("random", InputSpec::new(8));
    let activations = ActivationTable::new(features, provenance).unwrap();
    (
        FeatureTable::new(activations, labels, names).unwrap(),
        layer,
    )
}

#[test]
fn counterfactuals_and_edits_agree_with_flex() {
    let (table, layer) = table();
    let run = |device: &Device| -> (Explanation, DecisionLayer) {
        let predicted = table.predicted_by(&layer).unwrap();
        let explanation = Explainer::new(device)
            .explain(&predicted, ClassId(1), &mut Silent)
            .unwrap();
        let training = TrainingConfig::default().with_epochs(3, None);
        let neurons = vec![NeuronId(2), NeuronId(5)];
        let method = RatioEdit::new(neurons, EditScope::Class(ClassId(1)))
            .with_config(EditConfig::default().with_training(training));
        let data = EditData::of_parts(table.clone(), table.clone(), table.clone()).unwrap();
        let session = EditSession::new(data, &layer, device).unwrap();
        let edited = session.edit(&method, &mut Silent).unwrap();
        (explanation, edited.layer)
    };
    let (expected, found) = (run(&Device::flex()), run(&device()));
    for (a, b) in expected
        .0
        .counterfactuals
        .iter()
        .zip(&found.0.counterfactuals)
    {
        assert_eq!(a.flipped, b.flipped);
        // A logit that ties with another in f32 may flip a step sooner or later.
        assert!(a.steps.abs_diff(b.steps) <= 1, "{a:?} {b:?}");
    }
    // One step of descent moves a shift by at most lr / (1 - momentum) * |W| = 0.1; a step's
    // difference apart, sums over 16 neurons in another order differ in the last bits.
    let difference = (&expected.0.shifts - &found.0.shifts).mapv(f32::abs);
    let typical = difference.mean().unwrap();
    assert!(typical < 1e-3, "{typical}");
    // Adam divides by the root of the second moment: bits grow to about 1e-5 in three epochs.
    for (a, b) in expected.1.weight().iter().zip(found.1.weight()) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn features_and_pictures_agree_with_flex() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let flex = Device::flex();
    flex.seed(5);
    CifarResNetConfig::new(20, 4)
        .init(&flex)
        .unwrap()
        .save(&path)
        .unwrap();
    let run = |device: &Device| -> (Vec<f32>, Illusion) {
        let loaded =
            load_classifier("cifar_resnet20", &path, &LoadConfig::default(), device).unwrap();
        let images = Array4::from_shape_fn((2, 3, 32, 32), |(n, c, y, x)| {
            ((n * 7 + c * 5 + y * 3 + x) % 11) as f32 / 11.0
        });
        let data = neuroinspect::burn::tensor::TensorData::new(
            images.into_raw_vec_and_offset().0,
            [2, 3, 32, 32],
        );
        let images = neuroinspect::burn::tensor::Tensor::from_data(data, device);
        let classifier = loaded.model.as_ref();
        let features = classifier
            .activations(classifier.input().normalize(images))
            .features;
        let recipe = Recipe::default()
            .with_steps(4)
            .with_objective(Objective::without_clip(0.5))
            .with_augmentation(Augmentation::default());
        let pair = Pair {
            neuron: NeuronId(9),
            class: ClassId(2),
        };
        let networks = Networks::of(classifier, None).unwrap();
        let request = Request::new([pair], recipe);
        let made = visualize(&networks, &request, &mut Silent).unwrap();
        (
            features.try_into_vec_as().unwrap(),
            made.finished.into_iter().next().unwrap(),
        )
    };
    let (expected, found) = (run(&flex), run(&device()));
    // Twenty convolutions in f32: sums in another order differ by a few 1e-6 of the largest value.
    let largest = expected
        .0
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (a, b) in expected.0.iter().zip(&found.0) {
        assert!((a - b).abs() < 1e-4 * largest.max(1.0), "{a} {b}");
    }
    // AdamW's first steps go by the sign of the gradient, so that a coordinate whose gradient is
    // all rounding may go the other way: pictures agree closely on average, not pixel by pixel.
    let difference = (&expected.1.image - &found.1.image)
        .mapv(f32::abs)
        .mean()
        .unwrap();
    assert!(difference < 2e-3, "{difference}");
}
