//! The files in which open_clip's configs come: bare, or as on Hugging Face with the preprocessing
//! beside them.

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::{Deserialize, Serialize};

use super::ClipConfig;

/// `open_clip_config.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper {
    model_cfg: ClipConfig,
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

/// Reads either kind of file; the config is yet to be validated.
pub(super) fn read(json: &str) -> Result<ClipConfig, String> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if value.get("model_cfg").is_none() {
        // Parsed from the text again for the line and column in messages.
        return serde_json::from_str(json).map_err(|error| error.to_string());
    }
    let wrapper: Wrapper = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let config = wrapper.model_cfg;
    let input = wrapper.preprocess_cfg.input(config.vision.image_size)?;
    Ok(config.with_input(input))
}

/// The bare config where the input is CLIP's own, else the kind of Hugging Face.
pub(super) fn write(config: &ClipConfig) -> String {
    match &config.input {
        None => serde_json::json!(config).to_string(),
        Some(input) => {
            let wrapper = Wrapper {
                model_cfg: config.clone(),
                preprocess_cfg: Preprocess::of(input),
            };
            serde_json::json!(wrapper).to_string()
        }
    }
}
