//! Where activations came from.

use serde::{Deserialize, Serialize};

use crate::{InputSpec, Precision};

/// Where activations came from. Tables of different models, inputs, layers or precisions are not
/// used together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the classifier.
    pub model: String,
    /// SHA-256 of the file its weights came from, where there was one.
    pub weights_sha256: Option<String>,
    /// How images were prepared for it; `None` where that is not known.
    pub input: Option<InputSpec>,
    /// The layer whose activations these are; `None` where that is not written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The number format they were computed in.
    #[serde(default)]
    pub precision: Precision,
    /// The data set: a folder, or the name of a generated one.
    pub dataset: Option<String>,
    /// Fingerprint of the data set's samples, where it has one.
    #[serde(default)]
    pub dataset_sha256: Option<String>,
}

impl Provenance {
    /// Provenance of a classifier's activations in `f32`; layer, weights and data set unknown.
    pub fn new(model: impl Into<String>, input: impl Into<Option<InputSpec>>) -> Self {
        Self {
            model: model.into(),
            weights_sha256: None,
            input: input.into(),
            layer: None,
            precision: Precision::F32,
            dataset: None,
            dataset_sha256: None,
        }
    }

    /// Sets the hash of the weight file.
    pub fn with_weights_sha256(mut self, sha256: impl Into<String>) -> Self {
        self.weights_sha256 = Some(sha256.into());
        self
    }

    /// Sets the layer.
    pub fn with_layer(mut self, layer: impl Into<String>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Sets the number format.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Sets the data set's name.
    pub fn with_dataset(mut self, dataset: impl Into<String>) -> Self {
        self.dataset = Some(dataset.into());
        self
    }

    /// Sets the data set's fingerprint.
    pub fn with_dataset_sha256(mut self, sha256: impl Into<String>) -> Self {
        self.dataset_sha256 = Some(sha256.into());
        self
    }
}
