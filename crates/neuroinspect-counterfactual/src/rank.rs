//! Ranking: which neurons the explanations agree on.

use ndarray::{Array2, ArrayView1};
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId};
use serde::{Deserialize, Serialize};

use crate::{Error, Explanation, Overlap, RankingConfig, Result, Votes, importance};

/// The neurons to blame for a class's mistakes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The class.
    pub class: ClassId,
    /// For how many neurons each mistake voted in each direction; the K of prec@K.
    pub top: usize,
    /// How many mistakes voted.
    pub mistakes: usize,
    /// How many of them did not flip; they vote with the shift they had come to.
    pub unflipped: usize,
    /// Neurons whose activation was too weak for the class, highest prec@K first.
    pub insufficient: Vec<RankedNeuron>,
    /// Neurons whose activation was too strong for it, highest prec@K first.
    pub excessive: Vec<RankedNeuron>,
}

/// One line of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedNeuron {
    /// The neuron.
    pub neuron: NeuronId,
    /// Share of the mistakes that have it among their [`top`](Ranking::top) K, in `[0, 1]`: the
    /// paper's prec@5 where K is 5.
    pub prec_at_k: f64,
    /// The same as a number of mistakes.
    pub votes: usize,
    /// Its [`importance`] for the class.
    pub importance: f64,
}

/// Ranks neurons by how many mistakes have them among the K = [`top`](RankingConfig::top) largest, or
/// the K smallest, shifts.
///
/// `mean_features` `[D]` is where the [`importance`] beside each neuron is taken; the original
/// uses the mean over all validation samples, of every class. Equal shifts, and equal prec@K, go
/// by index. Samples that were right from the start do not count.
///
/// # Errors
///
/// [`Error::NothingToRank`] when no sample was a mistake, [`Error::NoShifts`] for an explanation that
/// was read from JSON; when the explanation, the layer and the
/// mean features do not fit each other, or an option is out of range.
pub fn rank(
    explanation: &Explanation,
    layer: &DecisionLayer,
    mean_features: ArrayView1<'_, f32>,
    config: &RankingConfig,
) -> Result<Ranking> {
    config.validate()?;
    let class = explanation.class;
    if explanation.shifts.is_empty() && !explanation.counterfactuals.is_empty() {
        return Err(Error::NoShifts { class });
    }
    let expected = (explanation.counterfactuals.len(), layer.neurons());
    if explanation.shifts.dim() != expected {
        let found = explanation.shifts.dim();
        let what = "[samples, neurons] of the shifts";
        return Err(neuroinspect_core::Error::shape(what, expected, found).into());
    }
    let importance = importance(layer, mean_features, class)?;

    let rows = || explanation.counterfactuals.iter().enumerate();
    let mistakes: Vec<usize> = rows()
        .filter(|(_, counterfactual)| counterfactual.predicted != class)
        .map(|(row, _)| row)
        .collect();
    if mistakes.is_empty() {
        return Err(Error::NothingToRank { class });
    }
    let list = |direction| -> Vec<RankedNeuron> {
        let votes = count_votes(&explanation.shifts, &mistakes, direction, config);
        let share = |votes: usize| votes as f64 / mistakes.len() as f64;
        let mut listed: Vec<RankedNeuron> = (0..)
            .zip(votes)
            .filter(|&(_, votes)| share(votes) > config.min_precision)
            .map(|(neuron, votes)| RankedNeuron {
                neuron: NeuronId(neuron),
                prec_at_k: share(votes),
                votes,
                importance: importance[neuron],
            })
            .collect();
        listed.sort_by_key(|line| (std::cmp::Reverse(line.votes), line.neuron));
        listed.truncate(config.max_listed);
        listed
    };
    let mut insufficient = list(Direction::Insufficient);
    let mut excessive = list(Direction::Excessive);
    if config.overlap == Overlap::Drop {
        let before = insufficient.clone();
        insufficient.retain(|line| !stands_in(&excessive, line.neuron));
        excessive.retain(|line| !stands_in(&before, line.neuron));
    }
    Ok(Ranking {
        class,
        top: config.top,
        mistakes: mistakes.len(),
        unflipped: rows()
            .filter(|(_, counterfactual)| !counterfactual.flipped)
            .count(),
        insufficient,
        excessive,
    })
}

impl Ranking {
    /// The neurons to look at first when the user names none: both lists merged, highest prec@K
    /// first, each neuron once, at most `count`.
    ///
    /// Among equals an insufficient neuron comes before an excessive one, and then the lower
    /// index first.
    pub fn first(&self, count: usize) -> Vec<NeuronId> {
        let mut merged: Vec<&RankedNeuron> =
            self.insufficient.iter().chain(&self.excessive).collect();
        // Stable: the insufficient list stays ahead of the excessive one, each in its own order.
        merged.sort_by_key(|line| std::cmp::Reverse(line.votes));
        let mut neurons = Vec::new();
        for line in merged {
            if !neurons.contains(&line.neuron) {
                neurons.push(line.neuron);
            }
        }
        neurons.truncate(count);
        neurons
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Insufficient,
    Excessive,
}

/// For each neuron, the number of mistakes that have it among their top: `[D]`.
fn count_votes(
    shifts: &Array2<f32>,
    mistakes: &[usize],
    direction: Direction,
    config: &RankingConfig,
) -> Vec<usize> {
    let mut votes = vec![0; shifts.ncols()];
    for &row in mistakes {
        let shift = shifts.row(row);
        // How strongly the sample blames a neuron; only blame above 0 counts.
        let blame = |neuron: usize| match direction {
            Direction::Insufficient => shift[neuron],
            Direction::Excessive => -shift[neuron],
        };
        let unchecked =
            direction == Direction::Insufficient && config.votes == Votes::UncheckedInsufficient;
        let mut blamed: Vec<usize> = (0..shift.len())
            .filter(|&neuron| unchecked || blame(neuron) > 0.0)
            .collect();
        let by_blame = |a: &usize, b: &usize| blame(*b).total_cmp(&blame(*a)).then(a.cmp(b));
        if blamed.len() > config.top {
            blamed.select_nth_unstable_by(config.top, by_blame);
            blamed.truncate(config.top);
        }
        for neuron in blamed {
            votes[neuron] += 1;
        }
    }
    votes
}

fn stands_in(list: &[RankedNeuron], neuron: NeuronId) -> bool {
    list.iter().any(|line| line.neuron == neuron)
}
