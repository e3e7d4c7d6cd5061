//! The descent against a plain implementation in double precision, and its invariants.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView1, array};
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, Progress, Silent, is_cancellation,
};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Error, Explanation, Floor, PenaltyScale, RankingConfig, rank,
};
use neuroinspect_testing::tables::{layer, table as labelled};
use proptest::{collection::vec, prelude::*};

use crate::{explain, explain_features, explain_with, explainer};

fn run(
    features: &Array2<f32>,
    layer: &DecisionLayer,
    class: ClassId,
    config: &CounterfactualConfig,
) -> Explanation {
    explain_features(features.view(), layer, class, config).unwrap()
}

/// Eq. 1 as a textbook would have it: one sample, a loop, double precision. Returns the shift, the
/// steps, and the least gap between the two largest logits seen at any test for a flip.
fn by_hand(
    feature: ArrayView1<'_, f32>,
    layer: &DecisionLayer,
    class: usize,
    config: &CounterfactualConfig,
) -> (Array1<f64>, Option<usize>, f64) {
    let weight = layer.weight().mapv(f64::from);
    let bias = layer.bias().mapv(f64::from);
    let feature = feature.mapv(f64::from);
    let scale = match config.penalty_scale {
        PenaltyScale::PerNeuron => 1.0 / feature.len() as f64,
        PenaltyScale::Unscaled => 1.0,
    };
    let mut shift = Array1::<f64>::zeros(feature.len());
    let mut velocity = Array1::<f64>::zeros(feature.len());
    let mut closest = f64::INFINITY;
    for step in 1..=config.max_steps {
        let logits = weight.dot(&(&feature + &shift)) + &bias;
        let largest = logits.fold(f64::MIN, |a, &b| a.max(b));
        let mut residual = (logits - largest).exp();
        residual /= residual.sum();
        residual[class] -= 1.0;
        let norm = shift.dot(&shift).sqrt();
        let sign = |w: &f64| if *w == 0.0 { 0.0 } else { w.signum() };
        let mut gradient = residual.dot(&weight);
        gradient += &(shift.map(sign) * config.lambda1 * scale);
        if norm > 0.0 {
            gradient += &(&shift * (config.lambda2 * scale / norm));
        }
        velocity = velocity * config.momentum + gradient;
        shift -= &(&velocity * config.learning_rate);
        if config.floor == Floor::Zero {
            shift.zip_mut_with(&feature, |shift, feature| *shift = shift.max(-feature));
        }
        let logits = weight.dot(&(&feature + &shift)) + &bias;
        let others = (0..logits.len()).filter(|&k| k != class);
        let rival = others.map(|k| logits[k]).fold(f64::MIN, f64::max);
        closest = closest.min((logits[class] - rival).abs());
        if logits[class] > rival {
            return (shift, Some(step), closest);
        }
    }
    (shift, None, closest)
}

pub(crate) fn problem() -> impl Strategy<Value = (Array2<f32>, DecisionLayer, ClassId)> {
    (1_usize..12, 2_usize..6, 1_usize..9).prop_flat_map(|(samples, classes, neurons)| {
        let features = vec(0.0_f32..2.0, samples * neurons);
        let weight = vec(-1.0_f32..1.0, classes * neurons);
        let bias = vec(-0.5_f32..0.5, classes);
        (features, weight, bias, 0..classes).prop_map(move |(features, weight, bias, class)| {
            let features = Array2::from_shape_vec((samples, neurons), features).unwrap();
            let weight = Array2::from_shape_vec((classes, neurons), weight).unwrap();
            let layer = DecisionLayer::new(weight, bias.into()).unwrap();
            (features, layer, ClassId(class))
        })
    })
}

fn config() -> impl Strategy<Value = CounterfactualConfig> {
    let choices = any::<[bool; 2]>();
    (0.0_f64..0.2, 0.0_f64..0.2, 1_usize..150, choices).prop_map(|(l1, l2, steps, choices)| {
        let [scaled, floored] = choices;
        let scale = if scaled {
            PenaltyScale::PerNeuron
        } else {
            PenaltyScale::Unscaled
        };
        CounterfactualConfig::default()
            .with_lambda1(l1)
            .with_lambda2(l2)
            .with_max_steps(steps)
            .with_penalty_scale(scale)
            .with_floor(if floored { Floor::Zero } else { Floor::None })
    })
}

