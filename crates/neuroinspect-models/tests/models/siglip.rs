//! SigLIP against open_clip and transformers; `tools/golden_siglip.py` writes the golden values.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use neuroinspect_core::{ImageTextEncoder, Interpolation, ResizeRule, io::sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint, Error,
    checkpoint::{Precision, parameter_shapes},
    clip::{Clip, ClipConfig, Gelu},
};
use neuroinspect_testing::{files::Folder, largest_difference};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Tensors, golden, images, make_up, safetensors_of, weight};

type Rows = Vec<Vec<f32>>;

#[derive(Deserialize)]
struct Golden {
    config: ClipConfig,
    #[cfg(feature = "siglip")]
    prompts: Vec<String>,
    prompt_tokens: Vec<Vec<i32>>,
    image: Rows,
    text: Rows,
    hugging_face: HuggingFace,
    presets: BTreeMap<String, Preset>,
    #[cfg(feature = "siglip")]
    tokens: Vec<(String, Vec<i32>)>,
}

#[derive(Deserialize)]
struct HuggingFace {
    shapes: BTreeMap<String, Vec<usize>>,
    image: Rows,
    text: Rows,
}

/// As `clip_golden.rs` describes, and open_clip's config.
#[derive(Deserialize)]
struct Preset {
    count: usize,
    sha256: String,
    heads: [usize; 2],
    config: Value,
}

fn values() -> Golden {
    serde_json::from_str(include_str!("../golden/siglip.json")).unwrap()
}

fn small() -> Clip {
    let mut clip = values().config.init(&Device::flex()).unwrap();
    make_up(&mut clip);
    clip
}

fn tokens(rows: &[Vec<i32>]) -> Tensor<2, Int> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &Device::flex())
}

/// Both compute in f32 with sums in another order: some 100 roundings of 6e-8 of the largest.
const TOLERANCE: f64 = 1e-5;

/// The largest difference over the largest value expected.
fn difference(found: Tensor<2>, expected: &Rows) -> f64 {
    assert_eq!(found.dims(), [expected.len(), expected[0].len()]);
    let (found, expected) = (found.try_into_vec_as::<f32>().unwrap(), expected.concat());
    let largest = largest_difference(&expected, vec![0.0; expected.len()]);
    largest_difference(&found, &expected) / largest
}

fn assert_rows(found: Tensor<2>, expected: &Rows, what: &str) {
    let difference = difference(found, expected);
    assert!(difference < TOLERANCE, "{what}: {difference}");
}

#[test]
fn features_are_those_of_open_clip() {
    let golden = values();
    let mut clip = small();
    let images = images(clip.input().size, &clip.device());
    for state in ["as it is", "folded"] {
        assert_rows(clip.encode_images(images.clone()), &golden.image, state);
        let texts = clip.text_features(tokens(&golden.prompt_tokens));
        assert_rows(texts, &golden.text, state);
        clip.fold().unwrap();
    }
}

/// The image tower's function, and the text tower's, decide by far more than the tolerance.
#[test]
fn the_functions_are_told_apart() {
    let golden = values();
    let mut config = golden.config.clone();
    config.gelu = Gelu::Tanh;
    config.siglip.as_mut().unwrap().text_gelu = Gelu::Exact;
    let mut clip = config.init(&Device::flex()).unwrap();
    make_up(&mut clip);
    let image = difference(
        clip.encode_images(images(24, &clip.device())),
        &golden.image,
    );
    let text = difference(
        clip.text_features(tokens(&golden.prompt_tokens)),
        &golden.text,
    );
    assert!(
        image > 5.0 * TOLERANCE && text > 5.0 * TOLERANCE,
        "{image} {text}"
    );
}

#[test]
fn weights_of_hugging_faces_siglip_give_its_features() {
    let golden = values();
    let mut config = golden.config;
    config.gelu = Gelu::Tanh;
    (config.text.width, config.text.heads, config.text.mlp_ratio) = (32, 4, 2.0);
    let made = |(name, shape): (String, Vec<usize>)| {
        let values = weight(&name, &shape);
        (name, (shape, values))
    };
    let expected = golden.hugging_face;
    let mut tensors: Tensors = expected.shapes.into_iter().map(made).collect();
    let load = |tensors: &Tensors| {
        let checkpoint = Checkpoint::from_bytes("transformers'", safetensors_of(tensors)).unwrap();
        Clip::from_checkpoint(&checkpoint, Some(&config), &Device::flex())
    };
    let clip = load(&tensors).unwrap();
    let image = clip.encode_images(images(24, &clip.device()));
    assert_rows(image, &expected.image, "images");
    let text = clip.text_features(tokens(&golden.prompt_tokens));
    assert_rows(text, &expected.text, "texts");
    // Half of what two tensors are made of.
    let pooling = "vision_model.head.attention.in_proj_weight".to_owned();
    tensors.insert(pooling, (vec![48, 32], vec![0.0; 48 * 32]));
    let error = load(&tensors).unwrap_err().to_string();
    assert!(error.contains("visual.trunk.attn_pool.q.weight"), "{error}");
}

