//! A data set as a classifier sees it.

mod activations;
mod alike;
mod collected;
mod file;
mod memory;
mod predicted;
mod provenance;
mod queries;
mod row_file;
mod values;

use ndarray::{CowArray, Ix1, Ix2};

pub(crate) use self::row_file::{RowFile, Stamp};
pub use self::{
    activations::{ActivationTable, check_finite},
    alike::check_same_classes,
    collected::CollectedRows,
    memory::MemoryLimit,
    predicted::Predicted,
    provenance::{Difference, Provenance},
    queries::NeuronSummary,
};
use crate::{ClassId, DecisionLayer, Error, Groups, Result, Split};

/// Features and labels of a data set, computed once by one classifier.
///
/// Every stage but visualization works from a table alone: explaining mistakes, ranking neurons,
/// editing and measuring never look at pixels or at the backbone again. What the classifier says of
/// the samples follows from the table and a decision layer: [`predicted_by`](Self::predicted_by). A
/// table lives on the host, in memory or, where it is [larger](MemoryLimit) than is allowed there, in its file; it can
/// be [saved](Self::save) and [read](Self::load) with its [`Provenance`].
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTable {
    activations: ActivationTable,
    labels: Vec<ClassId>,
    class_names: Vec<String>,
    groups: Option<Groups>,
    split: Option<Split>,
}

impl FeatureTable {
    /// A table of activations with a label for each sample.
    ///
    /// The activations are to be those of the layer that the decision layer reads
    /// ([`Classifier::penultimate`](crate::Classifier::penultimate)). A table does not know which
    /// that is: of those of another layer it is only noticed, by
    /// [`predicted_by`](Self::predicted_by), that there are more or fewer than the decision layer
    /// has neurons. [`Provenance::layer`] says what they are of.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is not one label for each sample,
    /// [`Error::SampleClassOutOfRange`] for a label without a class name.
    pub fn new(
        activations: ActivationTable,
        labels: Vec<ClassId>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        let (samples, classes) = (activations.len(), class_names.len());
        if labels.len() != samples {
            let what = "labels of the feature table";
            return Err(Error::length(what, samples, labels.len()));
        }
        if let Some(sample) = labels.iter().position(|class| class.0 >= classes) {
            return Err(Error::SampleClassOutOfRange {
                what: format!("label of sample '{}'", activations.sample_ids()[sample]),
                class: labels[sample],
                classes,
            });
        }
        Ok(Self {
            activations,
            labels,
            class_names,
            groups: None,
            split: None,
        })
    }

    /// Sets the group of each sample.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is not one group for each sample.
    pub fn with_groups(mut self, groups: Groups) -> Result<Self> {
        self.check_length("group labels of the feature table", groups.of_sample())?;
        self.groups = Some(groups);
        Ok(self)
    }

    /// Sets the part of the data set each sample is in.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there is not one part for each sample.
    pub fn with_split(mut self, split: Split) -> Result<Self> {
        self.check_length(
            "parts of the samples of the feature table",
            split.of_sample(),
        )?;
        self.split = Some(split);
        Ok(self)
    }

    fn check_length(&self, what: &str, of_sample: &[usize]) -> Result<()> {
        match of_sample.len() == self.len() {
            true => Ok(()),
            false => Err(Error::length(what, self.len(), of_sample.len())),
        }
    }

    /// What a decision layer says of the samples.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when the layer has other neurons or classes than the table.
    pub fn predicted_by<'a>(&'a self, layer: &'a DecisionLayer) -> Result<Predicted<'a>> {
        Predicted::new(self, layer)
    }

    /// Number of samples `N`.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of neurons `D`.
    pub fn neurons(&self) -> usize {
        self.activations.width()
    }

    /// Number of classes `K`.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The activations alone.
    pub fn activations(&self) -> &ActivationTable {
        &self.activations
    }

    /// All activations at once, `[N, D]`, in standard layout: [`ActivationTable::values`], which says what to ask for
    /// where the table may be larger than memory.
    ///
    /// # Errors
    ///
    /// [`Error::LargerThanMemory`], or when they cannot be read.
    pub fn features(&self) -> Result<CowArray<'_, f32, Ix2>> {
        self.activations.values()
    }

    /// Activations of one sample: `[D]`.
    ///
    /// # Errors
    ///
    /// As [`ActivationTable::of_sample`].
    pub fn feature(&self, sample: usize) -> Result<CowArray<'_, f32, Ix1>> {
        self.activations.of_sample(sample)
    }

    /// The true class of each sample.
    pub fn labels(&self) -> &[ClassId] {
        &self.labels
    }

    /// Name of each class.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// What each sample is called.
    pub fn sample_ids(&self) -> &[String] {
        self.activations.sample_ids()
    }

    /// The groups, where the data set has any.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// The parts of the data set, where it is split.
    pub fn split(&self) -> Option<&Split> {
        self.split.as_ref()
    }

    /// Where the table came from.
    pub fn provenance(&self) -> &Provenance {
        self.activations.provenance()
    }

    /// The rows at `samples`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist.
    pub fn select(&self, samples: &[usize]) -> Result<Self> {
        Ok(Self {
            activations: self.activations.select(samples)?,
            labels: samples.iter().map(|&sample| self.labels[sample]).collect(),
            class_names: self.class_names.clone(),
            groups: (self.groups.as_ref())
                .map(|groups| groups.select(samples))
                .transpose()?,
            split: (self.split.as_ref())
                .map(|split| split.select(samples))
                .transpose()?,
        })
    }

    /// Resolves a class by its name, or by its index when no class bears that name.
    ///
    /// # Errors
    ///
    /// As [`class_by_name_or_index`](crate::class_by_name_or_index()).
    pub fn class_by_name_or_index(&self, text: &str) -> Result<ClassId> {
        crate::class_by_name_or_index(&self.class_names, text)
    }

    /// Checks that a decision layer has the table's neurons and classes.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`].
    pub fn check_layer(&self, layer: &DecisionLayer) -> Result<()> {
        let expected = [self.classes(), self.neurons()];
        let found = [layer.classes(), layer.neurons()];
        if expected != found {
            let what = "[classes, neurons] of the decision layer for this feature table";
            return Err(Error::shape(what, expected, found));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
