//! The bootstrap of a ranking, by hand and by its invariants.

use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, NeuronId, Seed};
use neuroinspect_counterfactual::{
    Counterfactual, Error, Explanation, RankingConfig, Stability, StabilityConfig, rank, stability,
};
use neuroinspect_testing::tables::random_layer;

fn explanation(shifts: Array2<f32>) -> Explanation {
    let counterfactual = |sample| Counterfactual {
        sample,
        predicted: ClassId(1),
        steps: 1,
        flipped: true,
    };
    Explanation {
        class: ClassId(0),
        counterfactuals: (0..shifts.nrows()).map(counterfactual).collect(),
        shifts,
    }
}

fn measured(shifts: Array2<f32>, config: &StabilityConfig) -> Stability {
    let ranking = RankingConfig::default().with_top(1);
    stability(&explanation(shifts), &ranking, config).unwrap()
}

#[test]
fn mistakes_that_agree_have_a_stable_ranking() {
    let shifts = Array2::from_shape_fn((6, 3), |(_, neuron)| [0.5, 0.1, -0.4][neuron]);
    let stability = measured(shifts, &StabilityConfig::default());
    assert_eq!((stability.resamples, stability.first), (1000, 5));
    assert_eq!(stability.same_first, 1.0);
    for (list, neuron) in [(&stability.insufficient, 0), (&stability.excessive, 2)] {
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].neuron, NeuronId(neuron));
        assert_eq!(list[0].prec_at_k, [1.0, 1.0]);
        assert_eq!(list[0].in_first, 1.0);
    }
}

/// Of n mistakes a share p votes for a neuron: over the draws its votes are binomial, so that 95 % of
/// the shares lie within about 1.96 sqrt(p (1 - p) / n) of p.
#[test]
fn intervals_are_those_of_a_binomial() {
    let mistakes = 200;
    let votes_for = |mistake: usize| if mistake < 60 { 0 } else { 1 };
    let shifts = Array2::from_shape_fn((mistakes, 2), |(mistake, neuron)| {
        if neuron == votes_for(mistake) {
            1.0
        } else {
            0.0
        }
    });
    let config = StabilityConfig::default()
        .with_resamples(4000)
        .with_first(1);
    let stability = measured(shifts, &config);
    let few = stability.insufficient[1];
    assert_eq!(few.neuron, NeuronId(0));
    let half = 1.96 * (0.3 * 0.7 / mistakes as f64).sqrt();
    for (found, expected) in few.prec_at_k.iter().zip([0.3 - half, 0.3 + half]) {
        // A share is a multiple of 1 / 200; and the percentile's own error is below that.
        assert!((found - expected).abs() < 0.0101, "{found} for {expected}");
    }
    // 60 of 200 are the majority of a draw with a probability below 1e-8.
    assert_eq!(
        (few.in_first, stability.insufficient[0].in_first),
        (0.0, 1.0)
    );
    assert_eq!(stability.same_first, 1.0);
}

#[test]
fn a_seed_decides_the_draws_and_lists_are_the_rankings() {
    let shifts = Array2::from_shape_fn((9, 4), |(row, column)| {
        ((row * 7 + column * 5) % 9) as f32 - 4.0
    });
    let config = StabilityConfig::default();
    let once = measured(shifts.clone(), &config);
    assert_eq!(once, measured(shifts.clone(), &config));
    let other = measured(shifts.clone(), &config.clone().with_seed(Seed(1)));
    assert_ne!(once, other);
    let ranking = RankingConfig::default().with_top(1);
    let ranking = rank(
        &explanation(shifts),
        &random_layer(2, 4),
        Array1::ones(4).view(),
        &ranking,
    )
    .unwrap();
    let neurons = |list: &[neuroinspect_counterfactual::NeuronStability]| -> Vec<_> {
        list.iter().map(|it| it.neuron).collect()
    };
    let ranked = |list: &[neuroinspect_counterfactual::RankedNeuron]| -> Vec<_> {
        list.iter().map(|it| it.neuron).collect()
    };
    assert_eq!(neurons(&once.insufficient), ranked(&ranking.insufficient));
    assert_eq!(neurons(&once.excessive), ranked(&ranking.excessive));
    for (stability, ranked) in once.insufficient.iter().zip(&ranking.insufficient) {
        let [low, high] = stability.prec_at_k;
        assert!(low <= ranked.prec_at_k && ranked.prec_at_k <= high);
        assert!(low < high, "drawn mistakes differ");
    }
}

#[test]
fn what_has_no_stability_is_refused() {
    let ranking = RankingConfig::default();
    let config = StabilityConfig::default();
    let none = explanation(Array2::zeros((0, 2)));
    assert!(matches!(
        stability(&none, &ranking, &config),
        Err(Error::NothingToRank { .. })
    ));
    let some = explanation(array![[1.0, -1.0]]);
    for (option, config) in [
        ("resamples", config.clone().with_resamples(0)),
        ("first", config.with_first(0)),
    ] {
        let error = stability(&some, &ranking, &config).unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
}
