//! Options of editing.

use neuroinspect_core::{ClassId, Error::InvalidOption, Seed};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Whose probability the neurons are to stop deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditScope {
    /// One class's: the norm of its probability ratios over a batch is pulled to the target.
    Class(ClassId),
    /// Every class's: the mean of the ratios over a batch and all classes is pulled to the target,
    /// as the paper does on Waterbirds. Ratios of opposite classes can cancel in that mean.
    AllClasses,
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
}

/// Of what the probability ratio is taken when there are several neurons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Which epoch's layer is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keep {
    /// The one of best validation accuracy.
    #[default]
    Accuracy,
    /// The one whose worst class has the best validation accuracy: "(C)" in the paper's tables.
    WorstClass,
    /// The last one of all epochs: there is no early stopping. Prefer it where the validation table
    /// has the same false correlation as the training table: by its accuracy the layer edited
    /// least is best.
    Last,
}

/// Which of several epochs that are equally good by [`Keep`] is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ties {
    /// The one with the smaller ratio penalty, and then the earlier one. Without the ratio in the
    /// loss ([`lambda3`](EditConfig::lambda3) 0) simply the earlier one.
    #[default]
    SmallerPenalty,
    /// The later one. The original means to compare penalties, but never records the one of the
    /// layer it keeps, and so always takes the later epoch.
    Later,
}

/// How the learning rate goes over training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// As it is.
    Constant,
    /// Up from 0 over the first twentieth of all steps, down along a cosine over the last quarter:
    /// `rate (0.5 - 0.5 cos(pi min(1, 4 (1 - u)))) min(1, 20 u)`, the progress `u` taken at the
    /// middle of each step, so that no step is in vain.
    #[default]
    Warmup,
    /// The same curve as the original program walks it: the rate is set after each step, for the
    /// next one, from the step within the epoch over the steps of all epochs, and never leaves the
    /// rise. The very first step has the full rate. Every later epoch begins with the last rate of
    /// the one before; 0 comes at its second step. With one batch an epoch, every step but the very
    /// first has a rate of 0.
    OriginalWarmup,
}

/// Options of [`edit`](crate::edit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EditConfig {
    /// The probability ratio to be reached; automatic.
    pub target: Target,
    /// One ratio for all neurons together, or one for each; together.
    pub ratio_form: RatioForm,
    /// The norm of the penalty; the paper's.
    pub ratio_norm: RatioNorm,
    /// Weight of the penalty; the paper's 0.01. At 0 the layer is merely trained again. When it is
    /// far too large, the cheapest way to the target is to be certain of the class whatever the
    /// image: watch the other classes' accuracy.
    pub lambda3: f64,
    /// Adam's learning rate; 1e-3.
    pub learning_rate: f64,
    /// Adam's L2 weight decay; 0.
    pub weight_decay: f64,
    /// Samples a step; 128. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Most passes over the training table; 20.
    pub epochs: usize,
    /// Stop after this many epochs without a better validation accuracy; 5. `None`: never. It is
    /// the accuracy over all samples also where [`Keep::WorstClass`] chooses the epoch. Not heeded
    /// under [`Keep::Last`].
    pub patience: Option<usize>,
    /// Which epoch's layer is kept; by accuracy.
    pub keep: Keep,
    /// Which of several equally good epochs is kept; the one with the smaller penalty.
    pub ties: Ties,
    /// How the learning rate goes; a warm-up.
    pub schedule: Schedule,
    /// Seed of the order of samples; 0.
    pub seed: Seed,
}

impl Default for EditConfig {
    fn default() -> Self {
        Self {
            target: Target::Auto,
            ratio_form: RatioForm::Joint,
            ratio_norm: RatioNorm::L2,
            lambda3: 0.01,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            batch_size: 128,
            epochs: 20,
            patience: Some(5),
            keep: Keep::Accuracy,
            ties: Ties::SmallerPenalty,
            schedule: Schedule::Warmup,
            seed: Seed(0),
        }
    }
}

