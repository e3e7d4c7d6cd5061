//! What a classifier wants to see: by its name's tag, by the caller, by the file.

use burn::tensor::Device;
use neuroinspect_core::{Error as CoreError, InputSpec, Interpolation, ResizeRule};
use neuroinspect_models::{
    CifarResNetConfig, EfficientNetLite0, Error, LoadConfig, PretrainedClassifier, ResNet,
    ResNetDepth, classifiers, load_classifier, load_classifier_from_bytes,
};
use tempfile::tempdir;

use crate::{
    load, refusal,
    support::{images, made_up_weights, safetensors_of},
    weights,
};

/// The input of a tag by timm's `default_cfgs`: size, and `crop_pct` as the shorter side.
fn input_in_timm(tag: &str) -> InputSpec {
    use Interpolation::{Bicubic, Bilinear};
    let (size, to, interpolation) = match tag {
        "tv_in1k" => (224, 256, Bilinear),
        "tv2_in1k" => (224, 232, Bilinear),
        "gluon_in1k" | "in1k" => (224, 256, Bicubic),
        "a1_in1k" | "a2_in1k" => (224, 235, Bicubic),
        "a3_in1k" => (160, 168, Bicubic),
        other => panic!("what does timm say of '{other}'?"),
    };
    let spec = InputSpec::imagenet(size)
        .with_resize(ResizeRule::ShorterSide { to })
        .with_interpolation(interpolation);
    match tag {
        "in1k" => spec.with_normalization([0.5; 3], [0.5; 3]),
        _ => spec,
    }
}

#[test]
fn every_tag_has_timms_input() {
    for model in classifiers() {
        for tag in model.tags {
            assert_eq!(tag.input, input_in_timm(tag.tag), "{}", model.name);
        }
    }
}

#[test]
fn a_tag_brings_the_input_of_its_weights() {
    let device = Device::flex();
    let weights = made_up_weights(&ResNet::new(ResNetDepth::ResNet50, 2, &device).unwrap());
    let bytes = safetensors_of(&weights);
    for (name, expected) in [
        ("resnet50", input_in_timm("tv_in1k")),
        ("resnet50.tv2_in1k", input_in_timm("tv2_in1k")),
        ("resnet50.a3_in1k", input_in_timm("a3_in1k")),
    ] {
        let config = LoadConfig::default();
        let loaded = load_classifier_from_bytes(name, &bytes, &config, &device).unwrap();
        assert_eq!(loaded.model.input(), &expected, "{name}");
        let config = config.with_input(InputSpec::new(8));
        let loaded = load_classifier_from_bytes(name, &bytes, &config, &device).unwrap();
        assert_eq!(loaded.model.input(), &InputSpec::new(8), "{name}");
    }
}

/// Another tag like it would bring another input, and the weights would load.
#[test]
fn an_unknown_tag_brings_no_other() {
    assert_eq!(
        refusal("resnet50.a1h_in1k"),
        "no input is known for weights 'a1h_in1k' of 'resnet50', and that of others may be wrong \
         for them; known tags: a1_in1k, a2_in1k, a3_in1k, gluon_in1k, tv_in1k, tv2_in1k; \
         load them as 'resnet50' with an input of your own (--input FILE of the program, LoadConfig::with_input in code)"
    );
    assert!(refusal("resnet34.tv2_in1k").contains("known tags: a1_in1k"));
    assert!(refusal("cifar_resnet20.v1").contains("known tags: none;"));
}

#[test]
fn an_input_that_cannot_be_followed_is_refused() {
    let input = InputSpec::new(32).with_normalization([0.5; 3], [0.5, 0.0, 0.5]);
    let config = LoadConfig::default().with_input(input);
    let error = load(&weights(7), &config).err().unwrap();
    let option = matches!(
        error,
        Error::Core(CoreError::InvalidOption { option: "std", .. })
    );
    assert!(option, "{error:?}");
}

#[test]
fn the_input_can_be_chosen() {
    let input = InputSpec::imagenet(64);
    let model = load(
        &weights(7),
        &LoadConfig::default().with_input(input.clone()),
    )
    .unwrap();
    assert_eq!(model.input(), &input);
    let map = model.feature_map(images(64, &model.device()));
    assert_eq!(map.dims(), [2, 64, 16, 16]);
}

/// Whose images were prepared as its tag says must not be shown others after a reload.
#[test]
fn the_input_is_saved_with_the_weights() {
    let device = Device::flex();
    let folder = tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    let model = ResNet::new(ResNetDepth::ResNet18, 2, &device).unwrap();
    let model = model.with_input(ResNet::timm_a1_input()).unwrap();
    model.save(&path).unwrap();
    let input = |name: &str, config: LoadConfig| {
        let loaded = load_classifier(name, &path, &config, &device).unwrap();
        loaded.model.input().clone()
    };
    let plain = LoadConfig::default;
    assert_eq!(input("resnet18", plain()), ResNet::timm_a1_input());
    // What the caller says counts more.
    assert_eq!(input("resnet18.a3_in1k", plain()), ResNet::timm_a3_input());
    let own = plain().with_input(InputSpec::new(8));
    assert_eq!(input("resnet18", own.clone()), InputSpec::new(8));

    let none = serde_json::to_string(&InputSpec::new(0)).unwrap();
    for (json, reason) in [
        ("bilinear", "expected value"),
        (&none, "input size = 0: expected 1 to 4096 pixels"),
    ] {
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut metadata = [text("input", json), text("model", "another")].into();
        neuroinspect_models::checkpoint::save(&model, &metadata, &path).unwrap();
        // Another program's file may mean anything by it.
        assert_eq!(input("resnet18", plain()), ResNet::torchvision_input());
        metadata.extend([text("model", "resnet18")]);
        neuroinspect_models::checkpoint::save(&model, &metadata, &path).unwrap();
        let error = load_classifier("resnet18", &path, &plain(), &device).unwrap_err();
        assert!(matches!(error, Error::SavedInput { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(input("resnet18", own.clone()), InputSpec::new(8));
    }
}

#[test]
fn an_input_that_cannot_be_followed_is_no_networks() {
    let device = Device::flex();
    let input = || InputSpec::new(32).with_normalization([0.5; 3], [0.0; 3]);
    let refusals = [
        ResNet::new(ResNetDepth::ResNet18, 2, &device)
            .unwrap()
            .with_input(input())
            .map(drop),
        CifarResNetConfig::new(8, 2)
            .init(&device)
            .unwrap()
            .with_input(input())
            .map(drop),
        EfficientNetLite0::new(2, &device)
            .unwrap()
            .with_input(input())
            .map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(
            refusal,
            Err(Error::Core(CoreError::InvalidOption { option: "std", .. }))
        ));
    }
}
