//! Focal loss: what is certain already counts for little.

use burn::tensor::{Tensor, activation::log_softmax};
use neuroinspect_core::{ClassId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE, class_weighting::sample_weights};
use crate::{
    Citation, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss, LossAndGradient,
    MethodInput, Result, SampleBatch, Shuffled, TrainingConfig, train, training::probabilities,
};

/// The mean of `-alpha_y (1 - p_y)^gamma ln p_y` (Lin et al. 2017, Eq. 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focal {
    /// The class of `alpha` 1; `None`: `alpha` is the inverse of the class's frequency.
    pub class: Option<ClassId>,
    /// `alpha` of every other class, where there is a class; the 0.9 of NeuroInspect's tables.
    pub others: f64,
    /// The exponent; the authors' 2. From 1, or 0, by which it is cross-entropy: between, the gradient is
    /// infinite where a sample is certain.
    pub gamma: f64,
    /// How it is trained.
    pub training: TrainingConfig,
}

impl Focal {
    /// The name it is recorded under.
    pub const NAME: &'static str = "focal";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Retrains by the focal loss, in which samples that are surely right count little.";
}

impl FromArguments for Focal {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            class: arguments.class,
            others: 0.9,
            gamma: 2.0,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors try 0 to 5.
        json!({"gamma": [2.0, 0.0, 1.0, 5.0], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for Focal {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Lin et al., Focal Loss for Dense Object Detection, ICCV 2017",
            url: "https://arxiv.org/abs/1708.02002",
        })
    }

    fn describe(&self) -> String {
        format!(
            "trains by the focal loss with an exponent of {}",
            self.gamma
        )
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
        let allowed = self.gamma == 0.0 || self.gamma >= 1.0 && self.gamma.is_finite();
        check_option("gamma", self.gamma, allowed, "0, or a number from 1")?;
        let training = LayerTraining {
            input,
            loss: &mut FocalLoss {
                weights: sample_weights(self.class, self.others, input)?,
                gamma: self.gamma,
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

pub(super) struct FocalLoss {
    /// `alpha` of the training samples: `[N, 1]`.
    pub(super) weights: Tensor<2>,
    pub(super) gamma: f64,
}

impl Loss for FocalLoss {
    /// `d L / d z = alpha (gamma p_y (1 - p_y)^(gamma - 1) ln p_y - (1 - p_y)^gamma) (e_y - p)`
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let one_hot = batch.one_hot();
        let log_p = log_softmax(layer.logits(batch.features.clone()), 1);
        let p = probabilities(log_p.clone());
        let of_label = |values: Tensor<2>| (values * one_hot.clone()).sum_dim(1);
        let (log_p_y, p_y) = (of_label(log_p), of_label(p.clone()));
        let doubt = -p_y.clone() + 1.0;
        let weights = self.weights.clone().select(0, batch.samples.clone()) / batch.len() as f64;
        let power = doubt.clone().powf_scalar(self.gamma);
        let loss = -(power.clone() * log_p_y.clone() * weights.clone()).sum();
        let slope = match self.gamma {
            0.0 => -power,
            gamma => doubt.powf_scalar(gamma - 1.0) * p_y * log_p_y * gamma - power,
        };
        LossAndGradient::through_logits(loss, (one_hot - p) * slope * weights, &batch.features)
    }
}
