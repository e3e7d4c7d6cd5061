//! What a classifier is worth on a data set.

use std::path::Path;

use neuroinspect_core::Metrics;
use serde::{Deserialize, Serialize};

use crate::{Result, Run, Schema, write_json};

/// What a classifier is worth on a data set; as JSON, the [`Metrics`] stand at the top level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl Evaluation {
    /// Name of the file it is written to.
    pub const JSON_FILE: &str = "evaluation.json";

    /// Writes it into a folder, which is made if it is missing, as [`JSON_FILE`](Self::JSON_FILE).
    ///
    /// # Errors
    ///
    /// When it is not [valid](Self::validate), or the file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        write_json(
            folder.as_ref().join(Self::JSON_FILE),
            Schema::EVALUATION,
            self,
        )
    }
}
