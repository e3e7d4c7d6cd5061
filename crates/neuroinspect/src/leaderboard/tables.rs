//! Tables of the samples that methods are compared on.

use std::sync::Arc;

use ndarray::{Axis, concatenate};
use neuroinspect_core::{
    ActivationTable, DecisionLayer, FeatureTable, Groups, Seed, Split, io::sha256_of_bytes,
};
use neuroinspect_editing::{EditData, Samples};

use super::Repetition;
use crate::Result;

impl Repetition {
    /// For each seed, `train` to learn from, and of two tables of the same samples in the same order the
    /// first to choose on and the second to measure on, each with a half of every class that the other
    /// does not have. Where samples are looked at in one way only, both are one table.
    ///
    /// # Errors
    ///
    /// When the tables are not of the same samples, of other classes, or by another classifier.
    pub fn of_halves(
        layer: &DecisionLayer,
        train: &Arc<FeatureTable>,
        [validation, measured]: [&Arc<FeatureTable>; 2],
        seeds: impl IntoIterator<Item = Seed>,
    ) -> Result<Vec<Self>> {
        if validation.labels() != measured.labels() {
            let what = "samples of the second table";
            let (one, other) = (validation.len(), measured.len());
            return Err(neuroinspect_core::Error::length(what, one, other).into());
        }
        let repetition = |seed| {
            let parts = [("validation", 0.5), ("measured", 0.5)];
            let split = Split::stratified(validation.labels(), &parts, seed)?;
            let part = |table, name| Samples::of_rows(table, split.samples_of(name)?);
            Ok(Self {
                data: EditData::of_parts(
                    train,
                    part(validation, "validation")?,
                    part(measured, "measured")?,
                )?,
                layer: layer.clone(),
                seed,
            })
        };
        seeds.into_iter().map(repetition).collect()
    }

    /// SHA-256 over all that methods are told of, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        let Self { data, layer, seed } = self;
        let mut bytes = seed.0.to_le_bytes().to_vec();
        for samples in [data.train(), data.validation(), data.evaluation()] {
            let groups = samples.groups();
            let names = samples.table().class_names().iter();
            for name in names.chain(groups.iter().flat_map(|groups| groups.names())) {
                bytes.extend(sha256_of_bytes(name.as_bytes()).bytes());
            }
            for (sample, label) in samples.labels().iter().enumerate() {
                let group = groups.map_or(0, |groups| 1 + groups.of_sample()[sample]);
                bytes.extend([label.0, group].iter().flat_map(|it| it.to_le_bytes()));
                bytes.extend(
                    samples
                        .feature(sample)
                        .iter()
                        .flat_map(|it| it.to_le_bytes()),
                );
            }
        }
        let weights = layer.weight().into_iter().chain(layer.bias());
        bytes.extend(weights.flat_map(|it| it.to_le_bytes()));
        sha256_of_bytes(&bytes)
    }
}

/// Samples as a table of their own.
pub(super) fn table_of(samples: &Samples) -> Result<FeatureTable> {
    let rows: Vec<_> = (0..samples.len())
        .map(|sample| samples.row(sample))
        .collect();
    Ok(samples.table().select(&rows)?)
}

/// The samples of two tables in one, the first before the second.
pub(super) fn joined(first: &FeatureTable, second: &FeatureTable) -> Result<FeatureTable> {
    let features = concatenate![Axis(0), first.features(), second.features()];
    let activations = ActivationTable::new(features, first.provenance().clone())?;
    let labels = [first.labels(), second.labels()].concat();
    let table = FeatureTable::new(activations, labels, first.class_names().to_vec())?;
    let (Some(one), Some(other)) = (first.groups(), second.groups()) else {
        return Ok(table);
    };
    // Two tables may list their groups in other orders.
    let mut names = one.names().to_vec();
    let mut index = |name: &String| {
        names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            })
    };
    let of_other: Vec<_> = other.names().iter().map(&mut index).collect();
    let of_other = other.of_sample().iter().map(|&group| of_other[group]);
    let of_sample = one.of_sample().iter().copied().chain(of_other).collect();
    Ok(table.with_groups(Groups::new(names, of_sample)?)?)
}
