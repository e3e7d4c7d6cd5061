//! What always holds.

use burn::tensor::Device;
use ndarray::{Array1, Array2, Axis};
use neuroinspect_concepts::{
    ConceptBank, ConceptCounterfactualConfig, ConceptExplainer, LearningConfig, Validity,
    rank_concepts,
};
use neuroinspect_core::{ClassId, Silent};
use neuroinspect_testing::tables::random_layer;
use proptest::prelude::*;

use crate::{concept, learn, made};

const NEURONS: usize = 5;

/// What a support vector machine minimises, `|v|^2 / 2 + C sum_i max(0, 1 - y_i (v . f_i + b))`.
fn objective(vector: &Array1<f64>, intercept: f64, sides: &[(f64, &Array2<f32>)], c: f64) -> f64 {
    let errors = sides.iter().flat_map(|(label, side)| {
        let values = side.mapv(f64::from).dot(vector) + intercept;
        values
            .into_iter()
            .map(move |value| (1.0 - label * value).max(0.0))
    });
    vector.dot(vector) / 2.0 + c * errors.sum::<f64>()
}

/// Learns of samples that overlap, and tries hyperplanes around what is learnt.
fn check_optimum(seed: u32, side: usize, scale: f32) -> Result<(), TestCaseError> {
    let positives = (made(&format!("p{seed}"), side, NEURONS) + 0.2) * scale;
    let negatives = made(&format!("n{seed}"), side, NEURONS) * scale;
    let config = LearningConfig::default();
    let learned = learn("blurred", positives.view(), negatives.view(), &config).unwrap();
    let (vector, intercept) = (learned.vector.mapv(f64::from), f64::from(learned.intercept));
    let sides = [(1.0, &positives), (-1.0, &negatives)];
    let of = |vector: &Array1<f64>, intercept| {
        objective(vector, intercept, &sides, config.regularization)
    };
    // The bank's numbers are single precision, of which some hundred products are made.
    let least = of(&vector, intercept) * (1.0 - 1e-5);
    let step = 0.01 * vector.dot(&vector).sqrt();
    for step in [step, -step] {
        for neuron in 0..NEURONS {
            let mut other = vector.clone();
            other[neuron] += step;
            prop_assert!(of(&other, intercept) >= least);
        }
        let other = intercept + step * f64::from(scale);
        prop_assert!(of(&vector, other) >= least);
    }
    Ok(())
}

/// Pairs of multipliers alone do not come to the end here in ten million steps.
#[test]
fn samples_that_nearly_depend_on_each_other_are_learned_from() {
    for (seed, side) in [(125, 23), (142, 14), (678, 19)] {
        check_optimum(seed, side, 1e4).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However large features are, and though no hyperplane tells the sides apart.
    #[test]
    fn what_is_learned_is_the_optimum(seed in 0_u32..1000, side in 8_usize..24, scale in prop::sample::select(vec![1.0_f32, 1e4])) {
        check_optimum(seed, side, scale)?;
    }

    /// Samples apart by a gap are told apart without a mistake, the hyperplane's normal points to the positive
    /// ones, and all in the order of any shuffle.
    #[test]
    fn samples_that_are_apart_are_told_apart(seed in 0_u32..1000, gap in 0.5_f32..3.0, side in 3_usize..12) {
        let positives = made(&format!("p{seed}"), side, NEURONS) + gap + 1.0;
        let negatives = made(&format!("n{seed}"), side, NEURONS);
        let config = LearningConfig::default().with_regularization(1e4).with_samples(2 * side);
        let learned = learn("apart", positives.view(), negatives.view(), &config).unwrap();
        prop_assert_eq!(learned.train_accuracy, Some(1.0));
        prop_assert!(learned.distances(positives.view()).iter().all(|&it| it > 0.0));
        prop_assert!(learned.distances(negatives.view()).iter().all(|&it| it < 0.0));
        let margins = learned.margins;
        prop_assert!(margins.min <= margins.q_10 && margins.q_10 <= margins.q_90 && margins.q_90 <= margins.max);
        // What is learned of the opposite is the opposite.
        let reversed = learn("apart", negatives.view(), positives.view(), &config).unwrap();
        for (one, other) in learned.vector.iter().zip(&reversed.vector) {
            prop_assert!((one + other).abs() < 1e-4 * (1.0 + one.abs()), "{} {}", one, other);
        }
    }

    /// Weights stay between their bounds: no concept is added that is there, or taken away that is not.
    #[test]
    fn bounds_hold(seed in 0_u32..1000, zero in any::<bool>()) {
        let vectors = made(&format!("v{seed}"), 4, NEURONS) - 0.5;
        let concepts = vectors.rows().into_iter().enumerate();
        let concepts = concepts.map(|(index, row)| concept(&index.to_string(), row.to_owned()));
        let bank = ConceptBank::new(concepts.collect()).unwrap();
        let layer = random_layer(3, NEURONS);
        let features = made(&format!("f{seed}"), 6, NEURONS) * 4.0 - 2.0;
        let validity = if zero { Validity::KappaZero } else { Validity::KappaMean };
        let config = ConceptCounterfactualConfig::default().with_validity(validity);
        let explain = |features: &Array2<f32>| {
            ConceptExplainer::new(&bank, &Device::flex())
                .with_config(config.clone())
                .explain_features(features.view(), &layer, ClassId(0), &mut Silent)
                .unwrap()
        };
        let explanation = explain(&features);
        let kappa = if zero { 0.0 } else { 0.5 };
        for (index, concept) in bank.concepts().iter().enumerate() {
            let distances = concept.distances(features.view());
            for (&distance, &weight) in distances.iter().zip(explanation.weights.column(index)) {
                prop_assert!(distance <= kappa || weight <= 0.0, "{} {}", distance, weight);
                prop_assert!(distance >= -kappa || weight >= 0.0, "{} {}", distance, weight);
                // Where the concept is moved, not beyond the largest and smallest margins.
                let moved = distance + weight;
                prop_assert!(weight <= 0.0 || moved <= 1.0 + 1e-4);
                prop_assert!(weight >= 0.0 || moved >= -1.0 - 1e-4);
            }
        }
        // A sample's weights do not depend on the others.
        let alone = explain(&features.select(Axis(0), &[4]));
        for (one, other) in alone.weights.iter().zip(explanation.weights.row(4)) {
            prop_assert!((one - other).abs() < 1e-6);
        }
        // Every mistake has three first concepts.
        let ranking = rank_concepts(&explanation, 3).unwrap();
        let hits: f64 = ranking.concepts.iter().map(|it| it.prec_at_k).sum();
        prop_assert!((hits - 3.0).abs() < 1e-9);
        let ranks: f64 = ranking.concepts.iter().map(|it| it.mean_rank).sum();
        prop_assert!((ranks - 10.0).abs() < 1e-9);
    }
}
