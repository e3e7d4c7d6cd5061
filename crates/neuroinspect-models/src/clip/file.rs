//! The files in which open_clip's configs come: bare, or as on Hugging Face with the preprocessing
//! beside them.

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::Value;

use super::{ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu, siglip::SiglipFile};

/// The key that tells the two kinds apart.
const MODEL: &str = "model_cfg";

/// A file of `model_configs`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    embed_dim: usize,
    #[serde(rename = "quick_gelu", default)]
    gelu: Gelu,
    #[serde(rename = "vision_cfg")]
    vision: ClipVisionConfig,
    #[serde(rename = "text_cfg")]
    text: ClipTextConfig,
}

/// `open_clip_config.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper {
    model_cfg: Value,
    preprocess_cfg: Preprocess,
}

/// open_clip's `PreprocessCfg`, with its defaults.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Preprocess {
    /// Side of the images, or both sides; that of the image tower where absent.
    size: Option<Size>,
    mode: Mode,
    mean: [f32; 3],
    std: [f32; 3],
    interpolation: Interpolation,
    resize_mode: ResizeMode,
    /// Colour of the padding under a resize mode that this does not have.
    fill_color: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Size {
    Side(usize),
    Sides([usize; 2]),
}

#[derive(Default, Serialize, Deserialize)]
enum Mode {
    #[default]
    #[serde(rename = "RGB")]
    Rgb,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResizeMode {
    #[default]
    Shortest,
    Squash,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self {
            size: None,
            mode: Mode::Rgb,
            mean: ClipConfig::MEAN,
            std: ClipConfig::STD,
            interpolation: Interpolation::Bicubic,
            resize_mode: ResizeMode::Shortest,
            fill_color: 0,
        }
    }
}

impl Preprocess {
    fn of(input: &InputSpec) -> Self {
        Self {
            size: Some(Size::Side(input.size)),
            mean: input.mean,
            std: input.std,
            interpolation: input.interpolation,
            resize_mode: match input.resize {
                ResizeRule::Squash => ResizeMode::Squash,
                ResizeRule::ShorterSide { .. } => ResizeMode::Shortest,
            },
            ..Self::default()
        }
    }

    /// The input for images of `side` pixels.
    fn input(&self, side: usize) -> Result<InputSpec, String> {
        let size = match self.size {
            None => side,
            Some(Size::Side(size)) => size,
            Some(Size::Sides([height, width])) if height == width => height,
            Some(Size::Sides([height, width])) => {
                return Err(format!(
                    "preprocess_cfg.size = [{height}, {width}]: expected a square"
                ));
            }
        };
        Ok(InputSpec::new(size)
            .with_normalization(self.mean, self.std)
            .with_interpolation(self.interpolation)
            .with_resize(match self.resize_mode {
                ResizeMode::Squash => ResizeRule::Squash,
                ResizeMode::Shortest => ResizeRule::ShorterSide { to: size },
            }))
    }
}

impl Bare {
    fn of(config: &ClipConfig) -> Self {
        Self {
            embed_dim: config.embed_dim,
            gelu: config.gelu,
            vision: config.vision.clone(),
            text: config.text.clone(),
        }
    }

    fn config(self) -> ClipConfig {
        let Self {
            embed_dim,
            gelu,
            vision,
            text,
        } = self;
        ClipConfig {
            embed_dim,
            gelu,
            vision,
            text,
            input: None,
            siglip: None,
        }
    }
}

impl Wrapper {
    /// The config; its input is none where it is CLIP's own, as in a bare file.
    fn config(self) -> Result<ClipConfig, String> {
        let config = model(self.model_cfg)?;
        let input = self.preprocess_cfg.input(config.vision.image_size)?;
        Ok(config.with_input(input))
    }
}

/// The config of a bare file.
fn model(value: Value) -> Result<ClipConfig, String> {
    match SiglipFile::is_one(&value) {
        true => {
            let file: Result<SiglipFile, _> = serde_json::from_value(value);
            file.map_err(|error| error.to_string())?.config()
        }
        false => {
            let bare: Result<Bare, _> = serde_json::from_value(value);
            Ok(bare.map_err(|error| error.to_string())?.config())
        }
    }
}

impl<'de> Deserialize<'de> for ClipConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.get(MODEL).is_none() {
            return model(value).map_err(de::Error::custom);
        }
        let wrapper: Wrapper = serde_json::from_value(value).map_err(de::Error::custom)?;
        wrapper.config().map_err(de::Error::custom)
    }
}

impl Serialize for ClipConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model_cfg = match &self.siglip {
            Some(siglip) => serde_json::to_value(SiglipFile::of(self, siglip)),
            None => serde_json::to_value(Bare::of(self)),
        };
        let model_cfg = model_cfg.map_err(ser::Error::custom)?;
        match &self.input {
            Some(input) if *input != self.own_input() => Wrapper {
                model_cfg,
                preprocess_cfg: Preprocess::of(input),
            }
            .serialize(serializer),
            _ => model_cfg.serialize(serializer),
        }
    }
}

/// Reads either kind of file; the config is yet to be validated.
pub(super) fn read(json: &str) -> Result<ClipConfig, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if value.get(MODEL).is_none() {
        return model(value);
    }
    // Parsed from the text again for the line and column in messages.
    let wrapper: Wrapper = serde_json::from_str(json).map_err(|error| error.to_string())?;
    wrapper.config()
}

/// The bare config where the input is CLIP's own, else the kind of Hugging Face.
pub(super) fn write(config: &ClipConfig) -> String {
    serde_json::json!(config).to_string()
}