/// Below this gap of logits (which are of size 10 at most), rounding in single precision can
/// decide whether a sample has flipped.
const TIE: f64 = 1e-4;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_descent_of_the_paper((features, layer, class) in problem(), config in config()) {
        let explanation = run(&features, &layer, class, &config);
        for (row, sample) in explanation.counterfactuals.iter().enumerate() {
            if sample.predicted == class {
                prop_assert_eq!((sample.steps, sample.flipped), (0, true));
                prop_assert!(explanation.shifts.row(row).iter().all(|&w| w == 0.0));
                continue;
            }
            let (shift, steps, closest) = by_hand(features.row(row), &layer, class.0, &config);
            if closest < TIE {
                continue;
            }
            prop_assert_eq!(sample.steps, steps.unwrap_or(config.max_steps));
            prop_assert_eq!(sample.flipped, steps.is_some());
            // The sign of a weight that hovers about 0 may differ by rounding, and with it both
            // penalties' pull, the second's where the whole shift is near 0: by
            // learning_rate / (1 - momentum) * (lambda1 + lambda2) <= 0.04 * scale at most from then
            // on; penalties alone do that, so the bound is on them.
            let scale = if config.penalty_scale == PenaltyScale::Unscaled { 1.0 } else { 1.0 / layer.neurons() as f64 };
            let hover = 2.0 * 0.1 * (config.lambda1 + config.lambda2) * scale;
            for (ours, theirs) in explanation.shifts.row(row).iter().zip(&shift) {
                let error = (f64::from(*ours) - theirs).abs();
                prop_assert!(error < 1e-4 || (theirs.abs() < 2.0 * hover && error < hover), "{} for {}", ours, theirs);
            }
        }
    }

    #[test]
    fn the_split_into_batches_is_no_matter((features, layer, class) in problem(), batch in 1_usize..12) {
        let config = CounterfactualConfig::default().with_max_steps(150);
        let whole = run(&features, &layer, class, &config);
        let split = run(&features, &layer, class, &config.with_batch_size(batch));
        for row in 0..features.nrows() {
            let (a, b) = (whole.counterfactuals[row], split.counterfactuals[row]);
            // A matrix product may add in another order at another height, by 1e-6 in logits; that
            // decides a step only where two logits meet as closely.
            if a.steps == b.steps {
                prop_assert_eq!(a, b);
                let error = (&whole.shifts.row(row) - &split.shifts.row(row)).fold(0.0, |m: f32, e| m.max(e.abs()));
                prop_assert!(error < 1e-5, "row {}: {}", row, error);
            } else {
                let (_, _, closest) = by_hand(features.row(row), &layer, class.0, &CounterfactualConfig::default().with_max_steps(150));
                prop_assert!(closest < TIE, "row {}: {:?} for {:?}", row, b, a);
            }
        }
    }

    #[test]
    fn a_flipped_sample_is_given_the_class((features, layer, class) in problem()) {
        let explanation = run(&features, &layer, class, &CounterfactualConfig::default());
        let logits = layer.logits((&features + &explanation.shifts).view()).unwrap();
        for (row, sample) in explanation.counterfactuals.iter().enumerate() {
            let largest = logits.row(row).fold(f32::MIN, |a, &b| a.max(b));
            // Up to the rounding of logits summed on the host instead of the device.
            let behind = largest - logits[[row, class.0]];
            prop_assert!(!sample.flipped || behind < 1e-5, "behind by {}", behind);
            prop_assert_eq!(sample.predicted, layer.predict(features.view()).unwrap()[row]);
        }
    }
}

/// Class 0 leans on neuron 0 and class 1 on neuron 1; rows 1 and 3 are mistakes of class 0.
fn table() -> (FeatureTable, DecisionLayer) {
    let layer = layer(array![[1.0, 0.0], [0.0, 1.0], [-9.0, -9.0]]);
    let features = array![[1.0, 0.2], [0.2, 1.0], [0.1, 0.9], [0.5, 0.6]];
    (labelled(features, &[0, 0, 1, 0], 3), layer)
}

