//! What the tests of ONNX files share.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::Classifier;
use neuroinspect_models::GraphClassifier;
use neuroinspect_testing::fill::formula;

/// The files that `tools/onnx_zoo.py --fixtures` wrote. Weights of the dynamo exporter's are in files
/// beside them.
pub(crate) const FIXTURES: [&str; 5] = [
    "test_resnet.torchscript.onnx",
    "test_efficientnet.dynamo.onnx",
    "test_convnext.torchscript.onnx",
    "test_vit.torchscript.onnx",
    "test_vit.dynamo.onnx",
];

/// A file beside them.
pub(crate) fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/onnx")
        .join(file)
}

/// Normalised images `[2, 3, size, size]`, those of the script.
pub(crate) fn images(size: usize, device: &Device) -> Tensor<4> {
    let shape = [2, 3, size, size];
    let values = formula("images", shape.iter().product()).map(|u| (4.0 * u - 2.0) as f32);
    Tensor::from_data(TensorData::new(values.collect(), shape), device)
}

/// Logits of normalised images, and the gradient of a sum of them, weighted by 1, 2, and so on, with
/// respect to the images.
pub(crate) fn logits_and_gradient(
    model: &GraphClassifier,
    images: Tensor<4>,
) -> (Tensor<2>, Tensor<4>) {
    let images = images.autodiff().require_grad();
    let features = model.activations(images.clone()).features;
    let layer = model.decision_layer().unwrap();
    let device = images.device();
    let weight = layer.weight_on(&device).transpose();
    let logits = features.matmul(weight) + layer.bias_on(&device).unsqueeze();
    let classes = layer.classes();
    let factors: Vec<f32> = (1..=classes).map(|factor| factor as f32).collect();
    let factors = Tensor::from_data(TensorData::new(factors, [1, classes]), &device);
    let gradients = (logits.clone() * factors).sum().backward();
    let gradient = images.grad(&gradients).unwrap();
    (logits.inner(), gradient)
}

/// Largest difference, relative to the largest number expected.
pub(crate) fn difference<const D: usize>(found: Tensor<D>, expected: &[f32]) -> f32 {
    let found: Vec<f32> = found.into_data().try_into_vec_as().unwrap();
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let pairs = found.iter().zip(expected);
    // NaN is no difference to be smaller than another.
    let differences = pairs.map(|(a, b)| match a.is_nan() {
        true => f32::INFINITY,
        false => (a - b).abs(),
    });
    differences.fold(0f32, f32::max) / scale
}
