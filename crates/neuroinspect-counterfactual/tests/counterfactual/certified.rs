//! The smallest changes: against closed forms, an exhaustive search and the descent, and what is
//! refused.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayView1, Axis, array};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Progress, Silent, is_cancellation};
use neuroinspect_counterfactual::{
    Certificate, CertifiedConfig, CertifiedExplanation, CounterfactualConfig, Error, Explanation,
    Floor, Outcome, RankingConfig, certify, rank,
};
use neuroinspect_testing::{
    fill,
    tables::{layer, random_layer, random_table, table},
};
use proptest::prelude::*;

use crate::{descent::problem, explain_with, explainer};

/// The smallest changes of rows that are all of one class, where some are mistakes.
fn smallest(
    features: &Array2<f32>,
    layer: &DecisionLayer,
    class: ClassId,
    config: &CertifiedConfig,
) -> Option<CertifiedExplanation> {
    let table = table(
        features.clone(),
        &vec![class.0; features.nrows()],
        layer.classes(),
    );
    match certify(
        &table.predicted_by(layer).unwrap(),
        class,
        config,
        &mut Silent,
    ) {
        Ok(explanation) => Some(explanation),
        Err(Error::NoMistakes { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn free() -> CertifiedConfig {
    CertifiedConfig::default().with_floor(Floor::None)
}

/// The least lead of a class over the others, in double precision.
fn lead(layer: &DecisionLayer, features: &Array1<f64>, class: usize) -> f64 {
    let logits = layer.weight().mapv(f64::from).dot(features) + layer.bias().mapv(f64::from);
    let others = (0..logits.len()).filter(|&k| k != class);
    others
        .map(|k| logits[class] - logits[k])
        .fold(f64::INFINITY, f64::min)
}

fn length(shift: ArrayView1<'_, f32>) -> f64 {
    shift
        .iter()
        .map(|&w| f64::from(w).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// The smallest change by looking at every set of constraints that may hold with equality: the shortest
/// of the points that are the nearest of such a set and fulfil all constraints. Constraints are rows
/// `a` with `a.w >= r`.
fn by_hand(constraints: &[(Array1<f64>, f64)]) -> Option<f64> {
    let mut best: Option<f64> = None;
    for set in 0..1_u32 << constraints.len() {
        let rows: Vec<_> = (constraints.iter().enumerate())
            .filter(|(index, _)| set >> index & 1 == 1)
            .map(|(_, constraint)| constraint)
            .collect();
        let neurons = constraints[0].0.len();
        let Some(shift) = nearest_of(&rows, neurons) else {
            continue;
        };
        // Once more for what rounding left of rows that nearly depend on each other.
        let rest = rows
            .iter()
            .map(|(row, needed)| (row.clone(), needed - row.dot(&shift)));
        let rest: Vec<_> = rest.collect();
        let correction = nearest_of(&rest.iter().collect::<Vec<_>>(), neurons);
        let shift = correction.map_or(shift.clone(), |correction| shift + correction);
        let holds = |(row, needed): &(Array1<f64>, f64)| row.dot(&shift) >= needed - 1e-9;
        if constraints.iter().all(holds) {
            let length = shift.dot(&shift).sqrt();
            best = Some(best.map_or(length, |best| best.min(length)));
        }
    }
    best
}

/// The shortest `w` with `a.w = r` for all rows, by Gauss's elimination of `A A^T u = r`; none where the
/// rows depend on each other.
fn nearest_of(rows: &[&(Array1<f64>, f64)], neurons: usize) -> Option<Array1<f64>> {
    let count = rows.len();
    let mut system: Vec<Vec<f64>> = (rows.iter())
        .map(|(row, needed)| {
            let products = rows.iter().map(|(other, _)| row.dot(other));
            products.chain([*needed]).collect()
        })
        .collect();
    for pivot in 0..count {
        let largest = (pivot..count)
            .max_by(|&a, &b| system[a][pivot].abs().total_cmp(&system[b][pivot].abs()))?;
        system.swap(pivot, largest);
        if system[pivot][pivot].abs() < 1e-10 {
            return None;
        }
        for row in (0..count).filter(|&row| row != pivot) {
            let factor = system[row][pivot] / system[pivot][pivot];
            let above = system[pivot].clone();
            for (value, above) in system[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
        }
    }
    let mut shift = Array1::zeros(neurons);
    for (index, (row, _)) in rows.iter().enumerate() {
        shift.scaled_add(system[index][count] / system[index][index], row);
    }
    Some(shift)
}

/// The constraints of one sample, those of a floor among them.
fn constraints(
    features: ArrayView1<'_, f32>,
    layer: &DecisionLayer,
    class: usize,
    floor: bool,
) -> Vec<(Array1<f64>, f64)> {
    let (weight, features) = (layer.weight().mapv(f64::from), features.mapv(f64::from));
    let logits = weight.dot(&features) + layer.bias().mapv(f64::from);
    let rivals = (0..logits.len()).filter(|&k| k != class);
    let mut all: Vec<_> = rivals
        .map(|k| {
            (
                &weight.row(class) - &weight.row(k),
                logits[k] - logits[class],
            )
        })
        .collect();
    if floor {
        all.extend((0..features.len()).map(|neuron| {
            let mut unit = Array1::zeros(features.len());
            unit[neuron] = 1.0;
            (unit, -features[neuron])
        }));
    }
    all
}

/// Few enough constraints for every set of them to be looked at.
fn small() -> impl Strategy<Value = (Array2<f32>, DecisionLayer, ClassId)> {
    problem().prop_filter("small", |(features, layer, _)| {
        layer.classes() - 1 + features.ncols() <= 9
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_is_the_best_of_all_sets_of_constraints((features, layer, class) in small(), floor in any::<bool>()) {
        let config = free().with_floor(if floor { Floor::Zero } else { Floor::None });
        let Some(found) = smallest(&features, &layer, class, &config) else { return Ok(()) };
        prop_assert_eq!(found.non_negative, floor);
        for certificate in &found.certificates {
            let row = features.row(certificate.sample);
            let best = by_hand(&constraints(row, &layer, class.0, floor));
            match (certificate.outcome, best) {
                (Outcome::Certified, Some(best)) => {
                    let length = certificate.length.unwrap();
                    prop_assert!(certificate.at_least <= best * (1.0 + 1e-9) + 1e-9, "{:?} for {}", certificate, best);
                    prop_assert!(length >= best * (1.0 - 1e-6) - 1e-9, "{:?} for {}", certificate, best);
                    prop_assert!(length <= best * 1.01 + 1e-9, "{:?} for {}", certificate, best);
                }
                // The lower bound is one, whatever else is not known.
                (Outcome::Open, Some(best)) => {
                    prop_assert!(certificate.at_least <= best * (1.0 + 1e-9) + 1e-9, "{:?} for {}", certificate, best);
                    // Open are those that the margin takes into a corner, which are rare.
                    prop_assert!(
                        best < 1e-3 || certificate.length.is_some_and(|length| length >= best * (1.0 - 1e-6)),
                        "{:?} for {}", certificate, best
                    );
                }
                (Outcome::Impossible, best) => prop_assert!(best.is_none_or(|best| best > 1e3), "{:?}", best),
                (_, None) => prop_assert!(certificate.length.is_none_or(|length| length > 1e3), "{:?}", certificate),
            }
        }
    }

    #[test]
    fn it_is_feasible_and_never_longer_than_the_descents(
        (features, layer, class) in problem(),
        floor in any::<bool>(),
    ) {
        let config = free().with_floor(if floor { Floor::Zero } else { Floor::None });
        let Some(found) = smallest(&features, &layer, class, &config) else { return Ok(()) };
        let table = table(features.clone(), &vec![class.0; features.nrows()], layer.classes());
        let descent = crate::explainer(&CounterfactualConfig::default())
            .explain(&table.predicted_by(&layer).unwrap(), class, &mut Silent)
            .unwrap();
        for (row, certificate) in found.certificates.iter().enumerate() {
            let Certificate { sample, outcome, length: claimed, at_least, .. } = *certificate;
            let (original, shift) = (features.row(sample), found.shifts.row(row));
            let Some(claimed) = claimed else {
                prop_assert!(shift.iter().all(|&w| w == 0.0));
                continue;
            };
            let changed = original.mapv(f64::from) + shift.mapv(f64::from);
            prop_assert!(lead(&layer, &changed, class.0) > 0.0, "{:?}", certificate);
            prop_assert!(!floor || changed.iter().all(|&value| value >= 0.0), "{}", changed);
            prop_assert!((length(shift) - claimed).abs() <= 1e-12 * claimed);
            prop_assert!(at_least <= claimed);
            prop_assert!(outcome == Outcome::Open || claimed <= at_least * 1.01);
            // The descent knows no floor.
            let (flipped, theirs) = (descent.counterfactuals[row].flipped, descent.shifts.row(row));
            prop_assert_eq!(descent.counterfactuals[row].sample, sample);
            let theirs_leads = lead(&layer, &(original.mapv(f64::from) + theirs.mapv(f64::from)), class.0) >= 0.0;
            if !floor && flipped && theirs_leads {
                prop_assert!(at_least <= length(theirs) * (1.0 + 1e-9), "{:?}: {}", certificate, length(theirs));
                prop_assert!(outcome == Outcome::Open || claimed <= length(theirs) * 1.01);
            }
        }
    }
}

/// Between two classes and without a floor it is the distance from a plane.
#[test]
fn of_two_classes_it_is_the_distance_from_a_plane() {
    let layer = DecisionLayer::new(array![[1.0, 0.5], [-1.0, 2.0]], array![0.25, 0.5]).unwrap();
    let found = smallest(&array![[0.25, 1.0]], &layer, ClassId(0), &free()).unwrap();
    // Logits 1 and 2.25; the rows differ by [2, -1.5], whose length is 2.5.
    let certificate = found.certificates[0];
    assert_eq!(certificate.outcome, Outcome::Certified);
    assert!((certificate.at_least - 0.5).abs() < 1e-6, "{certificate:?}");
    let longer = certificate.length.unwrap() / 0.5;
    assert!(
        (longer - 1.001).abs() < 1e-5,
        "the margin is a thousandth: {longer}"
    );
    for (w, expected) in found.shifts.row(0).iter().zip([0.4, -0.3]) {
        assert!((w / expected - 1.001).abs() < 1e-5, "{w}");
    }
}

/// Neuron 1 cannot fall below 0, so that neuron 0 has to do the rest.
#[test]
fn an_activation_stays_at_or_above_zero() {
    let layer = layer(array![[1.0, 0.0], [0.0, 1.0]]);
    let features = array![[0.0, 1.0], [1.0, 3.0]];
    let both = |floor| {
        let found = smallest(&features, &layer, ClassId(0), &free().with_floor(floor)).unwrap();
        let lengths = found.certificates.iter().map(|it| it.at_least);
        (found.non_negative, lengths.collect::<Vec<_>>())
    };
    let near = |found: Vec<f64>, expected: [f64; 2]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    };
    let half = 0.5_f64.sqrt();
    let (non_negative, lengths) = both(Floor::None);
    assert!(!non_negative);
    near(lengths, [half, 2.0 * half]);
    // Nothing is in the way here, and the floor is taken as all activations are at or above 0.
    let (non_negative, lengths) = both(Floor::Automatic);
    assert!(non_negative);
    near(lengths, [half, 2.0 * half]);

    let slow = DecisionLayer::new(array![[0.1, -1.0], [0.0, 0.0]], array![-1.0, 0.0]).unwrap();
    let found = |floor| {
        let config = free().with_floor(floor);
        let found = smallest(&array![[1.0, 0.5]], &slow, ClassId(0), &config).unwrap();
        (
            found.certificates[0].at_least,
            found.shifts.row(0).to_owned(),
        )
    };
    // Logits -1.4 and 0. Neuron 1 can give 0.5, and neuron 0 gives the other 0.9 at a tenth each.
    let (at_least, shift) = found(Floor::Zero);
    assert_eq!(shift[1], -0.5);
    assert!((at_least - 9.0_f64.hypot(0.5)).abs() < 1e-4, "{at_least}");
    let (at_least, shift) = found(Floor::None);
    assert!(
        (at_least - 1.4 / 1.01_f64.sqrt()).abs() < 1e-4,
        "{at_least}"
    );
    assert!(shift[1] < -1.3);
}

/// The gradient of half the squared distance to a convex region is the way there, with its sign turned.
#[test]
fn the_change_is_the_gradient_of_half_the_squared_distance() {
    let layer = random_layer(5, 6);
    let features = Array1::from(fill::normal("a point", 6));
    let class = ClassId(2);
    let config = free().with_margin(1e-6);
    let distance = |features: &Array1<f32>| {
        let features = features.clone().insert_axis(Axis(0));
        let found = smallest(&features, &layer, class, &config).expect("a mistake");
        (
            found.certificates[0].at_least,
            found.shifts.row(0).to_owned(),
        )
    };
    let (at, shift) = distance(&features);
    assert!(at > 0.1, "far enough away for a difference: {at}");
    for neuron in 0..6 {
        let step = 1e-2_f32;
        let moved = |by: f32| {
            let mut moved = features.clone();
            moved[neuron] += by;
            distance(&moved).0.powi(2) / 2.0
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let expected = -f64::from(shift[neuron]);
        assert!(
            (slope - expected).abs() < 2e-3 * at,
            "{neuron}: {slope} for {expected}"
        );
    }
}

#[test]
fn what_no_change_makes_right_is_said_to_be_impossible() {
    // Class 0 is the mean of the others, and behind by its bias.
    let between = DecisionLayer::new(
        array![[0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]],
        array![-1.0, 0.0, 0.0],
    );
    let found = smallest(&array![[1.0, 1.0]], &between.unwrap(), ClassId(0), &free()).unwrap();
    assert_eq!(found.certificates[0].outcome, Outcome::Impossible);
    assert_eq!(found.certificates[0].length, None);
    assert_eq!(found.certificates[0].at_least, 1e4);
    assert!(found.shifts.iter().all(|&w| w == 0.0));
    // Classes that differ in their bias alone.
    let alike = DecisionLayer::new(array![[1.0, 1.0], [1.0, 1.0]], array![0.0, 1.0]).unwrap();
    let found = smallest(&array![[1.0, 1.0]], &alike, ClassId(0), &free()).unwrap();
    assert_eq!(
        (
            found.count(Outcome::Impossible),
            found.count(Outcome::Certified)
        ),
        (1, 0)
    );
    // All activations fall for the class, which are 0 already.
    let least = DecisionLayer::new(array![[-1.0], [0.0]], array![-1.0, 0.0]).unwrap();
    let config = free().with_floor(Floor::Zero);
    let found = smallest(&array![[0.0]], &least, ClassId(0), &config).unwrap();
    assert_eq!(found.certificates[0].outcome, Outcome::Impossible);
    assert!(!found.explanation().counterfactuals[0].flipped);
}

#[test]
fn one_rival_is_outdone_alone() {
    let layer = layer(array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let features = array![[0.0, 1.0, 0.9], [0.0, 0.5, 1.0], [2.0, 1.0, 0.0]];
    let table = table(features, &[0, 0, 0], 3);
    let predicted = table.predicted_by(&layer).unwrap();
    let find = |config: &CertifiedConfig| certify(&predicted, ClassId(0), config, &mut Silent);
    let rivals: Vec<_> = find(&free())
        .unwrap()
        .certificates
        .iter()
        .map(|it| it.at_least)
        .collect();
    assert_eq!(rivals.len(), 2);
    let pairwise = find(&free().with_rival(ClassId(1))).unwrap();
    assert_eq!(pairwise.rival, Some(ClassId(1)));
    assert_eq!(pairwise.certificates.len(), 1);
    assert_eq!(pairwise.certificates[0].predicted, ClassId(1));
    // By half the gap up and down each; class 2 stays ahead, and is not asked about.
    let at_least = pairwise.certificates[0].at_least;
    assert!((at_least - 0.5_f64.sqrt()).abs() < 1e-5, "{at_least}");
    assert!(at_least < rivals[0]);
    let shift = pairwise.shifts.row(0);
    assert!(shift[0] > 0.5 && shift[1] < -0.5 && shift[2] == 0.0);
    let error = find(&free().with_rival(ClassId(0))).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoneTakenFor {
                rival: ClassId(0),
                ..
            }
        ),
        "{error}"
    );
    assert!(
        find(&free().with_rival(ClassId(3))).is_err(),
        "there is no class 3"
    );
}

#[test]
fn what_is_refused_is_named() {
    let layer = random_layer(3, 4);
    let below = table(array![[0.0; 4], [0.5, 0.1, -0.25, 0.0]], &[0, 0], 3);
    let below = below.select(&[1]).unwrap();
    let lose = DecisionLayer::new(layer.weight().to_owned(), array![-99.0, 0.0, 0.0]).unwrap();
    let predicted = below.predicted_by(&lose).unwrap();
    let find = |config: &CertifiedConfig| certify(&predicted, ClassId(0), config, &mut Silent);
    let error = find(&free().with_floor(Floor::Zero)).unwrap_err();
    assert!(
        (error.to_string()).contains("sample '1' has the activation -0.25 for neuron 2"),
        "{error}"
    );
    assert!(!find(&CertifiedConfig::default()).unwrap().non_negative);
    for (option, config) in [
        ("margin", free().with_margin(0.0)),
        ("tolerance", free().with_tolerance(1.0)),
        ("longest", free().with_longest(f64::NAN)),
    ] {
        let error = find(&config).unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
    let right = DecisionLayer::new(layer.weight().to_owned(), array![99.0, 0.0, 0.0]).unwrap();
    let predicted = below.predicted_by(&right).unwrap();
    let error = certify(&predicted, ClassId(0), &free(), &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoMistakes { .. }));
}

/// Mistakes of class 0 of `classes`, by a layer of random weights.
fn mistakes(samples: usize, classes: usize, neurons: usize) -> (FeatureTable, DecisionLayer) {
    let layer = random_layer(classes, neurons);
    (random_table("certified", samples, &layer), layer)
}

#[test]
fn the_observer_can_stop_it() {
    let (table, layer) = mistakes(400, 2, 8);
    let predicted = table.predicted_by(&layer).unwrap();
    let class = ClassId(usize::from(
        predicted.mistakes(ClassId(0)).unwrap().len() <= 64,
    ));
    let mut seen = Vec::new();
    let mut watch = |progress: Progress<'_>| {
        seen.push((progress.done, progress.total));
        ControlFlow::Continue(())
    };
    let found = certify(&predicted, class, &free(), &mut watch).unwrap();
    let total = found.certificates.len();
    assert!(
        seen.len() > 1 && seen.last() == Some(&(total, total)),
        "{seen:?}"
    );
    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let error = certify(&predicted, class, &free(), &mut stop).unwrap_err();
    assert!(is_cancellation(&error));
    // After the last one there is nothing left to stop.
    let mut stop_at_the_end = |progress: Progress<'_>| match progress.done == progress.total {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let finished = certify(&predicted, class, &free(), &mut stop_at_the_end).unwrap();
    assert_eq!(finished, found);
}

/// It takes no change to speak of to undo a tie, which nothing can be some times as long as.
#[test]
fn a_tie_is_left_out_of_how_many_times_as_long() {
    let layer = layer(array![[1.0, 0.0], [0.0, 1.0]]);
    let times = |features: Array2<f32>| {
        let labels = vec![1; features.nrows()];
        let table = table(features, &labels, 2);
        let config = CounterfactualConfig::default();
        let predicted = table.predicted_by(&layer).unwrap();
        let explanation = explainer(&config)
            .explain(&predicted, ClassId(1), &mut Silent)
            .unwrap();
        let config = CertifiedConfig::default().with_floor(Floor::None);
        let ranking = RankingConfig::default();
        let beside = config.beside(&explanation, &predicted, &ranking, &mut Silent);
        beside.unwrap().times_as_long
    };
    assert_eq!(times(array![[1.0, 1.0]]), None);
    let clear = times(array![[2.0, 1.0]]);
    assert!(clear.is_some());
    assert_eq!(times(array![[1.0, 1.0], [2.0, 1.0]]), clear);
}

#[test]
fn it_stands_beside_an_explanation() {
    let (table, layer) = mistakes(120, 4, 16);
    let predicted = table.predicted_by(&layer).unwrap();
    let explanation: Explanation = explain_with(
        &table,
        &layer,
        &CounterfactualConfig::default(),
        &mut Silent,
    )
    .unwrap();
    let ranking = RankingConfig::default();
    let config = CertifiedConfig::default();
    let beside = config
        .beside(&explanation, &predicted, &ranking, &mut Silent)
        .unwrap();
    assert_eq!(beside.ranking.mistakes, explanation.counterfactuals.len());
    assert!(beside.times_as_long.unwrap() >= 1.0 / 1.01);
    let mean = table.mean_features().unwrap();
    let listed = rank(&explanation, &layer, mean.view(), &ranking).unwrap();
    assert_eq!(
        beside.stability.insufficient.len(),
        listed.insufficient.len()
    );
    let json = serde_json::to_string(&beside).unwrap();
    let read: neuroinspect_counterfactual::Certified = serde_json::from_str(&json).unwrap();
    // The shifts are not part of it, and its numbers are those written up to a last digit.
    assert!(read.explanation.shifts.is_empty());
    let (read, written) = (
        read.explanation.certificates,
        beside.explanation.certificates,
    );
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(
            (read.sample, read.outcome),
            (written.sample, written.outcome)
        );
        assert!((read.at_least - written.at_least).abs() < 1e-12);
    }
}

/// Of two mistakes, half of both.
#[test]
fn how_many_times_as_long_is_in_the_median() {
    let (table, layer) = mistakes(120, 4, 16);
    let all = table.predicted_by(&layer).unwrap();
    let some = all.mistakes(ClassId(0)).unwrap();
    let times = |samples: &[usize]| {
        let table = table.select(samples).unwrap();
        let default = CounterfactualConfig::default();
        let explanation = explain_with(&table, &layer, &default, &mut Silent).unwrap();
        let predicted = table.predicted_by(&layer).unwrap();
        let beside = CertifiedConfig::default()
            .beside(
                &explanation,
                &predicted,
                &RankingConfig::default(),
                &mut Silent,
            )
            .unwrap();
        beside.times_as_long.unwrap()
    };
    let [first, second] = [times(&some[..1]), times(&some[1..2])];
    assert!((first - second).abs() > 1e-3, "{first} {second}");
    assert!((times(&some[..2]) - (first + second) / 2.0).abs() < 1e-5);
}
