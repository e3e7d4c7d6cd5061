//! What published weights want to see.

use std::{collections::BTreeMap, sync::LazyLock};

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::Deserialize;
#[cfg(feature = "hub")]
use serde_json::{Map, Value};

use crate::{Error, Result};

/// timm's `pretrained_cfg` of every tag of every architecture here, by `tools/golden_pretrained.py`.
const DUMP: &str = include_str!("pretrained_cfg.json");

static PRETRAINED: LazyLock<Result<BTreeMap<String, Architecture>, String>> = LazyLock::new(|| {
    let dump: Result<Dump, _> = serde_json::from_str(DUMP);
    dump.map(|dump| dump.architectures)
        .map_err(|error| error.to_string())
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dump {
    /// timm's version.
    #[serde(rename = "timm")]
    _timm: String,
    architectures: BTreeMap<String, Architecture>,
}

/// The published weights of an architecture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Architecture {
    /// The tag of those that the name alone stands for.
    default: String,
    tags: BTreeMap<String, Pretrained>,
}

impl Architecture {
    /// Those that the name alone stands for.
    pub(crate) fn default(&self) -> Option<&Pretrained> {
        self.tags.get(&self.default)
    }

    /// All, by timm's tags.
    pub(crate) fn tags(&self) -> &BTreeMap<String, Pretrained> {
        &self.tags
    }
}

/// How timm prepares images for published weights: the part of its `pretrained_cfg` that says so. What the
/// dump leaves out is as in most.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pretrained {
    input_size: usize,
    test_input_size: Option<usize>,
    crop_pct: f64,
    test_crop_pct: Option<f64>,
    crop_mode: CropMode,
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
    /// 0 for weights without a decision layer.
    pub(crate) num_classes: usize,
}

/// What becomes of images that are no squares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CropMode {
    /// Their centre is cropped.
    Center,
    /// They are resized to squares.
    Squash,
}

impl Default for Pretrained {
    fn default() -> Self {
        let InputSpec { mean, std, .. } = InputSpec::imagenet(224);
        Self {
            input_size: 224,
            test_input_size: None,
            crop_pct: 0.875,
            test_crop_pct: None,
            crop_mode: CropMode::Center,
            interpolation: Interpolation::Bicubic,
            mean,
            std,
            num_classes: 1000,
        }
    }
}

impl Pretrained {
    /// That of a `pretrained_cfg` as timm writes it, of which most decides nothing here.
    ///
    /// # Errors
    ///
    /// The field that cannot be followed, and what was expected.
    #[cfg(feature = "hub")]
    pub(crate) fn of_timm(cfg: &Map<String, Value>) -> Result<Self, String> {
        let mut known = Map::new();
        for key in ["input_size", "test_input_size"] {
            match cfg.get(key).filter(|it| !it.is_null()) {
                None => {}
                Some(size) => match size.as_array().map(Vec::as_slice) {
                    Some([channels, height, width]) if *channels == 3 && height == width => {
                        known.insert(key.to_owned(), height.clone());
                    }
                    _ => return Err(format!("{key} = {size}: expected [3, S, S]")),
                },
            }
        }
        for key in [
            "crop_pct",
            "test_crop_pct",
            "crop_mode",
            "interpolation",
            "mean",
            "std",
        ] {
            if let Some(value) = cfg.get(key).filter(|it| !it.is_null()) {
                known.insert(key.to_owned(), value.clone());
            }
        }
        let known: Self =
            serde_json::from_value(Value::Object(known)).map_err(|error| error.to_string())?;
        let crop = known.test_crop_pct.unwrap_or(known.crop_pct);
        // timm resizes to a larger square then, and crops it.
        match known.crop_mode {
            CropMode::Squash if crop != 1.0 => Err(format!(
                "crop_mode = \"squash\": expected a crop_pct of 1.0 beside it, found {crop}; save the weights as a file, and \
                 say how images are prepared"
            )),
            _ => Ok(known),
        }
    }

    /// The pixels to evaluate with, as timm itself tests the weights: size and share of the crop those
    /// for testing where there are any, and the shorter side resized to `floor(size / crop_pct)`.
    pub(crate) fn input(&self) -> InputSpec {
        let size = self.test_input_size.unwrap_or(self.input_size);
        let crop = self.test_crop_pct.unwrap_or(self.crop_pct);
        let to = (size as f64 / crop).floor() as usize;
        InputSpec::new(size)
            .with_normalization(self.mean, self.std)
            .with_resize(match self.crop_mode {
                CropMode::Center => ResizeRule::ShorterSide { to },
                CropMode::Squash => ResizeRule::Squash,
            })
            .with_interpolation(self.interpolation)
    }
}

/// The published weights of an architecture; none where timm does not have it.
///
/// # Errors
///
/// [`Error::PretrainedConfig`] where the dump is damaged.
pub(crate) fn pretrained(architecture: &str) -> Result<Option<&'static Architecture>> {
    let architectures = PRETRAINED.as_ref();
    let architectures = architectures.map_err(|reason| Error::PretrainedConfig {
        reason: reason.clone(),
    })?;
    Ok(architectures.get(architecture))
}
