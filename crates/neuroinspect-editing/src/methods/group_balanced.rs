//! The ceiling: a layer trained on groups drawn equally often.

use neuroinspect_core::Observer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, CrossEntropy, DecisionMethod, Fitted, LabelsUsed, LayerTraining, MethodInput, Result,
    TrainingConfig, Weighted, train,
};

/// Retrains on the training samples, each of their groups drawn equally often. As it knows every sample's
/// group it is no rival but an oracle, taken for the ceiling of what a decision layer on these features comes
/// to. A layer fitted on held-out samples can pass it: a network has seen its training samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupBalanced {
    /// How it is trained.
    pub training: TrainingConfig,
}

impl GroupBalanced {
    /// The name it is recorded under.
    pub const NAME: &'static str = "group_balanced";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Retrains with samples of each group drawn equally often.";
}

impl FromArguments for GroupBalanced {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        json!({"training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for GroupBalanced {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn labels(&self) -> LabelsUsed {
        LabelsUsed::GroupsOfTraining
    }

    fn describe(&self) -> String {
        "retrains on the groups of the training samples, drawn equally often".to_owned()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let groups = input.training_groups()?.of_sample().iter().copied();
        let training = LayerTraining {
            input,
            loss: &mut CrossEntropy,
            sampling: &Weighted::balanced(groups)?,
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}
