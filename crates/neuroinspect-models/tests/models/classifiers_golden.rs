//! The classifiers against timm and PyTorch, on weights made by formula: every model of the registry
//! has an entry of golden values, and every entry a row.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{Classifier, io::sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint, GraphClassifier, checkpoint::parameter_shapes, classifiers, init_classifier,
};
use serde::Deserialize;

use crate::support::{golden, images, make_up};

pub(crate) const CLASSES: usize = 10;

/// Largest difference allowed, relative to the largest golden value. The golden values are those of
/// double precision; PyTorch in single precision is off by up to 1.3e-6, Burn's `flex` by 1.5e-6.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    models: BTreeMap<String, Entry>,
}

/// What is known of one model.
#[derive(Deserialize)]
struct Entry {
    /// Number of its parameters and buffers, and the hash of their names and shapes.
    count: usize,
    sha256: String,
    /// Sizes of images there are values for.
    sizes: Vec<usize>,
}

fn entries() -> BTreeMap<String, Entry> {
    let text = std::fs::read_to_string(golden("classifiers.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    golden.models
}

/// A model with weights made by formula.
pub(crate) fn made_up(name: &str) -> GraphClassifier {
    let mut model = init_classifier(name, CLASSES, &Device::flex()).unwrap();
    make_up(&mut model);
    model
}

/// Compares features, logits, map and image gradient of a model of made-up weights.
fn check(model: &dyn Classifier, state: &str, sizes: &[usize]) {
    let device = model.device();
    let file = format!("classifiers/{}.safetensors", model.name());
    let golden = Checkpoint::open(golden(&file)).unwrap();
    for size in sizes {
        let expected = |what| golden.read(&format!("{size}.{what}")).unwrap();
        let images = images(*size, &device).autodiff().require_grad();
        let activations = model.activations(images.clone());
        let layer = model.decision_layer().unwrap();
        let logits = activations
            .features
            .clone()
            .matmul(layer.weight_on(&device).transpose())
            + layer.bias_on(&device).unsqueeze();
        let factors: Vec<f32> = (1..=CLASSES).map(|factor| factor as f32).collect();
        let factors = Tensor::from_data(TensorData::new(factors, [1, CLASSES]), &device);
        let gradients = (logits.clone() * factors).sum().backward();
        let gradient = images.grad(&gradients).unwrap();

        let what = format!("{}, {state}, at {size} px", model.name());
        let map = activations.map.unwrap().sum_dim(1);
        close(&format!("{what}, map"), map, &expected("map"));
        close(
            &format!("{what}, features"),
            activations.features,
            &expected("features"),
        );
        close(&format!("{what}, logits"), logits, &expected("logits"));
        let rows = gradient.dims()[2].div_ceil(8);
        let every_eighth = Tensor::from_data(
            TensorData::new((0..rows as i64).map(|row| 8 * row).collect(), [rows]),
            &device,
        );
        let gradient = gradient
            .select(2, every_eighth.clone())
            .select(3, every_eighth);
        close(
            &format!("{what}, gradient"),
            gradient,
            &expected("gradient"),
        );
    }
}

fn close<const D: usize>(what: &str, found: Tensor<D>, expected: &[f32]) {
    let found: Vec<f32> = found.into_data().try_into_vec_as().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(f32::abs).fold(0.0, f32::max);
    let scale = largest(&mut expected.iter().copied());
    let difference = largest(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    assert!(
        scale > 1e-3 && difference <= TOLERANCE * scale,
        "{what}: {difference} of {scale}"
    );
}

#[test]
fn every_row_has_an_entry_and_every_entry_a_row() {
    let rows: BTreeSet<_> = classifiers().unwrap().iter().map(|it| it.name).collect();
    let entries = entries();
    let entries: BTreeSet<_> = entries.keys().map(String::as_str).collect();
    assert_eq!(rows, entries);
}

/// Once as it is, and once with batch normalisation folded, as it is optimised against.
#[test]
fn features_logits_map_and_gradient_are_pytorchs() {
    let mut checked = 0;
    for (name, entry) in entries() {
        if entry.sizes.is_empty() {
            continue;
        }
        let mut model = made_up(&name);
        check(&model, "as it is", &entry.sizes);
        model.fold().unwrap();
        check(&model, "folded", &entry.sizes);
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn parameters_are_named_and_shaped_as_in_pytorch() {
    for (name, expected) in entries() {
        let model = init_classifier(&name, CLASSES, &Device::flex()).unwrap();
        let shapes = parameter_shapes(&model);
        assert_eq!(expected.count, shapes.len(), "{name}");
        let lines: String = shapes
            .iter()
            .map(|(parameter, shape)| format!("{parameter} {shape:?}\n"))
            .collect();
        assert_eq!(
            expected.sha256,
            sha256_of_bytes(lines.as_bytes()),
            "{name}:\n{lines}"
        );
    }
}
