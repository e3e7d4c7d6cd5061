//! What is asked for and what comes out.

use ndarray::{Array2, Array3};
use neuroinspect_core::{ClassId, NeuronId, Unit};
use serde::{Deserialize, Serialize};

use crate::{Result, SeedAgreement, Unmoved};

/// A neuron to be pictured within a class.
///
/// A batch is a list of pairs: one neuron with many classes and many neurons with one class are
/// asked for in the same way, and a pair may stand in the list more than once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pair {
    /// The neuron whose activation is raised.
    pub neuron: NeuronId,
    /// The class within which it is raised.
    pub class: ClassId,
}

/// The pictures of a list of pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Illusions {
    /// One picture per pair, in the order of the pairs, but for those in `diverged`; where
    /// `interrupted`, of the first pairs alone.
    pub finished: Vec<Illusion>,
    /// The pairs whose optimisation left the finite numbers, in their order.
    #[serde(default)]
    pub diverged: Vec<Diverged>,
    /// Whether the observer stopped the work before all steps of all pairs were done. The batch
    /// under way is then looked at as far as it has come, which its pictures'
    /// [`steps`](Illusion::steps) tell; batches not begun have no pictures.
    pub interrupted: bool,
}

/// What [`visualize_each`](crate::visualize_each) has handed over no picture of.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The pairs whose optimisation left the finite numbers, in their order.
    #[serde(default)]
    pub diverged: Vec<Diverged>,
    /// As [`Illusions::interrupted`].
    pub interrupted: bool,
}

impl Shortfall {
    /// Refuses that none of `pairs` pairs has a picture, though the work was not interrupted.
    ///
    /// # Errors
    ///
    /// [`Diverged`](crate::Error::Diverged) with the first of them.
    pub fn refuse_all_diverged(self, pairs: usize) -> Result<Self> {
        match self.diverged.first() {
            Some(&first) if !self.interrupted && self.diverged.len() == pairs => Err(first.into()),
            _ => Ok(self),
        }
    }
}

/// A pair whose optimisation left the finite numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error(
    "the picture of neuron {} for class {} is not finite at step {step}; \
     lower the learning rate or check the networks' weights",
    pair.neuron,
    pair.class
)]
pub struct Diverged {
    /// The neuron and the class.
    pub pair: Pair,
    /// The step at which it was noticed, from 0; the number of steps taken where it was noticed
    /// only in the picture they came to.
    pub step: usize,
}

/// The picture of one pair, without augmentation, and what the networks see in it.
///
/// As JSON it holds no pixels, which are tensors and kept as such.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Illusion {
    /// The neuron and the class.
    pub pair: Pair,
    /// The unit of a layer, where one is [pictured in place](crate::Request::of_units) of the pair's neuron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The picture: `[3, S, S]`, red, green, blue in `[0, 1]`.
    #[serde(skip)]
    pub image: Array3<f32>,
    /// Where the neuron is active: `[S, S]`, 1 there and the recipe's reduction elsewhere. None
    /// where the classifier does not say where in the image a neuron is active, and for an objective
    /// without the [neuron](crate::Objective::Neuron).
    #[serde(skip)]
    pub mask: Option<Array2<f32>>,
    /// Activation `a_n` of the neuron, or the unit, on the picture.
    pub activation: f32,
    /// Logit `z_c` of the class on the picture.
    pub logit: f32,
    /// Probability of the class on the picture, in `[0, 1]`.
    pub probability: f32,
    /// Similarity `s` of the picture and the class's text embedding, where a guide was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_similarity: Option<f32>,
    /// Why no step moved the neuron, or the unit, where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmoved: Option<Unmoved>,
    /// How far pictures of other seeds agree with it, where some were made: of a picture that had all its
    /// steps from noise, of a unit that moved at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<SeedAgreement>,
    /// Optimisation steps it has had: [`Recipe::steps`](crate::Recipe::steps), or
    /// fewer where the observer stopped the work.
    pub steps: usize,
    /// The course of the optimisation, every
    /// [`trace_every`](crate::Execution::trace_every) steps.
    pub trace: Vec<TracePoint>,
}

impl Illusion {
    /// The picture times its mask, where it has one: `[3, S, S]`, as the paper publishes it.
    pub fn masked_image(&self) -> Option<Array3<f32>> {
        Some(&self.image * self.mask.as_ref()?)
    }
}

/// One step of the optimisation, seen through that step's augmentation and before its update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TracePoint {
    /// The step, from 0.
    pub step: usize,
    /// The pair's loss; under [`WholeBatch`](crate::Coupling::WholeBatch) coupling its batch's.
    pub loss: f32,
    /// Activation `a_n` of the neuron.
    pub activation: f32,
    /// Logit `z_c` of the class.
    pub logit: f32,
    /// Similarity `s` of image and class text, where the objective needs a guide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_similarity: Option<f32>,
}
