//! Classifiers by name: loading, class counts, messages, saving.

use std::{collections::BTreeSet, fs};

use crate::support::{Tensors, contents, made_up_weights, safetensors_of};
use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{
    Classifier, DecisionLayer, Error as CoreError, InputSpec, Interpolation, Precision, ResizeRule,
};
use neuroinspect_models::{
    Checkpoint, CifarResNetConfig, Error, LoadConfig, PretrainedClassifier, Strictness,
    classifiers, init_classifier, load_classifier, load_classifier_from_bytes,
};
use tempfile::tempdir;

const NAME: &str = "cifar_resnet20";

pub(crate) fn weights(classes: usize) -> Tensors {
    let config = CifarResNetConfig::new(20, classes);
    made_up_weights(&config.init(&Device::flex()).unwrap())
}

pub(crate) fn load(
    weights: &Tensors,
    config: &LoadConfig,
) -> Result<Box<dyn PretrainedClassifier>, Error> {
    let bytes = safetensors_of(weights);
    let loaded = load_classifier_from_bytes(NAME, &bytes[..], config, &Device::flex())?;
    assert_eq!(
        loaded.weights_sha256,
        neuroinspect_core::io::sha256_of_bytes(&bytes)
    );
    Ok(loaded.model)
}

#[test]
fn names_are_unique_and_inputs_documented() {
    let models = classifiers().unwrap();
    let names: BTreeSet<_> = models.iter().map(|model| model.name).collect();
    assert_eq!(names.len(), models.len());
    let of = |name| models.iter().find(|model| model.name == name).unwrap();
    assert_eq!(of("cifar_resnet56").neurons, 64);
    assert_eq!(of("resnet34").neurons, 512);
    assert_eq!(of("resnet152").neurons, 2048);
    assert_eq!(of("tf_efficientnet_lite0").neurons, 1280);
    for (name, parameters) in [
        ("resnet50", 25_557_032),
        ("vgg16", 138_357_544),
        ("efficientnet_b0", 5_288_548),
        ("convnext_tiny", 28_589_128),
        ("vit_base_patch16_224", 86_567_656),
        // Without a decision layer.
        ("vit_small_patch8_224", 21_670_272),
    ] {
        assert_eq!(of(name).parameters, parameters, "{name}");
    }
    let resnet = &of("resnet50").input;
    assert_eq!(resnet.resize, ResizeRule::ShorterSide { to: 256 });
    assert_eq!(resnet.interpolation, Interpolation::Bilinear);
    assert_eq!(of("cifar_resnet20").classes, 10);
    assert_eq!(of("resnet18").classes, 1000);
    assert_eq!(of("vit_small_patch8_224").classes, 0);
    for (name, tags) in [
        ("cifar_resnet20", ""),
        (
            "resnet101",
            "a1_in1k a1h_in1k a2_in1k a3_in1k gluon_in1k tv2_in1k tv_in1k",
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
    let Err(Error::UnknownModel { nearest, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(nearest.as_deref(), Some("resnet50"));

    let message = refusal("resnet-50.a1_in1k");
    assert!(message.contains("did you mean 'resnet50'?"), "{message}");
    assert_eq!(
        refusal("inception"),
        "no model is named 'inception'; `neuroinspect models`, or classifiers() in code, lists all"
    );
}

pub(crate) fn refusal(name: &str) -> String {
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
    for name in ["resnet18", "tf_efficientnet_lite0"] {
        refused(init_classifier(name, 0, &device).unwrap_err());
    }
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

/// What heads are in is in no shape: DeiT's and ViT's weights are alike.
#[test]
fn weights_that_fit_several_models_are_said_to() {
    let device = Device::flex();
    let tiny = made_up_weights(&init_classifier("vit_tiny_patch16_224", 5, &device).unwrap());
    let error = load(&tiny, &LoadConfig::default()).err().unwrap();
    let message = error.to_string();
    let Error::WeightsDoNotFit { looks_like, .. } = error else {
        panic!("{message}")
    };
    for name in ["vit_tiny_patch16_224", "deit_tiny_patch16_224"] {
        assert!(looks_like.contains(&name), "{looks_like:?}");
    }
    assert!(message.contains("_patch16_224 or "), "{message}");
}

/// timm would resample them.
#[test]
fn positions_of_another_image_size_are_named_as_such() {
    let (name, device) = ("vit_tiny_patch16_224", Device::flex());
    let tiny = made_up_weights(&init_classifier(name, 5, &device).unwrap());
    let config = LoadConfig::default().with_input(InputSpec::imagenet(64));
    let loaded = load_classifier_from_bytes(name, safetensors_of(&tiny), &config, &device);
    let message = loaded.unwrap_err().to_string();
    assert!(message.contains("of images of another size"), "{message}");
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
    assert!(looks_like.is_empty());
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
        load_classifier_from_bytes(NAME, safetensors_of(&headless), &config, &Device::flex());
    let loaded = loaded.unwrap();
    assert_eq!(loaded.report.missing, ["linear.bias", "linear.weight"]);
    assert_eq!(loaded.model.decision_layer().unwrap().classes(), 4);
}

/// DINO's weights have none.
#[test]
fn weights_without_a_decision_layer_get_one_of_the_classes_asked_for() {
    let (name, device) = ("vit_small_patch8_224", Device::flex());
    let mut headless = made_up_weights(&init_classifier(name, 3, &device).unwrap());
    headless.retain(|name, _| !name.starts_with("head."));
    let load = |config: &LoadConfig| {
        load_classifier_from_bytes(name, safetensors_of(&headless), config, &device)
    };
    let config = LoadConfig::default().with_strictness(Strictness::Partial);
    let error = load(&config).unwrap_err().to_string();
    assert!(error.contains("without a decision layer"), "{error}");
    let loaded = load(&config.with_classes(3)).unwrap();
    assert_eq!(loaded.report.missing, ["head.bias", "head.weight"]);
    assert_eq!(loaded.model.decision_layer().unwrap().classes(), 3);
}

#[test]
fn another_name_of_timms_is_the_same_model() {
    let model = init_classifier("efficientnet_b3a", 2, &Device::flex()).unwrap();
    assert_eq!(Classifier::name(&model), "efficientnet_b3");
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
    let said: serde_json::Value = serde_json::from_str(&saved.metadata()["classifier"]).unwrap();
    assert_eq!(
        (&said["model"], &said["classes"]),
        (&NAME.into(), &3.into())
    );
    let mut expected = weights(3);
    expected.insert("linear.weight".into(), (vec![3, 64], vec![0.5; 3 * 64]));
    expected.insert("linear.bias".into(), (vec![3], vec![1.0, 2.0, 3.0]));
    assert_eq!(contents(&saved), expected);
    let again = load_classifier(NAME, &path, &LoadConfig::default(), &Device::flex()).unwrap();
    assert_eq!(again.model.decision_layer().unwrap(), layer);
}

#[test]
fn what_is_saved_loads_again_as_it_is() {
    let folder = tempdir().unwrap();
    for name in [
        "cifar_resnet20",
        "resnet18d",
        "tf_efficientnet_lite0",
        "efficientnet_b0",
        "convnext_tiny",
        "vit_tiny_patch16_224",
        "vit_little_patch16_reg4_gap_256",
    ] {
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let model = init_classifier(name, 3, &Device::flex()).unwrap();
        model.save(&first).unwrap();
        let config = LoadConfig::default();
        let loaded = load_classifier(name, &first, &config, &Device::flex()).unwrap();
        assert!(loaded.report.is_complete());
        loaded.model.save(&second).unwrap();
        assert!(
            fs::read(&first).unwrap() == fs::read(&second).unwrap(),
            "{name}"
        );
    }
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

#[test]
fn weights_are_rounded_to_the_precision_asked_for() {
    let config = LoadConfig::default().with_precision(Precision::Bf16);
    let rounded = load(&weights(3), &config).unwrap();
    let exact = load(&weights(3), &LoadConfig::default()).unwrap();
    let [rounded, exact] = [rounded, exact].map(|model| model.decision_layer().unwrap());
    let bf16 = |value: f32| burn::tensor::bf16::from_f32(value).to_f32();
    assert_eq!(rounded.weight(), exact.weight().mapv(bf16));
    assert_ne!(rounded, exact);
}
