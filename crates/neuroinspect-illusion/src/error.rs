//! The errors of visualization.

use crate::Diverged;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while a picture is made or scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The objective needs an image-text encoder and none was given.
    #[error(
        "objective 'guided' needs a guide: pass an image-text encoder with class embeddings, \
         or choose objective 'class_conditional'"
    )]
    MissingGuide,
    /// The two networks are on different devices.
    #[error(
        "classifier '{classifier}' and encoder '{encoder}' are on different devices; \
         load both on the same one"
    )]
    DifferentDevices {
        /// Name of the classifier.
        classifier: String,
        /// Name of the image-text encoder.
        encoder: String,
    },
    /// The optimisation of every pair left the finite numbers; this is the first.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// The classifier's outputs are cut off from its input.
    #[error(
        "classifier '{classifier}' passes no gradient to its images; \
         its feature map must be computed from them by differentiable operations"
    )]
    NoGradient {
        /// Name of the classifier.
        classifier: String,
    },
    /// A shape, an option, an index or a device is wrong.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}

impl Error {
    pub(crate) fn option(
        option: &'static str,
        value: impl std::fmt::Debug,
        expected: &'static str,
    ) -> Self {
        Self::Core(neuroinspect_core::Error::InvalidOption {
            option,
            value: format!("{value:?}"),
            expected,
        })
    }

    pub(crate) fn shape(
        what: impl Into<String>,
        expected: impl std::fmt::Debug,
        found: impl std::fmt::Debug,
    ) -> Self {
        Self::Core(neuroinspect_core::Error::shape(what, expected, found))
    }
}
