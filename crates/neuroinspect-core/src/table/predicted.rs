//! A table with what a decision layer says of it.

use std::collections::BTreeMap;

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
        let mut predictions = Vec::with_capacity(table.len());
        for chunk in table.activations.chunks_of(layer.rows_at_once()) {
            predictions.extend(layer.predict(chunk?.view())?);
        }
        Ok(Self {
            table,
            layer,
            predictions,
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

    /// Whether the layer gets a sample of a class wrong; of a class without samples it gets none.
    ///
    /// # Errors
    ///
    /// When the class is out of range.
    pub fn has_mistakes(&self, class: ClassId) -> Result<bool> {
        let samples = self.table.samples_of(class)?;
        let mut predicted = samples.into_iter().map(|sample| self.predictions[sample]);
        Ok(predicted.any(|predicted| predicted != class))
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

    /// Circles of two or more classes, each of which the layer takes, in most of its samples, for the
    /// next, and the last for the first: labels that count classes in another order than the layer.
    pub fn exchanged_classes(&self) -> Vec<Vec<ClassId>> {
        let mut samples = BTreeMap::<_, usize>::new();
        let mut taken_for = BTreeMap::<_, usize>::new();
        for (&label, &prediction) in self.table.labels.iter().zip(&self.predictions) {
            *samples.entry(label).or_default() += 1;
            *taken_for.entry((label, prediction)).or_default() += 1;
        }
        let mut next: BTreeMap<_, _> = taken_for
            .into_iter()
            .filter(|((label, prediction), count)| {
                label != prediction && 2 * count > samples[label]
            })
            .map(|(pair, _)| pair)
            .collect();
        let mut circles = Vec::new();
        while let Some((first, second)) = next.pop_first() {
            let mut way = vec![first, second];
            // A way that ends, or meets itself elsewhere than where it began, is no circle of its first.
            while let Some(following) = way.last().and_then(|last| next.remove(last)) {
                way.push(following);
            }
            let last = way.pop();
            if let Some(start) = way.iter().position(|&class| Some(class) == last) {
                circles.push(way.split_off(start));
            }
        }
        circles
    }
}
