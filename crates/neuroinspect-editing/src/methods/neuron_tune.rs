//! NeuronTune: neurons that are more active where the layer is wrong are zeroed.

use neuroinspect_core::{ClassId, NeuronId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, silence::retrain_without};
use crate::{Citation, DecisionMethod, Fitted, MethodInput, Result, TrainingConfig, Weighted};

/// Activations of a class that medians are taken of at a time.
const COLUMNS: usize = 1 << 25;

/// Finds biased neurons by themselves and retrains without them (Zheng et al. 2025).
///
/// For the validation samples of each class `y`, the median activation of a neuron over those the layer
/// gets wrong less that over those it gets right; where that is above a threshold for any class, the
/// neuron is biased. Among many classes nearly every neuron is, for some class: no more than a share of
/// them is taken, the most biased ones. The layer is then retrained on the training samples, classes
/// drawn equally often, with those neurons zeroed. The authors look for them anew before each epoch;
/// here it is done once, by the layer given. The score is taken from the paper's abstract and from
/// summaries of it, not from its full text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronTune {
    /// A difference of medians above this is a bias; the authors' 0.
    pub threshold: f64,
    /// Biased neurons are at most this share of all; 0.5.
    pub most: f64,
    /// How the layer is retrained.
    pub training: TrainingConfig,
}

impl NeuronTune {
    /// The name it is recorded under.
    pub const NAME: &'static str = "neuron_tune";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Finds by itself neurons that are more active where the layer is wrong, and retrains without them.";

    /// The neurons that are biased, the most biased first.
    ///
    /// # Errors
    ///
    /// When the device does not give the predictions back.
    pub fn biased(&self, input: &MethodInput<'_>) -> Result<Vec<NeuronId>> {
        let validation = input.validation();
        let wrong = validation.mistakes(input.layer())?;
        let samples_of = |class: usize, mistaken: bool| -> Vec<usize> {
            let labels = validation.labels().iter().zip(&wrong).enumerate();
            labels
                .filter(|(_, (label, wrong))| label.0 == class && **wrong == mistaken)
                .map(|(sample, _)| sample)
                .collect()
        };
        let neurons: Vec<_> = (0..input.layer().neurons()).map(NeuronId).collect();
        let mut bias = vec![f64::NEG_INFINITY; neurons.len()];
        for class in 0..validation.classes() {
            let (wrong, right) = (samples_of(class, true), samples_of(class, false));
            if wrong.is_empty() || right.is_empty() {
                continue;
            }
            // Medians want all samples of the class: where these are many, of some neurons at a time.
            let at_once = (COLUMNS / (wrong.len() + right.len())).max(1);
            for neurons in neurons.chunks(at_once) {
                let columns = |samples: &[usize]| validation.samples().columns(samples, neurons);
                let (wrong, right) = (columns(&wrong)?, columns(&right)?);
                for ((neuron, wrong), right) in
                    neurons.iter().zip(wrong.columns()).zip(right.columns())
                {
                    let of_class = median(wrong.to_vec()).zip(median(right.to_vec()));
                    let difference = of_class.map(|(wrong, right)| wrong - right);
                    bias[neuron.0] = difference.map_or(bias[neuron.0], |it| it.max(bias[neuron.0]));
                }
            }
        }
        let mut biased: Vec<(NeuronId, f64)> = neurons
            .iter()
            .map(|&neuron| (neuron, bias[neuron.0]))
            .filter(|&(_, bias)| bias > self.threshold)
            .collect();
        biased.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        biased.truncate((self.most * neurons.len() as f64) as usize);
        Ok(biased.into_iter().map(|(neuron, _)| neuron).collect())
    }
}

impl FromArguments for NeuronTune {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            threshold: 0.0,
            most: 0.5,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors choose by the worst class, too; how many neurons go is what their threshold decides.
        json!({"most": [0.5, 0.3, 0.15, 0.08], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for NeuronTune {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Zheng et al., NeuronTune: Towards Self-Guided Spurious Bias Mitigation, ICML 2025",
            url: "https://arxiv.org/abs/2505.24048",
        })
    }

    fn describe(&self) -> String {
        "zeroes the neurons that are more active where the layer is wrong, and retrains".to_owned()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        check_option(
            "threshold",
            self.threshold,
            self.threshold.is_finite(),
            "a number",
        )?;
        let allowed = self.most > 0.0 && self.most < 1.0;
        check_option("most", self.most, allowed, "a number between 0 and 1")?;
        let biased = self.biased(input)?;
        let classes = input.train().labels().iter().map(|label: &ClassId| label.0);
        let sampling = Weighted::balanced(classes)?;
        let fitted = retrain_without(&biased, input, &sampling, &self.training, observer)?;
        Ok(fitted.with_derived("zeroed", biased.len() as f64))
    }
}

/// The middle value, or the mean of the two in the middle; `None` of none.
fn median(mut values: Vec<f32>) -> Option<f64> {
    values.sort_unstable_by(f32::total_cmp);
    let (below, above) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((f64::from(values[below]) + f64::from(values[above])) / 2.0)
}
