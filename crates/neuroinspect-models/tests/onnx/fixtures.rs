//! Small networks of timm by both of PyTorch's exporters, against PyTorch.

use burn::tensor::Device;
use neuroinspect_core::{Classifier, LayerKind};
use neuroinspect_models::{
    Checkpoint, GraphClassifier, LoadConfig, PretrainedClassifier, Strictness,
    onnx::{OnnxConfig, OnnxModel},
};

use crate::support::{FIXTURES, difference, golden, images, logits_and_gradient};

/// Largest difference, relative to the largest number; both sides compute in single precision.
const TOLERANCE: f32 = 1e-5;

fn classifier(file: &str, config: &OnnxConfig) -> (OnnxModel, GraphClassifier) {
    let model = OnnxModel::read(golden(file), config).unwrap();
    let classifier = model.classifier(&LoadConfig::default(), &Device::flex());
    (model, classifier.unwrap())
}

/// Of two images, where the export fixed one; as it is, and with batch normalisation folded.
#[test]
fn logits_gradient_features_and_map_are_pytorchs() {
    for file in FIXTURES {
        let (onnx, mut model) = classifier(file, &OnnxConfig::default());
        let name = file.split('.').next().unwrap();
        let values = Checkpoint::open(golden(&format!("{name}.safetensors"))).unwrap();
        let expected = |what: &str| values.read(what).unwrap();
        for state in ["as it is", "folded"] {
            let images = images(onnx.size(), &model.device());
            let activations = model.activations(images.clone());
            let map = activations.map.expect("each has a map").sum_dim(1);
            let (logits, gradient) = logits_and_gradient(&model, images);
            for (what, difference) in [
                ("logits", difference(logits, &expected("logits"))),
                ("gradient", difference(gradient, &expected("gradient"))),
                (
                    "features",
                    difference(activations.features, &expected("features")),
                ),
                ("map", difference(map, &expected("map"))),
            ] {
                assert!(
                    difference <= TOLERANCE,
                    "{file}, {state}, {what}: {difference}"
                );
            }
            model.fold().unwrap();
        }
    }
}

#[test]
fn the_head_is_found_by_rule() {
    let found = FIXTURES.map(|file| {
        let head = classifier(file, &OnnxConfig::default()).0.head();
        (head.decision_layer, head.features, head.map.unwrap())
    });
    let of = |layer: &str, features: &str, map: &str| (layer.into(), features.into(), map.into());
    assert_eq!(
        found,
        [
            of(
                "/fc/Gemm",
                "/global_pool/flatten/Flatten",
                "/layer4/layer4.0/act2/Relu"
            ),
            of("node_linear", "node_view", "node_silu_10"),
            of(
                "/head/fc/Gemm",
                "/head/flatten/Flatten",
                "/stages/stages.3/blocks/blocks.0/Add"
            ),
            of("/head/Gemm", "/Gather_3", "/Gather_3.map"),
            of("node_linear_8", "node_select", "node_select.map"),
        ]
    );
}

/// Layers go by the names of the file's nodes, and any of them can be looked at.
#[test]
fn layers_are_the_nodes_of_the_file() {
    let (_, model) = classifier("test_resnet.torchscript.onnx", &OnnxConfig::default());
    let layers = model.layers().unwrap();
    let first = &layers[0];
    assert_eq!(
        (&first.name[..], first.kind, first.channels),
        ("/conv1/conv1.0/Conv", LayerKind::Map, 16)
    );
    let images = images(64, &Device::flex());
    let found = model
        .activations_at(images, &["/layer2/layer2.0/conv1/Conv"])
        .unwrap();
    assert_eq!(found[0].channels(), 16);
    assert_eq!(model.penultimate(), "/global_pool/flatten/Flatten");
}

#[test]
fn another_head_is_chosen_by_name() {
    let file = "test_vit.torchscript.onnx";
    let by_rule = classifier(file, &OnnxConfig::default()).1;
    let config = OnnxConfig::default()
        .with_decision_layer("/head/Gemm")
        .with_map("/blocks/blocks.0/Add_1");
    let (onnx, chosen) = classifier(file, &config);
    assert_eq!(onnx.head().map.as_deref(), Some("/Gather_3.map"));
    let images = images(48, &Device::flex());
    let [by_rule, chosen] = [by_rule, chosen].map(|model| model.activations(images.clone()));
    let read = |features: burn::tensor::Tensor<2>| features.into_data();
    assert_eq!(read(by_rule.features), read(chosen.features));
    let map = chosen.map.unwrap();
    assert_eq!(map.dims(), [2, 32, 3, 3]);
    let other: Vec<f32> = map.into_data().try_into_vec_as().unwrap();
    assert!(difference(by_rule.map.unwrap(), &other) > 0.1);
}

/// Weights are saved and loaded by the names that they have in the file.
#[test]
fn weights_go_through_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let (onnx, model) = classifier("test_efficientnet.dynamo.onnx", &OnnxConfig::default());
    model.save(&path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.shape("conv_stem.weight").is_some());
    let mut again = onnx
        .classifier(&LoadConfig::default(), &Device::flex())
        .unwrap();
    assert!(
        again
            .load(&checkpoint, Strictness::Strict)
            .unwrap()
            .is_complete()
    );
}

#[test]
fn a_wrong_class_count_or_input_is_refused() {
    let file = "test_resnet.torchscript.onnx";
    let onnx = OnnxModel::read(golden(file), &OnnxConfig::default()).unwrap();
    let device = Device::flex();
    let error = onnx
        .classifier(&LoadConfig::default().with_classes(3), &device)
        .unwrap_err();
    assert!(error.to_string().contains("has 10 classes"), "{error}");
    let input = neuroinspect_core::InputSpec::imagenet(32);
    let error = onnx
        .classifier(&LoadConfig::default().with_input(input), &device)
        .unwrap_err();
    assert!(error.to_string().contains("64 x 64 pixels"), "{error}");
}
