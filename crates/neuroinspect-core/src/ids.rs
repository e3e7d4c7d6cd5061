//! Typed indices: a neuron cannot be passed where a class is meant.

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Index of a neuron: one of the `D` coordinates of a classifier's feature vector, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
#[derive(Display)]
pub struct NeuronId(pub usize);

/// Index of a class: one of the `K` rows of a classifier's decision layer, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
#[derive(Display)]
pub struct ClassId(pub usize);

impl NeuronId {
    /// Checks that it is below the number of neurons.
    ///
    /// # Errors
    ///
    /// [`Error::NeuronOutOfRange`].
    pub fn check(self, neurons: usize) -> Result<()> {
        let neuron = self;
        match neuron.0 < neurons {
            true => Ok(()),
            false => Err(Error::NeuronOutOfRange { neuron, neurons }),
        }
    }
}

impl ClassId {
    /// Checks that it is below the number of classes.
    ///
    /// # Errors
    ///
    /// [`Error::ClassOutOfRange`].
    pub fn check(self, classes: usize) -> Result<()> {
        let class = self;
        match class.0 < classes {
            true => Ok(()),
            false => Err(Error::ClassOutOfRange { class, classes }),
        }
    }
}
