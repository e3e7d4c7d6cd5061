//! The shape of a CLIP, in open_clip's own format.

use std::collections::BTreeMap;

use burn::tensor::Device;
use derive_setters::Setters;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Clip, SiglipConfig, file, siglip, tokenizer::VOCABULARY};
use crate::{Error, Result, graph::Function};

/// Ending of a preset's name that asks for [`Gelu::Quick`].
const QUICK: &str = "-quickgelu";

/// The shape of a CLIP: open_clip's model config.
///
/// Reads and writes the JSON of open_clip's `model_configs`, and of the `open_clip_config.json` that
/// lies beside weights on Hugging Face: the same as `model_cfg`, and the preprocessing as
/// `preprocess_cfg`. It is (de)serialised in these forms within JSON of one's own, too. A field this
/// implementation does not know (another pooling, a timm or Hugging Face tower) is an error, not
/// something to ignore: weights of such a model would give wrong embeddings.
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
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_", generate = false)]
pub struct ClipConfig {
    /// Width `E` of the space that images and texts share.
    pub embed_dim: usize,
    /// Which GELU both towers use; `quick_gelu` in JSON, false where absent.
    #[setters(generate)]
    pub gelu: Gelu,
    /// The image tower; `vision_cfg` in JSON.
    pub vision: ClipVisionConfig,
    /// The text tower; `text_cfg` in JSON.
    pub text: ClipTextConfig,
    /// The pixels the image tower wants, where they are not CLIP's own: see
    /// [`input`](Self::input()). `preprocess_cfg` beside the config in JSON.
    pub input: Option<InputSpec>,
    /// Where it is a SigLIP, what is different; a CLIP's is none. `custom_text` and what goes with it in
    /// JSON.
    pub siglip: Option<SiglipConfig>,
}

/// Which form of the Gaussian error linear unit a CLIP was trained with.
///
/// In open_clip's JSON it is the flag `quick_gelu`, and of a SigLIP `act_kwargs` and timm's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum Gelu {
    /// `x * Phi(x)` with the normal distribution function: LAION-2B's and DataComp's weights.
    #[default]
    Exact,
    /// `x * sigmoid(1.702 x)`: weights of OpenAI, MetaCLIP and DFN, and some of LAION-400M.
    Quick,
    /// [`Exact`](Self::Exact) by way of the hyperbolic tangent: SigLIP 2's texts, and some of the image
    /// towers. No CLIP's.
    Tanh,
}

impl From<bool> for Gelu {
    fn from(quick: bool) -> Self {
        if quick { Self::Quick } else { Self::Exact }
    }
}

impl From<Gelu> for bool {
    fn from(gelu: Gelu) -> Self {
        gelu == Gelu::Quick
    }
}

impl From<Gelu> for Function {
    fn from(gelu: Gelu) -> Self {
        match gelu {
            Gelu::Exact => Self::Gelu,
            Gelu::Quick => Self::QuickGelu,
            Gelu::Tanh => Self::GeluTanh,
        }
    }
}

/// The shape of the image tower. The defaults are open_clip's: those of ViT-B-16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipVisionConfig {
    /// Side `S` of the square images, in pixels.
    pub image_size: usize,
    /// The blocks: of a transformer, or of a ResNet.
    pub layers: ClipBlocks,
    /// Width of a token; of a ResNet that of its first stage's bottlenecks, an even number.
    pub width: usize,
    /// Width of one attention head; divides `width`, or 32 times that of a ResNet.
    pub head_width: usize,
    /// Width of a transformer block's hidden layer as a multiple of `width`.
    pub mlp_ratio: f64,
    /// Side of a transformer's square patch, in pixels.
    #[serde(deserialize_with = "patch_size")]
    pub patch_size: usize,
}

/// What an image tower is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of blocks, or those of a ResNet's four stages"
)]
pub enum ClipBlocks {
    /// So many blocks of a transformer.
    Transformer(usize),
    /// So many bottlenecks in the four stages of a ResNet, CLIP's own.
    ResNet([usize; 4]),
}

/// A ResNet's is null in open_clip's files, and of no meaning.
fn patch_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let size = Option::deserialize(deserializer)?;
    Ok(size.unwrap_or(ClipVisionConfig::default().patch_size))
}

