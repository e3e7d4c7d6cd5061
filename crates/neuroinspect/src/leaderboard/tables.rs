//! Tables of the samples that methods are compared on.

use std::sync::Arc;

use neuroinspect_core::{DecisionLayer, FeatureTable, Seed, Split, io::sha256_of_bytes};
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
    pub(super) fn sha256(&self) -> Result<String> {
        let Self { data, layer, seed } = self;
        let mut bytes = seed.0.to_le_bytes().to_vec();
        for samples in [data.train(), data.validation(), data.evaluation()] {
            let groups = samples.groups();
            let names = samples.table().class_names().iter();
            for name in names.chain(groups.iter().flat_map(|groups| groups.names())) {
                bytes.extend(sha256_of_bytes(name.as_bytes()).bytes());
            }
            let labels = samples.labels();
            // Hashed row by row: the features may be larger than memory.
            samples.visit(0..samples.len(), |sample, values| {
                let group = groups.map_or(0, |groups| 1 + groups.of_sample()[sample]);
                let row = values.iter().flat_map(|it| it.to_le_bytes());
                let labels = [labels[sample].0, group]
                    .into_iter()
                    .flat_map(usize::to_le_bytes);
                let row: Vec<u8> = labels.chain(row).collect();
                bytes.extend(sha256_of_bytes(&row).bytes());
            })?;
        }
        let weights = layer.weight().into_iter().chain(layer.bias());
        bytes.extend(weights.flat_map(|it| it.to_le_bytes()));
        Ok(sha256_of_bytes(&bytes))
    }
}

/// Samples as a table of their own.
pub(crate) fn table_of(samples: &Samples) -> Result<FeatureTable> {
    let rows: Vec<_> = (0..samples.len())
        .map(|sample| samples.row(sample))
        .collect();
    Ok(samples.table().select(&rows)?)
}
