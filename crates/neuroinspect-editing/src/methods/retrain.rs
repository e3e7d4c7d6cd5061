//! Plain retraining of the decision layer.

use neuroinspect_core::Observer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments};
use crate::{
    Citation, ControlBy, CrossEntropy, DecisionMethod, Fitted, LayerTraining, MethodInput, Result,
    Shuffled, TrainingConfig, train,
};

/// The decision layer trained on by cross-entropy alone (empirical risk minimisation on the head): a
/// method of its own, and the control of those that add something to it.
///
/// With the [training](TrainingConfig) of another method, under [`Keep::Last`](crate::Keep::Last),
/// it takes the same steps on the same batches; under another rule each keeps the epoch that is best
/// of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrain {
    /// How it is trained.
    pub training: TrainingConfig,
}

impl Retrain {
    /// The name it is recorded under.
    pub const NAME: &'static str = "retrain";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Trains the layer on, by cross-entropy alone.";

    /// What observers are told is going on.
    pub(crate) const STAGE: &'static str = "retraining";

    /// Trained so.
    pub fn new(training: TrainingConfig) -> Self {
        Self { training }
    }
}

impl FromArguments for Retrain {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self::new(arguments.training.clone()))
    }

    fn grid() -> Value {
        json!({"training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for Retrain {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        "retrains the decision layer".to_owned()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn control(&self) -> ControlBy {
        ControlBy::Itself
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let training = LayerTraining {
            input,
            loss: &mut CrossEntropy,
            sampling: &Shuffled {
                samples: input.train().len(),
            },
            config: &self.training,
            stage: Self::STAGE,
        };
        train(training, observer)
    }
}