/// The shape of the text tower. The defaults are open_clip's: those of ViT-B-16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Most tokens a text can have, start and end included.
    pub context_length: usize,
    /// Number of token embeddings; at least the 49408 of CLIP's vocabulary, where it is a CLIP.
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
            layers: ClipBlocks::Transformer(12),
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
    /// OpenAI's weights were trained with quick GELU and need the `-quickgelu` presets, and so do
    /// MetaCLIP's, DFN's and some of LAION-400M's; LAION-2B's and DataComp's need the plain ones.
    /// open_clip's list of pretrained weights says which. Nothing in the weights tells: with the
    /// wrong one they load, and the embeddings are worse.
    pub const PRESETS: [&'static str; 42] = [
        "ViT-B-32",
        "ViT-B-32-quickgelu",
        "ViT-B-16",
        "ViT-B-16-quickgelu",
        "ViT-L-14",
        "ViT-L-14-quickgelu",
        "ViT-L-14-336",
        "ViT-L-14-336-quickgelu",
        "ViT-H-14",
        "ViT-H-14-quickgelu",
        "RN50",
        "RN50-quickgelu",
        "RN101",
        "RN101-quickgelu",
        "RN50x4",
        "RN50x4-quickgelu",
        "ViT-B-16-SigLIP",
        "ViT-B-16-SigLIP-256",
        "ViT-B-16-SigLIP-384",
        "ViT-B-16-SigLIP-512",
        "ViT-B-16-SigLIP-i18n-256",
        "ViT-L-16-SigLIP-256",
        "ViT-L-16-SigLIP-384",
        "ViT-SO400M-14-SigLIP",
        "ViT-SO400M-14-SigLIP-378",
        "ViT-SO400M-14-SigLIP-384",
        "ViT-SO400M-16-SigLIP-i18n-256",
        "ViT-B-32-SigLIP2-256",
        "ViT-B-16-SigLIP2",
        "ViT-B-16-SigLIP2-256",
        "ViT-B-16-SigLIP2-384",
        "ViT-B-16-SigLIP2-512",
        "ViT-L-16-SigLIP2-256",
        "ViT-L-16-SigLIP2-384",
        "ViT-L-16-SigLIP2-512",
        "ViT-SO400M-14-SigLIP2",
        "ViT-SO400M-14-SigLIP2-378",
        "ViT-SO400M-16-SigLIP2-256",
        "ViT-SO400M-16-SigLIP2-384",
        "ViT-SO400M-16-SigLIP2-512",
        "ViT-gopt-16-SigLIP2-256",
        "ViT-gopt-16-SigLIP2-384",
    ];

    /// Mean of the images OpenAI's CLIP was trained on, per channel of `[0, 1]`.
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
        if !Self::PRESETS.contains(&name) {
            return Err(unknown());
        }
        if let Some(config) = siglip::preset(name) {
            return Ok(config);
        }
        let (base, gelu) = match name.strip_suffix(QUICK) {
            Some(base) => (base, Gelu::Quick),
            None => (name, Gelu::Exact),
        };
        let mut presets: BTreeMap<String, Self> =
            serde_json::from_str(include_str!("presets.json")).map_err(|_| unknown())?;
        let preset = presets.remove(base).ok_or_else(unknown)?;
        Ok(preset.with_gelu(gelu))
    }

    /// Parses open_clip's JSON, bare or with the preprocessing beside it; `origin` says in errors
    /// where it came from.
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
        let config = file::read(json).map_err(wrong)?;
        config
            .validate()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(config)
    }

    /// The same config as open_clip's JSON, on one line; with the preprocessing beside it where it
    /// is not CLIP's own.
    ///
    /// Of a config that does not [`validate`](Self::validate), an input that this form has no words
    /// for is not kept.
    pub fn to_json(&self) -> String {
        file::write(self)
    }

    /// Sets the pixels the image tower wants; some of LAION's weights, ViT-L-14's of LAION-2B among
    /// them, want mean and standard deviation 0.5.
    pub fn with_input(mut self, input: InputSpec) -> Self {
        let own = self.own_input();
        self.input = Some(input).filter(|input| *input != own);
        self
    }

    /// The pixels the image tower wants; unless [set](Self::with_input), CLIP's own: shorter side
    /// to `S`, bicubic, centre crop, [`MEAN`](Self::MEAN) and [`STD`](Self::STD). SigLIP's own: the whole
    /// image to `S` by `S`, bicubic, mean and standard deviation 0.5.
    pub fn input(&self) -> InputSpec {
        self.input.clone().unwrap_or_else(|| self.own_input())
    }

    /// The input where none is set.
    pub(super) fn own_input(&self) -> InputSpec {
        let size = self.vision.image_size;
        let input = InputSpec::new(size).with_interpolation(Interpolation::Bicubic);
        match self.siglip {
            Some(_) => input
                .with_normalization([0.5; 3], [0.5; 3])
                .with_resize(ResizeRule::Squash),
            None => input
                .with_normalization(Self::MEAN, Self::STD)
                .with_resize(ResizeRule::ShorterSide { to: size }),
        }
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
        Clip::init(self, device)
    }
}

/// Width of a block's hidden layer, rounded down as open_clip does.
pub(super) fn hidden_width(width: usize, ratio: f64) -> usize {
    (width as f64 * ratio) as usize
}
