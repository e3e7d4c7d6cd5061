//! What published weights want to see.

use std::{collections::BTreeMap, sync::LazyLock};

use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use serde::Deserialize;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    tags: BTreeMap<String, Pretrained>,
}

/// How timm prepares images for published weights: the part of its `pretrained_cfg` that says so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pretrained {
    input_size: [usize; 3],
    test_input_size: Option<[usize; 3]>,
    crop_pct: f64,
    test_crop_pct: Option<f64>,
    interpolation: Interpolation,
    mean: [f32; 3],
    std: [f32; 3],
    pub(crate) num_classes: usize,
}

impl Pretrained {
    /// The pixels to evaluate with, as timm itself tests the weights: size and share of the crop those
    /// for testing where there are any, and the shorter side resized to `floor(size / crop_pct)`.
    pub(crate) fn input(&self) -> InputSpec {
        let [_, size, _] = self.test_input_size.unwrap_or(self.input_size);
        let crop = self.test_crop_pct.unwrap_or(self.crop_pct);
        let to = (size as f64 / crop).floor() as usize;
        InputSpec::new(size)
            .with_normalization(self.mean, self.std)
            .with_resize(ResizeRule::ShorterSide { to })
            .with_interpolation(self.interpolation)
    }
}

/// The published weights of an architecture by timm's tags; none where timm has none.
///
/// # Errors
///
/// [`Error::PretrainedConfig`] where the dump is damaged.
pub(crate) fn pretrained(
    architecture: &str,
) -> Result<impl Iterator<Item = (&'static str, &'static Pretrained)>> {
    let architectures = PRETRAINED
        .as_ref()
        .map_err(|reason| Error::PretrainedConfig {
            reason: reason.clone(),
        })?;
    let tags = architectures.get(architecture).map(|it| &it.tags);
    let tags = tags.into_iter().flatten();
    Ok(tags.map(|(tag, pretrained)| (tag.as_str(), pretrained)))
}
