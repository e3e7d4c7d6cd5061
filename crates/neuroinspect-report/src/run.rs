//! How a result was made.

use std::{collections::BTreeMap, error::Error as StdError};

use neuroinspect_core::{Seed, with_causes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a result was made: what is needed to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// Version of neuroinspect.
    pub version: String,
    /// The command line, where there was one.
    #[serde(default)]
    pub command: Option<String>,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the file of its weights, in hexadecimal.
    #[serde(default)]
    pub weights_sha256: Option<String>,
    /// Where the images came from.
    pub data: String,
    /// The device computed on.
    pub device: String,
    /// The seed of all random numbers.
    pub seed: Seed,
    /// Options by stage.
    #[serde(default)]
    pub configs: BTreeMap<String, Value>,
    /// How long each stage took, in order.
    #[serde(default)]
    pub timings: Vec<Timing>,
    /// Images that could not be read.
    #[serde(default)]
    pub skipped_images: Vec<SkippedImage>,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// An image left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkippedImage {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A stage that failed, while others did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageFailure {
    /// The stage.
    pub stage: String,
    /// Why, and what to do about it.
    pub reason: String,
}

impl Run {
    /// A run of this version; the rest is left to be filled in.
    pub fn new(
        model: impl Into<String>,
        data: impl Into<String>,
        device: impl Into<String>,
        seed: Seed,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: None,
            model: model.into(),
            weights_sha256: None,
            data: data.into(),
            device: device.into(),
            seed,
            configs: BTreeMap::new(),
            timings: Vec::new(),
            skipped_images: Vec::new(),
        }
    }

    /// Notes how long a stage took.
    pub fn add_timing(&mut self, stage: impl Into<String>, time: std::time::Duration) {
        self.timings.push(Timing {
            stage: stage.into(),
            seconds: time.as_secs_f64(),
        });
    }
}

impl StageFailure {
    /// For the reason that an error and its causes give, in one line.
    pub fn of(stage: impl Into<String>, error: &dyn StdError) -> Self {
        Self {
            stage: stage.into(),
            reason: with_causes(error),
        }
    }
}
