//! What a feature table says of classes and neurons.

use ndarray::Array1;

use crate::{ClassId, Error, FeatureTable, NeuronId, Result};

impl FeatureTable {
    /// The samples of a class, in order. Empty when there are none.
    ///
    /// # Errors
    ///
    /// When the class is out of range.
    pub fn samples_of(&self, class: ClassId) -> Result<Vec<usize>> {
        class.check(self.classes())?;
        Ok((0..self.len())
            .filter(|&sample| self.labels[sample] == class)
            .collect())
    }

    /// Mean activation of each neuron over all samples: `[D]`.
    ///
    /// # Errors
    ///
    /// When the table is empty, or cannot be read.
    pub fn mean_features(&self) -> Result<Array1<f32>> {
        self.activations.mean_of(0..self.len())
    }

    /// Mean activation of each neuron over the samples of a class: `[D]`.
    ///
    /// # Errors
    ///
    /// When the class is out of range, or has no samples, or the table cannot be read.
    pub fn class_mean(&self, class: ClassId) -> Result<Array1<f32>> {
        let samples = self.samples_of(class)?;
        if samples.is_empty() {
            return Err(self.empty_class(class));
        }
        self.activations.mean_of(samples)
    }

    /// The `count` samples that activate a neuron most, the strongest first; with a class, only
    /// samples of that class.
    ///
    /// # Errors
    ///
    /// When the neuron or the class is out of range, or the table cannot be read.
    pub fn top_activating(
        &self,
        neuron: NeuronId,
        class: Option<ClassId>,
        count: usize,
    ) -> Result<Vec<usize>> {
        neuron.check(self.neurons())?;
        let samples = match class {
            Some(class) => self.samples_of(class)?,
            None => (0..self.len()).collect(),
        };
        self.activations.highest(neuron, &samples, count)
    }

    pub(super) fn empty_class(&self, class: ClassId) -> Error {
        Error::EmptyClass {
            class,
            name: self.class_names[class.0].clone(),
        }
    }
}
