//! Classifiers by name: loading, class counts, messages, saving.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod inputs;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeSet, fs};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor},
};
use ndarray::{Array1, Array2};
use neuroinspect_core::{Classifier, DecisionLayer, Error as CoreError, Interpolation, ResizeRule};
use neuroinspect_models::{
    Checkpoint, CifarResNet, CifarResNetConfig, EfficientNetLite0, Error, LoadConfig,
    PretrainedClassifier, ResNet, ResNetDepth, Strictness, classifiers, load_classifier,
    load_classifier_from_bytes,
};
use support::{Tensors, contents, images, made_up_weights, safetensors_of};
use tempfile::tempdir;

const NAME: &str = "cifar_resnet20";

fn weights(classes: usize) -> Tensors {
    let config = CifarResNetConfig::new(20, classes);
    made_up_weights(&config.init(&Device::flex()).unwrap())
}

fn load(weights: &Tensors, config: &LoadConfig) -> Result<Box<dyn PretrainedClassifier>, Error> {
    let bytes = safetensors_of(weights);
    let loaded = load_classifier_from_bytes(NAME, &bytes, config, &Device::flex())?;
    assert_eq!(
        loaded.weights_sha256,
        neuroinspect_core::sha256_of_bytes(&bytes)
    );
    Ok(loaded.model)
}

#[test]
fn names_are_unique_and_inputs_documented() {
    let models = classifiers();
    let names: BTreeSet<_> = models.iter().map(|model| model.name).collect();
    assert_eq!((names.len(), models.len()), (10, 10));
    let of = |name| models.iter().find(|model| model.name == name).unwrap();
    assert_eq!(of("cifar_resnet56").neurons, 64);
    assert_eq!(of("resnet34").neurons, 512);
    assert_eq!(of("resnet152").neurons, 2048);
    assert_eq!(of("tf_efficientnet_lite0").neurons, 1280);
    let resnet = &of("resnet50").input;
    assert_eq!(resnet.resize, ResizeRule::ShorterSide { to: 256 });
    assert_eq!(resnet.interpolation, Interpolation::Bilinear);
    for (name, tags) in [
        ("cifar_resnet20", ""),
        ("resnet34", "a1_in1k a2_in1k a3_in1k gluon_in1k tv_in1k"),
        (
            "resnet101",
            "a1_in1k a2_in1k a3_in1k gluon_in1k tv_in1k tv2_in1k",
        ),
        ("tf_efficientnet_lite0", "in1k"),
    ] {
        let found: Vec<_> = of(name).tags.iter().map(|known| known.tag).collect();
        assert_eq!(found.join(" "), tags, "{name}");
    }
}

