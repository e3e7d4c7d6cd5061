//! Configs of transformers' `CLIPModel` as open_clip's.
//!
//! `configuration_clip.py` and `image_processing_clip.py` of transformers.

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clip::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu};

/// `config.json`, so far as it decides something; the defaults are transformers'.
#[derive(Deserialize)]
struct Model {
    model_type: String,
    #[serde(default = "projection")]
    projection_dim: usize,
    text_config: Option<Map<String, Value>>,
    vision_config: Option<Map<String, Value>>,
    /// What older files have; it comes before the above.
    text_config_dict: Option<Map<String, Value>>,
    vision_config_dict: Option<Map<String, Value>>,
}

fn projection() -> usize {
    512
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
        let tower: Self =
            serde_json::from_value(all).map_err(|error| format!("{part}: {error}"))?;
        match tower.layer_norm_eps {
            1e-5 => Ok(tower),
            other => Err(format!("{part}.layer_norm_eps = {other}: expected 1e-5")),
        }
    }

    fn gelu(&self, part: &str) -> Result<Gelu, String> {
        match &self.hidden_act[..] {
            "gelu" => Ok(Gelu::Exact),
            "quick_gelu" => Ok(Gelu::Quick),
            other => Err(format!(
                "{part}.hidden_act = {other:?}: expected gelu or quick_gelu"
            )),
        }
    }

    /// The hidden layer's width as a multiple of a token's.
    fn ratio(&self) -> f64 {
        self.intermediate_size as f64 / self.hidden_size.max(1) as f64
    }
}

/// The config of a `CLIPModel`; it is yet to be validated.
pub(super) fn clip_config(json: &str) -> Result<ClipConfig, String> {
    let model: Model = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if model.model_type != "clip" {
        let kind: String = model.model_type.chars().take(80).collect();
        return Err(format!("expected the model_type \"clip\", found {kind:?}"));
    }
    let (part, defaults) = (
        "text_config",
        serde_json::json!({
            "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
            "num_attention_heads": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
            "max_position_embeddings": 77, "vocab_size": 49408,
        }),
    );
    let text = Tower::of(defaults, [model.text_config, model.text_config_dict], part)?;
    let gelu = text.gelu(part)?;
    let (part, defaults) = (
        "vision_config",
        serde_json::json!({
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
            "num_attention_heads": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
            "image_size": 224, "patch_size": 32, "num_channels": 3,
        }),
    );
    let vision = Tower::of(
        defaults,
        [model.vision_config, model.vision_config_dict],
        part,
    )?;
    if vision.gelu(part)? != gelu {
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
        embed_dim: model.projection_dim,
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
    })
}

/// `preprocessor_config.json` of a `CLIPImageProcessor`.
#[derive(Deserialize)]
#[serde(default)]
struct Processor {
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
    let given: Processor = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if !(given.do_resize && given.do_center_crop && given.do_normalize) {
        return Err("expected do_resize, do_center_crop and do_normalize".to_owned());
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
    // PIL's numbers of its filters.
    let interpolation = match given.resample {
        2 => Interpolation::Bilinear,
        3 => Interpolation::Bicubic,
        other => return Err(format!("resample = {other}: expected 2 or 3")),
    };
    Ok(InputSpec::new(size)
        .with_normalization(given.image_mean, given.image_std)
        .with_resize(ResizeRule::ShorterSide { to })
        .with_interpolation(interpolation))
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
        assert_eq!(clip_config(openai).unwrap(), expected);
        let laion = r#"{"model_type": "clip", "projection_dim": 1024,
            "text_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
            "num_hidden_layers": 24, "hidden_act": "gelu"},
            "vision_config": {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16,
            "num_hidden_layers": 32, "patch_size": 14, "hidden_act": "gelu"}}"#;
        assert_eq!(
            clip_config(laion).unwrap(),
            ClipConfig::preset("ViT-H-14").unwrap()
        );
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
            (r#"{"model_type": "siglip"}"#, "found \"siglip\""),
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
            let reason = clip_config(json).unwrap_err();
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
        ] {
            let reason = input(json).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
