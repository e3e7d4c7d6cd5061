//! Ranking: which neurons the explanations agree on.

use ndarray::ArrayView1;
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId};
use serde::{Deserialize, Serialize};

use crate::{Error, Explanation, Overlap, RankingConfig, Result, Votes, importance};

/// The neurons to blame for a class's mistakes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    let ballots = Ballots::of(explanation, config)?;
    if explanation.shifts.ncols() != layer.neurons() {
        let (expected, found) = (layer.neurons(), explanation.shifts.ncols());
        return Err(
            neuroinspect_core::Error::shape("neurons of the shifts", [expected], [found]).into(),
        );
    }
    let importance = importance(layer, mean_features, class)?;

    let mistakes = ballots.len();
    let ranked = |list: Vec<Listed>| {
        let ranked = list
            .into_iter()
            .map(|Listed { neuron, votes }| RankedNeuron {
                neuron,
                prec_at_k: votes as f64 / mistakes as f64,
                votes,
                importance: importance[neuron.0],
            });
        ranked.collect()
    };
    let lists = ballots.lists(&ballots.votes_by(0..mistakes), mistakes);
    let unflipped = explanation.counterfactuals.iter();
    Ok(Ranking {
        class,
        top: config.top,
        mistakes,
        unflipped: unflipped.filter(|sample| !sample.flipped).count(),
        insufficient: ranked(lists.insufficient),
        excessive: ranked(lists.excessive),
    })
}

impl Ranking {
    /// The neurons to look at first when the user names none: both lists merged, highest prec@K
    /// first, each neuron once, at most `count`.
    ///
    /// Among equals an insufficient neuron comes before an excessive one, and then the lower
    /// index first.
    pub fn first(&self, count: usize) -> Vec<NeuronId> {
        let listed = |list: &[RankedNeuron]| {
            let listed = list.iter().map(|ranked| Listed {
                neuron: ranked.neuron,
                votes: ranked.votes,
            });
            listed.collect()
        };
        let lists = Lists {
            insufficient: listed(&self.insufficient),
            excessive: listed(&self.excessive),
        };
        lists.first(count)
    }
}

/// For which neurons each mistake votes.
pub(crate) struct Ballots<'a> {
    config: &'a RankingConfig,
    /// Neurons there are.
    neurons: usize,
    /// Insufficient and excessive ones of each mistake.
    votes: Vec<[Vec<usize>; 2]>,
}

/// A neuron of a list, with its votes.
pub(crate) struct Listed {
    pub(crate) neuron: NeuronId,
    pub(crate) votes: usize,
}

/// Both lists, most votes first.
pub(crate) struct Lists {
    pub(crate) insufficient: Vec<Listed>,
    pub(crate) excessive: Vec<Listed>,
}

impl<'a> Ballots<'a> {
    /// The votes of an explanation's mistakes.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToRank`] and [`Error::NoShifts`]; when there are not as many shifts as samples.
    pub(crate) fn of(explanation: &Explanation, config: &'a RankingConfig) -> Result<Self> {
        let (class, shifts) = (explanation.class, &explanation.shifts);
        let samples = explanation.counterfactuals.len();
        if shifts.is_empty() && samples > 0 {
            return Err(Error::NoShifts { class });
        }
        if shifts.nrows() != samples {
            let found = shifts.nrows();
            return Err(neuroinspect_core::Error::shape("shifts", [samples], [found]).into());
        }
        let samples = explanation.counterfactuals.iter().zip(shifts.rows());
        let votes: Vec<_> = samples
            .filter(|(counterfactual, _)| counterfactual.predicted != class)
            .map(|(_, shift)| {
                [Direction::Insufficient, Direction::Excessive]
                    .map(|direction| votes_of(shift, direction, config))
            })
            .collect();
        if votes.is_empty() {
            return Err(Error::NothingToRank { class });
        }
        Ok(Self {
            config,
            neurons: shifts.ncols(),
            votes,
        })
    }

    /// How many mistakes vote.
    pub(crate) fn len(&self) -> usize {
        self.votes.len()
    }

    /// For each neuron, how many of some mistakes vote for it, as insufficient and as excessive; a
    /// mistake may be counted several times.
    pub(crate) fn votes_by(&self, mistakes: impl Iterator<Item = usize>) -> [Vec<usize>; 2] {
        let mut counts = [vec![0; self.neurons], vec![0; self.neurons]];
        for mistake in mistakes {
            for (counts, votes) in counts.iter_mut().zip(&self.votes[mistake]) {
                for &neuron in votes {
                    counts[neuron] += 1;
                }
            }
        }
        counts
    }

    /// The lists by [votes](Self::votes_by) of so many mistakes.
    pub(crate) fn lists(&self, votes: &[Vec<usize>; 2], voters: usize) -> Lists {
        let [mut insufficient, mut excessive] =
            votes.each_ref().map(|votes| self.listed(votes, voters));
        if self.config.overlap == Overlap::Drop {
            let in_both: Vec<NeuronId> = insufficient
                .iter()
                .map(|listed| listed.neuron)
                .filter(|&neuron| excessive.iter().any(|listed| listed.neuron == neuron))
                .collect();
            for list in [&mut insufficient, &mut excessive] {
                list.retain(|listed| !in_both.contains(&listed.neuron));
            }
        }
        Lists {
            insufficient,
            excessive,
        }
    }

    /// The neurons voted for often enough.
    fn listed(&self, counts: &[usize], voters: usize) -> Vec<Listed> {
        let share = |votes: usize| votes as f64 / voters as f64;
        let mut list: Vec<_> = counts
            .iter()
            .enumerate()
            .filter(|&(_, &votes)| share(votes) > self.config.min_precision)
            .map(|(neuron, &votes)| Listed {
                neuron: NeuronId(neuron),
                votes,
            })
            .collect();
        list.sort_by_key(|listed| (std::cmp::Reverse(listed.votes), listed.neuron));
        list.truncate(self.config.max_listed);
        list
    }
}

impl Lists {
    /// As [`Ranking::first`].
    pub(crate) fn first(&self, count: usize) -> Vec<NeuronId> {
        let mut merged: Vec<&Listed> = self.insufficient.iter().chain(&self.excessive).collect();
        // Stable: the insufficient list stays ahead of the excessive one, each in its own order.
        merged.sort_by_key(|listed| std::cmp::Reverse(listed.votes));
        let mut neurons = Vec::new();
        for listed in merged {
            if !neurons.contains(&listed.neuron) {
                neurons.push(listed.neuron);
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

/// The neurons that are among the top of one shift `[D]`.
fn votes_of(
    shift: ArrayView1<'_, f32>,
    direction: Direction,
    config: &RankingConfig,
) -> Vec<usize> {
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
    blamed
}
