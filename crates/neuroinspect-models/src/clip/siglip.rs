//! SigLIP: what its configs say in open_clip's files, and the names that open_clip and timm have for it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu};

/// What a SigLIP has in place of a CLIP's (Zhai et al., *Sigmoid loss for language image pre-training*,
/// ICCV 2023; SigLIP 2: Tschannen et al., arXiv 2502.14786).
///
/// Its towers are trained by a loss of each pair of an image and a text by itself, of similarities times
/// `exp(logit_scale)` plus `logit_bias`. The image tower is timm's vision transformer without a class token,
/// read by a learned token that attends to all patches; in the text tower tokens see each other, and the
/// last of them, mostly padding, is read. Weights are open_clip's (`CustomTextCLIP`): `visual.trunk.`
/// before timm's names, `text.` before those of the text tower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiglipConfig {
    /// Which GELU the text tower uses; `act_kwargs` of `text_cfg` in JSON. The image tower's is
    /// [`ClipConfig::gelu`].
    pub text_gelu: Gelu,
    /// Whether a linear layer follows the text tower; without, `embed_dim` is its width.
    pub text_projection: bool,
    /// The repository on the hub whose `tokenizer.json` cuts texts into tokens; `hf_tokenizer_name` of
    /// `text_cfg` in JSON.
    pub tokenizer: String,
}

/// timm's sizes of image towers: width, blocks, heads, and a hidden layer's width over a token's.
const SIZES: [(&str, usize, usize, usize, f64); 4] = [
    ("base", 768, 12, 12, 4.0),
    ("large", 1024, 24, 16, 4.0),
    ("so400m", 1152, 27, 16, 3.7362),
    ("giantopt", 1536, 40, 16, 4.0),
];

/// timm's image towers (`vision_transformer.py`): size, side of a patch and of an image, and the GELU.
const TOWERS: [(&str, usize, usize, Gelu); 16] = [
    ("base", 32, 256, Gelu::Tanh),
    ("base", 16, 224, Gelu::Exact),
    ("base", 16, 256, Gelu::Exact),
    ("base", 16, 384, Gelu::Exact),
    ("base", 16, 512, Gelu::Exact),
    ("large", 16, 256, Gelu::Exact),
    ("large", 16, 384, Gelu::Exact),
    ("large", 16, 512, Gelu::Tanh),
    ("so400m", 14, 224, Gelu::Exact),
    ("so400m", 14, 378, Gelu::Exact),
    ("so400m", 14, 384, Gelu::Exact),
    ("so400m", 16, 256, Gelu::Tanh),
    ("so400m", 16, 384, Gelu::Tanh),
    ("so400m", 16, 512, Gelu::Tanh),
    ("giantopt", 16, 256, Gelu::Tanh),
    ("giantopt", 16, 384, Gelu::Tanh),
];

/// timm's name, shape and GELU of each of its image towers.
fn towers() -> impl Iterator<Item = (String, ClipVisionConfig, Gelu)> {
    TOWERS.iter().filter_map(|&(size, patch, image, gelu)| {
        let name = format!("vit_{size}_patch{patch}_siglip_{image}");
        Some((name, tower(size, patch, image)?, gelu))
    })
}

/// An image tower of one of timm's sizes.
fn tower(size: &str, patch_size: usize, image_size: usize) -> Option<ClipVisionConfig> {
    let &(_, width, blocks, heads, mlp_ratio) = SIZES.iter().find(|(name, ..)| *name == size)?;
    Some(ClipVisionConfig {
        image_size,
        layers: ClipBlocks::Transformer(blocks),
        width,
        head_width: width / heads,
        mlp_ratio,
        patch_size,
    })
}

