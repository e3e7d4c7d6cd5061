//! The classifiers against timm and PyTorch, on weights made by formula: every model of the registry
//! has an entry of golden values, and every entry a row.

use std::collections::{BTreeMap, BTreeSet};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Device, FloatDType, Tensor, TensorData},
};
use neuroinspect_core::{Classifier, DeviceName, InputSpec, io::sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint, Error, GraphClassifier, LoadConfig, PretrainedClassifier,
    checkpoint::{Mismatch, parameter_shapes},
    classifiers,
    graph::{BatchNorm, LayerNorm, Op, Padding},
    init_classifier, load_classifier_from_bytes,
};
use neuroinspect_testing::largest_difference;
use serde::Deserialize;

use crate::{
    layers_golden::check_layers,
    support::{golden, images, made_up_weights, make_up, safetensors_of, weight},
};

pub(crate) const CLASSES: usize = 10;

/// Largest difference allowed, relative to the largest golden value. The golden values are those of
/// double precision; Burn's `flex` is off by up to 1.5e-6 of them, where PyTorch is by as much.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Entries {
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
    let entries: Entries = serde_json::from_str(&text).unwrap();
    entries.models
}

/// A model with weights made by formula.
pub(crate) fn made_up(name: &str) -> GraphClassifier {
    let mut model = init_classifier(name, CLASSES, &Device::flex()).unwrap();
    make_up(&mut model);
    model
}

/// [`made_up`] for images of a size, on which the shapes of some weights depend.
pub(crate) fn made_up_for(name: &str, size: usize) -> Box<dyn PretrainedClassifier> {
    made_up_on(name, size, &Device::flex())
}

