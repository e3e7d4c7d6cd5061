//! Options of training.

use derive_setters::Setters;
use neuroinspect_core::{Seed, check_option};
use serde::{Deserialize, Serialize};

use crate::{LabelsUsed, Result};

/// Which epoch's layer is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keep {
    /// The last one of all epochs: there is no early stopping. The default, though the paper keeps
    /// the most accurate. Validation samples are as a rule held out of the training samples and
    /// have their false correlation: the layer that leans on it most is the most accurate there, so
    /// that their accuracy chooses the layer edited least. And a method and its control then take as
    /// many steps on the same batches, down to a rate of 0, and differ by nothing but the method.
    #[default]
    Last,
    /// The one of best validation accuracy, as in the paper: for validation samples without the false
    /// correlation.
    Accuracy,
    /// The one whose worst class has the best validation accuracy: "(C)" in the paper's tables.
    WorstClass,
    /// The one whose worst group has the best validation accuracy. It uses group labels.
    WorstGroup,
}

/// Which of several epochs that are equally good by [`Keep`] is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ties {
    /// The one with the smaller [penalty](crate::Loss::penalty_sum), and then the earlier one.
    /// Without a penalty in the loss simply the earlier one.
    #[default]
    SmallerPenalty,
    /// The later one. The original means to compare penalties, but never records the one of the
    /// layer it keeps, and so always takes the later epoch.
    Later,
}

/// How the learning rate goes over training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Down along a cosine, epoch by epoch, from the full rate towards a tenth of it, which the epoch after the last
    /// would have: `rate (0.55 + 0.45 cos(pi e / E))` in epoch `e` of `E`, counted from 0.
    Cosine,
    /// The same towards a twentieth: `rate (0.525 + 0.475 cos(pi e / E))`.
    CosineToTwentieth,
}

/// Options of training a decision layer, whatever it is trained for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct TrainingConfig {
    /// Adam's learning rate; 1e-3.
    pub learning_rate: f64,
    /// Adam's L2 weight decay; 0.
    pub weight_decay: f64,
    /// Samples a step; 128. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Most passes over the training samples; 20.
    #[setters(skip)]
    pub epochs: usize,
    /// Stop after this many epochs without a better validation accuracy; 5. `None`: never. It is
    /// the accuracy over all samples whatever chooses the epoch. Not heeded under [`Keep::Last`].
    #[setters(skip)]
    pub patience: Option<usize>,
    /// Which epoch's layer is kept; the last.
    pub keep: Keep,
    /// Which of several equally good epochs is kept; the one with the smaller penalty.
    pub ties: Ties,
    /// How many of the first epochs are not kept, however good; none. The original programs skip
    /// one or two.
    pub skipped_epochs: usize,
    /// How the learning rate goes; a warm-up.
    pub schedule: Schedule,
    /// Seed of the order of samples; 0.
    pub seed: Seed,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 0.0,
            batch_size: 128,
            epochs: 20,
            patience: Some(5),
            keep: Keep::Last,
            ties: Ties::SmallerPenalty,
            skipped_epochs: 0,
            schedule: Schedule::Warmup,
            seed: Seed(0),
        }
    }
}

/// The most epochs of a training. With many more, the number of steps would overflow.
pub const MOST_EPOCHS: usize = 1_000_000;

impl TrainingConfig {
    /// Sets the most passes, and after how many without a better accuracy to stop.
    pub fn with_epochs(mut self, epochs: usize, patience: Option<usize>) -> Self {
        self.epochs = epochs;
        self.patience = patience;
        self
    }

    /// Which labels it learns from: classes, and the validation samples' groups where the worst of
    /// them chooses the epoch.
    pub fn labels(&self) -> LabelsUsed {
        match self.keep {
            Keep::WorstGroup => LabelsUsed::GroupsOfValidation,
            _ => LabelsUsed::Class,
        }
    }

    /// Whether the validation samples choose the epoch.
    pub fn uses_validation(&self) -> bool {
        self.keep != Keep::Last
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        let rate = self.learning_rate;
        let allowed = rate > 0.0 && rate.is_finite();
        check_option("learning_rate", rate, allowed, "a number above 0")?;
        let decay = self.weight_decay;
        let allowed = decay >= 0.0 && decay.is_finite();
        check_option("weight_decay", decay, allowed, "0 or a positive number")?;
        let count = "at least 1";
        check_option("batch_size", self.batch_size, self.batch_size > 0, count)?;
        let allowed = (1..=MOST_EPOCHS).contains(&self.epochs);
        check_option("epochs", self.epochs, allowed, "from 1 to 1000000")?;
        let patience = self.patience.unwrap_or(1);
        check_option("patience", patience, patience > 0, "at least 1, or none")?;
        let skipped = self.skipped_epochs;
        let expected = "fewer than there are epochs";
        let allowed = skipped < self.epochs;
        check_option("skipped_epochs", skipped, allowed, expected)?;
        Ok(())
    }
}
