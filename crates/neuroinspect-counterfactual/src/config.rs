//! Options of explanation and ranking.

use derive_setters::Setters;
use ndarray::{ArrayView1, ArrayView2};
use neuroinspect_core::{ClassId, FeatureTable, NeuronId, Seed, check_option};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Options of an [`Explainer`](crate::Explainer): the objective of Eq. 1 and its descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct CounterfactualConfig {
    /// Weight of `|w|_1`; the paper's 0.1.
    pub lambda1: f64,
    /// Weight of `|w|_2`, the norm and not its square; the paper's 0.01.
    pub lambda2: f64,
    /// Step size of the descent; 0.01.
    pub learning_rate: f64,
    /// Momentum of the descent, as PyTorch's SGD has it; 0.9.
    pub momentum: f64,
    /// Steps after which a sample counts as one that does not flip; 1000.
    ///
    /// While the class is improbable the gradient hardly changes, so that the gap of logits
    /// closes by about `learning_rate / (1 - momentum) * |W_y - W_k|^2` a step. Mistakes of the
    /// networks in our tests flip within 100 steps; those that need ten times as many have logits
    /// no small change of features moves, or a penalty that outweighs the gradient.
    pub max_steps: usize,
    /// Whether the norms are divided by the number of neurons.
    pub penalty_scale: PenaltyScale,
    /// Whether activations stay at or above 0; never, as in paper and original. Where they do, what a step
    /// takes below 0 is set to 0.
    pub floor: Floor,
    /// Samples on the device at a time; 1024. But for rounding the result does not depend on it.
    pub batch_size: usize,
}

/// What the two norms of Eq. 1 are multiplied by, beside their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PenaltyScale {
    /// `1 / D`, as the original program has it: penalties mean the same at any width.
    #[default]
    PerNeuron,
    /// 1, as the paper prints it. With the default weights a coordinate whose gradient stays below
    /// `lambda1` never leaves 0, and many samples do not flip.
    Unscaled,
}

impl Default for CounterfactualConfig {
    fn default() -> Self {
        Self {
            lambda1: 0.1,
            lambda2: 0.01,
            learning_rate: 0.01,
            momentum: 0.9,
            max_steps: 1000,
            penalty_scale: PenaltyScale::PerNeuron,
            floor: Floor::None,
            batch_size: 1024,
        }
    }
}

impl CounterfactualConfig {
    /// The settings of the original program, which knows no limit on steps: a million stands for
    /// none.
    pub fn original() -> Self {
        Self::default().with_max_steps(1_000_000)
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        for (option, weight) in [("lambda1", self.lambda1), ("lambda2", self.lambda2)] {
            check_option(
                option,
                weight,
                not_negative(weight),
                "0 or a positive number",
            )?;
        }
        let rate = self.learning_rate;
        let positive = rate > 0.0 && not_negative(rate);
        check_option("learning_rate", rate, positive, "a number above 0")?;
        check_share("momentum", self.momentum)?;
        check_count("max_steps", self.max_steps)?;
        check_count("batch_size", self.batch_size)
    }
}

/// Options of [`rank`](crate::rank).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct RankingConfig {
    /// How many neurons of a sample vote in each direction; the K of prec@K; 5.
    pub top: usize,
    /// A neuron is listed when its prec@K is above this share, strictly; 0.03.
    pub min_precision: f64,
    /// The longest a list can be; 30.
    pub max_listed: usize,
    /// What happens to a neuron that stands in both lists.
    pub overlap: Overlap,
    /// Which shifts vote.
    pub votes: Votes,
}

/// What happens to a neuron that stands in both lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It stays in both: too weak on some samples and too strong on others is a finding.
    #[default]
    Keep,
    /// It is left out of both, as in the original's interactive tool
    /// ([`RankingConfig::interactive`]). It still takes up one of the
    /// [`max_listed`](RankingConfig::max_listed) places, so that the lists may be shorter.
    Drop,
}

/// Which shifts vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Votes {
    /// Only `w_i > 0` votes for insufficient, and only `w_i < 0` for excessive.
    #[default]
    BySign,
    /// The largest `w_i` vote for insufficient whatever their sign, as in the original: a sample
    /// with fewer than five positive shifts then blames neurons it wants less of, or not at all.
    UncheckedInsufficient,
}

impl Default for RankingConfig {
    fn default() -> Self {
        Self {
            top: 5,
            min_precision: 0.03,
            max_listed: 30,
            overlap: Overlap::Keep,
            votes: Votes::BySign,
        }
    }
}

impl RankingConfig {
    /// How the original counts votes: without a sign check on the insufficient list.
    pub fn original() -> Self {
        Self::default().with_votes(Votes::UncheckedInsufficient)
    }

