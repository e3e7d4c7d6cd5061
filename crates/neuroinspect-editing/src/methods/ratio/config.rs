//! Options of the ratio edit.

use derive_setters::Setters;
use neuroinspect_core::{ClassId, check_option};
use serde::{Deserialize, Serialize};

use crate::{Keep, Result, Schedule, Ties, TrainingConfig};

/// Whose probability the neurons are to stop deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EditScope {
    /// One class's: the norm of its probability ratios over a batch is pulled to the target.
    Class(ClassId),
    /// Every class's: the mean of the ratios over a batch and all classes is pulled to the target,
    /// as the paper does on Waterbirds. Ratios of opposite classes can cancel in that mean.
    AllClasses,
}

impl EditScope {
    /// One class, or all of them.
    pub fn of(class: Option<ClassId>) -> Self {
        class.map_or(Self::AllClasses, Self::Class)
    }

    /// The class, where it is one.
    pub fn class(self) -> Option<ClassId> {
        match self {
            Self::Class(class) => Some(class),
            Self::AllClasses => None,
        }
    }
}

/// The probability ratio `o` to be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// Given, at least 1; at 1 the neurons' influence is to vanish. The paper's: 1.003 on
    /// Flowers-102, 1.02 on Food-101, 1 on Waterbirds and MetaShift.
    Fixed(f64),
    /// A third of the influence of the least important neuron is left:
    /// `o = 1 + (min_i r_i - 1) / 3`, the importances `r_i` taken at the validation table's mean
    /// features, 1e9 at most, which no ratio is above; 1 when that neuron argues against the class.
    /// For [all classes](EditScope::AllClasses), `r_i` is the mean over them.
    #[default]
    Auto,
    /// The same at the mean features of the validation samples of the class alone; for all classes there is no
    /// difference.
    AutoOfClass,
}

/// Of what the probability ratio is taken when there are several neurons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RatioForm {
    /// One ratio per sample, all neurons zeroed at once, as in the original program.
    #[default]
    Joint,
    /// One ratio per sample and neuron, that neuron alone zeroed, as the paper writes it.
    PerNeuron,
}

/// How the distances of a batch's ratios from the target become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RatioNorm {
    /// The Euclidean norm, as in the paper: it grows with the square root of the batch.
    #[default]
    L2,
    /// The same over the square root of the number of ratios: `lambda3` means the same at any
    /// batch size.
    RootMeanSquare,
}

/// Options of a [`RatioEdit`](crate::RatioEdit): Eq. 8, and how it is trained.
///
/// What the paper prints and what the authors' programs do differ; where they do, there is one
/// constructor for each:
///
/// | | `lambda3` | `o` | rate | batch | decay | schedule | epoch kept |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | [`paper_flowers`](Self::paper_flowers), [`paper_food`](Self::paper_food) | 0.01 | 1.003, 1.02 | 1e-3 | 128 | 0 | warm-up | most accurate |
/// | [`paper_waterbirds`](Self::paper_waterbirds) | 0.001 | 1 | 5e-5 | 32 | 1e-4 | constant | most accurate |
/// | [`code_waterbirds`](Self::code_waterbirds) | 0.01 | 1 | 5e-5 | 32 | 1e-4 | constant | best worst class, later among equals, not the first |
/// | [`paper_metashift`](Self::paper_metashift) | 1 | 1 | 1e-3 | 16 | 0 | warm-up | most accurate |
/// | [`code_metashift`](Self::code_metashift) | 1 | 1 | 1e-3 | 16 | 0 | the original's walk | most accurate, later among equals, not the first two |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct EditConfig {
    /// The probability ratio to be reached; automatic.
    pub target: Target,
    /// One ratio for all neurons together, or one for each; together.
    #[setters(skip)]
    pub ratio_form: RatioForm,
    /// The norm of the penalty; the paper's.
    #[setters(skip)]
    pub ratio_norm: RatioNorm,
    /// Weight of the penalty; the paper's 0.01. At 0 the layer is merely trained again. When it is
    /// far too large, the cheapest way to the target is to be certain of the class whatever the
    /// image: watch the other classes' accuracy.
    pub lambda3: f64,
    /// How it is trained.
    pub training: TrainingConfig,
}