#[test]
fn presets_are_open_clips() {
    let presets = values().presets;
    let ours = ClipConfig::PRESETS
        .iter()
        .filter(|it| it.contains("SigLIP"));
    assert_eq!(ours.count(), presets.len());
    for (name, expected) in presets {
        let config = ClipConfig::preset(&name).unwrap();
        let given = expected.config.to_string();
        assert_eq!(
            ClipConfig::from_json(&given, &name).unwrap(),
            config,
            "{name}"
        );
        // Parameters are allocated when first used: none here.
        let clip = config.init(&Device::flex()).unwrap();
        let shapes = parameter_shapes(&clip);
        assert_eq!(shapes.len(), expected.count, "{name}");
        let line = |(parameter, shape)| format!("{parameter} {shape:?}\n");
        let lines: String = shapes.iter().map(line).collect();
        assert_eq!(sha256_of_bytes(lines.as_bytes()), expected.sha256, "{name}");
        let heads = [
            config.vision.width / config.vision.head_width,
            config.text.heads,
        ];
        assert_eq!(heads, expected.heads, "{name}");
        let input = clip.input();
        assert_eq!((input.mean, input.std), ([0.5; 3], [0.5; 3]));
        assert_eq!(input.resize, ResizeRule::Squash);
        assert_eq!(input.interpolation, Interpolation::Bicubic);
    }
    assert!(ClipConfig::preset("ViT-B-16-SigLIP-quickgelu").is_err());
}

#[test]
fn configs_of_other_models_are_refused_by_field() {
    let given = serde_json::to_value(values().config).unwrap();
    for (part, field, value, expected) in [
        (
            "text_cfg",
            "no_causal_mask",
            Value::from(false),
            "text_cfg.no_causal_mask: expected true",
        ),
        (
            "text_cfg",
            "pool_type",
            Value::from("argmax"),
            "text_cfg.pool_type: expected last",
        ),
        (
            "text_cfg",
            "proj_bias",
            Value::from(false),
            "text_cfg.proj_bias: expected true",
        ),
        (
            "text_cfg",
            "norm_kwargs",
            serde_json::json!({}),
            "norm_kwargs.eps: expected 1e-6",
        ),
        (
            "text_cfg",
            "tokenizer_kwargs",
            serde_json::json!({}),
            "clean: expected canonicalize",
        ),
        (
            "text_cfg",
            "embed_cls",
            Value::from(true),
            "unknown field `embed_cls`",
        ),
        (
            "vision_cfg",
            "timm_model_name",
            Value::from("vit"),
            "vision_cfg: unknown field",
        ),
        (
            "vision_cfg",
            "layers",
            serde_json::json!([1, 1, 1, 1]),
            "vision_cfg: invalid type",
        ),
    ] {
        let mut changed = given.clone();
        changed[part][field] = value;
        let error = ClipConfig::from_json(&changed.to_string(), "it").unwrap_err();
        assert!(error.to_string().contains(expected), "{field}: {error}");
    }
    let named = |field: &str, value: Value| {
        let mut changed = given.clone();
        changed["vision_cfg"] = serde_json::json!({
            "image_size": 224, "timm_model_name": "vit_base_patch16_siglip_224",
            "timm_pool": "map", "timm_proj": "none",
        });
        changed["vision_cfg"][field] = value;
        ClipConfig::from_json(&changed.to_string(), "it")
            .unwrap_err()
            .to_string()
    };
    let error = named("timm_model_name", "vit_base_patch16_siglip_gap_224".into());
    assert!(error.contains("vit_base_patch16_siglip_256"), "{error}");
    let error = named("image_size", 256.into());
    assert!(
        error.contains("image_size = 256: expected that of"),
        "{error}"
    );
    let error = named("timm_pool", "avg".into());
    assert!(
        error.contains("timm_pool = \"avg\": expected \"map\""),
        "{error}"
    );
    // The shared space is the image tower's.
    let error = named("timm_proj", "none".into());
    assert!(
        error.contains("embed_dim = 32: expected vision_cfg.width"),
        "{error}"
    );
}

