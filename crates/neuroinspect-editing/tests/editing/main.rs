//! Training of a decision layer: what it learns, which epoch is kept, what it refuses.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod epochs;
mod learning;
mod refusals;

use burn::tensor::Device;
use ndarray::array;
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Silent};
use neuroinspect_editing::{EditConfig, EditScope, Edited, Result, edit};
use neuroinspect_testing::tables::{layer, neuron_ids, table};

fn run(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
    neurons: &[usize],
    scope: EditScope,
    config: &EditConfig,
) -> Result<Edited> {
    edit(
        train,
        validation,
        layer,
        &neuron_ids(neurons),
        scope,
        config,
        &Device::flex(),
        &mut Silent,
    )
}

/// Trained and validated on one table, away from neuron 0 in class 0.
fn trained(table: &FeatureTable, layer: &DecisionLayer, config: &EditConfig) -> Edited {
    let class = EditScope::Class(ClassId(0));
    run(table, table, layer, &[0], class, config).unwrap()
}

/// A table whose two samples no step of training in a test can turn, and a layer for it.
fn settled() -> (FeatureTable, DecisionLayer) {
    let layer = layer(array![[9.0, 0.0], [0.0, 9.0]]);
    (table(array![[1.0, 0.0], [0.0, 1.0]], &[0, 1], 2), layer)
}
