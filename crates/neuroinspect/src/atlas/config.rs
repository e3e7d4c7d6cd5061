//! What an atlas is made of, and how.

use std::fmt;

use derive_setters::Setters;
use neuroinspect_core::{Classifier, check_option};
use neuroinspect_illusion::{Execution, Recipe};
use neuroinspect_report::Run;
use serde::{Deserialize, Serialize};

use crate::{ClassTexts, Extraction, PictureOrigin, Result};

/// Which units an atlas pictures, within how many classes, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct AtlasConfig {
    /// The layer, all of whose channels or neurons are pictured. Default: the one that the decision layer
    /// reads.
    #[setters(strip_option)]
    pub layer: Option<String>,
    /// How many classes each unit is pictured within; with 0, each is pictured by itself. Default 3.
    ///
    /// A neuron's are those that it speaks for most
    /// ([`classes_of_neuron`](neuroinspect_illusion::classes_of_neuron)), those of a unit of another layer
    /// the ones whose images activate it most on average.
    pub classes: usize,
    /// What decides the pictures; in its objective
    /// [`Objective::Neuron`](neuroinspect_illusion::Objective::Neuron) stands for the unit.
    pub recipe: Recipe,
    /// How they are computed. The [`batch_size`](Execution::batch_size) divides an atlas into batches, and
    /// is the same for all who make it.
    pub execution: Execution,
}

impl Default for AtlasConfig {
    fn default() -> Self {
        Self {
            layer: None,
            classes: 3,
            recipe: Recipe::default(),
            execution: Execution::default(),
        }
    }
}

impl AtlasConfig {
    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        self.recipe.validate()?;
        self.execution.validate()?;
        let objective = &self.recipe.objective;
        let expected = "an objective of the unit: any other makes the same picture of every unit";
        check_option("objective", objective, objective.sees_neuron(), expected)?;
        let allowed = self.classes > 0 || !objective.needs_class();
        let expected = "at least 1 for an objective with a class";
        Ok(check_option("classes", self.classes, allowed, expected)?)
    }
}

/// What an atlas is made of.
#[derive(Clone, Copy)]
pub struct AtlasInputs<'a> {
    /// The classifier. It is not changed: all is computed on copies.
    pub classifier: &'a dyn Classifier,
    /// What guides the pictures, if anything does.
    pub guide: Option<&'a ClassTexts<'a>>,
    /// A second network that has no part in the pictures, to judge them.
    pub judge: Option<&'a dyn Classifier>,
    /// Images of the classes, for the top classes of a layer other than the last, and to compare pictures
    /// with.
    pub images: Option<&'a Extraction<'a>>,
    /// Names of the classes.
    pub class_names: &'a [String],
    /// What tells the networks from others; its device is each worker's own.
    pub origin: &'a PictureOrigin,
    /// How the atlas is made, but for what each worker has of its own: devices, command line, times.
    pub run: &'a Run,
}

impl fmt::Debug for AtlasInputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtlasInputs")
            .field("classifier", &self.classifier.name())
            .field("classes", &self.class_names.len())
            .finish_non_exhaustive()
    }
}
