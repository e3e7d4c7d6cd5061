//! One weight of the layer is changed, and nothing is trained.

use ndarray::Array1;
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId, Observer, check_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, check_neurons};
use crate::{Citation, DecisionMethod, Error, Fitted, MethodInput, Result};

/// Takes off `strength` of one weight of a class: that of the neuron which contributes most to it.
///
/// The authors treat a spurious feature as a class of its own within the class, and take it out of the
/// network by changing a single weight of the last layer, as far as is asked for. Only the abstract
/// could be read; that the weight is the largest mean contribution `w_cn a_n`, over the validation
/// samples of the class, among the neurons suspected, is our reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleWeight {
    /// The class.
    pub class: ClassId,
    /// The neurons one of which is taken; none: all of the layer's.
    pub neurons: Vec<NeuronId>,
    /// How much of the weight is taken off; 1, all of it. More turns its sign.
    pub strength: f64,
}

impl SingleWeight {
    /// The name it is recorded under.
    pub const NAME: &'static str = "single_weight";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Lowers the class's weight of one neuron: the one that adds most to the class, among those chosen or all.";

    /// The number that [`Fitted::derived`] holds of it: the neuron whose weight was changed.
    pub const NEURON: &'static str = "neuron";
}

impl FromArguments for SingleWeight {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            class: arguments.class(Self::NAME)?,
            neurons: arguments.neurons.clone(),
            strength: 1.0,
        })
    }

    fn grid() -> Value {
        json!({"strength": [1.0, 0.5, 2.0]})
    }
}

impl DecisionMethod for SingleWeight {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Hakemi et al., Post-hoc Spurious Correlation Neutralization with Single-Weight Fictitious Class \
                   Unlearning, 2025",
            url: "https://arxiv.org/abs/2501.14182",
        })
    }

    fn describe(&self) -> String {
        format!(
            "takes {} of one weight of class {} off",
            self.strength, self.class
        )
    }

    fn neurons(&self) -> &[NeuronId] {
        &self.neurons
    }

    fn class(&self) -> Option<ClassId> {
        Some(self.class)
    }

    fn fit(&self, input: &MethodInput<'_>, _: &mut dyn Observer) -> Result<Fitted> {
        let layer = input.layer();
        layer.check_class(self.class)?;
        check_option(
            "strength",
            self.strength,
            (self.strength as f32).is_finite(),
            "a number",
        )?;
        if !self.neurons.is_empty() {
            check_neurons(&self.neurons, layer)?;
        }
        let validation = input.validation();
        let mut sums = Array1::<f64>::zeros(layer.neurons());
        let labels = validation.labels().iter().enumerate();
        let of_class = labels.filter(|&(_, &label)| label == self.class);
        let of_class = of_class.map(|(sample, _)| sample);
        (validation.samples()).visit(of_class, |_, row| sums += &row.mapv(f64::from))?;
        let row = layer.weight().row(self.class.0).mapv(f64::from);
        let contributions = &sums * &row;
        let candidates = (0..layer.neurons()).map(NeuronId);
        let candidates =
            candidates.filter(|neuron| self.neurons.is_empty() || self.neurons.contains(neuron));
        let largest = candidates.max_by(|a, b| contributions[a.0].total_cmp(&contributions[b.0]));
        let Some(neuron) = largest.filter(|neuron| contributions[neuron.0] > 0.0) else {
            return Err(Error::NotApplicable {
                method: Self::NAME,
                reason: format!(
                    "no neuron speaks for class {} in its validation samples",
                    self.class
                ),
            });
        };
        let mut weight = layer.weight().to_owned();
        weight[[self.class.0, neuron.0]] *= 1.0 - self.strength as f32;
        let layer = DecisionLayer::new(weight, layer.bias().to_owned())?;
        Ok(Fitted::new(layer).with_derived(Self::NEURON, neuron.0 as f64))
    }
}