impl EditConfig {
    /// The original program's settings: the default with its
    /// [walk of the warm-up](Schedule::OriginalWarmup) and its [choice among equals](Ties::Later).
    pub fn original() -> Self {
        Self::default()
            .with_schedule(Schedule::OriginalWarmup)
            .with_ties(Ties::Later)
    }

    /// The paper's settings for Waterbirds, with [`EditScope::AllClasses`]: target 1, learning rate
    /// 1e-4 (the upper of its two), weight decay 1e-4, batches of 32.
    pub fn waterbirds() -> Self {
        Self {
            target: Target::Fixed(1.0),
            learning_rate: 1e-4,
            weight_decay: 1e-4,
            batch_size: 32,
            ..Self::default()
        }
    }

    /// The paper's settings for MetaShift: target 1, batches of 16.
    pub fn metashift() -> Self {
        Self {
            target: Target::Fixed(1.0),
            batch_size: 16,
            ..Self::default()
        }
    }

    /// Sets the probability ratio to be reached.
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Sets of what the ratio is taken, and the norm of its distances from the target.
    pub fn with_ratio(mut self, form: RatioForm, norm: RatioNorm) -> Self {
        self.ratio_form = form;
        self.ratio_norm = norm;
        self
    }

    /// The same training without the ratio (`lambda3` 0): plain retraining of the decision layer.
    /// Under [`Keep::Last`] both take the same steps on the same batches; under another rule each
    /// keeps the epoch that is best of its own. The control's layer and epoch do not depend on the
    /// neurons, the scope or the target: those only decide which penalty is reported.
    ///
    /// What it gains as well, an edit by this configuration owes to the training and not to the
    /// ratio.
    pub fn control(&self) -> Self {
        self.clone().with_lambda3(0.0)
    }

    /// Sets the weight of the penalty.
    pub fn with_lambda3(mut self, weight: f64) -> Self {
        self.lambda3 = weight;
        self
    }

    /// Sets Adam's learning rate.
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = rate;
        self
    }

    /// Sets Adam's L2 weight decay.
    pub fn with_weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Sets the number of samples a step.
    pub fn with_batch_size(mut self, samples: usize) -> Self {
        self.batch_size = samples;
        self
    }

    /// Sets the most passes, and after how many without a better accuracy to stop.
    pub fn with_epochs(mut self, epochs: usize, patience: Option<usize>) -> Self {
        self.epochs = epochs;
        self.patience = patience;
        self
    }

    /// Sets which epoch's layer is kept.
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Sets which of several equally good epochs is kept.
    pub fn with_ties(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }

    /// Sets how the learning rate goes.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the seed of the order of samples.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] naming the option.
    pub fn validate(&self) -> Result<()> {
        if let Target::Fixed(target) = self.target {
            let allowed = target >= 1.0 && target.is_finite();
            check("target", target, allowed, "a number from 1, or automatic")?;
        }
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let number = "0 or a positive number";
        check("lambda3", self.lambda3, not_negative(self.lambda3), number)?;
        let rate = self.learning_rate;
        let allowed = rate > 0.0 && rate.is_finite();
        check("learning_rate", rate, allowed, "a number above 0")?;
        let decay = self.weight_decay;
        check("weight_decay", decay, not_negative(decay), number)?;
        let count = "at least 1";
        check("batch_size", self.batch_size, self.batch_size > 0, count)?;
        check("epochs", self.epochs, self.epochs > 0, count)?;
        let patience = self.patience.unwrap_or(1);
        check("patience", patience, patience > 0, "at least 1, or none")
    }
}

fn check<T: ToString>(
    option: &'static str,
    value: T,
    allowed: bool,
    expected: &'static str,
) -> Result<()> {
    if allowed {
        return Ok(());
    }
    let value = value.to_string();
    Err(InvalidOption {
        option,
        value,
        expected,
    }
    .into())
}