    /// What the original's interactive tool shows: [`original`](Self::original) votes, neurons in
    /// both lists left out of both.
    pub fn interactive() -> Self {
        Self::original().with_overlap(Overlap::Drop)
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        check_count("top", self.top)?;
        check_share("min_precision", self.min_precision)?;
        check_count("max_listed", self.max_listed)
    }
}

/// Options of [`certify`](crate::certify).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct CertifiedConfig {
    /// Whether activations stay at or above 0.
    pub floor: Floor,
    /// The one class that is to be outdone: why is a sample taken for it, and not for its own?
    /// Only mistakes that are taken for it are explained then. `None`, the default: all classes are.
    #[setters(strip_option)]
    pub rival: Option<ClassId>,
    /// By how much the class leads after the change, as a share of what it was behind by; 0.001.
    pub margin: f64,
    /// How much longer a change may be than what is proven to be needed, as a share of that, and
    /// still be called [certified](crate::Outcome::Certified); 0.01. The margin is part of it.
    pub tolerance: f64,
    /// A change that is proven to be longer than this counts as
    /// [impossible](crate::Outcome::Impossible); 10,000.
    pub longest: f64,
    /// How the stability of a ranking is measured.
    pub stability: StabilityConfig,
}

/// Whether changed activations stay at or above 0, as those after a rectifier do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// Where no activation of the table, or of the features given, is below 0.
    #[default]
    Automatic,
    /// Always: activations below 0 are an error.
    Zero,
    /// Never.
    None,
}

impl Floor {
    /// Whether changed activations of these features are to stay at or above 0; `id` is what the sample of a row is
    /// called.
    pub(crate) fn holds(
        self,
        features: ArrayView2<'_, f32>,
        id: impl Fn(usize) -> String,
    ) -> Result<bool> {
        if self == Self::None {
            return Ok(false);
        }
        let below = below(features);
        match below {
            None => Ok(true),
            Some(((row, neuron), value)) if self == Self::Zero => Err(Error::BelowFloor {
                sample: id(row),
                neuron: NeuronId(neuron),
                value,
            }),
            Some(_) => Ok(false),
        }
    }

    /// The same by all features of a table, which is looked at as far as the first that is below 0.
    pub(crate) fn holds_of(self, table: &FeatureTable) -> Result<bool> {
        if self == Self::None {
            return Ok(false);
        }
        let mut first = 0;
        for chunk in table.activations().chunks() {
            let chunk = chunk?;
            let id = |row: usize| table.sample_ids()[first + row].clone();
            if !self.holds(chunk.view(), id)? {
                return Ok(false);
            }
            first += chunk.nrows();
        }
        Ok(true)
    }
}

/// The first activation below 0, with its row and neuron.
fn below(features: ArrayView2<'_, f32>) -> Option<((usize, usize), f32)> {
    // The test of all values at once is quick; the search for the first need not be.
    let is_above = |row: ArrayView1<'_, f32>| row.fold(true, |all, &value| all & (value >= 0.0));
    if features.rows().into_iter().all(is_above) {
        return None;
    }
    let mut values = features.indexed_iter();
    let found = values.find(|&(_, &value)| value < 0.0);
    found.map(|(place, &value)| (place, value))
}

impl Default for CertifiedConfig {
    fn default() -> Self {
        Self {
            floor: Floor::Automatic,
            rival: None,
            margin: 1e-3,
            tolerance: 1e-2,
            longest: 1e4,
            stability: StabilityConfig::default(),
        }
    }
}

impl CertifiedConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        for (option, share) in [("margin", self.margin), ("tolerance", self.tolerance)] {
            let allowed = share > 0.0 && share < 1.0;
            check_option(option, share, allowed, "above 0 and below 1")?;
        }
        let allowed = self.longest > 0.0 && self.longest.is_finite();
        check_option("longest", self.longest, allowed, "a number above 0")?;
        self.stability.validate()
    }
}

/// Options of [`stability`](crate::stability).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct StabilityConfig {
    /// How often as many mistakes as there are are drawn with replacement; 1000.
    pub resamples: usize,
    /// How many neurons count as the first of a ranking; 5.
    pub first: usize,
    /// Decides the draws; 0.
    pub seed: Seed,
}

impl Default for StabilityConfig {
    fn default() -> Self {
        Self {
            resamples: 1000,
            first: 5,
            seed: Seed(0),
        }
    }
}

impl StabilityConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        check_count("resamples", self.resamples)?;
        check_count("first", self.first)
    }
}

fn check_count(option: &'static str, value: usize) -> Result<()> {
    Ok(check_option(option, value, value > 0, "at least 1")?)
}

fn check_share(option: &'static str, value: f64) -> Result<()> {
    let allowed = (0.0..1.0).contains(&value);
    Ok(check_option(option, value, allowed, "from 0 to below 1")?)
}