/// The config that open_clip has under a name: `ViT-B-16-SigLIP-256`, `ViT-L-16-SigLIP2-384`.
pub(super) fn preset(name: &str) -> Option<ClipConfig> {
    let mut parts = name.split('-').skip(1);
    let (size, patch) = (parts.next()?, parts.next()?);
    let second = match parts.next()? {
        "SigLIP" => false,
        "SigLIP2" => true,
        _ => return None,
    };
    let (mut i18n, mut image) = (false, 224);
    for part in parts {
        match part {
            "i18n" => i18n = true,
            number => image = number.parse().ok()?,
        }
    }
    let size = match size {
        "B" => "base",
        "L" => "large",
        "SO400M" => "so400m",
        "gopt" => "giantopt",
        _ => return None,
    };
    let named = format!("vit_{size}_patch{patch}_siglip_{image}");
    let (_, vision, gelu) = towers().find(|(name, ..)| *name == named)?;
    // The text tower is as large as the image tower, but for the largest.
    let of_text = match size {
        "giantopt" => "so400m",
        size => size,
    };
    let &(_, width, layers, heads, mlp_ratio) = SIZES.iter().find(|(it, ..)| *it == of_text)?;
    let (text_gelu, vocab_size, tokenizer) = match (second, i18n) {
        (true, _) => (Gelu::Tanh, 256_000, name),
        (false, true) => (Gelu::Exact, 250_000, "ViT-B-16-SigLIP-i18n-256"),
        (false, false) => (Gelu::Exact, 32_000, "ViT-B-16-SigLIP"),
    };
    Some(ClipConfig {
        embed_dim: vision.width,
        gelu,
        vision,
        text: ClipTextConfig {
            context_length: match name {
                "ViT-SO400M-14-SigLIP" => 16,
                _ => 64,
            },
            vocab_size,
            width,
            heads,
            layers,
            mlp_ratio,
        },
        input: None,
        siglip: Some(SiglipConfig {
            text_gelu,
            text_projection: name != "ViT-SO400M-16-SigLIP-i18n-256",
            tokenizer: format!("timm/{tokenizer}"),
        }),
    })
}

/// open_clip's config of a SigLIP. What an absent field stands for is open_clip's default, which is
/// mostly not SigLIP's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiglipFile {
    embed_dim: usize,
    custom_text: bool,
    /// What training begins with.
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "a field that files have and that decides nothing")]
    init_logit_bias: f64,
    vision_cfg: Value,
    text_cfg: Text,
}

/// An image tower by timm's name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    image_size: usize,
    timm_model_name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "a field that files have and that decides nothing")]
    timm_model_pretrained: bool,
    timm_pool: String,
    timm_proj: String,
}

/// An image tower that timm has no name for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shaped {
    image_size: usize,
    layers: usize,
    width: usize,
    head_width: usize,
    mlp_ratio: f64,
    patch_size: usize,
    #[serde(default)]
    act_kwargs: Function,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    context_length: usize,
    vocab_size: usize,
    hf_tokenizer_name: String,
    #[serde(default)]
    tokenizer_kwargs: TokenizerOptions,
    width: usize,
    heads: usize,
    layers: usize,
    #[serde(default = "usual_ratio")]
    mlp_ratio: f64,
    #[serde(default)]
    no_causal_mask: bool,
    #[serde(default)]
    proj_bias: bool,
    #[serde(default)]
    proj_type: Projection,
    #[serde(default)]
    pool_type: Option<String>,
    #[serde(default)]
    norm_kwargs: Norm,
    #[serde(default)]
    act_kwargs: Function,
}

