//! JTT: what a short training gets wrong is drawn more often.

use neuroinspect_core::{Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, Retrain, STAGE};
use crate::{
    Citation, CrossEntropy, DecisionMethod, Fitted, Keep, LayerTraining, MethodInput, Result,
    TrainingConfig, Weighted, train,
};

/// Just Train Twice (Liu et al. 2021) on the last layer: a layer is trained from 0 for a few epochs, and
/// the layer given is then retrained with the training samples that the first gets wrong drawn more
/// often. The authors choose epochs and factor by the worst group of the validation samples, train anew
/// the second time, and their epochs are longer by the copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jtt {
    /// Epochs of the first training; the authors' 1 for CelebA (60 for Waterbirds, of a whole network).
    pub identification_epochs: usize,
    /// How many times as often a mistake is drawn; the authors' 50 for CelebA (100 for Waterbirds).
    pub factor: f64,
    /// How both trainings go, but for the epochs of the first.
    pub training: TrainingConfig,
}

impl Jtt {
    /// The name it is recorded under.
    pub const NAME: &'static str = "jtt";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Trains briefly, and then again with the mistakes of the first training drawn more often.";

    /// The number that [`Fitted::derived`] holds of it: the share of training samples drawn more often.
    pub const MISTAKES: &'static str = "mistakes";
}

impl FromArguments for Jtt {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            identification_epochs: 1,
            factor: 50.0,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors' published factors lie between 20 and 100, their first trainings between 1 and 60 epochs.
        json!({
            "factor": [50.0, 20.0, 100.0],
            "identification_epochs": [1, 5],
            "training": {"learning_rate": [1e-3, 1e-2]},
        })
    }
}

impl DecisionMethod for Jtt {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Liu et al., Just Train Twice: Improving Group Robustness without Training Group \
                   Information, ICML 2021",
            url: "https://arxiv.org/abs/2107.09044",
        })
    }

    fn describe(&self) -> String {
        format!(
            "draws the mistakes of a short training {} times as often",
            self.factor
        )
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let allowed = self.factor >= 1.0 && self.factor.is_finite();
        check_option("factor", self.factor, allowed, "a number from 1")?;
        let epochs = self.identification_epochs;
        check_option("identification_epochs", epochs, epochs > 0, "at least 1")?;
        let first = from_zero(self.identification_epochs, &self.training, input, observer)?;
        let wrong = input.train().mistakes(&first.layer)?;
        let weight = |&wrong: &bool| if wrong { self.factor } else { 1.0 };
        let training = LayerTraining {
            input,
            loss: &mut CrossEntropy,
            sampling: &Weighted::new(wrong.iter().map(weight).collect())?,
            config: &self.training,
            stage: STAGE,
        };
        let share = wrong.iter().filter(|&&wrong| wrong).count() as f64 / wrong.len() as f64;
        Ok(train(training, observer)?.with_derived(Self::MISTAKES, share))
    }
}

/// A layer trained from 0 for so many epochs: one that has learnt what is learnt first.
pub(super) fn from_zero(
    epochs: usize,
    training: &TrainingConfig,
    input: &MethodInput<'_>,
    observer: &mut dyn Observer,
) -> Result<Fitted> {
    let training = training
        .clone()
        .with_epochs(epochs, None)
        .with_skipped_epochs(0);
    let nothing = neuroinspect_core::DecisionLayer::new(
        input.layer().weight().mapv(|_| 0.0),
        input.layer().bias().mapv(|_| 0.0),
    )?;
    let retrain = Retrain::new(training.with_keep(Keep::Last));
    retrain.fit(&input.with_layer(&nothing), observer)
}
