//! Where in the image neurons are active, by families that do not read a spatial mean.

use burn::tensor::{Device, Tensor};
use neuroinspect_core::{Classifier, InputSpec, LayerValues};
use neuroinspect_models::{
    Error, LoadConfig, Strictness, init_classifier, load_classifier_from_bytes,
};
use neuroinspect_testing::largest_difference;

use crate::{
    classifiers_golden::made_up_for,
    support::{images, made_up_weights, safetensors_of},
};

const VIT: &str = "vit_tiny_patch16_224";

/// The patches' tokens of one of its blocks, as a map of 2 x 2.
fn patches(model: &dyn Classifier, block: &str) -> Tensor<4> {
    let images = images(32, &model.device());
    let values = model.activations_at(images, &[block]).unwrap().remove(0);
    let LayerValues::Tokens(tokens) = values else {
        panic!("blocks are of tokens")
    };
    let patches = tokens.narrow(1, 1, 4).swap_dims(1, 2);
    patches.reshape([2, 192, 2, 2])
}

fn map(model: &dyn Classifier) -> Tensor<4> {
    let images = images(32, &model.device());
    model.activations(images).map.unwrap()
}

#[test]
fn a_vision_transformers_map_is_the_patches_tokens_of_a_block() {
    let vit = made_up_for(VIT, 32);
    assert_eq!(
        largest_difference(map(&*vit), patches(&*vit, "blocks.10")),
        0.0
    );

    let config = LoadConfig::default()
        .with_input(InputSpec::imagenet(32))
        .with_classes(10)
        .with_strictness(Strictness::Partial)
        .with_map("blocks.3");
    let device = Device::flex();
    let mut weights = made_up_weights(&init_classifier(VIT, 10, &device).unwrap());
    weights.remove("pos_embed");
    let loaded = load_classifier_from_bytes(VIT, safetensors_of(&weights), &config, &device);
    let other = loaded.unwrap().model;
    assert_eq!(
        [vit.map_layer(), other.map_layer()],
        [None, Some("blocks.3")]
    );
    let expected = patches(&*other, "blocks.3");
    assert_eq!(largest_difference(map(&*other), expected.clone()), 0.0);
    assert!(largest_difference(expected, patches(&*other, "blocks.10")) > 0.1);
}

/// At 32 pixels there is one pixel of a ResNet's map.
#[test]
fn a_map_is_there_again_for_larger_images() {
    let device = Device::flex();
    let resnet = init_classifier("resnet18", 2, &device).unwrap();
    let small = resnet.with_input(InputSpec::imagenet(32)).unwrap();
    assert!(small.activations(images(32, &device)).map.is_none());
    let large = small.with_input(InputSpec::imagenet(64)).unwrap();
    let map = large.activations(images(64, &device)).map.unwrap();
    assert_eq!(map.dims(), [2, 512, 2, 2]);
}

#[test]
fn a_map_has_a_channel_for_each_neuron() {
    let model = |name| init_classifier(name, 2, &Device::flex()).unwrap();
    let resnet = model("resnet18").with_map("layer4.0").unwrap();
    let images = images(64, &resnet.device());
    let LayerValues::Map(expected) = resnet
        .activations_at(images.clone(), &["layer4.0"])
        .unwrap()
        .remove(0)
    else {
        panic!("a map")
    };
    let found = resnet.activations(images).map.unwrap();
    assert_eq!(largest_difference(found, expected), 0.0);
    for (name, layer) in [
        ("resnet18", "layer3"),
        ("resnet18", "fc"),
        (VIT, "blocks.3.mlp.fc1"),
        (VIT, "norm1"),
    ] {
        let error = model(name).with_map(layer).unwrap_err();
        let named = error.to_string().contains(&format!("'{layer}'"));
        assert!(
            named && matches!(error, Error::Node { .. } | Error::UnknownNode { .. }),
            "{error}"
        );
    }
}
