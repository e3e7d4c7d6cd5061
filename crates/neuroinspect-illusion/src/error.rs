//! The errors of visualization.

use neuroinspect_core::{LayerKind, Precision};

use crate::Diverged;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while a picture is made or scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The objective needs an image-text encoder and none was given.
    #[error(
        "the objective {objective} needs a guide: pass an image-text encoder with class \
         embeddings, or choose an objective without the similarity s"
    )]
    MissingGuide {
        /// The objective.
        objective: String,
    },
    /// A text is no objective.
    #[error("the objective '{text}' cannot be read at character {character}: expected {expected}")]
    ObjectiveText {
        /// The text.
        text: String,
        /// Where, from 1.
        character: usize,
        /// What is expected there.
        expected: String,
    },
    /// The optimisation of every pair left the finite numbers; this is the first.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// A network's outputs are cut off from its input.
    #[error(
        "'{network}' passes no gradient to its images; what it gives out must be computed from \
         them by differentiable operations"
    )]
    NoGradient {
        /// Name of the network, and of the layer where it is one that an objective reads.
        network: String,
    },
    /// A network that would be optimised through is another than the one that would be explained.
    #[error(
        "'{network}' computes something else when its input can be differentiated: its outputs \
         differ by {difference} where rounding explains {allowed}. Its copy must be in evaluation \
         state: batch normalisation by running statistics and no dropout (for a Burn module, what \
         `Module::valid` does), and no layer may look at whether its input is tracked"
    )]
    DiffersWhenTracked {
        /// Name of the network, and of the layer where it is one that an objective reads.
        network: String,
        /// Largest difference of an output.
        difference: f32,
        /// What is put down to rounding.
        allowed: f32,
    },
    /// The networks were prepared in another number format than the recipe asks for.
    #[error(
        "the recipe asks for {recipe} and the networks were prepared in {networks}; prepare them \
         in the recipe's precision"
    )]
    OtherPrecision {
        /// The recipe's.
        recipe: Precision,
        /// The networks'.
        networks: Precision,
    },
    /// The layer that a classifier calls its penultimate one has no number per neuron.
    #[error(
        "layer '{layer}' of classifier '{classifier}', its penultimate one, gives {found} where \
         {expected} is needed; name the layer that gives the features, or leave \
         `Classifier::penultimate` as it is",
        expected = LayerKind::Features
    )]
    PenultimateKind {
        /// Name of the classifier.
        classifier: String,
        /// Name of the layer.
        layer: String,
        /// What the layer gives.
        found: LayerKind,
    },
    /// A state to go on from that is of another optimisation.
    #[error(
        "the state to go on from has another {what} than the batch that it is given for: go on \
         with the request that it comes from, or begin anew"
    )]
    OtherState {
        /// What does not agree.
        what: &'static str,
    },
    /// A step failed: the device, or a network.
    #[error("step {step} of the pictures failed: {reason}")]
    StepFailed {
        /// The step, from 0.
        step: usize,
        /// What the device or the network said.
        reason: String,
    },
    /// A recipe that cannot be written as JSON, and so has no hash.
    #[error("the recipe cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A shape, an option, an index or a device is wrong.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}

impl Error {
    pub(crate) fn shape(
        what: impl Into<String>,
        expected: impl std::fmt::Debug,
        found: impl std::fmt::Debug,
    ) -> Self {
        Self::Core(neuroinspect_core::Error::shape(what, expected, found))
    }
}
