//! Concepts and labels: against scikit-learn, PyTorch and the published algorithms, with planted truth, by
//! what always holds, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests.

mod autotraits;
mod banks;
mod golden;
mod labels;
mod planted;
mod properties;

use ndarray::{Array1, Array2, ArrayView2};
use neuroinspect_concepts::{
    ConceptRequest, ConceptVector, LearningConfig, Margins, Result, learn_concept,
};
use neuroinspect_core::Silent;
use neuroinspect_testing::fill::formula;

/// Numbers in `[0, 1)`, as `made` in tools/golden_concepts.py.
fn made(name: &str, rows: usize, columns: usize) -> Array2<f32> {
    let values = formula(name, rows * columns).map(|value| value as f32);
    Array2::from_shape_vec((rows, columns), values.collect()).unwrap()
}

fn made_vector(name: &str, length: usize) -> Array1<f32> {
    formula(name, length).map(|value| value as f32).collect()
}

fn learn(
    name: &str,
    positives: ArrayView2<'_, f32>,
    negatives: ArrayView2<'_, f32>,
    config: &LearningConfig,
) -> Result<ConceptVector> {
    let request = ConceptRequest {
        name,
        positives,
        negatives,
    };
    learn_concept(&request, config, &mut Silent)
}

/// A concept that is a direction and no more.
fn concept(name: &str, vector: impl Into<Array1<f32>>) -> ConceptVector {
    ConceptVector {
        name: name.to_owned(),
        vector: vector.into(),
        intercept: 0.0,
        margins: Margins {
            max: 1.0,
            min: -1.0,
            pos_mean: Some(0.5),
            neg_mean: Some(-0.5),
            q_90: 0.9,
            q_10: -0.9,
        },
        train_accuracy: None,
        test_accuracy: None,
        mean_features: None,
    }
}
