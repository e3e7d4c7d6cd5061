//! What a classifier is worth on a data set.

use neuroinspect_core::Metrics;
use serde::{Deserialize, Serialize};

use crate::Run;

/// What a classifier is worth on a data set; as JSON, the [`Metrics`] stand at the top level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Accuracy on average, per class, and per group where the samples have groups.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Names of the `K` classes.
    pub class_names: Vec<String>,
    /// Names of the groups, where the samples have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_names: Vec<String>,
    /// How it was made.
    pub run: Run,
}
