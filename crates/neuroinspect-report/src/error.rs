//! What can go wrong between a result and its file.

use std::path::PathBuf;

use neuroinspect_core::{ClassId, NeuronId};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a picture, JSON or a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Lengths, ids or values that do not fit, or a file that cannot be written.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// A picture without pixels, as findings read from JSON have.
    #[error(
        "the picture of neuron {neuron} for class {class} has no pixels: JSON does not hold them; \
         make the report of findings as they were found"
    )]
    MissingPixels {
        /// The neuron.
        neuron: NeuronId,
        /// The class it was pictured for.
        class: ClassId,
    },
    /// More mistakes than there are samples.
    #[error("there are {mistakes} mistakes, but only {samples} samples of the class")]
    Mistakes {
        /// The mistakes.
        mistakes: usize,
        /// The samples of the class.
        samples: usize,
    },
    /// A picture names a file outside the output folder.
    #[error("'{path}' is not the name of a file inside the output folder")]
    FileName {
        /// The name given.
        path: String,
    },
    /// A picture could not be encoded.
    #[cfg(feature = "html")]
    #[error("cannot encode {what}")]
    Encode {
        /// Which picture.
        what: String,
        /// Why.
        source: image::ImageError,
    },
    /// A file that does not hold the JSON expected.
    #[error("'{}' holds no {expected} in version {version}: {reason}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Name of the schema.
        expected: &'static str,
        /// Version of the schema.
        version: u32,
        /// Why not.
        reason: String,
    },
    /// A table could not be turned into Parquet.
    #[cfg(feature = "parquet")]
    #[error("cannot turn the index of an atlas into Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A value could not be turned into JSON.
    #[error("cannot turn a value of schema '{schema}' into JSON")]
    Json {
        /// What it should have become.
        schema: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}
