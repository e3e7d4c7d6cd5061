//! Layers by name, and their values against PyTorch's hooks.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use neuroinspect_core::{Classifier, Error, LayerKind, LayerValues};
use neuroinspect_models::{classifiers, init_classifier};
use serde::Deserialize;

use crate::{
    classifiers_golden::{CLASSES, made_up, made_up_for},
    support::{golden, images},
};

/// Largest difference allowed, relative to the largest golden value of the layer.
const TOLERANCE: f32 = 1e-4;

/// Layers of one model.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) size: usize,
    pub(crate) layers: BTreeMap<String, Layer>,
}

/// What a hook of PyTorch has seen.
#[derive(Deserialize)]
pub(crate) struct Layer {
    shape: Vec<usize>,
    norm: f64,
    /// Every how many values there is one of these.
    stride: usize,
    values: Vec<f32>,
}

fn values(layer: &LayerValues) -> (Vec<usize>, Vec<f32>) {
    let (shape, data) = match layer {
        LayerValues::Map(x) => (x.dims().to_vec(), x.to_data()),
        LayerValues::Tokens(x) => (x.dims().to_vec(), x.to_data()),
        LayerValues::Features(x) => (x.dims().to_vec(), x.to_data()),
    };
    (shape, data.try_into_vec_as().unwrap())
}

