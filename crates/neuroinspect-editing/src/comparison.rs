//! Metrics before and after an edit.

use neuroinspect_core::{DecisionLayer, FeatureTable, Metrics};
use serde::{Deserialize, Serialize};

use crate::Result;

/// What two decision layers are worth on the same features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Metrics of the layer before the edit.
    pub before: Metrics,
    /// Metrics of the layer after it.
    pub after: Metrics,
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
        let measure = |layer: &DecisionLayer| -> Result<Metrics> {
            table.check_layer(layer)?;
            let predictions = layer.predict(table.features())?;
            let (labels, groups) = (table.labels(), table.groups());
            Ok(Metrics::new(labels, &predictions, layer.classes(), groups)?)
        };
        Ok(Self {
            before: measure(before)?,
            after: measure(after)?,
        })
    }
}
