//! Options of the three stages chained.

use derive_setters::Setters;
use neuroinspect_core::{Classifier, DecisionLayer, NeuronId, Seed, Silent};
use neuroinspect_counterfactual::{CertifiedConfig, CounterfactualConfig, RankingConfig};
use neuroinspect_editing::{EditConfig, check_neurons};
use neuroinspect_illusion::{Execution, Networks, Recipe, Request, visualize};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Options of [`debug`](crate::debug()): those of each stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct DebugConfig {
    /// Which neurons are edited. Default: the first five of the ranking.
    pub neurons: NeuronChoice,
    /// How many of them, from the first, are pictured. Default: all, `None`.
    #[setters(strip_option)]
    pub pictures: Option<usize>,
    /// How mistakes are explained.
    pub counterfactual: CounterfactualConfig,
    /// How neurons are ranked.
    pub ranking: RankingConfig,
    /// How the smallest changes and the stability of the ranking are computed, beside it.
    pub certified: CertifiedConfig,
    /// How the decision layer is edited.
    pub editing: EditConfig,
    /// Whether a mend is recommended beside the edit, where that does not take long: where samples times
    /// neurons times classes are at most fifty million. Default: yes.
    pub recommendation: bool,
    /// What decides the pictures. Without a guide, what needs one is
    /// [left out](neuroinspect_illusion::Objective::without_guide) of the objective.
    pub recipe: Recipe,
    /// How they are computed.
    pub execution: Execution,
}

/// Which neurons are edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NeuronChoice {
    /// The first of the ranking, by the rule of
    /// [`Ranking::first`](neuroinspect_counterfactual::Ranking::first).
    Auto {
        /// How many.
        count: usize,
    },
    /// All that the ranking lists, in the order of
    /// [`Ranking::first`](neuroinspect_counterfactual::Ranking::first).
    Listed,
    /// These.
    Given(Vec<NeuronId>),
}

impl NeuronChoice {
    /// Checks that the choice asks for at least one neuron, and names each once and only neurons
    /// of `layer`.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold.
    pub fn check(&self, layer: &DecisionLayer) -> Result<()> {
        match self {
            Self::Auto { count: 0 } => Err(neuroinspect_editing::Error::NoNeurons.into()),
            Self::Auto { .. } | Self::Listed => Ok(()),
            Self::Given(neurons) => Ok(check_neurons(neurons, layer)?),
        }
    }
}

/// Checks that pictures of a classifier can be made by a recipe: that it has the classes, layers and
/// units the objective asks for, and that the pictures have a size. What a guide is needed for is left
/// out.
///
/// A copy of the classifier is prepared and tried for it.
///
/// # Errors
///
/// What [`visualize`] would refuse before its first step.
pub fn check_recipe(recipe: &Recipe, classifier: &dyn Classifier) -> Result<()> {
    recipe.validate()?;
    let Some(objective) = recipe.objective.without_guide() else {
        return Ok(());
    };
    let device = classifier.device();
    let networks = Networks::new(classifier, None, &device, recipe.precision)?;
    // Of no pairs there are no pictures; all else is looked at.
    let request = Request::new([], recipe.clone().with_objective(objective));
    visualize(&networks, &request, &mut Silent)?;
    Ok(())
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            neurons: NeuronChoice::Auto { count: 5 },
            pictures: None,
            counterfactual: CounterfactualConfig::default(),
            ranking: RankingConfig::default(),
            certified: CertifiedConfig::default(),
            editing: EditConfig::default(),
            recommendation: true,
            recipe: Recipe::default(),
            execution: Execution::default(),
        }
    }
}

impl DebugConfig {
    /// Checks every option of every stage. The [neurons](NeuronChoice::check) need a layer for it.
    ///
    /// # Errors
    ///
    /// The first option that is out of range, by name.
    pub fn validate(&self) -> Result<()> {
        self.counterfactual.validate()?;
        self.ranking.validate()?;
        self.certified.validate()?;
        self.editing.validate()?;
        self.recipe.validate()?;
        self.execution.validate()?;
        Ok(())
    }

    /// [`validate`](Self::validate), and whether the neurons and what the pictures ask for are there in
    /// a classifier, where there are to be pictures: what [`debug`](crate::debug()) and the pictures
    /// themselves would refuse, before there are features.
    ///
    /// # Errors
    ///
    /// The first that does not hold, by name.
    pub fn check(&self, classifier: &dyn Classifier) -> Result<()> {
        self.validate()?;
        self.neurons.check(&classifier.decision_layer()?)?;
        match self.pictures {
            Some(0) => Ok(()),
            _ => check_recipe(&self.recipe, classifier),
        }
    }

    /// Sets the seed of every stage that draws random numbers.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.certified.stability.seed = seed;
        self.editing.training = self.editing.training.with_seed(seed);
        self.recipe = self.recipe.with_seed(seed);
        self
    }
}
