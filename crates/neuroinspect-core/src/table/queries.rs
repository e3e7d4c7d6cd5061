//! What a feature table says of classes and neurons.

use std::collections::BTreeSet;

use ndarray::Array1;

use crate::{ClassId, Error, FeatureTable, NeuronId, Result};

/// What a neuron's activations come to over all samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeuronSummary {
    /// The highest.
    pub highest: f32,
    /// Their mean, summed in double precision.
    pub mean: f32,
}

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

    /// The `count` samples that activate a neuron most, the strongest first and the earlier one first among equals; with a
    /// class, only samples of that class.
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
        let all = self.top_activating_each(&[(neuron, class)], count)?;
        Ok(all.into_iter().flatten().collect())
    }

    /// The same for several neurons and classes, in their order. A table that stays in its file is read once for all of
    /// them.
    ///
    /// # Errors
    ///
    /// As [`top_activating`](Self::top_activating).
    pub fn top_activating_each(
        &self,
        asked: &[(NeuronId, Option<ClassId>)],
        count: usize,
    ) -> Result<Vec<Vec<usize>>> {
        for (neuron, class) in asked {
            neuron.check(self.neurons())?;
            class.map_or(Ok(()), |class| class.check(self.classes()))?;
        }
        let classes: Option<BTreeSet<ClassId>> = asked.iter().map(|(_, class)| *class).collect();
        let is_asked = |sample: &usize| {
            let classes = classes.as_ref();
            classes.is_none_or(|classes| classes.contains(&self.labels[*sample]))
        };
        let mut all = vec![Strongest::new(count); asked.len()];
        self.activations
            .visit((0..self.len()).filter(is_asked), |sample, row| {
                for (&(neuron, class), strongest) in asked.iter().zip(&mut all) {
                    if class.is_none_or(|class| class == self.labels[sample]) {
                        strongest.add(sample, row[neuron.0]);
                    }
                }
            })?;
        Ok(all.into_iter().map(Strongest::into_samples).collect())
    }

    /// What the activations of neurons come to, in their order. A table that stays in its file is read once for all of
    /// them.
    ///
    /// # Errors
    ///
    /// When a neuron is out of range, the table is empty, or it cannot be read.
    pub fn summaries(&self, neurons: &[NeuronId]) -> Result<Vec<NeuronSummary>> {
        for neuron in neurons {
            neuron.check(self.neurons())?;
        }
        if self.is_empty() {
            return Err(Error::empty("samples to summarise"));
        }
        let mut all = vec![(f32::NEG_INFINITY, 0.0_f64); neurons.len()];
        self.activations.visit(0..self.len(), |_, row| {
            for (neuron, (highest, sum)) in neurons.iter().zip(&mut all) {
                let value = row[neuron.0];
                *highest = highest.max(value);
                *sum += f64::from(value);
            }
        })?;
        let summary = |(highest, sum): (f32, f64)| NeuronSummary {
            highest,
            mean: (sum / self.len() as f64) as f32,
        };
        Ok(all.into_iter().map(summary).collect())
    }

    pub(super) fn empty_class(&self, class: ClassId) -> Error {
        Error::EmptyClass {
            class,
            name: self.class_names[class.0].clone(),
        }
    }
}

/// The samples of highest activation among those seen, of which no more than a few times as many are held.
#[derive(Clone)]
struct Strongest {
    count: usize,
    found: Vec<(usize, f32)>,
    /// What a later sample has to be above.
    least: Option<f32>,
}

impl Strongest {
    /// Held beside twice the count before they are sorted.
    const SPARE: usize = 64;

    fn new(count: usize) -> Self {
        Self {
            count,
            found: Vec::new(),
            least: None,
        }
    }

    /// Samples come in order.
    fn add(&mut self, sample: usize, activation: f32) {
        if self
            .least
            .is_some_and(|least| activation.total_cmp(&least).is_le())
        {
            return;
        }
        self.found.push((sample, activation));
        if self.found.len() >= self.count.saturating_mul(2).saturating_add(Self::SPARE) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        // Equals stay in their order.
        self.found
            .sort_by(|(_, one), (_, other)| other.total_cmp(one));
        self.found.truncate(self.count);
        if self.found.len() == self.count {
            self.least = self.found.last().map(|(_, activation)| *activation);
        }
    }

    fn into_samples(mut self) -> Vec<usize> {
        self.cut();
        self.found.into_iter().map(|(sample, _)| sample).collect()
    }
}
