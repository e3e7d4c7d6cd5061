//! Tables of the samples that methods are compared on.

use std::sync::Arc;

use ndarray::Array2;
use neuroinspect_core::{
    ActivationTable, DecisionLayer, Error as CoreError, FeatureTable, Groups, Seed, Split,
    io::sha256_of_bytes,
};
use neuroinspect_editing::{EditData, Samples};

use super::Repetition;
use crate::{Error, Result};

impl Repetition {
    /// For each seed, `train` to learn from, and of two tables of the same samples in the same order the
    /// first to choose on and the second to measure on, each with a half of every class that the other
    /// does not have. Where samples are looked at in one way only, both are one table.
    ///
    /// # Errors
    ///
    /// [`Error::OtherSamples`] when the two tables are not of the same samples in the same order; when tables
    /// are of other classes, or by another classifier.
    pub fn of_halves(
        layer: &DecisionLayer,
        train: &Arc<FeatureTable>,
        [validation, measured]: [&Arc<FeatureTable>; 2],
        seeds: impl IntoIterator<Item = Seed>,
    ) -> Result<Vec<Self>> {
        let ids = [validation, measured].map(|table| table.sample_ids());
        if ids[0] != ids[1] || validation.labels() != measured.labels() {
            return Err(Error::OtherSamples);
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
                // Hashed row by row: the features may be as large as memory.
                let values = samples.feature(sample).to_vec();
                let row = values.iter().flat_map(|it| it.to_le_bytes());
                let labels = [label.0, group].into_iter().flat_map(usize::to_le_bytes);
                let row: Vec<u8> = labels.chain(row).collect();
                bytes.extend(sha256_of_bytes(&row).bytes());
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

/// Samples of two tables in one, those of the first before those of the second.
pub(super) fn joined(first: &Samples, second: &Samples) -> Result<FeatureTable> {
    let (table, parts) = (first.table(), [first, second]);
    let rows = parts.map(|part| (0..part.len()).map(|sample| part.feature(sample).to_vec()));
    let values: Vec<f32> = rows.into_iter().flatten().flatten().collect();
    let shape = (first.len() + second.len(), table.neurons());
    let features = Array2::from_shape_vec(shape, values)
        .map_err(|error| CoreError::shape("joined features", [shape.0, shape.1], error))?;
    let activations = ActivationTable::new(features, table.provenance().clone())?;
    let labels = parts.map(Samples::labels).concat();
    let joined = FeatureTable::new(activations, labels, table.class_names().to_vec())?;
    let (Some(one), Some(other)) = (first.groups(), second.groups()) else {
        return Ok(joined);
    };
    // Two tables may list their groups in other orders.
    let mut names = one.names().to_vec();
    let mut index = |name: &String| {
        let known = names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            names.push(name.clone());
            names.len() - 1
        })
    };
    let of_other: Vec<_> = other.names().iter().map(&mut index).collect();
    let of_other = other.of_sample().iter().map(|&group| of_other[group]);
    let of_sample = one.of_sample().iter().copied().chain(of_other).collect();
    Ok(joined.with_groups(Groups::new(names, of_sample)?)?)
}
