//! Against values computed by the authors' code.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, Axis};
use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_counterfactual::{
    Counterfactual, CounterfactualConfig, Explanation, RankedNeuron, Ranking, RankingConfig,
    importance, rank,
};
use neuroinspect_testing::{
    assert_close,
    reference::{Reference, original},
};

use crate::explain_features;

/// Neurons of one list of `votes`, with their percentages.
fn votes(reference: &Reference, list: &str) -> BTreeMap<usize, f64> {
    reference.constant(&format!("/votes/{list}"))
}

/// The 12 samples have several labels: each is explained on its own terms.
fn explain_reference(
    reference: &Reference,
    config: &CounterfactualConfig,
) -> (Array2<f32>, Vec<Counterfactual>) {
    let layer = reference.decision_layer();
    let features: Array2<f32> = reference.array("counterfactual.features");
    let labels = reference.indices("counterfactual.labels");
    let mut shifts = Array2::zeros(features.dim());
    let mut counterfactuals = Vec::new();
    for (row, &label) in labels.iter().enumerate() {
        let one = features.select(Axis(0), &[row]);
        let explanation = explain_features(one.view(), &layer, ClassId(label), config).unwrap();
        shifts.row_mut(row).assign(&explanation.shifts.row(0));
        counterfactuals.extend(explanation.counterfactuals);
    }
    (shifts, counterfactuals)
}

#[test]
fn shifts_and_steps_are_those_of_the_original() {
    let reference = original();
    let expected: Array2<f32> = reference.array("counterfactual.omega");
    for config in [
        CounterfactualConfig::default(),
        CounterfactualConfig::original(),
    ] {
        let (shifts, counterfactuals) = explain_reference(&reference, &config);
        let steps: Vec<usize> = counterfactuals.iter().map(|sample| sample.steps).collect();
        assert_eq!(steps, reference.indices("counterfactual.iterations"));
        assert!(counterfactuals.iter().all(|sample| sample.flipped));
        // Shifts reach 0.8. Up to 65 steps of single precision, each rounding by 6e-8 of that, in
        // another order of summation: a run in PyTorch with logits summed differently is 1.2e-7 off.
        assert_close(&shifts, &expected, 0.0, 2e-6);
    }
}

#[test]
fn the_ranking_is_that_of_the_original() {
    let reference = original();
    let (shifts, counterfactuals) = explain_reference(&reference, &CounterfactualConfig::default());
    // No sample is predicted to be of class 3: all of them count.
    let explanation = Explanation {
        class: ClassId(3),
        counterfactuals,
        shifts,
    };
    let layer = reference.decision_layer();
    let mean = reference.vector("importance.mean_features");
    // Every sample has more than 5 shifts of either sign, so that the check of signs is no
    // difference here, and no list is longer than 30.
    for config in [RankingConfig::original(), RankingConfig::default()] {
        let ranking = rank(&explanation, &layer, mean.view(), &config).unwrap();
        assert_eq!((ranking.mistakes, ranking.unflipped), (12, 0));
        for (list, ours) in lists(&ranking) {
            let percent = |line: &RankedNeuron| (line.neuron.0, line.prec_at_k * 100.0);
            let (neurons, shares): (Vec<_>, Vec<_>) = ours
                .iter()
                .map(percent)
                .collect::<BTreeMap<_, _>>()
                .into_iter()
                .unzip();
            let (expected, expected_shares): (Vec<_>, Vec<_>) =
                votes(&reference, list).into_iter().unzip();
            assert_eq!(neurons, expected, "{list}");
            // Twelfths, in double precision on both sides.
            assert_close(shares, expected_shares, 0.0, 1e-9);
        }
        assert_eq!(ranking.first(1), [NeuronId(33)]);
    }

    // The interactive tool: the golden lists without the neurons that stand in both.
    let config = RankingConfig::interactive();
    let shown = rank(&explanation, &layer, mean.view(), &config).unwrap();
    for ((list, ours), other) in lists(&shown).into_iter().zip(["excessive", "insufficient"]) {
        let neurons = |list| -> BTreeSet<usize> { votes(&reference, list).into_keys().collect() };
        let expected = &neurons(list) - &neurons(other);
        assert!(expected.len() < neurons(list).len());
        let ours: BTreeSet<usize> = ours.iter().map(|line| line.neuron.0).collect();
        assert_eq!(ours, expected, "{list}");
    }
}

/// Both lists of a ranking, by the names of the reference.
fn lists(ranking: &Ranking) -> [(&'static str, &[RankedNeuron]); 2] {
    [
        ("insufficient", &ranking.insufficient),
        ("excessive", &ranking.excessive),
    ]
}

#[test]
fn importance_is_that_of_the_original() {
    let reference = original();
    let mean = reference.vector("importance.mean_features");
    let ours = importance(&reference.decision_layer(), mean.view(), ClassId(3)).unwrap();
    // The original divides two softmax values of single precision, each about 1e-6 off.
    assert_close(ours, reference.vector("importance.ratio_class3"), 0.0, 5e-6);
}
