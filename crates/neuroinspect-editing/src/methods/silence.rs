//! Neurons zeroed, and the layer retrained without them.

use burn::tensor::{Tensor, TensorData};
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId, Observer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE, check_neurons};
use crate::{
    Citation, CrossEntropy, DecisionMethod, Fitted, LayerTensors, LayerTraining, Loss,
    LossAndGradient, MethodInput, Result, SampleBatch, Sampling, Shuffled, TrainingConfig, train,
};

/// Zeroes neurons and retrains the layer on what is left: no class rests on them afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// The neurons.
    pub neurons: Vec<NeuronId>,
    /// The class it is to help, if it is one.
    pub class: Option<ClassId>,
    /// How the layer is retrained.
    pub training: TrainingConfig,
}

impl Silence {
    /// The name it is recorded under.
    pub const NAME: &'static str = "silence";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Sets the neurons to zero and retrains without them.";
}

impl FromArguments for Silence {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            neurons: arguments.neurons(Self::NAME)?,
            class: arguments.class,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        json!({"training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for Silence {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        format!(
            "zeroes {} neurons and retrains without them",
            self.neurons.len()
        )
    }

    fn neurons(&self) -> &[NeuronId] {
        &self.neurons
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
        check_neurons(&self.neurons, input.layer())?;
        let sampling = Shuffled {
            samples: input.train().len(),
        };
        retrain_without(&self.neurons, input, &sampling, &self.training, observer)
    }
}

/// The layer retrained with neurons zeroed, whose weights are then 0.
pub(super) fn retrain_without(
    neurons: &[NeuronId],
    input: &MethodInput<'_>,
    sampling: &dyn Sampling,
    config: &TrainingConfig,
    observer: &mut dyn Observer,
) -> Result<Fitted> {
    let mut weight = input.layer().weight().to_owned();
    let mut kept = vec![1.0_f32; weight.ncols()];
    for neuron in neurons {
        weight.column_mut(neuron.0).fill(0.0);
        kept[neuron.0] = 0.0;
    }
    let layer = DecisionLayer::new(weight, input.layer().bias().to_owned())?;
    let kept = TensorData::new(kept, [1, layer.neurons()]);
    let training = LayerTraining {
        input: &input.with_layer(&layer),
        loss: &mut Without {
            kept: Tensor::from_data(kept, input.device()),
        },
        sampling,
        config,
        stage: STAGE,
    };
    train(training, observer)
}

/// The mean cross-entropy of features of which some are zeroed.
struct Without {
    /// 1 for every neuron kept, else 0: `[1, D]`.
    kept: Tensor<2>,
}

impl Loss for Without {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let features = batch.features.clone() * self.kept.clone();
        let batch = SampleBatch {
            features,
            ..batch.clone()
        };
        CrossEntropy.evaluate(layer, &batch)
    }
}
