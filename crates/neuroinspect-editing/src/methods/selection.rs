//! SELF: finetuning on samples on which an early layer and the final one disagree.

use neuroinspect_core::{Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE, check_keep, jtt::from_zero};
use crate::{
    Citation, CrossEntropy, DecisionMethod, Fitted, LayerTraining, MethodInput, Result,
    TrainingConfig, Weighted, train,
};

/// Selective last-layer finetuning by early-stop disagreement (SELF, LaBonte et al. 2023).
///
/// A layer is trained from 0 on the training samples for a few epochs. The validation samples on which
/// the layer given departs most from it, by `KL(p_given | p_early)`, are kept, and the layer given is
/// finetuned on them, classes drawn equally often. The authors' early-stopped model is a whole network;
/// sample count, epoch and rate they choose by the groups of other samples (20, 100, 500; 1, 2, 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectiveFinetuning {
    /// How many samples are kept, all where there are fewer; 500, as in the authors' demonstration.
    pub samples: usize,
    /// Epochs of the early layer; 1, the least of the authors'.
    pub early_epochs: usize,
    /// How both trainings go, but for the epochs of the first; its control is plain retraining so on
    /// the training samples.
    pub training: TrainingConfig,
}

impl SelectiveFinetuning {
    /// The name it is recorded under.
    pub const NAME: &'static str = "self";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Finetunes on the held-out samples that a new layer, trained only briefly, sees most differently.";

    /// The weights by which validation samples are drawn: those kept, classes equally often.
    pub(super) fn weights(
        &self,
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f64>> {
        let early = from_zero(self.early_epochs, &self.training, input, observer)?;
        let validation = input.validation();
        let mut divergences = Vec::with_capacity(validation.len());
        validation.visit_probabilities([input.layer(), &early.layer], |_, [given, early]| {
            let pairs = given
                .iter()
                .zip(early)
                .map(|(&p, &q)| (f64::from(p), f64::from(q)));
            // A probability of 0 adds nothing; below, it is not told from the least number.
            let pairs = pairs.filter(|&(given, _)| given > 0.0);
            let divergence: f64 = pairs
                .map(|(p, q)| p * (p / q.max(f64::MIN_POSITIVE)).ln())
                .sum();
            divergences.push(divergence);
        })?;
        let mut order: Vec<usize> = (0..validation.len()).collect();
        order.sort_by(|&a, &b| divergences[b].total_cmp(&divergences[a]));
        order.truncate(self.samples);
        let labels = validation.labels();
        let mut counts = vec![0_usize; validation.classes()];
        order
            .iter()
            .for_each(|&sample| counts[labels[sample].0] += 1);
        let mut weights = vec![0.0; validation.len()];
        for sample in order {
            weights[sample] = 1.0 / counts[labels[sample].0] as f64;
        }
        Ok(weights)
    }
}

impl FromArguments for SelectiveFinetuning {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            samples: 500,
            early_epochs: 1,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // Of what the authors try: 20, 100, 500 samples, epochs 1, 2, 5, rates 1e-4 to 1e-2.
        json!({
            "samples": [500, 100, 20],
            "early_epochs": [1, 5],
            "training": {"learning_rate": [1e-3, 1e-2]},
        })
    }
}

impl DecisionMethod for SelectiveFinetuning {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "LaBonte et al., Towards Last-layer Retraining for Group Robustness with Fewer \
                   Annotations, NeurIPS 2023",
            url: "https://arxiv.org/abs/2309.08534",
        })
    }

    fn describe(&self) -> String {
        let samples = self.samples;
        format!("finetunes on the {samples} held-out samples that an early layer sees otherwise")
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        check_option("samples", self.samples, self.samples > 0, "at least 1")?;
        let epochs = self.early_epochs;
        check_option("early_epochs", epochs, epochs > 0, "at least 1")?;
        check_keep(&self.training)?;
        let weights = self.weights(input, observer)?;
        let training = LayerTraining {
            input: &input.with_train(input.validation()),
            loss: &mut CrossEntropy,
            sampling: &Weighted::new(weights)?,
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}
