//! What can go wrong in explaining and ranking.

use neuroinspect_core::ClassId;

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
        "the counterfactual of sample {sample} for class {class} diverged; lower learning_rate or momentum"
    )]
    Diverged {
        /// Row of the sample among those explained.
        sample: usize,
        /// The class asked for.
        class: ClassId,
    },
    /// Shapes, ids, options, cancellation and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}