#[test]
fn an_unknown_name_brings_the_nearest() {
    let error = load_classifier("resnet-50", "none", &LoadConfig::default(), &Device::flex());
    let Err(Error::UnknownModel { nearest, known, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(nearest.as_deref(), Some("resnet50"));
    assert!(known.contains("tf_efficientnet_lite0"));

    let message = refusal("resnet-50.a1_in1k");
    assert!(message.contains("did you mean 'resnet50'?"), "{message}");
    let message = refusal("vit_b_16");
    assert!(
        message.starts_with("no model is named 'vit_b_16'; known: cifar_resnet20, "),
        "{message}"
    );
}

fn refusal(name: &str) -> String {
    let loaded = load_classifier(name, "none", &LoadConfig::default(), &Device::flex());
    loaded.unwrap_err().to_string()
}

#[test]
fn a_head_over_other_neurons_does_not_say_the_classes() {
    let mut other = weights(7);
    other.insert("linear.weight".into(), (vec![64, 7], vec![0.0; 7 * 64]));
    let error = load(&other, &LoadConfig::default()).err().unwrap();
    let Error::WeightsDoNotFit { report, .. } = error else {
        panic!("{error:?}")
    };
    let mismatch = report
        .mismatched
        .iter()
        .find(|it| it.name == "linear.weight");
    assert_eq!(mismatch.unwrap().expected, [10, 64]);
}

#[test]
fn the_class_count_is_the_checkpoints() {
    let model = load(&weights(7), &LoadConfig::default()).unwrap();
    assert_eq!(model.name(), NAME);
    assert_eq!(model.decision_layer().unwrap().classes(), 7);
    let model = load(&weights(7), &LoadConfig::default().with_classes(7)).unwrap();
    assert_eq!(model.decision_layer().unwrap().neurons(), 64);
}

#[test]
fn another_class_count_than_expected_is_an_error() {
    for strictness in [Strictness::Strict, Strictness::Partial] {
        let config = LoadConfig::default()
            .with_classes(10)
            .with_strictness(strictness);
        let message = load(&weights(7), &config).err().unwrap().to_string();
        assert!(
            message.contains("has 7 classes (rows of 'linear.weight') where 10 were expected"),
            "{message}"
        );
    }
}

#[test]
fn no_classes_are_refused_everywhere() {
    let refused = |error: Error| {
        let option = matches!(
            error,
            Error::Core(CoreError::InvalidOption {
                option: "classes",
                ..
            })
        );
        assert!(option, "{error:?}");
    };
    let device = Device::flex();
    refused(
        LoadConfig::default()
            .with_classes(0)
            .validate()
            .unwrap_err(),
    );
    refused(
        load(&weights(7), &LoadConfig::default().with_classes(0))
            .err()
            .unwrap(),
    );
    refused(CifarResNetConfig::new(20, 0).init(&device).unwrap_err());
    refused(ResNet::new(ResNetDepth::ResNet18, 0, &device).unwrap_err());
    refused(EfficientNetLite0::new(0, &device).unwrap_err());
    let mut none = weights(7);
    none.insert("linear.weight".into(), (vec![0, 64], vec![]));
    let error = load(&none, &LoadConfig::default()).err().unwrap();
    assert!(matches!(error, Error::WeightsDoNotFit { .. }), "{error:?}");
}

#[test]
fn a_depth_that_is_no_cifar_resnet_is_refused() {
    for depth in [0, 2, 18, 21] {
        let error = CifarResNetConfig::new(depth, 10).validate().unwrap_err();
        let option = matches!(
            error,
            Error::Core(CoreError::InvalidOption {
                option: "depth",
                ..
            })
        );
        assert!(option, "{depth}: {error:?}");
    }
}

#[test]
fn weights_of_another_network_say_whose_they_are() {
    let device = Device::flex();
    let config = CifarResNetConfig::new(32, 3).init(&device).unwrap();
    let error = load(&made_up_weights(&config), &LoadConfig::default())
        .err()
        .unwrap();
    let message = error.to_string();
    assert!(
        message.contains("does not fit cifar_resnet20 but looks like cifar_resnet32"),
        "{message}"
    );

    let mut unknown = weights(7);
    unknown.remove("bn1.bias");
    let message = load(&unknown, &LoadConfig::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.contains("does not fit cifar_resnet20: 96 of 97"),
        "{message}"
    );
}

#[test]
fn a_second_head_beside_the_model_is_refused() {
    let mut twice: Tensors = weights(7)
        .into_iter()
        .map(|(name, tensor)| (format!("model.{name}"), tensor))
        .collect();
    for name in ["linear.weight", "linear.bias"] {
        twice.insert(name.into(), weights(7)[name].clone());
    }
    let error = load(&twice, &LoadConfig::default()).err().unwrap();
    let Error::WeightsDoNotFit {
        report, looks_like, ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(looks_like, None);
    assert_eq!(report.unused, ["linear.bias", "linear.weight"]);
    assert!(report.missing.is_empty() && report.mismatched.is_empty());
}

#[test]
fn a_checkpoint_without_a_head_loads_partially() {
    let mut headless = weights(7);
    headless.retain(|name, _| !name.starts_with("linear"));
    let config = LoadConfig::default()
        .with_strictness(Strictness::Partial)
        .with_classes(4);
    let loaded =
        load_classifier_from_bytes(NAME, &safetensors_of(&headless), &config, &Device::flex());
    let loaded = loaded.unwrap();
    assert_eq!(loaded.report.missing, ["linear.bias", "linear.weight"]);
    assert_eq!(loaded.model.decision_layer().unwrap().classes(), 4);
}

#[test]
fn a_replaced_decision_layer_is_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("mended.safetensors");
    let mut model = load(&weights(3), &LoadConfig::default()).unwrap();
    let layer = DecisionLayer::new(
        Array2::from_elem((3, 64), 0.5),
        Array1::from_vec(vec![1.0, 2.0, 3.0]),
    );
    let layer = layer.unwrap();
    model.set_decision_layer(&layer).unwrap();
    assert_eq!(model.decision_layer().unwrap(), layer);
    model.save(&path).unwrap();

    let saved = Checkpoint::open(&path).unwrap();
    assert_eq!(saved.metadata()["model"], NAME);
    assert_eq!(saved.metadata()["classes"], "3");
    let mut expected = weights(3);
    expected.insert("linear.weight".into(), (vec![3, 64], vec![0.5; 3 * 64]));
    expected.insert("linear.bias".into(), (vec![3], vec![1.0, 2.0, 3.0]));
    assert_eq!(contents(&saved), expected);
    let again = load_classifier(NAME, &path, &LoadConfig::default(), &Device::flex()).unwrap();
    assert_eq!(again.model.decision_layer().unwrap(), layer);
}

#[test]
fn a_decision_layer_of_another_size_is_refused() {
    let mut model = load(&weights(3), &LoadConfig::default()).unwrap();
    for (classes, neurons) in [(4, 64), (3, 65)] {
        let layer = DecisionLayer::new(Array2::zeros((classes, neurons)), Array1::zeros(classes));
        let error = model.set_decision_layer(&layer.unwrap()).unwrap_err();
        assert!(matches!(error, CoreError::Shape { .. }), "{error:?}");
    }
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a folder where the file should be");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("kept"), "old").unwrap();
    let model = load(&weights(3), &LoadConfig::default()).unwrap();
    let error = model.save(&path).unwrap_err();
    assert!(
        matches!(error, Error::Core(CoreError::Write { .. })),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "old");
}

/// The trap that [`Classifier::feature_map`] must not fall into: Burn's batch normalisation uses
/// the batch's statistics, and overwrites the running ones, when images are tracked.
#[test]
fn only_training_touches_the_running_statistics() {
    let device = Device::flex();
    let model = CifarResNetConfig::new(8, 2);
    let model = model.init(&device.clone().autodiff()).unwrap();
    let images = images(32, &device).autodiff().require_grad();
    let evaluated = || model.feature_map(images.clone()).inner().into_data();
    let before = evaluated();
    assert_eq!(evaluated(), before);

    let gradients = model.forward(images.clone()).sum().backward();
    let mut counter = WithGradient {
        gradients: &gradients,
        count: 0,
    };
    model.visit(&mut counter);
    // 7 convolutions, scale and shift of 7 normalisations, weight and bias of the head.
    assert_eq!(counter.count, 7 + 2 * 7 + 2);
    assert_ne!(evaluated(), before);
}

/// Burn keeps the last step's running statistics apart from the others.
#[test]
fn a_network_just_trained_is_saved_and_loaded_as_it_is() {
    let device = Device::flex();
    let config = CifarResNetConfig::new(8, 2);
    let training = device.clone().autodiff();
    let trained = config.init(&training).unwrap();
    let images = images(32, &device);
    trained.forward(images.clone().autodiff().require_grad());
    let folder = tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    trained.save(&path).unwrap();

    let map = |model: &CifarResNet| model.feature_map(images.clone()).inner().into_data();
    let saved = Checkpoint::open(&path).unwrap();
    let mut fresh = config.init(&training).unwrap();
    fresh.load(&saved, Strictness::Strict).unwrap();
    assert_eq!(map(&fresh), map(&trained));

    // Loaded into one just trained, too.
    let mut other = config.init(&training).unwrap();
    other.forward(images.clone().autodiff().require_grad());
    other.load(&saved, Strictness::Strict).unwrap();
    assert_eq!(map(&other), map(&fresh));
}

/// Counts the parameters that a gradient reached.
struct WithGradient<'a> {
    gradients: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for WithGradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.count += usize::from(param.val().grad(self.gradients).is_some());
    }
}
