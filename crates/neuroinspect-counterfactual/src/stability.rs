//! Stability: how much of a ranking is owed to which mistakes there happened to be.

use neuroinspect_core::NeuronId;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    Explanation, RankingConfig, Result, StabilityConfig,
    rank::{Ballots, Listed},
};

/// What becomes of a [`Ranking`](crate::Ranking) where the mistakes are drawn again from themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stability {
    /// How often they were drawn.
    pub resamples: usize,
    /// How many neurons count as the first.
    pub first: usize,
    /// Share of the first that are among the first of a draw, too, on average over the draws.
    pub same_first: f64,
    /// The neurons too weak for the class, in the ranking's order.
    pub insufficient: Vec<NeuronStability>,
    /// The neurons too strong for it, in the ranking's order.
    pub excessive: Vec<NeuronStability>,
}

/// What becomes of a ranked neuron.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeuronStability {
    /// The neuron.
    pub neuron: NeuronId,
    /// Between which values its prec@K lies in 95 % of the draws.
    pub prec_at_k: [f64; 2],
    /// Share of the draws in which it is among the [first](Stability::first) of the ranking.
    pub in_first: f64,
}

/// Measures the stability of [`rank`](crate::rank) by the bootstrap: as many mistakes as there are,
/// drawn with replacement, are ranked, again and again.
///
/// It tells how far a ranking would be the same on other mistakes of the same kind, not whether the
/// neurons are to blame. Intervals are percentiles: of few mistakes they are too narrow.
///
/// # Errors
///
/// As [`rank`](crate::rank).
pub fn stability(
    explanation: &Explanation,
    ranking: &RankingConfig,
    config: &StabilityConfig,
) -> Result<Stability> {
    ranking.validate()?;
    config.validate()?;
    let ballots = Ballots::of(explanation, ranking)?;
    let mistakes = ballots.len();
    let whole = ballots.lists(&ballots.votes_by(0..mistakes), mistakes);
    let first = whole.first(config.first);
    let mut same_first = 0;
    let follow = |list: &[Listed]| -> Vec<Followed> {
        let followed = list
            .iter()
            .map(|listed| Followed::new(listed.neuron, config.resamples));
        followed.collect()
    };
    let mut insufficient = follow(&whole.insufficient);
    let mut excessive = follow(&whole.excessive);
    for draw in 0..config.resamples {
        let mut rng = config.seed.rng("stability of a ranking", &[draw as u64]);
        let drawn = (0..mistakes).map(|_| rng.random_range(0..mistakes));
        let votes = ballots.votes_by(drawn);
        let in_first = ballots.lists(&votes, mistakes).first(config.first);
        let [too_weak, too_strong] = &votes;
        same_first += first
            .iter()
            .filter(|neuron| in_first.contains(neuron))
            .count();
        for (followed, votes) in [(&mut insufficient, too_weak), (&mut excessive, too_strong)] {
            for followed in followed {
                followed
                    .shares
                    .push(votes[followed.neuron.0] as f64 / mistakes as f64);
                followed.in_first += usize::from(in_first.contains(&followed.neuron));
            }
        }
    }
    let most = (first.len() * config.resamples).max(1);
    let ended = |list: Vec<Followed>| list.into_iter().map(Followed::end).collect();
    Ok(Stability {
        resamples: config.resamples,
        first: config.first,
        same_first: same_first as f64 / most as f64,
        insufficient: ended(insufficient),
        excessive: ended(excessive),
    })
}

/// A neuron over the draws.
struct Followed {
    neuron: NeuronId,
    shares: Vec<f64>,
    in_first: usize,
}

impl Followed {
    fn new(neuron: NeuronId, resamples: usize) -> Self {
        Self {
            neuron,
            shares: Vec::with_capacity(resamples),
            in_first: 0,
        }
    }

    fn end(mut self) -> NeuronStability {
        self.shares.sort_by(f64::total_cmp);
        let last = self.shares.len() - 1;
        let at = |share: f64| self.shares[(share * last as f64).round() as usize];
        NeuronStability {
            neuron: self.neuron,
            prec_at_k: [at(0.025), at(0.975)],
            in_first: self.in_first as f64 / self.shares.len() as f64,
        }
    }
}
