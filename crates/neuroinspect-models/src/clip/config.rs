//! The shape of a CLIP, in open_clip's own format.

use std::collections::BTreeMap;

use burn::tensor::Device;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::{Deserialize, Serialize};

use super::{Clip, Gelu, tokenizer::VOCABULARY};
use crate::{Error, Result};

/// Ending of a preset's name that asks for [`Gelu::Quick`].
const QUICK: &str = "-quickgelu";

/// The shape of a CLIP with a vision transformer: open_clip's model config.
///
/// Reads and writes the JSON of open_clip's `model_configs`. A field this implementation does not
/// know (another pooling, a timm or Hugging Face tower) is an error, not something to ignore:
/// weights of such a model would give wrong embeddings.
///
/// ```
/// use neuroinspect_models::clip::{ClipConfig, Gelu};
///
/// # fn main() -> Result<(), neuroinspect_models::Error> {
/// let laion = ClipConfig::preset("ViT-B-32")?;
/// let openai = ClipConfig::preset("ViT-B-32-quickgelu")?;
/// assert_eq!(openai, laion.clone().with_gelu(Gelu::Quick));
/// assert_eq!(ClipConfig::from_json(&laion.to_json(), "a copy")?, laion);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Width `E` of the space that images and texts share.
    pub embed_dim: usize,
    /// Which GELU both towers use; `quick_gelu` in JSON, false where absent.
    #[serde(rename = "quick_gelu", default)]
    pub gelu: Gelu,
    /// The image tower; `vision_cfg` in JSON.
    #[serde(rename = "vision_cfg")]
    pub vision: ClipVisionConfig,
    /// The text tower; `text_cfg` in JSON.
    #[serde(rename = "text_cfg")]
    pub text: ClipTextConfig,
}

/// The shape of the image tower. The defaults are open_clip's: those of ViT-B-16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipVisionConfig {
    /// Side `S` of the square images, in pixels.
    pub image_size: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width of a token.
    pub width: usize,
    /// Width of one attention head; divides `width`.
    pub head_width: usize,
    /// Width of a block's hidden layer as a multiple of `width`.
    pub mlp_ratio: f64,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
}

/// The shape of the text tower. The defaults are open_clip's: those of ViT-B-16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Most tokens a text can have, start and end included.
    pub context_length: usize,
    /// Number of token embeddings; at least the 49408 of CLIP's vocabulary.
    pub vocab_size: usize,
    /// Width of a token.
    pub width: usize,
    /// Number of attention heads; divides `width`.
    pub heads: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Width of a block's hidden layer as a multiple of `width`.
    pub mlp_ratio: f64,
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            layers: 12,
            width: 768,
            head_width: 64,
            mlp_ratio: 4.0,
            patch_size: 16,
        }
    }
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            context_length: 77,
            vocab_size: VOCABULARY,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
        }
    }
}

impl ClipConfig {
    /// Names that [`preset`](Self::preset) knows.
    ///
    /// OpenAI's weights were trained with quick GELU and need the `-quickgelu` presets; LAION's
    /// and DataComp's need the plain ones. Nothing in the weights tells: with the wrong one they
    /// load, and the embeddings are worse.
    pub const PRESETS: [&'static str; 6] = [
        "ViT-B-32",
        "ViT-B-32-quickgelu",
        "ViT-B-16",
        "ViT-B-16-quickgelu",
        "ViT-L-14",
        "ViT-L-14-quickgelu",
    ];

    /// Mean of the images CLIP was trained on, per channel of `[0, 1]`.
    pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
    /// Their standard deviation.
    pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

    /// The config that open_clip knows under this name, one of [`PRESETS`](Self::PRESETS).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownClipPreset`] for any other name.
    pub fn preset(name: &str) -> Result<Self> {
        let unknown = || Error::UnknownClipPreset {
            name: name.to_owned(),
            known: Self::PRESETS.join(", "),
        };
        let (base, gelu) = match name.strip_suffix(QUICK) {
            Some(base) => (base, Gelu::Quick),
            None => (name, Gelu::Exact),
        };
        let mut presets: BTreeMap<String, Self> =
            serde_json::from_str(include_str!("presets.json")).map_err(|_| unknown())?;
        let preset = presets.remove(base).ok_or_else(unknown)?;
        Ok(preset.with_gelu(gelu))
    }

