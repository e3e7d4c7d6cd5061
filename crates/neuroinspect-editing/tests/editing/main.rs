//! Training of a decision layer: what it learns, which epoch is kept, what it refuses.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod epochs;
mod learning;
mod refusals;

use burn::tensor::Device;
use ndarray::{Array1, Array2, array};
use neuroinspect_core::{
    ClassId, DecisionLayer, FeatureTable, InputSpec, NeuronId, Provenance, Silent,
};
use neuroinspect_editing::{EditConfig, EditScope, Edited, Result, edit};

fn table(features: Array2<f32>, labels: &[usize], classes: usize) -> FeatureTable {
    let labels: Vec<ClassId> = labels.iter().copied().map(ClassId).collect();
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    let provenance = Provenance::new("toy", InputSpec::new(8));
    FeatureTable::new(features, labels.clone(), labels, names, provenance).unwrap()
}

fn run(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
    neurons: &[usize],
    scope: EditScope,
    config: &EditConfig,
) -> Result<Edited> {
    let neurons: Vec<NeuronId> = neurons.iter().copied().map(NeuronId).collect();
    edit(
        train,
        validation,
        layer,
        &neurons,
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
    let layer = DecisionLayer::new(array![[9.0, 0.0], [0.0, 9.0]], Array1::zeros(2)).unwrap();
    (table(array![[1.0, 0.0], [0.0, 1.0]], &[0, 1], 2), layer)
}
