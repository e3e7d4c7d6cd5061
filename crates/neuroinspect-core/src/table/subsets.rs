//! Parts of a feature table, as tables.

use ndarray::Axis;
use rand::seq::SliceRandom;

use crate::{Error, FeatureTable, Groups, Result, Seed};

impl FeatureTable {
    /// The rows at `indices`, in that order.
    ///
    /// # Errors
    ///
    /// When an index is out of range.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if let Some(&index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(Error::shape(
                "a sample index",
                format!("below {}", self.len()),
                index,
            ));
        }
        let groups = self.groups.as_ref().map(|groups| Groups {
            names: groups.names.clone(),
            of_sample: indices
                .iter()
                .map(|&index| groups.of_sample[index])
                .collect(),
        });
        Ok(Self {
            features: self.features.select(Axis(0), indices),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            predictions: indices
                .iter()
                .map(|&index| self.predictions[index])
                .collect(),
            class_names: self.class_names.clone(),
            sample_ids: indices
                .iter()
                .map(|&index| self.sample_ids[index].clone())
                .collect(),
            groups,
            provenance: self.provenance.clone(),
        })
    }

    /// Splits the table in two at random, class by class: the first part gets `share` of each
    /// class's samples, rounded, the second the rest. Both keep the order of the table.
    ///
    /// Groups are not looked at: a small one may fall unevenly, or to one part only.
    ///
    /// # Errors
    ///
    /// When `share` is not within 0 and 1.
    pub fn split(&self, share: f64, seed: Seed) -> Result<(Self, Self)> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::InvalidOption {
                option: "share",
                value: share.to_string(),
                expected: "a number from 0 to 1",
            });
        }
        let mut in_first = vec![false; self.len()];
        let mut by_class = vec![Vec::new(); self.classes()];
        for (sample, label) in self.labels.iter().enumerate() {
            by_class[label.0].push(sample);
        }
        for (class, samples) in by_class.iter_mut().enumerate() {
            samples.shuffle(&mut seed.rng("split", &[class as u64]));
            let taken = (samples.len() as f64 * share).round() as usize;
            for &sample in &samples[..taken] {
                in_first[sample] = true;
            }
        }
        let (first, second): (Vec<_>, Vec<_>) = (0..self.len()).partition(|&i| in_first[i]);
        Ok((self.select(&first)?, self.select(&second)?))
    }
}