#[test]
fn a_saved_siglip_is_the_same() {
    let folder = Folder::new();
    let clip = small();
    let file = folder.path("siglip.safetensors");
    clip.save(&file, Precision::F32).unwrap();
    let loaded = Clip::load(&file, None, &Device::flex()).unwrap();
    assert_eq!(loaded.config(), clip.config());
    let [one, other] =
        [&clip, &loaded].map(|it| it.encode_images(images(24, &it.device())).into_data());
    assert_eq!(one, other);
    // Texts need its tokenizer.
    let error = loaded.tokens(&["an owl".into()]).unwrap_err();
    assert!(
        matches!(&error, Error::NoTokenizer { model, .. } if model == "siglip"),
        "{error}"
    );
    let error = loaded.encode_texts(&["an owl".into()]).unwrap_err();
    assert!(
        error.to_string().contains("tokenizer_config.json"),
        "{error}"
    );
}

#[cfg(not(feature = "siglip"))]
#[test]
fn a_build_without_tokenizers_says_so() {
    let error = small()
        .with_tokenizer(golden("siglip/tokenizer.json"))
        .unwrap_err();
    assert!(error.to_string().contains("feature siglip"), "{error}");
}

#[cfg(feature = "siglip")]
mod tokenizer {
    use super::*;

    #[test]
    fn tokens_are_those_of_open_clip() {
        let golden = values();
        let clip = small()
            .with_tokenizer(crate::support::golden("siglip/tokenizer.json"))
            .unwrap();
        for (text, expected) in golden.tokens {
            let found = clip.tokens(std::slice::from_ref(&text)).unwrap();
            assert_eq!(
                found.try_into_vec_as::<i32>().unwrap(),
                expected,
                "{text:?}"
            );
        }
        let texts = clip.encode_texts(&golden.prompts).unwrap();
        assert_rows(texts, &golden.text, "prompts");
    }

    #[test]
    fn the_tokenizer_beside_the_weights_is_taken() {
        let folder = Folder::new();
        let file = folder.path("siglip.safetensors");
        small().save(&file, Precision::F32).unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(golden(&format!("siglip/{name}")), folder.path(name)).unwrap();
        }
        let load = || Clip::load(&file, None, &Device::flex());
        let texts = load().unwrap().encode_texts(&values().prompts).unwrap();
        assert_rows(texts, &values().text, "prompts");
        let changed = |name: &str, from: &str, to: &str| {
            let path = folder.path(name);
            let text = std::fs::read_to_string(golden(&format!("siglip/{name}"))).unwrap();
            assert!(text.contains(from));
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let error = load().map(|_| ()).unwrap_err();
            std::fs::write(&path, text).unwrap();
            error
        };
        let error = changed(
            "tokenizer_config.json",
            "\"pad_token\": \"</s>\"",
            "\"pad_token\": \"[PAD]\"",
        );
        assert!(matches!(&error, Error::Tokenizer { .. }), "{error}");
        assert!(
            error.to_string().contains("'[PAD]' is no token of"),
            "{error}"
        );
        let error = changed("tokenizer.json", "\"Unigram\"", "\"Bigram\"");
        assert!(matches!(&error, Error::Tokenizer { .. }), "{error}");
        // Where the crate that reads it panics.
        let error = changed("tokenizer.json", "\"AAQAAAAg", "\"AA!AAAAg");
        assert!(matches!(&error, Error::Tokenizer { .. }), "{error}");
        std::fs::remove_file(folder.path("tokenizer_config.json")).unwrap();
        let error = load().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json"), "{error}");
    }

    /// A template of a token that it does not describe is found when a text is cut.
    #[test]
    fn a_template_without_its_token_is_an_error() {
        let folder = Folder::new();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let text = std::fs::read_to_string(golden(&format!("siglip/{name}"))).unwrap();
            let described = "\"special_tokens\":{\"</s>\":";
            let text = text.replace(described, "\"special_tokens\":{\"<s>\":");
            std::fs::write(folder.path(name), text).unwrap();
        }
        let clip = small().with_tokenizer(folder.path("tokenizer.json"));
        let error = clip.unwrap().tokens(&values().prompts).unwrap_err();
        assert!(matches!(&error, Error::Tokenizer { .. }), "{error}");
    }

    /// A vocabulary that is larger than the text tower's is another model's.
    #[test]
    fn tokens_that_the_tower_does_not_have_are_refused() {
        let mut config = values().config;
        config.text.vocab_size = 20;
        let clip = config.init(&Device::flex()).unwrap();
        let clip = clip
            .with_tokenizer(golden("siglip/tokenizer.json"))
            .unwrap();
        let error = clip.tokens(&values().prompts).unwrap_err().to_string();
        assert!(error.contains("has 20: it is another model's"), "{error}");
    }
}
