//! Configs of transformers' `CLIPModel` and `SiglipModel` as open_clip's.
//!
//! `configuration_clip.py`, `configuration_siglip.py` and their `image_processing_*.py` of transformers.

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clip::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu, SiglipConfig};

/// `config.json`, so far as it decides something; the defaults are transformers'.
#[derive(Deserialize)]
struct Model {
    model_type: String,
    /// None of a SigLIP.
    projection_dim: Option<usize>,
    text_config: Option<Map<String, Value>>,
    vision_config: Option<Map<String, Value>>,
    /// What older files have; it comes before the above.
    text_config_dict: Option<Map<String, Value>>,
    vision_config_dict: Option<Map<String, Value>>,
}

/// A tower; text and image towers differ in their defaults.
#[derive(Deserialize)]
struct Tower {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    #[serde(default)]
    image_size: usize,
    #[serde(default)]
    patch_size: usize,
    #[serde(default)]
    num_channels: usize,
    #[serde(default)]
    max_position_embeddings: usize,
    #[serde(default)]
    vocab_size: usize,
}

impl Tower {
    fn of(
        defaults: Value,
        [given, older]: [Option<Map<String, Value>>; 2],
        part: &str,
    ) -> Result<Self, String> {
        let mut all = defaults;
        for (key, value) in [given, older].into_iter().flatten().flatten() {
            if !value.is_null() {
                all[key] = value;
            }
        }
        serde_json::from_value(all).map_err(|error| format!("{part}: {error}"))
    }

    fn check_epsilon(&self, expected: f64, part: &str) -> Result<(), String> {
        match self.layer_norm_eps {
            found if found == expected => Ok(()),
            found => Err(format!(
                "{part}.layer_norm_eps = {found}: expected {expected}"
            )),
        }
    }

    fn gelu(&self, part: &str) -> Result<Gelu, String> {
        match &self.hidden_act[..] {
            "gelu" => Ok(Gelu::Exact),
            "quick_gelu" => Ok(Gelu::Quick),
            "gelu_pytorch_tanh" => Ok(Gelu::Tanh),
            other => Err(format!(
                "{part}.hidden_act = {other:?}: expected gelu, quick_gelu or gelu_pytorch_tanh"
            )),
        }
    }

    /// The hidden layer's width as a multiple of a token's.
    fn ratio(&self) -> f64 {
        self.intermediate_size as f64 / self.hidden_size.max(1) as f64
    }
}

/// The config of a `CLIPModel` or a `SiglipModel`; it is yet to be validated. `repository` is where its
/// tokenizer is.
pub(super) fn clip_config(json: &str, repository: &str) -> Result<ClipConfig, String> {
    let model: Model = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let siglip = match &model.model_type[..] {
        "clip" => false,
        "siglip" => true,
        other => {
            let kind: String = other.chars().take(80).collect();
            return Err(format!(
                "expected the model_type \"clip\" or \"siglip\", found {kind:?}"
            ));
        }
    };
    let (text_defaults, vision_defaults, epsilon) = match siglip {
        false => (
            serde_json::json!({
                "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
                "num_attention_heads": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
                "max_position_embeddings": 77, "vocab_size": 49408,
            }),
            serde_json::json!({
                "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
                "image_size": 224, "patch_size": 32, "num_channels": 3,
            }),
            1e-5,
        ),
        true => (
            serde_json::json!({
                "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "hidden_act": "gelu_pytorch_tanh",
                "layer_norm_eps": 1e-6, "max_position_embeddings": 64, "vocab_size": 32000,
            }),
            serde_json::json!({
                "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "hidden_act": "gelu_pytorch_tanh",
                "layer_norm_eps": 1e-6, "image_size": 224, "patch_size": 16, "num_channels": 3,
            }),
            1e-6,
        ),
    };
    let part = "text_config";
    let given = [model.text_config, model.text_config_dict];
    let text = Tower::of(text_defaults, given, part)?;
    text.check_epsilon(epsilon, part)?;
    let text_gelu = text.gelu(part)?;
    let part = "vision_config";
    let given = [model.vision_config, model.vision_config_dict];
    let vision = Tower::of(vision_defaults, given, part)?;
    vision.check_epsilon(epsilon, part)?;
    let gelu = vision.gelu(part)?;
    if gelu != text_gelu && !siglip {
        return Err("text_config and vision_config differ in their hidden_act".to_owned());
    }
    if vision.num_channels != 3 {
        let channels = vision.num_channels;
        return Err(format!("{part}.num_channels = {channels}: expected 3"));
    }
    let heads = vision.num_attention_heads;
    if heads == 0 || !vision.hidden_size.is_multiple_of(heads) {
        return Err(format!(
            "{part}.num_attention_heads = {heads}: expected a divisor of hidden_size"
        ));
    }
    Ok(ClipConfig {
        embed_dim: match siglip {
            true => vision.hidden_size,
            false => model.projection_dim.unwrap_or(512),
        },
        gelu,
        vision: ClipVisionConfig {
            image_size: vision.image_size,
            layers: ClipBlocks::Transformer(vision.num_hidden_layers),
            width: vision.hidden_size,
            head_width: vision.hidden_size / heads,
            mlp_ratio: vision.ratio(),
            patch_size: vision.patch_size,
        },
        text: ClipTextConfig {
            context_length: text.max_position_embeddings,
            vocab_size: text.vocab_size,
            width: text.hidden_size,
            heads: text.num_attention_heads,
            layers: text.num_hidden_layers,
            mlp_ratio: text.ratio(),
        },
        input: None,
        siglip: siglip.then(|| SiglipConfig {
            text_gelu,
            text_projection: true,
            tokenizer: repository.to_owned(),
        }),
    })
}