    /// Parses open_clip's JSON; `origin` says in errors where it came from.
    ///
    /// # Errors
    ///
    /// [`Error::ClipConfig`] when it is not such a config, has a field of an architecture this is
    /// not, or does not [`validate`](Self::validate).
    pub fn from_json(json: &str, origin: &str) -> Result<Self> {
        let wrong = |reason: String| Error::ClipConfig {
            origin: origin.to_owned(),
            reason,
        };
        let config: Self = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        config
            .validate()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(config)
    }

    /// The same config as open_clip's JSON, on one line.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Sets which GELU both towers use.
    pub fn with_gelu(mut self, gelu: Gelu) -> Self {
        self.gelu = gelu;
        self
    }

    /// The pixels the image tower wants: shorter side to `S`, bicubic, centre crop, CLIP's mean
    /// and standard deviation.
    pub fn input(&self) -> InputSpec {
        let size = self.vision.image_size;
        InputSpec::new(size)
            .with_normalization(Self::MEAN, Self::STD)
            .with_resize(ResizeRule::ShorterSide { to: size })
            .with_interpolation(Interpolation::Bicubic)
    }

    /// A CLIP of this shape with open_clip's initial weights.
    ///
    /// The weights are drawn when first used, from the device's generator
    /// ([`Device::seed`]).
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<Clip> {
        self.validate()?;
        Ok(Clip::init(self, device))
    }

    /// Checks that a CLIP of this shape can be built.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] naming the first field out of range.
    pub fn validate(&self) -> Result<()> {
        let Self { vision, text, .. } = self;
        at_least(1, "embed_dim", self.embed_dim, "at least 1")?;
        at_least(1, "vision_cfg.layers", vision.layers, "at least 1")?;
        at_least(1, "vision_cfg.patch_size", vision.patch_size, "at least 1")?;
        at_least(
            vision.patch_size,
            "vision_cfg.image_size",
            vision.image_size,
            "at least patch_size",
        )?;
        divides(
            "vision_cfg.head_width",
            vision.head_width,
            vision.width,
            "a divisor of vision_cfg.width",
        )?;
        ratio("vision_cfg.mlp_ratio", vision.mlp_ratio, vision.width)?;
        at_least(1, "text_cfg.layers", text.layers, "at least 1")?;
        divides(
            "text_cfg.heads",
            text.heads,
            text.width,
            "a divisor of text_cfg.width",
        )?;
        ratio("text_cfg.mlp_ratio", text.mlp_ratio, text.width)?;
        at_least(
            2,
            "text_cfg.context_length",
            text.context_length,
            "at least 2, the start and the end of a text",
        )?;
        at_least(
            VOCABULARY,
            "text_cfg.vocab_size",
            text.vocab_size,
            "at least 49408, the tokens of CLIP's vocabulary",
        )
    }
}

fn at_least(
    least: usize,
    option: &'static str,
    value: usize,
    expected: &'static str,
) -> Result<()> {
    check(value >= least, option, value, expected)
}

/// Checks that `part` divides `whole`, and that there is a whole.
fn divides(option: &'static str, part: usize, whole: usize, expected: &'static str) -> Result<()> {
    let fits = part > 0 && whole > 0 && whole.is_multiple_of(part);
    check(fits, option, part, expected)
}

/// Checks that the hidden layer has some finite width.
fn ratio(option: &'static str, ratio: f64, width: usize) -> Result<()> {
    let fits = ratio.is_finite() && hidden_width(width, ratio) > 0;
    check(
        fits,
        option,
        ratio,
        "a number that gives the hidden layer at least 1 unit",
    )
}

fn check(
    fits: bool,
    option: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(neuroinspect_core::Error::InvalidOption {
        option,
        value: value.to_string(),
        expected,
    }
    .into())
}

/// Width of a block's hidden layer, rounded down as open_clip does.
pub(super) fn hidden_width(width: usize, ratio: f64) -> usize {
    (width as f64 * ratio) as usize
}
