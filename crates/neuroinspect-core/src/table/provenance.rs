//! Where a feature table came from.

use serde::{Deserialize, Serialize};

use crate::InputSpec;

/// Where a feature table came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the classifier.
    pub model: String,
    /// SHA-256 of the file its weights came from, where there was one.
    pub weights_sha256: Option<String>,
    /// How images were prepared for it.
    pub input: InputSpec,
    /// The data set: a folder, or the name of a generated one.
    pub dataset: Option<String>,
}

impl Provenance {
    /// Provenance of a classifier's features, weights and data set unknown.
    pub fn new(model: impl Into<String>, input: InputSpec) -> Self {
        Self {
            model: model.into(),
            weights_sha256: None,
            input,
            dataset: None,
        }
    }

    /// Sets the hash of the weight file.
    pub fn with_weights_sha256(mut self, sha256: impl Into<String>) -> Self {
        self.weights_sha256 = Some(sha256.into());
        self
    }

    /// Sets the data set's name.
    pub fn with_dataset(mut self, dataset: impl Into<String>) -> Self {
        self.dataset = Some(dataset.into());
        self
    }
}
