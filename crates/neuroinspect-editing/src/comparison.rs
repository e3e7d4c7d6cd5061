//! Metrics before and after an edit.

use neuroinspect_core::{DecisionLayer, FeatureTable, Metrics};
use serde::{Deserialize, Serialize};

use crate::Result;

/// What two decision layers are worth on the same features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// Metrics of the layer before the edit.
    pub before: Metrics,
    /// Metrics of the layer after it.
    pub after: Metrics,
}

/// What became of a control: plain retraining with the same options, of a [`Mend`](crate::Mend) on the validation
/// samples, too. What it gains as well, the method cannot claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Metrics after it.
    Measured(Metrics),
    /// The observer asked to stop meanwhile.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl Comparison {
    /// Measures both layers on a table, by group too where it has groups.
    ///
    /// # Errors
    ///
    /// When the table is empty, or a layer does not fit it.
    pub fn new(
        table: &FeatureTable,
        before: &DecisionLayer,
        after: &DecisionLayer,
    ) -> Result<Self> {
        Ok(Self {
            before: table.predicted_by(before)?.metrics()?,
            after: table.predicted_by(after)?.metrics()?,
        })
    }
}

impl Control {
    /// Metrics after it, if it ran to its end.
    pub fn metrics(&self) -> Option<&Metrics> {
        match self {
            Self::Measured(metrics) => Some(metrics),
            Self::Stopped | Self::Failed(_) => None,
        }
    }
}
