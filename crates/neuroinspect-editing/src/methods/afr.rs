//! AFR: samples that the layer is not sure of count for more.

use burn::tensor::Tensor;
use neuroinspect_core::{ClassId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE, check_keep};
use crate::{
    Citation, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss, LossAndGradient,
    MethodInput, Result, SampleBatch, Shuffled, TrainingConfig, train, training::CrossEntropyTerms,
};

/// Automatic feature reweighting (Qiu et al. 2023): the layer is retrained on held-out samples, the
/// validation table, each weighted by `mu_i ~ beta_{y_i} exp(-gamma p_i)`, `p_i` being the probability
/// that the layer given has for the true class and `beta_k` the inverse of the class's count; and is
/// held to the layer given by `lambda (|W - W_0|^2 + |b - b_0|^2)`.
///
/// The authors take whole-batch steps, and choose `gamma` and `lambda` by the groups of the validation
/// samples; by default they are fixed here and no group is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Afr {
    /// How much uncertain samples count for more; 4, the least of the authors' for Waterbirds (4 to 20).
    pub gamma: f64,
    /// Weight of the distance to the layer given; 0.1, of the authors' 0 to 0.4 for Waterbirds.
    pub lambda: f64,
    /// How it is trained; its control is plain retraining so on the training samples.
    pub training: TrainingConfig,
}

impl Afr {
    /// The name it is recorded under.
    pub const NAME: &'static str = "afr";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Retrains on held-out samples, the more weight the less sure the layer is of them.";

    /// `mu` of every sample of the table learnt from, 1 on average.
    pub(super) fn weights(&self, input: &MethodInput<'_>) -> Result<Vec<f64>> {
        let train = input.train();
        let counts = train.class_counts();
        let mut of_label = Vec::with_capacity(train.len());
        train.visit_probabilities([input.layer()], |sample, [p]| {
            of_label.push(f64::from(p[train.labels()[sample].0]));
        })?;
        // Less the least, so that not all weights are 0, however large gamma is.
        let least = of_label.iter().copied().fold(f64::INFINITY, f64::min);
        let weight = |(label, p): (&ClassId, f64)| {
            (-self.gamma * (p - least)).exp() / counts[label.0] as f64
        };
        let labels = train.labels().iter();
        let mut weights: Vec<f64> = labels.zip(of_label).map(weight).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter_mut().for_each(|weight| *weight /= mean);
        Ok(weights)
    }
}

impl FromArguments for Afr {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            gamma: 4.0,
            lambda: 0.1,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors try 4 to 20 and 0 to 0.4 on Waterbirds, at a rate of 1e-2.
        json!({
            "gamma": [4.0, 10.0, 20.0],
            "lambda": [0.1, 0.0],
            "training": {"learning_rate": [1e-3, 1e-2]},
        })
    }
}

impl DecisionMethod for Afr {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Qiu et al., Simple and Fast Group Robustness by Automatic Feature Reweighting, ICML \
                   2023",
            url: "https://arxiv.org/abs/2306.10719",
        })
    }

    fn describe(&self) -> String {
        format!("reweights held-out samples by exp(-{} p)", self.gamma)
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let allowed = |value: f64| value >= 0.0 && value.is_finite();
        let expected = "0 or a positive number";
        check_option("gamma", self.gamma, allowed(self.gamma), expected)?;
        check_option("lambda", self.lambda, allowed(self.lambda), expected)?;
        check_keep(&self.training)?;
        let input = input.with_train(input.validation());
        let training = LayerTraining {
            input: &input,
            loss: &mut AnchoredLoss {
                weights: input.train().column(self.weights(&input)?),
                anchor: LayerTensors::of(input.layer(), input.device()),
                lambda: self.lambda,
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

/// The mean of `mu_i CE_i`, and the distance to a layer.
pub(super) struct AnchoredLoss {
    /// `mu`, 1 on average: `[N, 1]`.
    pub(super) weights: Tensor<2>,
    pub(super) anchor: LayerTensors,
    pub(super) lambda: f64,
}

impl Loss for AnchoredLoss {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let weights = self.weights.clone().select(0, batch.samples.clone());
        let logits = layer.logits(batch.features.clone());
        let terms = CrossEntropyTerms::weighted(logits, batch, weights / batch.len() as f64);
        let result = LossAndGradient::through_logits(terms.loss, terms.gradient, &batch.features);
        let weight = layer.weight.clone() - self.anchor.weight.clone();
        let bias = layer.bias.clone() - self.anchor.bias.clone();
        let distance = weight.clone().square().sum() + bias.clone().square().sum();
        LossAndGradient {
            loss: result.loss + distance * self.lambda,
            weight: result.weight + weight * (2.0 * self.lambda),
            bias: result.bias + bias * (2.0 * self.lambda),
            penalty: result.penalty,
        }
    }
}
