//! Votes, order and options of a ranking, by hand.

use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, Error as CoreError, NeuronId};
use neuroinspect_counterfactual::{
    Confusion, Counterfactual, Error, Explanation, Overlap, RankedNeuron, Ranking, RankingConfig,
    importance, importances, rank,
};

fn explanation(shifts: Array2<f32>) -> Explanation {
    let counterfactual = |sample| Counterfactual {
        sample,
        predicted: ClassId(1),
        steps: 3,
        flipped: true,
    };
    let counterfactuals = (0..shifts.nrows()).map(counterfactual).collect();
    Explanation {
        class: ClassId(0),
        counterfactuals,
        shifts,
    }
}

fn layer(neurons: usize) -> DecisionLayer {
    DecisionLayer::new(Array2::ones((2, neurons)), Array1::zeros(2)).unwrap()
}

fn ranked(explanation: &Explanation, config: &RankingConfig) -> Ranking {
    let neurons = explanation.shifts.ncols();
    rank(
        explanation,
        &layer(neurons),
        Array1::ones(neurons).view(),
        config,
    )
    .unwrap()
}

fn votes(list: &[RankedNeuron]) -> Vec<(usize, usize)> {
    list.iter()
        .map(|line| (line.neuron.0, line.votes))
        .collect()
}

/// Four mistakes over four neurons.
fn four() -> Explanation {
    explanation(array![
        [0.4, 0.3, -0.1, -0.2],
        [0.1, 0.3, 0.2, -0.5],
        [-0.1, 0.3, 0.3, -0.5],
        [-0.1, -0.2, -0.3, -0.4],
    ])
}

#[test]
fn top_two_by_hand() {
    let ranking = ranked(&four(), &RankingConfig::default().with_top(2));
    // Row 3 has no shift above 0, and votes for nothing insufficient.
    assert_eq!(votes(&ranking.insufficient), [(1, 3), (2, 2), (0, 1)]);
    assert_eq!(votes(&ranking.excessive), [(3, 4), (2, 2), (0, 1)]);
    let precision: Vec<f64> = ranking
        .excessive
        .iter()
        .map(|line| line.prec_at_k)
        .collect();
    assert_eq!(precision, [1.0, 0.5, 0.25]);
    assert_eq!(
        (ranking.top, ranking.mistakes, ranking.unflipped),
        (2, 4, 0)
    );
    let json = serde_json::to_string(&ranking).unwrap();
    assert_eq!(serde_json::from_str::<Ranking>(&json).unwrap(), ranking);
}

#[test]
fn mistakes_are_counted_by_what_they_were_taken_for() {
    let mut explanation = four();
    for (sample, class) in [3, 2, 2, 0].into_iter().enumerate() {
        explanation.counterfactuals[sample].predicted = ClassId(class);
    }
    // The last one is right.
    let confusion = |class, count| Confusion {
        class: ClassId(class),
        count,
    };
    assert_eq!(explanation.confusions(), [confusion(2, 2), confusion(3, 1)]);
}

#[test]
fn the_original_lets_any_sign_vote_for_insufficient() {
    let ranking = ranked(&four(), &RankingConfig::original().with_top(2));
    assert_eq!(votes(&ranking.insufficient), [(1, 4), (0, 2), (2, 2)]);
    assert_eq!(votes(&ranking.excessive), [(3, 4), (2, 2), (0, 1)]);
    // Its interactive tool leaves out 0 and 2.
    let ranking = ranked(&four(), &RankingConfig::interactive().with_top(2));
    assert_eq!(votes(&ranking.insufficient), [(1, 4)]);
    assert_eq!(votes(&ranking.excessive), [(3, 4)]);
}

#[test]
fn equal_shifts_go_by_index() {
    let ranking = ranked(
        &explanation(array![[0.0, 0.5, 0.5, 0.5]]),
        &RankingConfig::default().with_top(2),
    );
    assert_eq!(votes(&ranking.insufficient), [(1, 1), (2, 1)]);
    assert!(ranking.excessive.is_empty());
}

#[test]
fn overlap_drops_after_the_list_is_cut() {
    let config = RankingConfig::default().with_top(2).with_max_listed(2);
    let kept = ranked(&four(), &config);
    assert_eq!(votes(&kept.insufficient), [(1, 3), (2, 2)]);
    let dropped = ranked(&four(), &config.with_overlap(Overlap::Drop));
    assert_eq!(votes(&dropped.insufficient), [(1, 3)]);
    assert_eq!(votes(&dropped.excessive), [(3, 4)]);
}

#[test]
fn the_threshold_is_strict() {
    let config = RankingConfig::default().with_top(2).with_min_precision(0.5);
    let ranking = ranked(&four(), &config);
    assert_eq!(votes(&ranking.insufficient), [(1, 3)]);
    assert_eq!(votes(&ranking.excessive), [(3, 4)]);
}

#[test]
fn what_was_right_does_not_count_and_what_did_not_flip_does() {
    let mut explanation = four();
    explanation.counterfactuals[0].predicted = ClassId(0);
    explanation.counterfactuals[1].flipped = false;
    let ranking = ranked(&explanation, &RankingConfig::default().with_top(2));
    assert_eq!((ranking.mistakes, ranking.unflipped), (3, 1));
    assert_eq!(votes(&ranking.excessive), [(3, 3), (0, 1), (2, 1)]);
}

