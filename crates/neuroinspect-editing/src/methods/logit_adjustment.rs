//! Logit adjustment: rare classes are not to be ruled out for being rare.

use burn::tensor::{Tensor, TensorData};
use ndarray::Array1;
use neuroinspect_core::{DecisionLayer, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss, LossAndGradient,
    MethodInput, Result, SampleBatch, Shuffled, TrainingConfig, train, training::CrossEntropyTerms,
};

/// Logit adjustment by the classes' shares `pi` of the training samples (Menon et al. 2021, Eq. 9 and
/// 10).
///
/// After the fact, `b_k - tau ln pi_k`; or in the loss, the cross-entropy of `z_k + tau ln pi_k`, the
/// layer then being used as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitAdjustment {
    /// How much; the authors' 1, by which the balanced error is consistent.
    pub tau: f64,
    /// Where; after the fact.
    pub form: AdjustmentForm,
    /// How it is trained with the loss.
    pub training: TrainingConfig,
}

/// Where logits are adjusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentForm {
    /// In the layer given, without training.
    #[default]
    PostHoc,
    /// In the loss of training.
    Loss,
}

impl LogitAdjustment {
    /// The name it is recorded under.
    pub const NAME: &'static str = "logit_adjustment";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Takes off each logit what its class owes to being frequent.";

    /// `tau ln pi`: `[K]`. A class without samples counts as one with a single sample.
    fn shifts(&self, input: &MethodInput<'_>) -> Array1<f32> {
        let samples = input.train().len() as f64;
        let counts = input.train().class_counts().into_iter();
        counts
            .map(|count| (self.tau * (count.max(1) as f64 / samples).ln()) as f32)
            .collect()
    }
}

impl Default for LogitAdjustment {
    fn default() -> Self {
        Self {
            tau: 1.0,
            form: AdjustmentForm::PostHoc,
            training: TrainingConfig::default(),
        }
    }
}

impl FromArguments for LogitAdjustment {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            training: arguments.training.clone(),
            ..Self::default()
        })
    }

    fn grid() -> Value {
        // The authors' 1, and both of their forms.
        json!({"tau": [1.0, 0.5, 2.0], "form": ["post_hoc", "loss"]})
    }
}

impl DecisionMethod for LogitAdjustment {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021",
            url: "https://arxiv.org/abs/2007.07314",
        })
    }

    fn describe(&self) -> String {
        let tau = self.tau;
        match self.form {
            AdjustmentForm::PostHoc => format!("takes {tau} times the log prior off the biases"),
            AdjustmentForm::Loss => {
                format!("adds {tau} times the log prior to the logits trained on")
            }
        }
    }

    fn training(&self) -> Option<&TrainingConfig> {
        (self.form == AdjustmentForm::Loss).then_some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training().is_some_and(TrainingConfig::uses_validation)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        check_option("tau", self.tau, (self.tau as f32).is_finite(), "a number")?;
        let shifts = self.shifts(input);
        if self.form == AdjustmentForm::PostHoc {
            let (weight, bias) = (input.layer().weight().to_owned(), input.layer().bias());
            return Ok(Fitted::new(DecisionLayer::new(weight, &bias - &shifts)?));
        }
        let data = TensorData::new(shifts.to_vec(), [1, shifts.len()]);
        let training = LayerTraining {
            input,
            loss: &mut ShiftedCrossEntropy(Tensor::from_data(data, input.device())),
            sampling: &Shuffled {
                samples: input.train().len(),
            },
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}

/// The mean cross-entropy of logits to which this is added: `[1, K]`.
pub(super) struct ShiftedCrossEntropy(pub(super) Tensor<2>);

impl Loss for ShiftedCrossEntropy {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let logits = layer.logits(batch.features.clone()) + self.0.clone();
        let terms = CrossEntropyTerms::new(logits, batch);
        LossAndGradient::through_logits(terms.loss, terms.gradient, &batch.features)
    }
}
