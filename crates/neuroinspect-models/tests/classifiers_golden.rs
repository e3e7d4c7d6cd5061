//! The classifiers against timm and PyTorch, on weights made by formula.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use neuroinspect_core::{Classifier, sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint, CifarResNetConfig, EfficientNetLite0, PretrainedClassifier, ResNet, ResNetDepth,
    Strictness, checkpoint::parameter_shapes,
};
use support::{golden, images, made_up_weights, safetensors_of};

const CLASSES: usize = 10;

/// Largest difference allowed, relative to the largest golden value. The golden values are those of
/// double precision; PyTorch in single precision is off by up to 1.3e-6, Burn's `flex` by 1.5e-6.
const TOLERANCE: f32 = 1e-5;

/// Compares features, logits, map and image gradient of a model of made-up weights.
fn check<M: Module + Classifier>(mut model: M, sizes: &[usize]) {
    let device = model.device();
    let weights = safetensors_of(&made_up_weights(&model));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    let report = model.load(&weights, Strictness::Strict).unwrap();
    assert!(report.is_complete());

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

        let what = format!("{} at {size} px", model.name());
        let map = activations.map.sum_dim(1);
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
fn cifar_resnet20() {
    let config = CifarResNetConfig::new(20, CLASSES);
    check(config.init(&Device::flex()).unwrap(), &[32]);
}

#[test]
fn resnet18() {
    let model = ResNet::new(ResNetDepth::ResNet18, CLASSES, &Device::flex());
    check(model.unwrap(), &[64]);
}

#[test]
fn resnet50() {
    let model = ResNet::new(ResNetDepth::ResNet50, CLASSES, &Device::flex());
    check(model.unwrap(), &[75]);
}

#[test]
fn tf_efficientnet_lite0() {
    let model = EfficientNetLite0::new(CLASSES, &Device::flex());
    check(model.unwrap(), &[64, 75]);
}

#[test]
fn parameters_are_named_and_shaped_as_in_pytorch() {
    let text = std::fs::read_to_string(golden("classifiers.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let device = Device::flex();
    let check =
        |name: &str, module: &dyn Fn() -> std::collections::BTreeMap<String, Vec<usize>>| {
            let shapes = module();
            let expected = &golden["models"][name];
            assert_eq!(expected["count"], shapes.len(), "{name}");
            let lines: String = shapes
                .iter()
                .map(|(parameter, shape)| format!("{parameter} {shape:?}\n"))
                .collect();
            assert_eq!(
                expected["sha256"],
                sha256_of_bytes(lines.as_bytes()),
                "{name}:\n{lines}"
            );
        };
    for depth in [20, 32, 44, 56] {
        let model = CifarResNetConfig::new(depth, CLASSES)
            .init(&device)
            .unwrap();
        check(model.name(), &|| parameter_shapes(&model));
    }
    use ResNetDepth::{ResNet18, ResNet34, ResNet50, ResNet101, ResNet152};
    for depth in [ResNet18, ResNet34, ResNet50, ResNet101, ResNet152] {
        let model = ResNet::new(depth, CLASSES, &device).unwrap();
        check(model.name(), &|| parameter_shapes(&model));
    }
    let model = EfficientNetLite0::new(CLASSES, &device).unwrap();
    check(model.name(), &|| parameter_shapes(&model));
}