fn usual_ratio() -> f64 {
    4.0
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizerOptions {
    clean: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Norm {
    eps: Option<f64>,
}

/// The options of PyTorch's GELU.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Function {
    #[serde(default)]
    approximate: Approximation,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Approximation {
    #[default]
    None,
    Tanh,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Projection {
    #[default]
    Linear,
    None,
}

impl Function {
    fn of(gelu: Gelu) -> Self {
        let approximate = match gelu {
            Gelu::Tanh => Approximation::Tanh,
            Gelu::Exact | Gelu::Quick => Approximation::None,
        };
        Self { approximate }
    }

    fn gelu(&self) -> Gelu {
        match self.approximate {
            Approximation::None => Gelu::Exact,
            Approximation::Tanh => Gelu::Tanh,
        }
    }
}

impl SiglipFile {
    /// Whether a config is of a model with a text tower of its own, as SigLIP's is.
    pub(super) fn is_one(model: &Value) -> bool {
        model.get("custom_text") == Some(&Value::Bool(true))
    }

    /// The words for a config that has a `siglip`.
    pub(super) fn of(config: &ClipConfig, siglip: &SiglipConfig) -> Self {
        let text = &config.text;
        Self {
            embed_dim: config.embed_dim,
            custom_text: true,
            init_logit_bias: 0.0,
            vision_cfg: of_tower(&config.vision, config.gelu),
            text_cfg: Text {
                context_length: text.context_length,
                vocab_size: text.vocab_size,
                hf_tokenizer_name: siglip.tokenizer.clone(),
                tokenizer_kwargs: TokenizerOptions {
                    clean: Some("canonicalize".to_owned()),
                },
                width: text.width,
                heads: text.heads,
                layers: text.layers,
                mlp_ratio: text.mlp_ratio,
                no_causal_mask: true,
                proj_bias: siglip.text_projection,
                proj_type: match siglip.text_projection {
                    true => Projection::Linear,
                    false => Projection::None,
                },
                pool_type: Some("last".to_owned()),
                norm_kwargs: Norm { eps: Some(1e-6) },
                act_kwargs: Function::of(siglip.text_gelu),
            },
        }
    }

    /// The config, without an input of its own.
    pub(super) fn config(self) -> Result<ClipConfig, String> {
        let text = self.text_cfg;
        let expect = |fits: bool, field: &str, expected: &str| match fits {
            true => Ok(()),
            false => Err(format!(
                "text_cfg.{field}: expected {expected}, as SigLIPs have"
            )),
        };
        expect(text.no_causal_mask, "no_causal_mask", "true")?;
        let last = text.pool_type.as_deref() == Some("last");
        expect(last, "pool_type", "last")?;
        expect(
            text.norm_kwargs.eps == Some(1e-6),
            "norm_kwargs.eps",
            "1e-6",
        )?;
        let clean = text.tokenizer_kwargs.clean.as_deref() == Some("canonicalize");
        expect(clean, "tokenizer_kwargs.clean", "canonicalize")?;
        let text_projection = text.proj_type == Projection::Linear;
        let fits = text.proj_bias || !text_projection;
        expect(fits, "proj_bias", "true")?;
        let (vision, gelu) = tower_of(self.vision_cfg)?;
        Ok(ClipConfig {
            embed_dim: self.embed_dim,
            gelu,
            vision,
            siglip: Some(SiglipConfig {
                text_gelu: text.act_kwargs.gelu(),
                text_projection,
                tokenizer: text.hf_tokenizer_name,
            }),
            text: ClipTextConfig {
                context_length: text.context_length,
                vocab_size: text.vocab_size,
                width: text.width,
                heads: text.heads,
                layers: text.layers,
                mlp_ratio: text.mlp_ratio,
            },
            input: None,
        })
    }
}

/// The words for an image tower: timm's name, or its shape where timm has none.
fn of_tower(vision: &ClipVisionConfig, gelu: Gelu) -> Value {
    let named = towers().find(|(_, shape, function)| shape == vision && *function == gelu);
    let blocks = match vision.layers {
        ClipBlocks::Transformer(blocks) => blocks,
        // No SigLIP's, and refused by `ClipConfig::validate`.
        ClipBlocks::ResNet(_) => 0,
    };
    match named {
        Some((name, ..)) => json!({
            "image_size": vision.image_size,
            "timm_model_name": name,
            "timm_pool": "map",
            "timm_proj": "none",
        }),
        None => json!(Shaped {
            image_size: vision.image_size,
            layers: blocks,
            width: vision.width,
            head_width: vision.head_width,
            mlp_ratio: vision.mlp_ratio,
            patch_size: vision.patch_size,
            act_kwargs: Function::of(gelu),
        }),
    }
}

fn tower_of(value: Value) -> Result<(ClipVisionConfig, Gelu), String> {
    let wrong = |error: serde_json::Error| format!("vision_cfg: {error}");
    if value.get("timm_model_name").is_none() {
        let shaped: Shaped = serde_json::from_value(value).map_err(wrong)?;
        let vision = ClipVisionConfig {
            image_size: shaped.image_size,
            layers: ClipBlocks::Transformer(shaped.layers),
            width: shaped.width,
            head_width: shaped.head_width,
            mlp_ratio: shaped.mlp_ratio,
            patch_size: shaped.patch_size,
        };
        return Ok((vision, shaped.act_kwargs.gelu()));
    }
    let named: Named = serde_json::from_value(value).map_err(wrong)?;
    for (field, found, expected) in [
        ("timm_pool", &named.timm_pool, "map"),
        ("timm_proj", &named.timm_proj, "none"),
    ] {
        if found != expected {
            return Err(format!(
                "vision_cfg.{field} = {found:?}: expected {expected:?}"
            ));
        }
    }
    let found = towers().find(|(name, ..)| *name == named.timm_model_name);
    let Some((name, vision, gelu)) = found else {
        let known: Vec<String> = towers().map(|(name, ..)| name).collect();
        return Err(format!(
            "vision_cfg.timm_model_name = {:?}: expected one of {}",
            named.timm_model_name,
            known.join(", ")
        ));
    };
    match vision.image_size == named.image_size {
        true => Ok((vision, gelu)),
        false => Err(format!(
            "vision_cfg.image_size = {}: expected that of '{name}', {}",
            named.image_size, vision.image_size
        )),
    }
}