#[test]
fn the_mistakes_of_a_class_are_explained_by_row() {
    let (table, layer) = table();
    let explanation = explain(&table, &layer).unwrap();
    let samples: Vec<usize> = explanation
        .counterfactuals
        .iter()
        .map(|sample| sample.sample)
        .collect();
    assert_eq!(samples, [1, 3]);
    assert!(
        explanation
            .counterfactuals
            .iter()
            .all(|sample| sample.flipped && sample.predicted == ClassId(1))
    );
    // The nearer sample flips sooner, and both by more of neuron 0 and less of neuron 1.
    assert!(explanation.counterfactuals[1].steps < explanation.counterfactuals[0].steps);
    assert!(explanation.shifts.column(0).iter().all(|&w| w > 0.0));
    assert!(explanation.shifts.column(1).iter().all(|&w| w < 0.0));
}

/// The mistake needs less of neuron 1 than there is of it: the rest is made up for by more of neuron 0. One
/// activation below 0, of whatever sample, and there is no floor, unless it was asked for.
#[test]
fn activations_stay_at_or_above_the_floor() {
    let weight = array![[1.0, 0.0], [0.0, 3.0]];
    let layer = DecisionLayer::new(weight, array![0.0, 1.0]).unwrap();
    let run = |least: f32, floor| {
        let table = labelled(array![[0.0, 0.1], [least, 0.1]], &[0, 1], 2);
        let config = CounterfactualConfig::default().with_floor(floor);
        explain_with(&table, &layer, &config, &mut Silent)
    };
    let found = |least: f32, floor| {
        let explanation = run(least, floor).unwrap();
        assert!(explanation.counterfactuals[0].flipped);
        explanation.shifts[[0, 1]]
    };
    assert!(found(0.0, Floor::None) < -0.1);
    assert_eq!(found(0.0, Floor::Automatic), -0.1);
    assert!(found(-1.0, Floor::Automatic) < -0.1);
    let error = run(-1.0, Floor::Zero).unwrap_err();
    assert!(
        matches!(&error, Error::BelowFloor { sample, .. } if sample == "1"),
        "{error}"
    );
}

#[test]
fn another_layer_has_other_mistakes() {
    let (table, layer) = table();
    let lenient = DecisionLayer::new(layer.weight().to_owned(), array![0.5, 0.0, 0.0]).unwrap();
    let explanation = explain(&table, &lenient).unwrap();
    assert_eq!(
        explanation.counterfactuals.len(),
        1,
        "row 3 is right by the layer given"
    );
}

#[test]
fn a_sample_that_cannot_flip_is_reported_with_its_shift() {
    let config = CounterfactualConfig::default().with_max_steps(37);
    // Classes that differ in their bias alone, where no shift helps, and in a bias that is out of
    // reach within the steps.
    let alike = DecisionLayer::new(array![[1.0, 1.0], [1.0, 1.0]], array![0.0, 1.0]).unwrap();
    let far = DecisionLayer::new(array![[1.0, 0.0], [0.0, 0.5]], array![0.0, 99.0]).unwrap();
    for (layer, moves) in [(alike, false), (far, true)] {
        let features = array![[1.0, 1.0]];
        let explanation = run(&features, &layer, ClassId(0), &config);
        let sample = explanation.counterfactuals[0];
        assert_eq!((sample.steps, sample.flipped), (37, false));
        let (shift, flip, _) = by_hand(features.row(0), &layer, 0, &config);
        assert_eq!(flip, None);
        for (ours, theirs) in explanation.shifts.row(0).iter().zip(&shift) {
            // Single precision over 37 steps, of values near 10.
            assert!((f64::from(*ours) - theirs).abs() < 1e-3, "{ours} {theirs}");
            assert_eq!(theirs.abs() > 0.1, moves, "{theirs}");
        }
    }
}

