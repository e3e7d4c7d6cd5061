//! A data set as a classifier sees it.

mod alike;
mod io;
mod provenance;
mod queries;
mod subsets;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

pub use self::{alike::check_same_classes, provenance::Provenance};
use crate::{ClassId, DecisionLayer, Error, NeuronId, Result};

/// Features, labels and predictions of a data set, computed once by one classifier.
///
/// Every stage but visualization works from a table alone: explaining mistakes, ranking neurons,
/// editing and measuring never look at pixels or at the backbone again. A table lives on the host
/// and can be [saved](Self::save) and [read](Self::load) with its [`Provenance`].
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTable {
    features: Array2<f32>,
    labels: Vec<ClassId>,
    predictions: Vec<ClassId>,
    class_names: Vec<String>,
    sample_ids: Vec<String>,
    groups: Option<Groups>,
    provenance: Provenance,
}

/// A partition of the samples beside their classes, e.g. class and background together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// Name of each group.
    pub names: Vec<String>,
    /// For each sample, the index of its group.
    pub of_sample: Vec<usize>,
}

impl FeatureTable {
    /// A table of `features` `[N, D]` with a label and a prediction for each row.
    ///
    /// Sample ids are `"0"`, `"1"`, ... until [set](Self::with_sample_ids).
    ///
    /// # Errors
    ///
    /// When lengths differ, a label or prediction is not below the number of class names, or a
    /// feature is not finite.
    pub fn new(
        features: Array2<f32>,
        labels: Vec<ClassId>,
        predictions: Vec<ClassId>,
        class_names: Vec<String>,
        provenance: Provenance,
    ) -> Result<Self> {
        let sample_ids = (0..features.nrows()).map(|index| index.to_string());
        Self::of_samples(
            sample_ids.collect(),
            features,
            labels,
            predictions,
            class_names,
            provenance,
        )
    }

    /// [`new`](Self::new) with what each sample is called, e.g. its path below the data set's
    /// folder, which errors then name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when there is not one id for each sample.
    pub fn of_samples(
        sample_ids: Vec<String>,
        features: Array2<f32>,
        labels: Vec<ClassId>,
        predictions: Vec<ClassId>,
        class_names: Vec<String>,
        provenance: Provenance,
    ) -> Result<Self> {
        let samples = features.nrows();
        check_ids(&sample_ids, samples)?;
        if labels.len() != samples {
            return Err(Error::shape(
                "labels of the feature table",
                samples,
                labels.len(),
            ));
        }
        if predictions.len() != samples {
            return Err(Error::shape(
                "predictions of the feature table",
                samples,
                predictions.len(),
            ));
        }
        for (what, ids) in [("label of", &labels), ("prediction for", &predictions)] {
            let classes = class_names.len();
            if let Some(sample) = ids.iter().position(|class| class.0 >= classes) {
                return Err(Error::SampleClassOutOfRange {
                    what: format!("{what} sample '{}'", sample_ids[sample]),
                    class: ids[sample],
                    classes,
                });
            }
        }
        for ((sample, neuron), &value) in features.indexed_iter() {
            if !value.is_finite() {
                let sample = &sample_ids[sample];
                let what = format!("activation of neuron {neuron} on sample '{sample}'");
                return Err(Error::NotFinite { what, value });
            }
        }
        Ok(Self {
            features: features.as_standard_layout().into_owned(),
            labels,
            predictions,
            class_names,
            sample_ids,
            groups: None,
            provenance,
        })
    }

    /// Sets what each sample is called, e.g. its path below the data set's folder.
    ///
    /// # Errors
    ///
    /// When there is not one id for each sample.
    pub fn with_sample_ids(mut self, sample_ids: Vec<String>) -> Result<Self> {
        check_ids(&sample_ids, self.len())?;
        self.sample_ids = sample_ids;
        Ok(self)
    }

    /// Sets the group of each sample.
    ///
    /// # Errors
    ///
    /// When there is not one group for each sample, or a group has no name.
    pub fn with_groups(mut self, groups: Groups) -> Result<Self> {
        if groups.of_sample.len() != self.len() {
            return Err(Error::shape(
                "group labels of the feature table",
                self.len(),
                groups.of_sample.len(),
            ));
        }
        if let Some(&group) = groups
            .of_sample
            .iter()
            .find(|&&group| group >= groups.names.len())
        {
            return Err(Error::shape(
                "a group label",
                format!("below {}", groups.names.len()),
                group,
            ));
        }
        self.groups = Some(groups);
        Ok(self)
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
        self.features.ncols()
    }

    /// Number of classes `K`.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Activations `[N, D]`, in standard layout.
    pub fn features(&self) -> ArrayView2<'_, f32> {
        self.features.view()
    }

    /// Activations of one sample: `[D]`.
    ///
    /// # Panics
    ///
    /// When `sample` is not below [`len`](Self::len).
    pub fn feature(&self, sample: usize) -> ArrayView1<'_, f32> {
        self.features.row(sample)
    }

    /// The true class of each sample.
    pub fn labels(&self) -> &[ClassId] {
        &self.labels
    }

    /// The class the classifier says, for each sample.
    pub fn predictions(&self) -> &[ClassId] {
        &self.predictions
    }

    /// Name of each class.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// What each sample is called.
    pub fn sample_ids(&self) -> &[String] {
        &self.sample_ids
    }

    /// The groups, where the data set has any.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// Where the table came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Resolves a class by its name, or by its index when no class bears that name.
    ///
    /// # Errors
    ///
    /// As [`class_by_name_or_index`](crate::class_by_name_or_index()).
    pub fn class_by_name_or_index(&self, text: &str) -> Result<ClassId> {
        crate::class_by_name_or_index(&self.class_names, text)
    }

    /// Checks that a class exists.
    ///
    /// # Errors
    ///
    /// [`Error::ClassOutOfRange`].
    pub fn check_class(&self, class: ClassId) -> Result<()> {
        let classes = self.classes();
        (class.0 < classes)
            .then_some(())
            .ok_or(Error::ClassOutOfRange { class, classes })
    }

    /// Checks that a neuron exists.
    ///
    /// # Errors
    ///
    /// [`Error::NeuronOutOfRange`].
    pub fn check_neuron(&self, neuron: NeuronId) -> Result<()> {
        let neurons = self.neurons();
        (neuron.0 < neurons)
            .then_some(())
            .ok_or(Error::NeuronOutOfRange { neuron, neurons })
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

fn check_ids(sample_ids: &[String], samples: usize) -> Result<()> {
    let found = sample_ids.len();
    if found != samples {
        let what = "sample ids of the feature table";
        return Err(Error::shape(what, samples, found));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
