//! A table with what a decision layer says of it.

use super::FeatureTable;
use crate::{ClassId, DecisionLayer, Metrics, Result};

/// A feature table and what one decision layer says of its samples: the only place where
/// predictions come from, so that no stage mixes those of one layer with another layer.
#[derive(Clone, Debug)]
pub struct Predicted<'a> {
    table: &'a FeatureTable,
    layer: &'a DecisionLayer,
    predictions: Vec<ClassId>,
}

impl<'a> Predicted<'a> {
    pub(super) fn new(table: &'a FeatureTable, layer: &'a DecisionLayer) -> Result<Self> {
        table.check_layer(layer)?;
        Ok(Self {
            table,
            layer,
            predictions: layer.predict(table.features())?,
        })
    }

    /// The table.
    pub fn table(&self) -> &'a FeatureTable {
        self.table
    }

    /// The decision layer.
    pub fn layer(&self) -> &'a DecisionLayer {
        self.layer
    }

    /// The class that the layer says, for each sample.
    pub fn predictions(&self) -> &[ClassId] {
        &self.predictions
    }

    /// The samples of a class that the layer gets wrong, in order. Empty when it gets all of them
    /// right.
    ///
    /// # Errors
    ///
    /// When the class is out of range, or has no samples.
    pub fn mistakes(&self, class: ClassId) -> Result<Vec<usize>> {
        let samples = self.table.samples_of(class)?;
        if samples.is_empty() {
            return Err(self.table.empty_class(class));
        }
        let wrong = |&sample: &usize| self.predictions[sample] != class;
        Ok(samples.into_iter().filter(wrong).collect())
    }

    /// Accuracy on average, per class, and per group where the table has groups.
    ///
    /// # Errors
    ///
    /// When the table is empty.
    pub fn metrics(&self) -> Result<Metrics> {
        let FeatureTable { labels, groups, .. } = self.table;
        Metrics::new(
            labels,
            &self.predictions,
            self.table.classes(),
            groups.as_ref(),
        )
    }
}
