//! Making decision layers: what methods learn, which epoch is kept, what a session says of it, what
//! a patch holds, and what is refused.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod autotraits;
mod data;
mod epochs;
mod kept;
mod learning;
mod mend;
mod methods;
mod methods_by_hand;
mod patch;
mod record;
mod refusals;
mod rivals;
mod session;
mod tuning;
mod verdict;

use burn::tensor::Device;
use ndarray::array;
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Observer, Silent};
use neuroinspect_editing::{
    DecisionMethod, DeviceTable, EditConfig, EditScope, Fitted, MethodInput, RatioEdit, Result,
    Retrain, Storage, TrainingConfig,
};
use neuroinspect_testing::tables::{layer, neuron_ids, table};

fn fit(
    method: &dyn DecisionMethod,
    [train, validation]: [&FeatureTable; 2],
    layer: &DecisionLayer,
    observer: &mut dyn Observer,
) -> Result<Fitted> {
    let on_device = |table: &FeatureTable| {
        DeviceTable::new(table.clone(), &Device::flex(), Storage::Device).unwrap()
    };
    let (train, validation) = (on_device(train), on_device(validation));
    let input = MethodInput::new(&train, &validation, layer)?;
    method.fit(&input, observer)
}

/// The ratio edit of some neurons.
fn ratio_edit(neurons: &[usize], scope: EditScope, config: &EditConfig) -> RatioEdit {
    RatioEdit::new(neuron_ids(neurons), scope).with_config(config.clone())
}

/// Trained and validated on one table, away from neuron 0 in class 0.
fn trained(table: &FeatureTable, layer: &DecisionLayer, config: &EditConfig) -> Fitted {
    let edit = ratio_edit(&[0], EditScope::Class(ClassId(0)), config);
    fit(&edit, [table, table], layer, &mut Silent).unwrap()
}

/// Trained and validated on one table, by cross-entropy alone.
fn retrained(table: &FeatureTable, layer: &DecisionLayer, training: &TrainingConfig) -> Fitted {
    let retrain = Retrain::new(training.clone());
    fit(&retrain, [table, table], layer, &mut Silent).unwrap()
}

/// Default options but for the training.
fn training(change: impl FnOnce(TrainingConfig) -> TrainingConfig) -> EditConfig {
    EditConfig::default().with_training(change(TrainingConfig::default()))
}

/// A table whose two samples no step of training in a test can turn, and a layer for it.
fn settled() -> (FeatureTable, DecisionLayer) {
    let layer = layer(array![[9.0, 0.0], [0.0, 9.0]]);
    (table(array![[1.0, 0.0], [0.0, 1.0]], &[0, 1], 2), layer)
}
