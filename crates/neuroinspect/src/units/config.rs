//! Which units are looked at, and how.

use burn::tensor::Tensor;
use derive_setters::Setters;
use neuroinspect_core::{
    ClassId, Classifier, Error as CoreError, LayerKind, NeuronId, Precision, Unit, UnitKind,
    check_option, unknown_layer,
};
use neuroinspect_illusion::{Execution, Objective, Recipe};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Which units are looked at, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct UnitsConfig {
    /// The units, each once, of one layer or of several.
    pub units: Vec<Unit>,
    /// The class that they are pictured within. Default: none, each is pictured by itself.
    #[setters(strip_option)]
    pub class: Option<ClassId>,
    /// How many of the real images that activate a unit most are looked at, at least 1. Default 6.
    pub top: usize,
    /// What decides the pictures and the threshold of masks; in its objective
    /// [`Objective::Neuron`] stands for the unit. Default: [`Recipe::default`], but for the unit alone.
    pub recipe: Recipe,
    /// How the pictures are computed.
    pub execution: Execution,
}

impl Default for UnitsConfig {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            class: None,
            top: 6,
            recipe: Recipe::default().with_objective(Objective::Neuron),
            execution: Execution::default(),
        }
    }
}

impl UnitsConfig {
    /// Checks every option against its range, and that the classifier has the units: before there are
    /// activations.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption), naming the option, [`CoreError::Empty`] without units,
    /// [`CoreError::UnknownLayer`] with the nearest name, and [`CoreError::Unit`] for the first that a layer does
    /// not have or that stands there twice.
    pub fn check(&self, classifier: &dyn Classifier) -> Result<()> {
        self.recipe.validate()?;
        self.execution.validate()?;
        check_option("top", self.top, self.top > 0, "at least 1")?;
        let objective = &self.recipe.objective;
        let of_class = objective.needs_class() && self.class.is_none();
        let expected = "one without a class, or a class to picture the units within";
        check_option("objective", objective, !of_class, expected)?;
        if let Some(class) = self.class {
            classifier.decision_layer()?.check_class(class)?;
        }
        check_units(&self.units, classifier)
    }
}

/// All channels of a layer, or its neurons.
///
/// # Errors
///
/// [`CoreError::UnknownLayer`] with the nearest name, and when the classifier's layers cannot be read.
pub fn units_of_layer(layer: &str, classifier: &dyn Classifier) -> Result<Vec<Unit>> {
    let layers = classifier.layers()?;
    let Some(found) = layers.iter().find(|info| info.name == layer) else {
        let names = layers.iter().map(|info| info.name.as_str());
        return Err(unknown_layer(classifier.name(), layer, names).into());
    };
    let kind = |index| match found.kind {
        LayerKind::Features => UnitKind::Feature(NeuronId(index)),
        LayerKind::Map | LayerKind::Tokens => UnitKind::Channel(index),
    };
    Ok((0..found.channels)
        .map(|index| Unit::new(layer, kind(index)))
        .collect())
}

/// Checks that there are units, each once, and that a classifier has all of them: a copy of it looks at
/// one black image.
pub(crate) fn check_units(units: &[Unit], classifier: &dyn Classifier) -> Result<()> {
    if units.is_empty() {
        return Err(CoreError::empty("units to look at").into());
    }
    let device = classifier.device().without_autodiff();
    let copy = classifier.evaluation_copy(&device, Precision::F32)?;
    let size = copy.input().size;
    let black = Tensor::zeros([1, 3, size, size], &device);
    let layers = layers_of(units);
    let values = copy.activations_at(black, &layers)?;
    for (index, unit) in units.iter().enumerate() {
        let own = layers.iter().zip(&values);
        for (_, values) in own.filter(|(layer, _)| **layer == unit.layer) {
            unit.activation(values)?;
        }
        if units[..index].contains(unit) {
            return Err(CoreError::Unit {
                unit: unit.kind.to_string(),
                layer: unit.layer.clone(),
                reason: "it is asked for twice".to_owned(),
            }
            .into());
        }
    }
    Ok(())
}

/// The layers of units, each once, in the order of their first units.
pub(crate) fn layers_of(units: &[Unit]) -> Vec<&str> {
    let mut layers: Vec<&str> = Vec::new();
    for unit in units {
        if !layers.contains(&&*unit.layer) {
            layers.push(&unit.layer);
        }
    }
    layers
}