fn made_up_on(name: &str, size: usize, device: &Device) -> Box<dyn PretrainedClassifier> {
    let mut weights = made_up_weights(&init_classifier(name, CLASSES, device).unwrap());
    let config = LoadConfig::default().with_input(InputSpec::imagenet(size));
    loop {
        let bytes = safetensors_of(&weights);
        match load_classifier_from_bytes(name, bytes, &config, device) {
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
    let golden = Golden::of(model.name(), size);
    let what = format!("{}, {state}, at {size} px", model.name());
    let found = Outputs::of(model, size);
    assert_eq!(found.map.is_some(), golden.has("map"), "{what}");
    if let Some(map) = found.map {
        close(&format!("{what}, map"), map, &golden.values("map"));
    }
    for (name, found) in [("features", found.features), ("logits", found.logits)] {
        close(&format!("{what}, {name}"), found, &golden.values(name));
    }
    if !golden.flips() {
        let expected = golden.values("gradient");
        close(&format!("{what}, gradient"), found.gradient, &expected);
    }
}

/// What PyTorch makes of images of a size.
struct Golden {
    file: Checkpoint,
    size: usize,
}

impl Golden {
    fn of(name: &str, size: usize) -> Self {
        let file = Checkpoint::open(golden(&format!("classifiers/{name}.safetensors"))).unwrap();
        Self { file, size }
    }

    fn has(&self, what: &str) -> bool {
        self.file.shape(&format!("{}.{what}", self.size)).is_some()
    }

    fn values(&self, what: &str) -> Vec<f32> {
        let read = |name: String| self.file.read(&name).unwrap();
        let error = read(format!("{}.{what}.error", self.size))[0];
        assert!(error <= TOLERANCE || what == "gradient", "{what}: {error}");
        read(format!("{}.{what}", self.size))
    }

    /// Whether PyTorch's own gradient in single precision is off by more than the tolerance. Rounding may
    /// decide on which side of zero a rectifier's input is, or which of two numbers is the largest of a
    /// window, and a gradient is then another at some pixels: in VGG networks, of ten million rectifiers,
    /// it does.
    fn flips(&self) -> bool {
        self.file
            .read(&format!("{}.gradient.error", self.size))
            .unwrap()[0]
            > TOLERANCE
    }
}

/// The values that are compared, in order.
struct Outputs {
    map: Option<Vec<f32>>,
    features: Vec<f32>,
    logits: Vec<f32>,
    /// That of a weighted sum of the logits, at every eighth pixel.
    gradient: Vec<f32>,
}

impl Outputs {
    fn of(model: &dyn Classifier, size: usize) -> Self {
        let device = model.device();
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
        let rows = gradient.dims()[2].div_ceil(8);
        let every_eighth = Tensor::from_data(
            TensorData::new((0..rows as i64).map(|row| 8 * row).collect(), [rows]),
            &device,
        );
        let gradient = gradient
            .select(2, every_eighth.clone())
            .select(3, every_eighth);
        Self {
            map: activations.map.map(|map| values(map.sum_dim(1))),
            features: values(activations.features),
            logits: values(logits),
            gradient: values(gradient),
        }
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().unwrap()
}

fn close(what: &str, found: Vec<f32>, expected: &[f32]) {
    close_to(TOLERANCE, what, found, expected);
}

fn close_to(tolerance: f32, what: &str, found: Vec<f32>, expected: &[f32]) {
    let share = share_off(&found, expected);
    assert!(
        share <= f64::from(tolerance),
        "{what}: {share} of the largest"
    );
}

/// The largest difference, as a share of the largest value expected.
fn share_off(found: &[f32], expected: &[f32]) -> f64 {
    let scale = largest_difference(vec![0.0; expected.len()], expected);
    assert!(scale > 0.0);
    largest_difference(found, expected) / scale
}

/// Gives a model weights of double precision, in which it then computes.
struct ToDouble;

impl ModuleMapper for ToDouble {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        parameter.map(|tensor| tensor.cast(FloatDType::F64))
    }
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
    assert_eq!(families.len(), 7, "{families:?}");
}

/// On the device that `NEUROINSPECT_DEVICE` names (default `flex`), whose backend must be built in. Libraries
/// of a GPU sum in another order, and some multiply with fewer bits: 1e-4 is what is promised.
#[test]
fn members_of_each_family_agree_on_the_device_named() {
    let name = std::env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    let device = name.parse::<DeviceName>().unwrap().open().unwrap();
    let models = classifiers().unwrap();
    let small = |name: &str| {
        models
            .iter()
            .any(|it| it.name == name && it.parameters < 30_000_000)
    };
    let (mut compared, mut off) = (0, Vec::new());
    for (name, entry) in entries() {
        for &size in entry.sizes.iter().take(1).filter(|_| small(&name)) {
            let golden = Golden::of(&name, size);
            let found = Outputs::of(&*made_up_on(&name, size, &device), size);
            let mut values = vec![("features", found.features), ("logits", found.logits)];
            values.extend(found.map.map(|map| ("map", map)));
            if !golden.flips() {
                values.push(("gradient", found.gradient));
            }
            for (what, found) in values {
                let share = share_off(&found, &golden.values(what));
                // Not a number is not close, either.
                if !matches!(share, 0.0..=1e-4) {
                    off.push(format!("{what} of {name}: {share:.1e}"));
                }
            }
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
    assert!(off.is_empty(), "on {device:?}: {off:#?}");
}

/// Of the networks whose gradients in single precision are at the mercy of rounding ([`Golden::flips`]).
/// In double precision none of some ten million rectifiers is: all agree to what storing them as `f32`
/// leaves.
#[test]
fn gradients_that_rounding_decides_are_pytorchs_in_double_precision() {
    let mut found = BTreeSet::new();
    for (name, entry) in entries() {
        for size in entry.sizes {
            let golden = Golden::of(&name, size);
            if !golden.flips() {
                continue;
            }
            let model = made_up(&name)
                .with_input(InputSpec::imagenet(size))
                .unwrap();
            let model = model.map(&mut ToDouble);
            let outputs = Outputs::of(&model, size);
            let what = format!("{name} in double precision, gradient");
            close(&what, outputs.gradient, &golden.values("gradient"));
            found.insert(name.clone());
        }
    }
    // Whoever adds one says why: its gradient in single precision is compared no longer.
    let known = ["resnet152d", "resnet18d", "vgg11", "vgg19_bn"];
    assert_eq!(found, known.map(str::to_owned).into());
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
    let is_own = ["cifar_", "stl_"]
        .iter()
        .any(|own| model.name().starts_with(own));
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
            // Those of CIFAR ResNets, and of STL ones, are no modules.
            Op::Activation(activation) if !is_own => {
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
