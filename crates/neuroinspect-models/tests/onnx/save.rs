//! An edited decision layer back in the file.

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{Classifier, DecisionLayer};
use neuroinspect_models::{
    LoadConfig,
    onnx::{OnnxConfig, OnnxModel},
};

use crate::support::{FIXTURES, golden, images, logits_and_gradient};

fn edited(layer: &DecisionLayer) -> DecisionLayer {
    let weight = layer.weight().mapv(|x| 0.5 * x + 0.125);
    let bias = Array1::from_iter((0..layer.classes()).map(|class| class as f32));
    DecisionLayer::new(weight, bias).unwrap()
}

/// Written, read again, and the same but for the layer.
#[test]
fn an_edited_layer_goes_back_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    for file in FIXTURES {
        let onnx = OnnxModel::read(golden(file), &OnnxConfig::default()).unwrap();
        let mut model = onnx.classifier(&LoadConfig::default(), &device).unwrap();
        let layer = edited(&model.decision_layer().unwrap());
        model.set_decision_layer(&layer).unwrap();
        let path = folder.path().join(file);
        onnx.save(&path, &layer).unwrap();

        let again = OnnxModel::read(&path, &OnnxConfig::default()).unwrap();
        assert_eq!(again.head(), onnx.head(), "{file}");
        assert_eq!(again.graph(), onnx.graph(), "{file}");
        let again = again.classifier(&LoadConfig::default(), &device).unwrap();
        assert_eq!(again.decision_layer().unwrap(), layer, "{file}");
        let images = images(onnx.size(), &device);
        let [found, expected] =
            [&again, &model].map(|model| logits_and_gradient(model, images.clone()).0.into_data());
        assert_eq!(found, expected, "{file}");
    }
}

/// What is saved unchanged is the file as it was, byte for byte.
#[test]
fn the_rest_of_the_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("same.onnx");
    let file = golden("test_resnet.torchscript.onnx");
    let onnx = OnnxModel::read(&file, &OnnxConfig::default()).unwrap();
    let model = onnx
        .classifier(&LoadConfig::default(), &Device::flex())
        .unwrap();
    onnx.save(&path, &model.decision_layer().unwrap()).unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&file).unwrap());
}

#[test]
fn a_layer_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.onnx");
    let file = golden("test_resnet.torchscript.onnx");
    let onnx = OnnxModel::read(file, &OnnxConfig::default()).unwrap();
    let layer = DecisionLayer::new(Array2::zeros((3, 32)), Array1::zeros(3)).unwrap();
    let error = onnx.save(&path, &layer).unwrap_err().to_string();
    assert!(
        error.contains("[10, 32]") && error.contains("[3, 32]"),
        "{error}"
    );
    assert!(!path.exists());
}
