//! What a classifier wants to see: by its name's tag, by the caller, by the file.

use std::collections::BTreeMap;

use burn::tensor::Device;
use neuroinspect_core::{Error as CoreError, InputSpec, Interpolation, Precision, ResizeRule};
use neuroinspect_models::{
    CifarResNetConfig, Error, LoadConfig, PretrainedClassifier, classifiers, init_classifier,
    load_classifier, load_classifier_from_bytes,
};
use serde::Deserialize;
use tempfile::tempdir;

use crate::{
    registry::{load, refusal, weights},
    support::{golden, images, made_up_weights, safetensors_of},
};

#[derive(Deserialize)]
struct Golden {
    transforms: BTreeMap<String, Transform>,
}

/// What timm makes of a tag's configuration: `resolve_data_config(use_test_size=True)`, then
/// `create_transform(is_training=False)`.
#[derive(Deserialize)]
struct Transform {
    crop: usize,
    /// None where images are squashed.
    resize: Option<usize>,
    interpolation: Interpolation,
    /// ImageNet's where there is none, as the deviation.
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

/// The inputs by timm's own transforms, under names with tags.
fn inputs_in_timm() -> BTreeMap<String, InputSpec> {
    let text = std::fs::read_to_string(golden("pretrained_transforms.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let transforms = golden.transforms.into_iter();
    let inputs = transforms.map(|(name, transform)| {
        let resize = transform.resize;
        let resize = resize.map_or(ResizeRule::Squash, |to| ResizeRule::ShorterSide { to });
        let input = InputSpec::imagenet(transform.crop);
        let mean = transform.mean.unwrap_or(input.mean);
        let std = transform.std.unwrap_or(input.std);
        let input = input
            .with_normalization(mean, std)
            .with_resize(resize)
            .with_interpolation(transform.interpolation);
        (name, input)
    });
    inputs.collect()
}

fn input_in_timm(name: &str) -> InputSpec {
    inputs_in_timm()[name].clone()
}

#[test]
fn every_tag_has_timms_input() {
    let expected = inputs_in_timm();
    let mut count = 0;
    for model in classifiers().unwrap() {
        for tag in model.tags {
            let name = format!("{}.{}", model.name, tag.tag);
            assert_eq!(tag.input, expected[&name], "{name}");
            count += 1;
        }
    }
    assert_eq!(count, expected.len());
    assert!(count > 200);
}

#[test]
fn a_tag_brings_the_input_of_its_weights() {
    let device = Device::flex();
    let weights = made_up_weights(&init_classifier("resnet50", 2, &device).unwrap());
    let bytes = safetensors_of(&weights);
    for (name, expected) in [
        ("resnet50", input_in_timm("resnet50.tv_in1k")),
        ("resnet50.tv2_in1k", input_in_timm("resnet50.tv2_in1k")),
        ("resnet50.a3_in1k", input_in_timm("resnet50.a3_in1k")),
    ] {
        let config = LoadConfig::default();
        let loaded = load_classifier_from_bytes(name, &bytes[..], &config, &device).unwrap();
        assert_eq!(loaded.model.input(), &expected, "{name}");
        let config = config.with_input(InputSpec::new(8));
        let loaded = load_classifier_from_bytes(name, &bytes[..], &config, &device).unwrap();
        assert_eq!(loaded.model.input(), &InputSpec::new(8), "{name}");
    }
}

/// Another tag like it would bring another input, and the weights would load.
#[test]
fn an_unknown_tag_brings_no_other() {
    assert_eq!(
        refusal("tf_efficientnet_lite0.a1_in1k"),
        "no input is known for weights 'a1_in1k' of 'tf_efficientnet_lite0', and that of others may be \
         wrong for them; known tags: in1k; load them as 'tf_efficientnet_lite0' with an input of your \
         own (--input FILE of the program, LoadConfig::with_input in code)"
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
    let map = model.activations(images(64, &model.device())).map.unwrap();
    assert_eq!(map.dims(), [2, 64, 16, 16]);
}

/// Whose images were prepared as its tag says must not be shown others after a reload.
#[test]
fn the_input_is_saved_with_the_weights() {
    let device = Device::flex();
    let folder = tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    let [a1, a3, tv] =
        ["a1", "a3", "tv"].map(|recipe| input_in_timm(&format!("resnet18.{recipe}_in1k")));
    let model = init_classifier("resnet18", 2, &device).unwrap();
    let model = model.with_input(a1.clone()).unwrap();
    model.save(&path).unwrap();
    let input = |name: &str, config: LoadConfig| {
        let loaded = load_classifier(name, &path, &config, &device).unwrap();
        loaded.model.input().clone()
    };
    let plain = LoadConfig::default;
    assert_eq!(input("resnet18", plain()), a1);
    // What the caller says counts more.
    assert_eq!(input("resnet18.a3_in1k", plain()), a3);
    let own = plain().with_input(InputSpec::new(8));
    assert_eq!(input("resnet18", own.clone()), InputSpec::new(8));

    let none = serde_json::to_string(&InputSpec::new(0)).unwrap();
    for (json, reason) in [
        ("bilinear", "invalid type: string"),
        (&none, "input size = 0: expected 1 to 4096 pixels"),
    ] {
        // Another program's file may mean anything by it.
        let said = |model: &str| match serde_json::from_str(json) {
            Ok::<serde_json::Value, _>(input) => {
                serde_json::json!({"model": model, "input": input})
            }
            Err(_) => serde_json::json!({"model": model, "input": json}),
        };
        let save = |model_name: &str| {
            let text = said(model_name).to_string();
            let metadata = Some(("classifier", &*text));
            neuroinspect_models::checkpoint::save(&model, metadata, Precision::F32, &path).unwrap();
        };
        save("another");
        assert_eq!(input("resnet18", plain()), tv);
        save("resnet18");
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
        init_classifier("resnet18", 2, &device).unwrap(),
        CifarResNetConfig::new(8, 2).init(&device).unwrap(),
        init_classifier("tf_efficientnet_lite0", 2, &device).unwrap(),
    ];
    let refusals = refusals.map(|model| model.with_input(input()).map(drop));
    for refusal in refusals {
        assert!(matches!(
            refusal,
            Err(Error::Core(CoreError::InvalidOption { option: "std", .. }))
        ));
    }
}
