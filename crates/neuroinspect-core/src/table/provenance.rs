//! Where activations came from.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::{InputSpec, Precision};

/// Where activations came from. Tables of different models, inputs, layers or precisions are not
/// used together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[setters(prefix = "with_", generate = false, strip_option)]
pub struct Provenance {
    /// Name of the classifier.
    pub model: String,
    /// SHA-256 of the file its weights came from, where there was one.
    #[setters(generate, into)]
    pub weights_sha256: Option<String>,
    /// How images were prepared for it; `None` where that is not known.
    pub input: Option<InputSpec>,
    /// The layer whose activations these are; `None` where that is not written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[setters(generate, into)]
    pub layer: Option<String>,
    /// The number format they were computed in.
    #[serde(default)]
    #[setters(generate)]
    pub precision: Precision,
    /// The data set: a folder, or the name of a generated one.
    #[setters(generate, into)]
    pub dataset: Option<String>,
    /// Fingerprint of the data set's samples, where it has one.
    #[serde(default)]
    #[setters(generate, into)]
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

    /// What keeps activations of this origin from being used with those of another: model, weights, input,
    /// layer, precision, in this order. Data sets may differ.
    pub fn differences(&self, other: &Self) -> impl Iterator<Item = Difference> {
        let values = |of: &Self| {
            [
                ("model", Some(of.model.clone())),
                ("SHA-256 of the weights", of.weights_sha256.clone()),
                (
                    "model input",
                    of.input.as_ref().map(|input| format!("{input:?}")),
                ),
                ("layer", of.layer.clone()),
                ("precision", Some(of.precision.to_string())),
            ]
        };
        let pairs = values(self).into_iter().zip(values(other));
        pairs
            .filter(|(one, other)| one != other)
            .map(|((what, one), (_, other))| Difference { what, one, other })
    }
}

/// A thing in which two [`Provenance`]s differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// "model", "SHA-256 of the weights", "model input", "layer" or "precision".
    pub what: &'static str,
    /// What it is of the one; `None` where that is not known.
    pub one: Option<String>,
    /// What it is of the other; `None` where that is not known.
    pub other: Option<String>,
}
