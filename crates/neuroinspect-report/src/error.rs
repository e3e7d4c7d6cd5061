//! What can go wrong between a result and its file.

use neuroinspect_core::{ClassId, NeuronId};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a picture, a summary or a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes, ids or values that do not fit, or a file that cannot be written.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// A summary lists a visualization whose pictures were not handed in.
    #[error(
        "the summary lists a visualization of neuron {neuron} for class {class}, but the report \
         was given no pictures of it"
    )]
    MissingPictures {
        /// The neuron.
        neuron: NeuronId,
        /// The class it was pictured for.
        class: ClassId,
    },
    /// A visualization names a file outside the output folder.
    #[error("'{path}' is not the name of a file inside the output folder")]
    FileName {
        /// The name given.
        path: String,
    },
    /// A picture could not be encoded.
    #[error("cannot encode {what}")]
    Encode {
        /// Which picture.
        what: String,
        /// Why.
        source: image::ImageError,
    },
    /// A summary could not be turned into JSON.
    #[error("cannot turn the summary into JSON")]
    Json(#[from] serde_json::Error),
}
