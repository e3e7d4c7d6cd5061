//! Group DRO: the group of the largest loss counts for more and more.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use neuroinspect_core::{Groups, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, DecisionMethod, Fitted, LabelsUsed, LayerTensors, LayerTraining, Loss,
    LossAndGradient, MethodInput, Result, SampleBatch, TrainingConfig, Weighted, train,
    training::CrossEntropyTerms,
};

/// Online group distributionally robust optimisation (Sagawa et al. 2020, Algorithm 1) on the last layer:
/// with `l_g` the mean cross-entropy of a batch's samples of group `g`, `q_g` is multiplied by
/// `exp(eta l_g)` and normalised, and `sum_g q_g l_g` is descended. Groups are drawn equally often, as the
/// authors do on Waterbirds; their adjustment by `C / sqrt(n_g)` is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDro {
    /// `eta`; the authors' 0.01.
    pub eta: f64,
    /// How it is trained; the authors' strong regularisation is its weight decay.
    pub training: TrainingConfig,
}

impl GroupDro {
    /// The name it is recorded under.
    pub const NAME: &'static str = "group_dro";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Retrains with the groups of largest loss weighted more.";
}

impl FromArguments for GroupDro {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            eta: 0.01,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors' 0.01, and ten times more and less.
        json!({"eta": [0.01, 0.1, 0.001], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for GroupDro {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020",
            url: "https://arxiv.org/abs/1911.08731",
        })
    }

    fn labels(&self) -> LabelsUsed {
        LabelsUsed::GroupsOfTraining
    }

    fn describe(&self) -> String {
        format!(
            "weights the groups of largest loss more, with a step of {}",
            self.eta
        )
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let allowed = self.eta >= 0.0 && self.eta.is_finite();
        check_option("eta", self.eta, allowed, "0 or a positive number")?;
        let groups = input.training_groups()?;
        let training = LayerTraining {
            input,
            loss: &mut GroupLoss::new(groups, self.eta, input.device()),
            sampling: &Weighted::balanced(groups.of_sample().iter().copied())?,
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}

pub(super) struct GroupLoss {
    /// The group of each training sample: `[N, 1]`.
    of_sample: Tensor<2, Int>,
    /// Every group once: `[1, G]`.
    every_group: Tensor<2, Int>,
    /// `q`: `[1, G]`.
    pub(super) q: Tensor<2>,
    eta: f64,
}

impl GroupLoss {
    pub(super) fn new(groups: &Groups, eta: f64, device: &Device) -> Self {
        let count = groups.names().len();
        let ids: Vec<i64> = groups
            .of_sample()
            .iter()
            .map(|&group| group as i64)
            .collect();
        let samples = ids.len();
        Self {
            of_sample: Tensor::from_data(TensorData::new(ids, [samples, 1]), device),
            every_group: Tensor::<1, Int>::arange(0..count as i64, device).unsqueeze(),
            q: Tensor::full([1, count], 1.0 / count as f64, device),
            eta,
        }
    }
}

impl Loss for GroupLoss {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let logits = layer.logits(batch.features.clone());
        let losses = -(log_softmax(logits.clone(), 1) * batch.one_hot()).sum_dim(1);
        let shape = [batch.len(), self.every_group.dims()[1]];
        let of_sample = self.of_sample.clone().select(0, batch.samples.clone());
        let members = of_sample
            .expand(shape)
            .equal(self.every_group.clone().expand(shape));
        let members = members.float();
        // Groups that the batch lacks have a loss of 0.
        let counts = members.clone().sum_dim(0).clamp_min(1.0);
        let group_losses = (members.clone() * losses).sum_dim(0) / counts.clone();
        let q = self.q.clone() * (group_losses * self.eta).exp();
        self.q = q.clone() / q.sum_dim(1);
        let weights = (members * (self.q.clone() / counts)).sum_dim(1);
        let terms = CrossEntropyTerms::weighted(logits, batch, weights);
        LossAndGradient::through_logits(terms.loss, terms.gradient, &batch.features)
    }
}
