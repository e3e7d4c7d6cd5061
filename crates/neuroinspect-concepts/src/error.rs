//! What can go wrong with concepts and labels.

use neuroinspect_core::ClassId;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why concepts could not be learned, used or named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too few samples to learn a concept from.
    #[error(
        "concept '{concept}' has {found} {what}, and at least {needed} are needed; give more images of it, or \
         ask for fewer"
    )]
    TooFew {
        /// The concept.
        concept: String,
        /// Of what there are too few.
        what: &'static str,
        /// How many are needed.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// Positive and negative samples that no direction tells apart.
    #[error(
        "concept '{concept}' cannot be told from what is not it: {reason}; raise the regularization C, or \
         give other images"
    )]
    NotSeparated {
        /// The concept.
        concept: String,
        /// What is wrong with the boundary found.
        reason: &'static str,
    },
    /// The support vector machine did not come to its end.
    #[error(
        "the support vector machine of concept '{concept}' did not converge in {steps} steps; lower the \
         regularization C, or raise the tolerance"
    )]
    NotConverged {
        /// The concept.
        concept: String,
        /// Steps taken.
        steps: usize,
    },
    /// A name that no concept bears.
    #[error("no concept is named '{name}'; {hint}")]
    UnknownConcept {
        /// The name given.
        name: String,
        /// The nearest name, or those there are.
        hint: String,
    },
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
    /// The descent ran off to infinity.
    #[error(
        "the concept weights of sample {sample} for class {class} diverged; lower learning_rate or momentum"
    )]
    Diverged {
        /// Row of the sample among those explained.
        sample: usize,
        /// The class asked for.
        class: ClassId,
    },
    /// A table whose layer the concepts were not learned on.
    #[error(
        "the concepts are of {expected}, the samples of {found}: they differ in the {what}, {one} and {other}; \
         learn the concepts of the layer that they are used on"
    )]
    OtherLayer {
        /// What the concepts were learned on.
        expected: String,
        /// What they are to be used on.
        found: String,
        /// What the two differ in.
        what: &'static str,
        /// What it is of the concepts.
        one: String,
        /// What it is of the samples.
        other: String,
    },
    /// Shapes, ids, options, files, cancellation and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}
