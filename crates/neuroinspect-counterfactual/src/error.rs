//! What can go wrong in explaining and ranking.

use neuroinspect_core::{ClassId, NeuronId};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why mistakes could not be explained or ranked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The classifier gets every sample of the class right.
    #[error(
        "class {class} ('{name}') has no mistakes here: there is nothing to explain; choose another class"
    )]
    NoMistakes {
        /// The class.
        class: ClassId,
        /// Its name.
        name: String,
    },
    /// No sample of the class is taken for the rival asked about.
    #[error(
        "no sample of class {class} ('{name}') is taken for class {rival} here: there is nothing to \
         explain; choose another rival, or none"
    )]
    NoneTakenFor {
        /// The class.
        class: ClassId,
        /// Its name.
        name: String,
        /// The class that none is taken for.
        rival: ClassId,
    },
    /// Activations below 0, where they are to be kept at or above 0.
    #[error(
        "sample '{sample}' has the activation {value} for neuron {neuron}, so that they are not those \
         after a rectifier: set `floor` to automatic or none"
    )]
    BelowFloor {
        /// What the sample is called.
        sample: String,
        /// The neuron.
        neuron: NeuronId,
        /// Its activation.
        value: f32,
    },
    /// An explanation in which no sample was a mistake.
    #[error("the explanation of class {class} holds no mistake: there is nothing to rank")]
    NothingToRank {
        /// The class.
        class: ClassId,
    },
    /// An explanation without its shifts, as one that was read from JSON is.
    #[error(
        "the explanation of class {class} has no shifts, which its JSON leaves out; explain the \
         mistakes again"
    )]
    NoShifts {
        /// The class.
        class: ClassId,
    },
    /// The descent ran off to infinity.
    #[error(
        "the counterfactual of sample '{sample}' for class {class} diverged; lower learning_rate or \
         momentum"
    )]
    Diverged {
        /// What the sample is called, or its row where features of no table are explained.
        sample: String,
        /// The class asked for.
        class: ClassId,
    },
    /// Shapes, ids, options, cancellation and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}