#[test]
fn the_first_neurons_are_merged_by_precision() {
    let ranking = ranked(&four(), &RankingConfig::default().with_top(2));
    // 3 has 4 votes, 1 has 3, 2 has 2 in both lists, 0 has 1 in both.
    assert_eq!(ranking.first(3), [3, 1, 2].map(NeuronId));
    assert_eq!(ranking.first(9), [3, 1, 2, 0].map(NeuronId));
    assert_eq!(ranking.first(0), []);
    // Among equals an insufficient neuron is first, whatever its index.
    let ranking = ranked(
        &explanation(array![[-0.1, 0.0, 0.2]]),
        &RankingConfig::default(),
    );
    assert_eq!(ranking.first(2), [2, 0].map(NeuronId));
}

#[test]
fn importance_stands_beside_each_neuron() {
    let layer =
        DecisionLayer::new(array![[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], array![0.1, 0.0]).unwrap();
    let mean = array![1.0, 2.0, 3.0];
    let ranking = rank(
        &explanation(array![[0.1, -0.1, 0.2]]),
        &layer,
        mean.view(),
        &RankingConfig::default(),
    )
    .unwrap();
    let expected = importance(&layer, mean.view(), ClassId(0)).unwrap();
    for line in ranking.insufficient.iter().chain(&ranking.excessive) {
        assert_eq!(line.importance, expected[line.neuron.0]);
    }
    assert!(expected[0] > 1.0 && expected[1] < 1.0);
}

#[test]
fn importances_are_those_of_each_class_and_neuron() {
    let layer =
        DecisionLayer::new(array![[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], array![0.1, 0.0]).unwrap();
    let mean = array![1.0, 2.0, 3.0];
    let (classes, neurons) = ([1, 0].map(ClassId), [2, 0].map(NeuronId));
    let some = importances(&layer, mean.view(), &classes, &neurons).unwrap();
    assert_eq!(some.dim(), (2, 2));
    for (row, &class) in classes.iter().enumerate() {
        let all = importance(&layer, mean.view(), class).unwrap();
        for (column, neuron) in neurons.iter().enumerate() {
            assert_eq!(some[[row, column]], all[neuron.0]);
        }
    }
    let of =
        |class, neuron| importances(&layer, mean.view(), &[ClassId(class)], &[NeuronId(neuron)]);
    assert!(matches!(
        of(2, 0),
        Err(Error::Core(CoreError::ClassOutOfRange { .. }))
    ));
    assert!(matches!(
        of(0, 3),
        Err(Error::Core(CoreError::NeuronOutOfRange { .. }))
    ));
}

#[test]
fn importance_is_right_where_probabilities_vanish() {
    // Without neuron 0 the class has probability e^-300, beyond single precision.
    let layer = DecisionLayer::new(array![[300.0], [0.0]], array![-300.0, 0.0]).unwrap();
    let r = importance(&layer, array![1.0].view(), ClassId(0)).unwrap()[0];
    // p = 1/2 over e^-300 / (1 + e^-300).
    assert!((r.ln() - (300.0 - 2.0_f64.ln())).abs() < 1e-9);
    let layer = DecisionLayer::new(array![[3000.0], [0.0]], array![-3000.0, 0.0]).unwrap();
    assert_eq!(
        importance(&layer, array![1.0].view(), ClassId(0)).unwrap()[0],
        f64::MAX
    );
}

#[test]
fn importance_of_features_that_are_not_finite_is_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let features = array![1.0, value, 1.0, 1.0];
        let error = importance(&layer(4), features.view(), ClassId(0)).unwrap_err();
        let Error::Core(CoreError::NotFinite { what, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(what, "mean activation of neuron 1");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = RankingConfig::default();
    let mean = Array1::ones(4);
    let mut short = four();
    short.counterfactuals.pop();
    assert!(matches!(
        rank(&short, &layer(4), mean.view(), &config),
        Err(Error::Core(_))
    ));
    assert!(matches!(
        rank(&four(), &layer(3), mean.view(), &config),
        Err(Error::Core(_))
    ));
    assert!(matches!(
        rank(&four(), &layer(4), Array1::ones(3).view(), &config),
        Err(Error::Core(_))
    ));
    let other = Explanation {
        class: ClassId(2),
        ..four()
    };
    assert!(matches!(
        rank(&other, &layer(4), mean.view(), &config),
        Err(Error::Core(_))
    ));
    let mut right = four();
    right
        .counterfactuals
        .iter_mut()
        .for_each(|sample| sample.predicted = ClassId(0));
    assert!(matches!(
        rank(&right, &layer(4), mean.view(), &config),
        Err(Error::NothingToRank { .. })
    ));
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let default = RankingConfig::default;
    for (option, config) in [
        ("top", default().with_top(0)),
        ("min_precision", default().with_min_precision(1.0)),
        ("min_precision", default().with_min_precision(-0.1)),
        ("max_listed", default().with_max_listed(0)),
    ] {
        let error = config.validate().unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
}