/// `preprocessor_config.json` of a `CLIPImageProcessor`, or a `SiglipImageProcessor`, whose images are
/// squeezed into the square.
#[derive(Deserialize)]
#[serde(default)]
struct Processor {
    image_processor_type: String,
    do_resize: bool,
    size: Side,
    resample: u8,
    do_center_crop: bool,
    crop_size: Side,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Side {
    Pixels(usize),
    Shortest { shortest_edge: usize },
    Both { height: usize, width: usize },
}

impl Default for Processor {
    fn default() -> Self {
        Self {
            image_processor_type: String::new(),
            do_resize: true,
            size: Side::Shortest { shortest_edge: 224 },
            resample: 3,
            do_center_crop: true,
            crop_size: Side::Pixels(224),
            do_normalize: true,
            image_mean: ClipConfig::MEAN,
            image_std: ClipConfig::STD,
        }
    }
}

/// The input of a `CLIPModel`; it is yet to be validated.
pub(super) fn input(json: &str) -> Result<InputSpec, String> {
    let mut given: Map<String, Value> =
        serde_json::from_str(json).map_err(|error| error.to_string())?;
    // What is as by default is written as null by some.
    given.retain(|_, value| !value.is_null());
    let given: Processor =
        serde_json::from_value(Value::Object(given)).map_err(|error| error.to_string())?;
    let siglip = given
        .image_processor_type
        .starts_with("SiglipImageProcessor");
    if !(given.do_resize && (given.do_center_crop || siglip) && given.do_normalize) {
        return Err("expected do_resize, do_center_crop and do_normalize".to_owned());
    }
    // PIL's numbers of its filters.
    let interpolation = match given.resample {
        2 => Interpolation::Bilinear,
        3 => Interpolation::Bicubic,
        other => return Err(format!("resample = {other}: expected 2 or 3")),
    };
    let input = |size| {
        InputSpec::new(size)
            .with_normalization(given.image_mean, given.image_std)
            .with_interpolation(interpolation)
    };
    if siglip {
        return match given.size {
            Side::Both { height, width } if height == width => {
                Ok(input(height).with_resize(ResizeRule::Squash))
            }
            _ => Err("size: expected a square".to_owned()),
        };
    }
    let to = match given.size {
        Side::Pixels(to) | Side::Shortest { shortest_edge: to } => to,
        Side::Both { .. } => return Err("size: expected that of the shortest edge".to_owned()),
    };
    let size = match given.crop_size {
        Side::Pixels(size) => size,
        Side::Both { height, width } if height == width => height,
        _ => return Err("crop_size: expected a square".to_owned()),
    };
    Ok(input(size).with_resize(ResizeRule::ShorterSide { to }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openai/clip-vit-large-patch14` and `laion/CLIP-ViT-H-14-laion2B-s32B-b79K` in the form that their
    /// `config.json` has, with what is the default left out.
    #[test]
    fn configs_are_those_of_open_clip() {
        let openai = r#"{"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 768,
            "text_config": {"hidden_size": 512, "eos_token_id": 2}, "text_config_dict": {"hidden_size": 768,
            "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12},
            "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
            "num_hidden_layers": 24, "patch_size": 14}, "vision_config_dict": null}"#;
        let expected = ClipConfig::preset("ViT-L-14-quickgelu").unwrap();
        assert_eq!(clip_config(openai, "it").unwrap(), expected);
        let laion = r#"{"model_type": "clip", "projection_dim": 1024,
            "text_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
            "num_hidden_layers": 24, "hidden_act": "gelu"},
            "vision_config": {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16,
            "num_hidden_layers": 32, "patch_size": 14, "hidden_act": "gelu"}}"#;
        assert_eq!(
            clip_config(laion, "it").unwrap(),
            ClipConfig::preset("ViT-H-14").unwrap()
        );
    }

    /// `google/siglip-base-patch16-224`, all of which is the default.
    #[test]
    fn a_siglip_has_the_functions_of_its_config() {
        let json = r#"{"model_type": "siglip", "text_config": {"model_type": "siglip_text_model"},
            "vision_config": {"model_type": "siglip_vision_model"}}"#;
        let mut expected = ClipConfig::preset("ViT-B-16-SigLIP").unwrap();
        expected.gelu = Gelu::Tanh;
        expected.siglip = Some(SiglipConfig {
            text_gelu: Gelu::Tanh,
            text_projection: true,
            tokenizer: "google/siglip".to_owned(),
        });
        assert_eq!(clip_config(json, "google/siglip").unwrap(), expected);
        let processor = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true,
            "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5], "resample": 3, "size": {"height": 224, "width": 224}}"#;
        assert_eq!(input(processor).unwrap(), expected.input());
        // As the fast processors write it.
        let fast = processor.replace("Processor\"", "ProcessorFast\"").replace(
            "\"resample\"",
            "\"crop_size\": null, \"do_center_crop\": null, \"resample\"",
        );
        assert_eq!(input(&fast).unwrap(), expected.input());
    }

    #[test]
    fn preprocessing_is_that_of_the_file() {
        let old = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
            "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 224}"#;
        let new = r#"{"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224},
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let own = ClipConfig::preset("ViT-B-32").unwrap().input();
        assert_eq!(input(old).unwrap(), own);
        assert_eq!(
            input(new).unwrap(),
            own.with_normalization([0.5; 3], [0.5; 3])
        );
    }

    #[test]
    fn other_models_and_hostile_values_are_refused() {
        for (json, part) in [
            (r#"{"model_type": "blip"}"#, "found \"blip\""),
            (
                r#"{"model_type": "siglip", "text_config": {"layer_norm_eps": 1e-5}}"#,
                "text_config.layer_norm_eps = 0.00001: expected 0.000001",
            ),
            (
                r#"{"architecture": "resnet18"}"#,
                "missing field `model_type`",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"num_attention_heads": 0}}"#,
                "vision_config.num_attention_heads = 0",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_act": "gelu"}}"#,
                "differ in their hidden_act",
            ),
            (
                r#"{"model_type": "clip", "text_config": {"hidden_act": "relu"}}"#,
                "text_config.hidden_act = \"relu\"",
            ),
            (
                r#"{"model_type": "clip", "text_config": {"layer_norm_eps": 0}}"#,
                "text_config.layer_norm_eps = 0",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"hidden_size": -1}}"#,
                "vision_config: invalid value",
            ),
        ] {
            let reason = clip_config(json, "it").unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        for (json, part) in [
            (r#"{"do_center_crop": false}"#, "expected do_resize"),
            (
                r#"{"crop_size": {"height": 224, "width": 200}}"#,
                "expected a square",
            ),
            (
                r#"{"size": {"height": 224, "width": 224}}"#,
                "size: expected",
            ),
            (r#"{"resample": 1}"#, "resample = 1"),
            (
                r#"{"image_processor_type": "SiglipImageProcessor"}"#,
                "size: expected a square",
            ),
        ] {
            let reason = input(json).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
