//! Classes weighted in the loss.

use burn::tensor::Tensor;
use neuroinspect_core::{ClassId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss, LossAndGradient,
    MethodInput, Result, SampleBatch, Shuffled, TrainingConfig, train, training::CrossEntropyTerms,
};

/// The weighted mean of the cross-entropy, `sum_i w_{y_i} CE_i / sum_i w_{y_i}` over a batch, as PyTorch
/// weights classes.
///
/// The baseline of NeuroInspect's tables weights the class 1 and all others 0.9 (0.95 on Waterbirds).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassWeighting {
    /// The class of weight 1; `None`: every class is weighted by the inverse of its frequency.
    pub class: Option<ClassId>,
    /// Weight of every other class, where there is a class; 0.9.
    pub others: f64,
    /// How it is trained.
    pub training: TrainingConfig,
}

impl ClassWeighting {
    /// The name it is recorded under.
    pub const NAME: &'static str = "class_weighting";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Retrains with the other classes weighted less; if no class is chosen, with rare classes weighted more.";
}

impl FromArguments for ClassWeighting {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            class: arguments.class,
            others: 0.9,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // 0.9 and 0.95 are of NeuroInspect's tables.
        json!({"others": [0.9, 0.95, 0.5, 0.25], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for ClassWeighting {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        match self.class {
            Some(class) => format!("weights class {class} 1 and all others {}", self.others),
            None => "weights classes by the inverse of their frequency".to_owned(),
        }
    }

    fn class(&self) -> Option<ClassId> {
        self.class
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let training = LayerTraining {
            input,
            loss: &mut WeightedMean {
                weights: sample_weights(self.class, self.others, input)?,
            },
            sampling: &Shuffled {
                samples: input.train().len(),
            },
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}

/// The weight of each training sample by its class, `[N, 1]`: 1 for `class` and `others` for the
/// rest, or without a class the inverse of the class's frequency, 1 on average.
pub(super) fn sample_weights(
    class: Option<ClassId>,
    others: f64,
    input: &MethodInput<'_>,
) -> Result<Tensor<2>> {
    let allowed = others >= 0.0 && others.is_finite();
    check_option("others", others, allowed, "0 or a positive number")?;
    let train = input.train();
    if let Some(class) = class {
        input.layer().check_class(class)?;
    }
    let counts = train.class_counts();
    let present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |label: ClassId| match class {
        Some(class) if label == class => 1.0,
        Some(_) => others,
        None => train.len() as f64 / (present * counts[label.0]) as f64,
    };
    Ok(train.column(train.labels().iter().map(|&label| weight(label))))
}

/// The mean cross-entropy, each sample by its weight.
pub(super) struct WeightedMean {
    /// The weights of the training samples: `[N, 1]`.
    pub(super) weights: Tensor<2>,
}

impl Loss for WeightedMean {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let weights = self.weights.clone().select(0, batch.samples.clone());
        // A batch of weights 0 has a loss of 0.
        let sum = weights.clone().sum().clamp_min(f32::MIN_POSITIVE);
        let logits = layer.logits(batch.features.clone());
        let terms = CrossEntropyTerms::weighted(logits, batch, weights / sum.unsqueeze());
        LossAndGradient::through_logits(terms.loss, terms.gradient, &batch.features)
    }
}