#[test]
fn what_cannot_be_explained_is_an_error() {
    let (table, layer) = table();
    let attempt = |class, layer: &DecisionLayer| {
        let explainer = explainer(&CounterfactualConfig::default());
        explainer
            .explain(
                &table.predicted_by(layer).unwrap(),
                ClassId(class),
                &mut Silent,
            )
            .unwrap_err()
    };
    let error = attempt(1, &layer);
    assert!(matches!(
        error,
        Error::NoMistakes {
            class: ClassId(1),
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "class 1 ('class 1') has no mistakes here: there is nothing to explain; choose another class"
    );
    assert!(matches!(
        attempt(2, &layer),
        Error::Core(CoreError::EmptyClass { .. })
    ));
    assert!(matches!(
        attempt(3, &layer),
        Error::Core(CoreError::ClassOutOfRange { .. })
    ));
}

#[test]
fn features_that_do_not_fit_are_refused() {
    let (_, layer) = table();
    let config = CounterfactualConfig::default();
    let attempt = |features: Array2<f32>, class| {
        explain_features(features.view(), &layer, ClassId(class), &config)
    };
    assert!(matches!(
        attempt(array![[1.0]], 0),
        Err(Error::Core(CoreError::Shape { .. }))
    ));
    assert!(matches!(
        attempt(array![[1.0, 1.0]], 3),
        Err(Error::Core(CoreError::ClassOutOfRange { .. }))
    ));
    assert!(matches!(
        attempt(array![[1.0, f32::NAN]], 0),
        Err(Error::Core(CoreError::NotFinite { .. }))
    ));
    assert_eq!(
        attempt(Array2::zeros((0, 2)), 0).unwrap().counterfactuals,
        []
    );
}

#[test]
fn a_descent_that_runs_off_is_an_error() {
    let (table, layer) = table();
    let table = table.select(&[0, 3]).unwrap();
    // Beyond single precision.
    let config = CounterfactualConfig::default().with_learning_rate(1e300);
    let result = explain_with(&table, &layer, &config, &mut Silent);
    assert!(
        matches!(&result, Err(Error::Diverged { sample, .. }) if sample == "3"),
        "{result:?}"
    );
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let default = CounterfactualConfig::default;
    for (option, config) in [
        ("lambda1", default().with_lambda1(-0.1)),
        ("lambda2", default().with_lambda2(f64::NAN)),
        ("learning_rate", default().with_learning_rate(0.0)),
        ("learning_rate", default().with_learning_rate(f64::INFINITY)),
        ("momentum", default().with_momentum(1.0)),
        ("max_steps", default().with_max_steps(0)),
        ("batch_size", default().with_batch_size(0)),
    ] {
        let error = config.validate().unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
    default().validate().unwrap();
    CounterfactualConfig::original().validate().unwrap();
}

#[test]
fn the_observer_counts_samples_and_can_stop() {
    let (table, layer) = table();
    let config = CounterfactualConfig::default().with_batch_size(1);
    let mut seen = Vec::new();
    let mut watch = |progress: Progress<'_>| {
        seen.push((progress.done, progress.total));
        ControlFlow::Continue(())
    };
    explain_with(&table, &layer, &config, &mut watch).unwrap();
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(2, 2)));

    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let stopped = explain_with(&table, &layer, &config, &mut stop);
    assert!(is_cancellation(&stopped.unwrap_err()));
    // Of work that is done there is nothing left to stop.
    let mut stop_at_the_end = |progress: Progress<'_>| match progress.done == progress.total {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    explain_with(&table, &layer, &config, &mut stop_at_the_end).unwrap();
}

/// As text, shifts would be as long as a table of features.
#[test]
fn an_explanation_survives_json_but_for_its_shifts() {
    let (table, layer) = table();
    let mut explanation = explain(&table, &layer).unwrap();
    let json = serde_json::to_string(&explanation).unwrap();
    explanation.shifts = Default::default();
    let read: Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!(read, explanation);
    let mean = table.mean_features().unwrap();
    let error = rank(&read, &layer, mean.view(), &RankingConfig::default()).unwrap_err();
    assert!(matches!(error, Error::NoShifts { class: ClassId(0) }));
    assert!(error.to_string().ends_with("explain the mistakes again"));
}
