//! What was chosen, among what, and what that rests on.

use neuroinspect_core::{ClassId, NeuronId, Seed};
use serde::{Deserialize, Serialize};

use super::{Evidence, YardstickChoice};
use crate::Suspect;

/// A way to make the layer, the simpler first in the order of their [kinds](CandidateKind).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// Which way.
    pub kind: CandidateKind,
    /// How much it is held to the layer as it is; `None` where it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Neurons taken for 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silenced: Vec<NeuronId>,
    /// What is added to the bias of the class asked for.
    pub bias: f64,
}

/// A way to make the layer; all but the first by logistic regression, held to the layer as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// The layer as it is.
    Nothing,
    /// On training and validation samples.
    Plain,
    /// On the validation samples.
    PlainValidation,
    /// On both, with the neurons first suspected taken for 0.
    Silence,
    /// On both, each cell of class and class taken for counting alike.
    Balanced,
}

impl CandidateKind {
    /// As it is recorded.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Plain => "plain",
            Self::PlainValidation => "plain_validation",
            Self::Silence => "silence",
            Self::Balanced => "balanced",
        }
    }
}

/// By which accuracy a candidate is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Yardstick {
    /// That on data like the validation samples.
    Data,
    /// The same with each cell of class and class taken for counting alike: what is accurate there does
    /// not rest on the shortcut that mistakes are blamed on.
    Groups,
}

/// Which samples of an [`EditData`](crate::EditData) a mend is chosen on and learns from, beside the training
/// samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChosenOn {
    /// The validation samples.
    #[default]
    Validation,
    /// Those that an edit is measured on, where the validation samples are merely
    /// [held out](crate::EditData::new) of the training samples.
    Evaluation,
}

/// An estimate and the ends of its 95 % interval, by 400 bootstrap draws of samples within classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// Their mean.
    pub estimate: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

/// What is gained over the layer as it is, in `[-1, 1]`, by cross-fitting: each sample is judged by a layer that was
/// fitted without its fold, and by the choice that the samples outside of its fold make.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gain {
    /// In the accuracy of the class asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Interval>,
    /// In the mean class accuracy, by the yardstick, over the classes that count.
    pub mean: Interval,
    /// Samples.
    pub samples: usize,
}

/// A point of the frontier: what a candidate with a bias is worth, by predictions for samples that it was
/// not fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FrontierPoint {
    /// Which of the [candidates](MendResult::candidates).
    pub candidate: usize,
    /// What is added to the bias of the class asked for; 0 where none is.
    pub bias: f64,
    /// Accuracy of that class on the validation samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<f64>,
    /// The same by [`Yardstick::Groups`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_by_groups: Option<f64>,
    /// Mean class accuracy on the validation samples.
    pub mean: f64,
    /// The mean by [`Yardstick::Groups`], of all samples that are learnt from.
    pub mean_by_groups: f64,
}

/// What is recommended, and what that rests on. No group label is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MendResult {
    /// The class asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    /// What is recommended; `None` where nothing is sure to help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<Candidate>,
    /// What was best, before it was asked whether it is sure to help.
    pub best: Candidate,
    /// By what it was to be chosen.
    pub asked: YardstickChoice,
    /// By what it was chosen.
    pub yardstick: Yardstick,
    /// What the choice of the best gains on samples it was not made on.
    pub gain: Gain,
    /// What the best gains by the other yardstick: what a layer without the shortcut loses on data that has it.
    pub gain_by_the_other: Gain,
    /// Whether mistakes are blamed on a shortcut, and why.
    pub evidence: Evidence,
    /// All candidates, without a bias, the simplest first.
    pub candidates: Vec<Candidate>,
    /// What they are worth, with and without a bias.
    pub frontier: Vec<FrontierPoint>,
    /// Where on the frontier what is recommended lies; the layer as it is is the first point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_at: Option<usize>,
    /// The neurons that mistakes are blamed on, the first 30.
    pub suspects: Vec<Suspect>,
    /// Training samples, and samples to choose on.
    pub samples: [usize; 2],
    /// Which the latter are.
    pub chosen_on: ChosenOn,
    /// Classes of fewer than five samples to choose on, which do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub too_few: Vec<ClassId>,
    /// Seed of folds and bootstrap.
    pub seed: Seed,
}

impl Gain {
    /// Whether the class asked for is sure to gain while the mean does not surely lose, or the mean is sure
    /// to gain while the class is not expected to lose.
    pub fn is_sure(&self) -> bool {
        let (class, mean) = (self.class.unwrap_or(self.mean), self.mean);
        (class.low > 0.0 && mean.high >= 0.0) || (mean.low > 0.0 && class.estimate >= 0.0)
    }
}

impl Candidate {
    pub(super) const NOTHING: Self = Self {
        kind: CandidateKind::Nothing,
        lambda: None,
        silenced: Vec::new(),
        bias: 0.0,
    };

    pub(super) fn with_bias(&self, bias: f64) -> Self {
        Self {
            bias,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_sure_where_class_or_mean_surely_gains_and_neither_pays() {
        let interval = |low: f64, estimate: f64, high: f64| Interval {
            low,
            estimate,
            high,
        };
        let (sure, unsure) = (interval(0.01, 0.05, 0.1), interval(-0.01, 0.02, 0.05));
        let (may_lose, loses) = (interval(-0.05, -0.01, 0.02), interval(-0.1, -0.05, -0.01));
        for (class, mean, is_sure) in [
            (None, sure, true),
            (None, unsure, false),
            (Some(sure), may_lose, true),
            (Some(sure), loses, false),
            (Some(unsure), sure, true),
            (Some(may_lose), sure, false),
            (Some(unsure), unsure, false),
        ] {
            let gain = Gain {
                class,
                mean,
                samples: 100,
            };
            assert_eq!(gain.is_sure(), is_sure, "{gain:?}");
        }
    }
}
