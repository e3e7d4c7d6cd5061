//! CON: the chosen neurons' contributions to a class are made small.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};
use neuroinspect_core::{ClassId, NeuronId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE, check_neurons};
use crate::{
    Citation, CrossEntropy, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss,
    LossAndGradient, MethodInput, Result, SampleBatch, Shuffled, TrainingConfig, data::indices,
    train,
};

/// NeuroInspect's baseline (Eq. 9 of its paper): in place of the probability ratio the contributions of
/// the neurons `S` to the class `c`, `CE + lambda3 mean_j |max(W_cS f_jS + b_c, 0)|_2`, the product
/// taken neuron by neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Con {
    /// The class.
    pub class: ClassId,
    /// The neurons whose contributions to it are made small.
    pub neurons: Vec<NeuronId>,
    /// Weight of the penalty; the paper's 0.01.
    pub lambda3: f64,
    /// How it is trained.
    pub training: TrainingConfig,
}

impl Con {
    /// The name it is recorded under.
    pub const NAME: &'static str = "con";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Retrains so that what the neurons add to the class is small.";
}

impl FromArguments for Con {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            class: arguments.class(Self::NAME)?,
            neurons: arguments.neurons(Self::NAME)?,
            lambda3: 0.01,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // As for the ratio edit.
        json!({"lambda3": [0.01, 0.1, 1.0], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for Con {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        super::ratio::PAPER
    }

    fn describe(&self) -> String {
        let (neurons, class) = (self.neurons.len(), self.class);
        format!("makes the contributions of {neurons} neurons to class {class} small")
    }

    fn neurons(&self) -> &[NeuronId] {
        &self.neurons
    }

    fn class(&self) -> Option<ClassId> {
        Some(self.class)
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn uses_validation(&self) -> bool {
        self.training.uses_validation()
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        input.layer().check_class(self.class)?;
        check_neurons(&self.neurons, input.layer())?;
        let allowed = self.lambda3 >= 0.0 && self.lambda3.is_finite();
        check_option("lambda3", self.lambda3, allowed, "0 or a positive number")?;
        let training = LayerTraining {
            input,
            loss: &mut ConLoss {
                class: self.class,
                neurons: indices(&self.neurons, input.device()),
                lambda3: self.lambda3,
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

#[derive(Clone)]
pub(super) struct ConLoss {
    pub(super) class: ClassId,
    /// `[S]`
    pub(super) neurons: Tensor<1, Int>,
    pub(super) lambda3: f64,
}

impl ConLoss {
    /// `|max(W_cS f_jS + b_c, 0)|_2` of each sample `[B, 1]`, the contributions in it `[B, S]`, and the
    /// activations `f_S` `[B, S]`.
    fn norms(
        &self,
        layer: &LayerTensors,
        batch: &SampleBatch,
    ) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let class = self.class.0..self.class.0 + 1;
        let row = layer.weight.clone().slice_dim(0, class.clone());
        let row = row.select(1, self.neurons.clone());
        let activations = batch.features.clone().select(1, self.neurons.clone());
        let offset = layer.bias.clone().slice_dim(0, class).unsqueeze();
        let contributions = (activations.clone() * row + offset).clamp_min(0.0);
        let norms = contributions.clone().square().sum_dim(1).sqrt();
        (norms, contributions, activations)
    }
}

impl Loss for ConLoss {
    fn penalty_weight(&self) -> f64 {
        self.lambda3
    }

    fn penalty_sum(
        &self,
        layer: &LayerTensors,
        batch: &SampleBatch,
        _: &Tensor<2>,
    ) -> Option<Tensor<1>> {
        Some(self.norms(layer, batch).0.sum())
    }

    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let LossAndGradient {
            loss, weight, bias, ..
        } = CrossEntropy.evaluate(layer, batch);
        let class = self.class.0..self.class.0 + 1;
        let (norms, contributions, activations) = self.norms(layer, batch);
        let penalty = norms.clone().mean();
        // Where no contribution is positive the gradient is 0.
        let divisor = norms.clamp_min(f32::MIN_POSITIVE) * batch.len() as f64;
        let gradient = contributions / divisor * self.lambda3;
        let of_row = (gradient.clone() * activations).sum_dim(0);
        let of_bias = gradient.sum();
        let changed = weight.clone().slice_dim(0, class.clone());
        let add = IndexingUpdateOp::Add;
        let changed = changed.select_assign(1, self.neurons.clone(), of_row, add);
        let neurons = weight.dims()[1];
        let of_bias = bias.clone().slice_dim(0, class.clone()) + of_bias;
        LossAndGradient {
            loss: loss + penalty.clone() * self.lambda3,
            penalty,
            weight: weight.slice_assign([class.clone(), 0..neurons], changed),
            bias: bias.slice_assign([class], of_bias),
        }
    }
}
