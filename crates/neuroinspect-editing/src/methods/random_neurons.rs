//! The ratio edit on neurons drawn at random: what the choice of neurons is worth.

use neuroinspect_core::{ClassId, NeuronId, Observer};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EditConfig, EditScope, FromArguments, MethodArguments, RatioEdit, check_neurons};
use crate::{Citation, DecisionMethod, Error, Fitted, MethodInput, Result, TrainingConfig};

/// The [ratio edit](RatioEdit) of as many neurons drawn at random as are suspected, from those that are
/// not: the control for which neurons are edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomNeurons {
    /// The neurons suspected: how many are drawn, and which are not.
    pub suspected: Vec<NeuronId>,
    /// Whose probability the neurons drawn are to stop deciding.
    pub scope: EditScope,
    /// The options of the edit; its training's seed draws the neurons.
    pub config: EditConfig,
}

impl RandomNeurons {
    /// The name it is recorded under.
    pub const NAME: &'static str = "random_neurons";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Edits as many other neurons, drawn at random, by the probability ratio: a control for the choice of neurons.";

    /// The edit of the neurons drawn out of a layer's `neurons`, in ascending order.
    ///
    /// # Errors
    ///
    /// When fewer are left than are suspected.
    pub fn drawn(&self, neurons: usize) -> Result<RatioEdit> {
        let mut others: Vec<NeuronId> = (0..neurons)
            .map(NeuronId)
            .filter(|neuron| !self.suspected.contains(neuron))
            .collect();
        if others.len() < self.suspected.len() {
            return Err(Error::NotApplicable {
                method: Self::NAME,
                reason: format!(
                    "{} neurons are suspected, and only {} are left to draw from",
                    self.suspected.len(),
                    others.len()
                ),
            });
        }
        others.shuffle(&mut self.config.training.seed.rng("random neurons", &[]));
        others.truncate(self.suspected.len());
        others.sort_unstable();
        Ok(RatioEdit::new(others, self.scope).with_config(self.config.clone()))
    }
}

impl FromArguments for RandomNeurons {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            suspected: arguments.neurons(Self::NAME)?,
            scope: EditScope::of(arguments.class),
            config: EditConfig::default().with_training(arguments.training.clone()),
        })
    }

    fn grid() -> Value {
        RatioEdit::grid()
    }
}

impl DecisionMethod for RandomNeurons {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        let neurons = self.suspected.len();
        format!("corrects {neurons} neurons drawn at random by the probability ratio")
    }

    fn class(&self) -> Option<ClassId> {
        self.scope.class()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.config.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        check_neurons(&self.suspected, input.layer())?;
        let edit = self.drawn(input.layer().neurons())?;
        let fitted = edit.fit(input, observer)?;
        let drawn = edit.neurons.iter().enumerate();
        Ok(drawn.fold(fitted, |fitted, (index, neuron)| {
            fitted.with_derived(format!("neuron_{index}"), neuron.0 as f64)
        }))
    }
}
