//! The ratio edit: the paper's own method.

mod config;
mod loss;

use std::collections::HashSet;

use derive_setters::Setters;
use ndarray::Axis;
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId, Observer};
use neuroinspect_counterfactual::importances;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::config::{EditConfig, EditScope, RatioForm, RatioNorm, Target};

use self::loss::{EPSILON, RatioLoss};
use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, DecisionMethod, Error, Fitted, LayerTraining, MethodInput, Result, Shuffled,
    TrainingConfig, train,
};

/// Where the ratio edit and its baseline were published.
pub(super) const PAPER: Option<Citation> = Some(Citation {
    text: "Ju et al., NeuroInspect: Interpretable Neuron-based Debugging Framework through \
           Class-conditional Visualizations, 2023",
    url: "https://arxiv.org/abs/2310.07184",
});

/// Trains a decision layer until chosen neurons no longer decide a class: the probability ratio of
/// Eq. 7 is pulled to a target while the predictions stay right (Eq. 8).
///
/// As a what-if: these neurons, that target, that strength, that form.
///
/// ```
/// use neuroinspect_core::{ClassId, NeuronId};
/// use neuroinspect_editing::{EditConfig, EditScope, RatioEdit, Target};
///
/// let water = vec![NeuronId(6), NeuronId(915)];
/// let config = EditConfig::default().with_target(Target::Fixed(1.0)).with_lambda3(0.1);
/// let edit = RatioEdit::new(water, EditScope::Class(ClassId(1))).with_config(config);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[setters(prefix = "with_", generate = false)]
pub struct RatioEdit {
    /// The neurons corrected.
    pub neurons: Vec<NeuronId>,
    /// Whose probability they are to stop deciding.
    pub scope: EditScope,
    /// The options.
    #[setters(generate)]
    pub config: EditConfig,
}

impl RatioEdit {
    /// The name it is recorded under.
    pub const NAME: &'static str = "probability_ratio";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Retrains the layer so that to silence the neurons changes the probability of the class little.";

    /// The number that [`Fitted::derived`] holds of it: the probability ratio `o` aimed at.
    pub const TARGET: &'static str = "target";

    /// With default options.
    pub fn new(neurons: Vec<NeuronId>, scope: EditScope) -> Self {
        Self {
            neurons,
            scope,
            config: EditConfig::default(),
        }
    }

    /// The ratio to aim at; see [`Target`].
    fn target(&self, input: &MethodInput<'_>) -> Result<f64> {
        if let Target::Fixed(ratio) = self.config.target {
            return Ok(ratio);
        }
        let layer = input.layer();
        let of_class = match (self.config.target, self.scope) {
            (Target::AutoOfClass, EditScope::Class(class)) => {
                Some(input.validation().samples().class_mean(class)?)
            }
            _ => None,
        };
        let mean = match &of_class {
            Some(mean) => mean,
            None => input.validation().mean_features()?,
        };
        let classes: Vec<ClassId> = match self.scope {
            EditScope::Class(class) => vec![class],
            EditScope::AllClasses => (0..layer.classes()).map(ClassId).collect(),
        };
        let importances = importances(layer, mean.view(), &classes, &self.neurons)?;
        // Importances have no epsilon: the target must not be beyond what a ratio with it can be.
        let importances = importances.mapv(|importance| importance.min(EPSILON.recip()));
        let means = importances.sum_axis(Axis(0)) / classes.len() as f64;
        let least = means.fold(f64::INFINITY, |least, &mean| least.min(mean));
        Ok((1.0 + (least - 1.0) / 3.0).max(1.0))
    }

    fn check(&self, input: &MethodInput<'_>) -> Result<()> {
        self.config.validate()?;
        check_neurons(&self.neurons, input.layer())?;
        if let EditScope::Class(class) = self.scope {
            input.layer().check_class(class)?;
            if !input.train().labels().contains(&class) {
                let names = input.train().samples().table().class_names();
                let name = names[class.0].clone();
                return Err(neuroinspect_core::Error::EmptyClass { class, name }.into());
            }
        }
        Ok(())
    }
}

impl FromArguments for RatioEdit {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        let scope = EditScope::of(arguments.class);
        let config = EditConfig::default().with_training(arguments.training.clone());
        Ok(Self::new(arguments.neurons(Self::NAME)?, scope).with_config(config))
    }

    fn grid() -> Value {
        // The paper has 0.01 for Flowers and Food, 1 for MetaShift, and one ratio for each neuron.
        json!({"config": {
            "lambda3": [0.01, 0.1, 1.0],
            "ratio_form": ["joint", "per_neuron"],
            "training": {"learning_rate": [1e-3, 1e-2]},
        }})
    }
}

impl DecisionMethod for RatioEdit {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        PAPER
    }

    fn describe(&self) -> String {
        let names: Vec<String> = self.neurons.iter().map(ToString::to_string).collect();
        let scope = match self.scope {
            EditScope::Class(class) => format!("class {class}"),
            EditScope::AllClasses => "all classes".to_owned(),
        };
        let names = names.join(", ");
        format!("corrects neurons {names} for {scope} by the probability ratio")
    }

    fn neurons(&self) -> &[NeuronId] {
        &self.neurons
    }

    fn class(&self) -> Option<ClassId> {
        self.scope.class()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.config.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        self.check(input)?;
        let target = self.target(input)?;
        let training = LayerTraining {
            input,
            loss: &mut RatioLoss::new(self, target, input.device()),
            sampling: &Shuffled {
                samples: input.train().len(),
            },
            config: &self.config.training,
            stage: STAGE,
        };
        Ok(train(training, observer)?.with_derived(Self::TARGET, target))
    }
}

/// Checks that there are neurons, each named once, all of them in the layer.
///
/// # Errors
///
/// The first of these that does not hold.
pub fn check_neurons(neurons: &[NeuronId], layer: &DecisionLayer) -> Result<()> {
    if neurons.is_empty() {
        return Err(Error::NoNeurons);
    }
    let mut seen = HashSet::new();
    for &neuron in neurons {
        layer.check_neuron(neuron)?;
        if !seen.insert(neuron) {
            return Err(Error::DuplicateNeuron { neuron });
        }
    }
    Ok(())
}
