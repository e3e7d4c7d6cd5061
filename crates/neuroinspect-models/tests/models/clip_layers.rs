//! Layers of CLIP's image tower, against open_clip's hooks, and copies that only embed.

use burn::tensor::{Device, Tensor};
use neuroinspect_core::{
    CopyEncoder, Error, ImageTextEncoder, LayerInfo, LayerKind, LayerValues, Precision, read_back,
};
use neuroinspect_models::clip::{Clip, ClipConfig};
use neuroinspect_testing::largest_difference;

use crate::{
    clip_golden::{filled, golden, images, resnet},
    layers_golden::Golden,
};

fn clip() -> Clip {
    filled(&golden().config)
}

#[test]
fn layers_have_the_values_of_open_clips_modules() {
    for (clip, golden) in [
        (clip(), include_str!("../golden/layers/clip.json")),
        (resnet(), include_str!("../golden/layers/clip_resnet.json")),
    ] {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        let names: Vec<_> = golden.layers.keys().map(String::as_str).collect();
        let images = images(golden.size, &clip.device());
        let found = clip.activations_at(images, &names).unwrap();
        assert!(names.len() >= 3, "{names:?}");
        for (name, found) in names.iter().zip(&found) {
            golden.layers[*name].check(found, name);
        }
    }
}

#[test]
fn layers_go_by_open_clips_names_and_are_those_of_the_image_tower() {
    let layers = clip().layers();
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let block = |index: usize| {
        let parts = [
            ".ln_1",
            ".attn",
            ".ln_2",
            ".mlp.c_fc",
            ".mlp.gelu",
            ".mlp.c_proj",
            ".mlp",
            "",
        ];
        parts.map(|part| format!("visual.transformer.resblocks.{index}{part}"))
    };
    let expected = [
        vec!["visual.conv1".to_owned(), "visual.ln_pre".to_owned()],
        block(0).to_vec(),
        block(1).to_vec(),
        ["visual.transformer", "visual.ln_post", "visual"]
            .map(str::to_owned)
            .to_vec(),
    ];
    assert_eq!(names, expected.concat());
    let at = |name: &str| {
        let LayerInfo { kind, channels, .. } = layers.iter().find(|it| it.name == name).unwrap();
        (*kind, *channels)
    };
    assert_eq!(at("visual.conv1"), (LayerKind::Map, 32));
    let hidden = "visual.transformer.resblocks.1.mlp.c_fc";
    assert_eq!(at(hidden), (LayerKind::Tokens, 96));
    assert_eq!(at("visual"), (LayerKind::Features, 24));
}

/// What is listed can be read, all of it in one pass; the tower's own value is the embedding.
#[test]
fn every_layer_can_be_read() {
    let clip = clip();
    let images = images(clip.input().size, &clip.device());
    let layers = clip.layers();
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let values = clip.activations_at(images.clone(), &names).unwrap();
    for (layer, values) in layers.iter().zip(&values) {
        let found = (values.kind(), values.channels());
        assert_eq!(found, (layer.kind, layer.channels), "{}", layer.name);
    }
    let Some(LayerValues::Features(embedding)) = values.last() else {
        panic!("{names:?}");
    };
    let expected = clip.encode_images(images);
    assert_eq!(largest_difference(embedding, expected), 0.0);
}

#[test]
fn a_layer_of_the_text_tower_is_none_of_images() {
    let clip = clip();
    let images = images(clip.input().size, &clip.device());
    for name in ["transformer.resblocks.0.attn", "visual.proj", "visuals"] {
        let error = clip.activations_at(images.clone(), &[name]).unwrap_err();
        assert!(
            matches!(error, Error::UnknownLayer { .. }),
            "{name}: {error}"
        );
    }
    let error = clip.activations_at(images, &["visual.transformer.resblocks.0.atn"]);
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("visual.transformer.resblocks.0.attn"),
        "{message}"
    );
}

/// Fewer patches would take the first positions, and those are of another place.
#[test]
fn images_of_another_size_are_refused() {
    let clip = clip();
    for size in [16, 32] {
        let images = images(size, &clip.device());
        let error = clip
            .activations_at(images, &["visual.ln_post"])
            .unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{size}: {error}");
    }
}

/// Embedding and gradient to the images.
fn embedded(encoder: &dyn ImageTextEncoder, images: &Tensor<4>) -> [Vec<f32>; 2] {
    let tracked = images.clone().autodiff().require_grad();
    let embedding = encoder.encode_images(tracked.clone());
    let gradients = embedding.clone().square().sum().backward();
    [
        read_back(embedding.inner(), "the embedding").unwrap(),
        read_back(tracked.grad(&gradients).unwrap(), "the gradient").unwrap(),
    ]
}

#[test]
fn a_folded_copy_embeds_alike() {
    let clip = clip();
    let images = images(clip.input().size, &clip.device());
    let mut folded = clip.encoder_copy(&clip.device(), Precision::F32).unwrap();
    folded.fold().unwrap();
    let [expected, found] =
        [&clip as &dyn ImageTextEncoder, &*folded].map(|it| embedded(it, &images));
    for (expected, found) in expected.iter().zip(&found) {
        // The same sums over fewer tokens, grouped otherwise: f32 roundings of values up to 2.
        let difference = largest_difference(found, expected);
        assert!(difference < 1e-5, "{difference}");
    }
    let texts = golden().prompts;
    let [expected, found] =
        [&clip as &dyn ImageTextEncoder, &*folded].map(|it| it.encode_texts(&texts).unwrap());
    assert_eq!(largest_difference(found, expected), 0.0);
    // The original is as it was: what the copy leaves out of its last block can be read of it.
    assert_eq!(clip.layers().len(), self::clip().layers().len());
}

/// Which shows that the copy does less, and for what.
#[test]
fn a_folded_clip_lists_what_it_computes_whole() {
    let mut clip = clip();
    let whole = clip.layers();
    clip.fold().unwrap();
    let folded = clip.layers();
    let left = |name: &str| folded.iter().any(|layer| layer.name == name);
    assert!(left("visual.transformer.resblocks.0"));
    assert!(left("visual.transformer.resblocks.1.ln_1"));
    for gone in ["attn", "ln_2", "mlp.c_fc", "mlp.gelu", "mlp.c_proj", "mlp"] {
        assert!(
            !left(&format!("visual.transformer.resblocks.1.{gone}")),
            "{gone}"
        );
    }
    assert!(folded.len() < whole.len());
}

/// A preset's weights are drawn when first used, so that listing is for nothing.
#[test]
fn layers_of_a_preset_are_listed_without_its_weights() {
    let clip = ClipConfig::preset("ViT-L-14").unwrap();
    let layers = clip.init(&Device::flex()).unwrap().layers();
    assert_eq!(layers.len(), 24 * 8 + 5);
}
