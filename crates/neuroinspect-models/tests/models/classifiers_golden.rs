//! The classifiers against timm and PyTorch, on weights made by formula: every model of the registry
//! has an entry of golden values, and every entry a row.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{Classifier, InputSpec, io::sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint, Error, GraphClassifier, LoadConfig, PretrainedClassifier,
    checkpoint::{Mismatch, parameter_shapes},
    classifiers,
    graph::{BatchNorm, LayerNorm, Op, Padding},
    init_classifier, load_classifier_from_bytes,
};
use serde::Deserialize;

use crate::{
    layers_golden::check_layers,
    support::{golden, images, made_up_weights, make_up, safetensors_of, weight},
};

pub(crate) const CLASSES: usize = 10;

/// Largest difference allowed, relative to the largest golden value. The golden values are those of
/// double precision; Burn's `flex` is off by up to 1.5e-6 of them, where PyTorch is by as much.
const TOLERANCE: f32 = 1e-5;

/// Norm of the difference allowed, relative to that of the golden values, where PyTorch's single precision
/// is off by more than [`TOLERANCE`]. Rounding may decide on which side of zero a rectifier's input is, or
/// which of two numbers is the largest of a window, and a gradient is then another at some pixels. In VGG
/// networks, of ten million rectifiers, it does, in PyTorch as here.
const OF_FLIPS: f32 = 0.02;

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
    /// Hash of what no shape shows.
    settings: String,
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

/// [`made_up`] for images of a size, on which the shapes of some weights depend.
pub(crate) fn made_up_for(name: &str, size: usize) -> Box<dyn PretrainedClassifier> {
    let device = Device::flex();
    let mut weights = made_up_weights(&init_classifier(name, CLASSES, &device).unwrap());
    let config = LoadConfig::default().with_input(InputSpec::imagenet(size));
    loop {
        let bytes = safetensors_of(&weights);
        match load_classifier_from_bytes(name, bytes, &config, &device) {
            Ok(loaded) => return loaded.model,
            Err(Error::WeightsDoNotFit { report, .. }) => {
                assert!(!report.mismatched.is_empty(), "{report}");
                for Mismatch { name, expected, .. } in report.mismatched {
                    let values = weight(&name, &expected);
                    weights.insert(name, (expected, values));
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Compares features, logits, map, image gradient and layers of a model of made-up weights.
fn check(model: &dyn Classifier, state: &str, size: usize) {
    check_layers(model, state, size);
    let device = model.device();
    let file = format!("classifiers/{}.safetensors", model.name());
    let golden = Checkpoint::open(golden(&file)).unwrap();
    let expected = |what| {
        let read = |name: String| golden.read(&name).unwrap();
        let error = read(format!("{size}.{what}.error"))[0];
        assert!(error <= TOLERANCE || what == "gradient", "{what}: {error}");
        (read(format!("{size}.{what}")), error)
    };
    let images = images(size, &device).autodiff().require_grad();
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
    let has_map = golden.shape(&format!("{size}.map")).is_some();
    assert_eq!(activations.map.is_some(), has_map, "{what}");
    if let Some(map) = activations.map {
        close(&format!("{what}, map"), map.sum_dim(1), expected("map"));
    }
    close(
        &format!("{what}, features"),
        activations.features,
        expected("features"),
    );
    close(&format!("{what}, logits"), logits, expected("logits"));
    let rows = gradient.dims()[2].div_ceil(8);
    let every_eighth = Tensor::from_data(
        TensorData::new((0..rows as i64).map(|row| 8 * row).collect(), [rows]),
        &device,
    );
    let gradient = gradient
        .select(2, every_eighth.clone())
        .select(3, every_eighth);
    close(&format!("{what}, gradient"), gradient, expected("gradient"));
}

fn close<const D: usize>(what: &str, found: Tensor<D>, (expected, error): (Vec<f32>, f32)) {
    let found: Vec<f32> = found.into_data().try_into_vec_as().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
    let largest = |values: &[f32]| {
        values
            .iter()
            .fold(0f32, |most, value| most.max(value.abs()))
    };
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let (difference, scale, tolerance) = match error <= TOLERANCE {
        true => (largest(&differences), largest(&expected), TOLERANCE),
        false => (norm(&differences), norm(&expected), OF_FLIPS),
    };
    assert!(
        scale > 0.0 && difference <= tolerance * scale,
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

/// Once as it is, and once with batch normalisation folded, as it is optimised against, where there is
/// any.
#[test]
fn features_logits_map_gradient_and_layers_are_pytorchs() {
    let models = classifiers().unwrap();
    let family: BTreeMap<_, _> = models.iter().map(|it| (it.name, it.family)).collect();
    let mut families = BTreeSet::new();
    for (name, entry) in entries() {
        if entry.sizes.is_empty() {
            continue;
        }
        let shapes = parameter_shapes(&init_classifier(&name, CLASSES, &Device::flex()).unwrap());
        let folds = shapes.keys().any(|name| name.ends_with("running_var"));
        for size in entry.sizes {
            let mut model = made_up_for(&name, size);
            check(&*model, "as it is", size);
            if folds {
                model.fold().unwrap();
                check(&*model, "folded", size);
            }
        }
        families.insert(family[&name[..]]);
    }
    assert_eq!(families.len(), 6, "{families:?}");
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

/// What no shape shows, a line each, as `settings` of `tools/golden_classifiers.py` has it.
fn settings(model: &GraphClassifier) -> String {
    let (mut lines, mut functions) = (BTreeSet::new(), BTreeMap::new());
    for node in model.network().graph().nodes() {
        let path = |ending: &str| {
            let parameter = node.parameters[0].as_str();
            parameter.strip_suffix(ending).unwrap().to_owned()
        };
        match &node.op {
            Op::Conv2d(conv) => {
                let padding = match conv.padding {
                    Padding::Explicit([(before, _), _]) => before.to_string(),
                    // timm pads symmetrically where that is the same.
                    Padding::Same if conv.stride[0] == 1 => (conv.kernel[0] / 2).to_string(),
                    Padding::Same => "same".to_owned(),
                };
                let (path, stride) = (path(".weight"), conv.stride[0]);
                lines.insert(format!("{path} stride {stride} padding {padding}"));
            }
            Op::BatchNorm(BatchNorm { epsilon, .. }) | Op::LayerNorm(LayerNorm { epsilon, .. }) => {
                lines.insert(format!("{} epsilon {epsilon:e}", path(".weight")));
            }
            Op::Attention(attention) => {
                let path = path(".qkv.weight");
                lines.insert(format!("{path} heads {}", attention.heads));
            }
            // Those of akamaster's are no modules.
            Op::Activation(activation) if !model.name().starts_with("cifar_") => {
                let function = format!("{:?}", activation.function).to_lowercase();
                *functions.entry(function).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    let functions = functions.into_iter();
    lines.extend(functions.map(|(function, count)| format!("{function} {count}")));
    lines.into_iter().map(|line| line + "\n").collect()
}

#[test]
fn what_no_shape_shows_is_as_in_the_original() {
    for (name, entry) in entries() {
        let model = init_classifier(&name, CLASSES, &Device::flex()).unwrap();
        let settings = settings(&model);
        let found = sha256_of_bytes(settings.as_bytes());
        assert_eq!(found, entry.settings, "{name}:\n{settings}");
    }
}