impl Layer {
    /// Compares what was found of `what` with it.
    pub(crate) fn check(&self, found: &LayerValues, what: &str) {
        let (shape, found) = values(found);
        assert_eq!(shape, self.shape, "{what}");
        let squares = found.iter().map(|&it| f64::from(it).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        let error = (norm / self.norm - 1.0).abs();
        assert!(error <= f64::from(TOLERANCE), "{what}: norm {norm}");
        let scale = self.values.iter().fold(0f32, |a, b| a.max(b.abs()));
        for (index, expected) in self.values.iter().enumerate() {
            let found = found[index * self.stride % found.len()];
            let difference = (found - expected).abs();
            assert!(
                difference <= TOLERANCE * scale,
                "{what}, value {index}: {found}, expected {expected}"
            );
        }
    }
}

/// Compares layers of a model of made-up weights with the values of PyTorch's modules, on images of the
/// size that there are values for.
pub(crate) fn check_layers(model: &dyn Classifier, state: &str, size: usize) {
    let name = model.name();
    let text = std::fs::read_to_string(golden(&format!("layers/{name}.json"))).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    if golden.size != size {
        return;
    }
    assert!(golden.layers.len() >= 3, "{name}");
    let names: Vec<_> = golden.layers.keys().map(String::as_str).collect();
    let images = images(size, &model.device());
    let found = model.activations_at(images, &names).unwrap();
    for (layer, found) in names.iter().zip(&found) {
        golden.layers[*layer].check(found, &format!("{name}, {state}, {layer}"));
    }
}

/// Modules that hold others, the pooling and the decision layer among them.
#[test]
fn layers_go_by_timms_names() {
    let listed = |name: &str| -> Vec<String> {
        let model = made_up(name);
        let layers = model.layers().unwrap();
        layers.into_iter().map(|layer| layer.name).collect()
    };
    let resnet18 = listed("resnet18");
    let start = [
        "conv1",
        "bn1",
        "act1",
        "maxpool",
        "layer1.0.conv1",
        "layer1.0.bn1",
    ];
    assert_eq!(resnet18[..6], start);
    for name in [
        "layer1",
        "layer3.1.act2",
        "layer2.0.downsample.1",
        "global_pool",
        "fc",
    ] {
        assert!(resnet18.iter().any(|it| it == name), "{name}");
    }
    // 20 convolutions and as many normalisations, 17 rectifiers, pooling, 8 blocks, 4 stages, 3
    // shortcuts, the mean and the decision layer.
    assert_eq!(resnet18.len(), 20 + 20 + 17 + 1 + 8 + 4 + 3 + 2);
    let lite0 = listed("tf_efficientnet_lite0");
    for name in [
        "conv_stem",
        "bn1",
        "blocks.0.0.conv_dw",
        "blocks.6",
        "bn2",
        "classifier",
    ] {
        assert!(lite0.iter().any(|it| it == name), "{name}");
    }
    let cifar = listed("cifar_resnet20");
    for name in ["layer1.2.bn2", "layer2.0.shortcut", "features", "linear"] {
        assert!(cifar.iter().any(|it| it == name), "{name}");
    }
}

/// Names that the originals have no module for: akamaster's CIFAR networks, and those for STL-10 like them, take the
/// mean and the shortcuts by functions.
fn is_own_name(model: &str, layer: &str) -> bool {
    let is_own = model.starts_with("cifar_") || model.starts_with("stl_");
    is_own && (layer == "features" || layer.ends_with(".shortcut"))
}

/// A part of a path with `#` for a number, which is at its end.
fn without_number(part: &str) -> String {
    let bare = part.trim_end_matches(|it: char| it.is_ascii_digit());
    match bare.len() < part.len() {
        true => format!("{bare}#"),
        false => part.to_owned(),
    }
}

#[test]
fn every_layer_is_a_module_of_the_original() {
    #[derive(Deserialize)]
    struct Modules {
        models: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(golden("modules.json")).unwrap();
    let modules: Modules = serde_json::from_str(&text).unwrap();
    let mut known = BTreeMap::new();
    for (models, paths) in &modules.models {
        let paths: BTreeSet<&str> = paths.split(' ').collect();
        known.extend(models.split(' ').map(|model| (model, paths.clone())));
    }
    let mut own = 0;
    for info in classifiers().unwrap() {
        let model = init_classifier(info.name, CLASSES, &Device::flex()).unwrap();
        for layer in model.layers().unwrap() {
            if is_own_name(info.name, &layer.name) {
                own += 1;
                continue;
            }
            let numbered: Vec<_> = layer.name.split('.').map(without_number).collect();
            let path = numbered.join(".");
            assert!(
                known[info.name].contains(&path[..]),
                "{}: {path}",
                info.name
            );
        }
    }
    // Of depth 20, 32, 44 and 56, and 14: the mean, and a shortcut in each block.
    assert_eq!(own, 5 + 9 + 15 + 21 + 27 + 6);
}

/// What is listed can be read, all of it in one pass, with the kind and channels it is listed with.
#[test]
fn every_layer_can_be_listed_and_read() {
    for (name, size) in [
        ("cifar_resnet20", 32),
        ("resnet18d", 32),
        ("resnext50_32x4d", 32),
        ("vgg11_bn", 224),
        ("efficientnet_b0", 32),
        ("tf_efficientnet_lite0", 32),
        ("convnext_tiny", 32),
        ("vit_tiny_patch16_224", 32),
        ("vit_little_patch16_reg4_gap_256", 32),
    ] {
        let model = made_up_for(name, size);
        let layers = model.layers().unwrap();
        let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert!(names.contains(&model.penultimate()), "{name}");
        let images = images(size, &model.device());
        let values = model.activations_at(images, &names).unwrap();
        for (layer, values) in layers.iter().zip(&values) {
            let found = (values.kind(), values.channels());
            let expected = (layer.kind, layer.channels);
            assert_eq!(found, expected, "{name}: {}", layer.name);
        }
        let [.., logits] = &values[..] else { panic!() };
        let found = (logits.kind(), logits.channels());
        assert_eq!(found, (LayerKind::Features, CLASSES));
    }
}

#[test]
fn an_unknown_layer_brings_the_nearest() {
    let model = made_up("cifar_resnet20");
    let images = images(32, &model.device());
    let error = model
        .activations_at(images.clone(), &["layer1.0.conv3"])
        .unwrap_err();
    assert!(matches!(error, Error::UnknownLayer { .. }), "{error:?}");
    assert!(
        error.to_string().contains("did you mean 'layer1.0.conv"),
        "{error}"
    );
    // What is neither a module's nor read by an activation function is none of the layers.
    assert!(model.activations_at(images, &["images"]).is_err());
}

#[test]
fn images_that_do_not_fit_are_an_error_that_names_the_layer() {
    let model = made_up("resnet18");
    let grey = burn::tensor::Tensor::zeros([1, 1, 32, 32], &model.device());
    let error = model
        .activations_at(grey, &["layer1"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("'resnet18'") && error.contains("conv1"),
        "{error}"
    );
}