impl Default for EditConfig {
    fn default() -> Self {
        Self {
            target: Target::Auto,
            ratio_form: RatioForm::Joint,
            ratio_norm: RatioNorm::L2,
            lambda3: 0.01,
            training: TrainingConfig::default(),
        }
    }
}

impl EditConfig {
    /// What the authors' program `exp_spurious/edit_decision.py` does where it departs from the
    /// paper, with the paper's rates: its [walk of the warm-up](Schedule::OriginalWarmup), the most
    /// accurate epoch [but the first two](TrainingConfig::skipped_epochs), the later one
    /// [among equals](Ties::Later).
    pub fn original() -> Self {
        let training = TrainingConfig::default()
            .with_keep(Keep::Accuracy)
            .with_schedule(Schedule::OriginalWarmup)
            .with_ties(Ties::Later)
            .with_skipped_epochs(2);
        Self::default().with_training(training)
    }

    /// The paper's settings for one class of Flowers-102; it ends after 5 epochs without a better one.
    pub fn paper_flowers() -> Self {
        Self::default()
            .with_target(Target::Fixed(1.003))
            .with_training(TrainingConfig::default().with_keep(Keep::Accuracy))
    }

    /// The paper's settings for one class of Food-101.
    pub fn paper_food() -> Self {
        Self::paper_flowers().with_target(Target::Fixed(1.02))
    }

    /// The paper's settings for Waterbirds, with [`EditScope::AllClasses`], at the lower of its two
    /// rates. Its "(C)" is this with [`Keep::WorstClass`].
    pub fn paper_waterbirds() -> Self {
        let training = TrainingConfig::default()
            .with_keep(Keep::Accuracy)
            .with_learning_rate(5e-5)
            .with_weight_decay(1e-4)
            .with_batch_size(32)
            .with_schedule(Schedule::Constant);
        Self::default()
            .with_target(Target::Fixed(1.0))
            .with_lambda3(0.001)
            .with_training(training)
    }

    /// What `scripts/edit_decision_waterbird.py` does as its authors call it. The program counts its
    /// patience on the worst class, this on the accuracy.
    pub fn code_waterbirds() -> Self {
        let paper = Self::paper_waterbirds();
        let training = paper.training.clone();
        paper.with_lambda3(0.01).with_training(
            training
                .with_keep(Keep::WorstClass)
                .with_ties(Ties::Later)
                .with_skipped_epochs(1),
        )
    }

    /// The paper's settings for MetaShift, in 20 epochs.
    pub fn paper_metashift() -> Self {
        let training = TrainingConfig::default()
            .with_keep(Keep::Accuracy)
            .with_batch_size(16)
            .with_epochs(20, None);
        Self::default()
            .with_target(Target::Fixed(1.0))
            .with_lambda3(1.0)
            .with_training(training)
    }

    /// What `exp_spurious/edit_decision.py` does: the paper's settings for MetaShift in the
    /// [original](Self::original)'s way.
    pub fn code_metashift() -> Self {
        let paper = Self::paper_metashift();
        let training = Self::original().training;
        paper.with_training(training.with_batch_size(16).with_epochs(20, None))
    }

    /// Sets of what the ratio is taken, and the norm of its distances from the target.
    pub fn with_ratio(mut self, form: RatioForm, norm: RatioNorm) -> Self {
        self.ratio_form = form;
        self.ratio_norm = norm;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        if let Target::Fixed(target) = self.target {
            let allowed = target >= 1.0 && target.is_finite();
            check_option("target", target, allowed, "a number from 1, or automatic")?;
        }
        let lambda3 = self.lambda3;
        let allowed = lambda3 >= 0.0 && lambda3.is_finite();
        check_option("lambda3", lambda3, allowed, "0 or a positive number")?;
        self.training.validate()
    }
}
