//! Explanation and ranking: against the authors' values, by hand, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are tests.

mod autotraits;
mod certified;
mod descent;
mod ranking;
mod reference;
mod stability;

use burn::tensor::Device;
use ndarray::ArrayView2;
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Observer, Silent};
use neuroinspect_counterfactual::{CounterfactualConfig, Explainer, Explanation, Result};

fn explainer(config: &CounterfactualConfig) -> Explainer {
    Explainer::new(&Device::flex()).with_config(config.clone())
}

fn explain_features(
    features: ArrayView2<'_, f32>,
    layer: &DecisionLayer,
    class: ClassId,
    config: &CounterfactualConfig,
) -> Result<Explanation> {
    explainer(config).explain_features(features, layer, class, &mut Silent)
}

/// Explains the mistakes of class 0 with default options.
fn explain(table: &FeatureTable, layer: &DecisionLayer) -> Result<Explanation> {
    explain_with(table, layer, &CounterfactualConfig::default(), &mut Silent)
}

fn explain_with(
    table: &FeatureTable,
    layer: &DecisionLayer,
    config: &CounterfactualConfig,
    observer: &mut dyn Observer,
) -> Result<Explanation> {
    explainer(config).explain(&table.predicted_by(layer)?, ClassId(0), observer)
}
