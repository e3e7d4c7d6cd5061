//! The bias of one class raised: the yardstick of every edit for a class.

use neuroinspect_core::{ClassId, DecisionLayer, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, Retrain};
use crate::{Citation, DecisionMethod, Fitted, MethodInput, Result, TrainingConfig};

/// Raises the bias of one class, after plain retraining if asked for: logit adjustment by hand, which
/// trades the other classes' accuracy for that of the class along one curve. What an edit for a class
/// brings counts where it lies above that curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassBias {
    /// The class.
    pub class: ClassId,
    /// What is added to its bias, in units of the logits; 1.
    pub strength: f64,
    /// How the layer is retrained before; `None`: not at all. The default is to retrain.
    pub training: Option<TrainingConfig>,
}

impl ClassBias {
    /// The name it is recorded under.
    pub const NAME: &'static str = "class_bias";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Retrains, and raises the bias of the class: it gains what other classes lose.";

    /// After default retraining.
    pub fn new(class: ClassId, strength: f64) -> Self {
        Self {
            class,
            strength,
            training: Some(TrainingConfig::default()),
        }
    }
}

impl FromArguments for ClassBias {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            training: Some(arguments.training.clone()),
            ..Self::new(arguments.class(Self::NAME)?, 1.0)
        })
    }

    fn grid() -> Value {
        json!({"strength": [1.0, 0.0, 0.25, 0.5, 0.75, 1.5, 2.0, 3.0]})
    }
}

impl DecisionMethod for ClassBias {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        let retrained = self.training.as_ref().map_or("", |_| "retrains and ");
        format!(
            "{retrained}raises the bias of class {} by {}",
            self.class, self.strength
        )
    }

    fn class(&self) -> Option<ClassId> {
        Some(self.class)
    }

    fn training(&self) -> Option<&TrainingConfig> {
        self.training.as_ref()
    }

    fn uses_validation(&self) -> bool {
        self.training().is_some_and(TrainingConfig::uses_validation)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        input.layer().check_class(self.class)?;
        let allowed = (self.strength as f32).is_finite();
        check_option("strength", self.strength, allowed, "a number")?;
        let mut fitted = match &self.training {
            Some(training) => Retrain::new(training.clone()).fit(input, observer)?,
            None => Fitted::new(input.layer().clone()),
        };
        let mut bias = fitted.layer.bias().to_owned();
        bias[self.class.0] += self.strength as f32;
        fitted.layer = DecisionLayer::new(fitted.layer.weight().to_owned(), bias)?;
        Ok(fitted)
    }
}
