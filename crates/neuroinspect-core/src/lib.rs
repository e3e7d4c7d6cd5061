//! The vocabulary of neuroinspect: the types every other crate of it speaks in.
//!
//! A trained classifier is `h = h_t . h_b`: a backbone `h_b` maps an image to a *feature map*
//! `[D, h, w]` and, pooled, to a *feature vector* `[D]`; a linear *decision layer* `h_t` maps that
//! vector to `K` logits. A *neuron* is one of the `D` coordinates, and its *activation* the value
//! of that coordinate.
//!
//! - [`Classifier`] is what a model implements to be explained, pictured and mended, and
//!   [`ImageTextEncoder`] what a CLIP-like model implements to guide the pictures. Both can be
//!   boxed.
//! - [`DecisionLayer`] is `h_t`, held on the host, where it can be read, edited and hashed.
//! - [`FeatureTable`] is a data set seen by a classifier: features, labels, predictions and where
//!   they came from. Every stage but visualization works from it alone.
//! - [`Metrics`] is what a table's predictions are worth, per class and per group.
//! - [`InputSpec`] says which pixels a model wants to see.
//! - [`class_by_name_or_index`] and [`nearest_name`] find what a person has named.
//! - [`write_safetensors`] writes [`NamedTensor`]s so that equal content makes equal bytes,
//!   [`TensorFile`] reads them back, [`write_atomically`] writes any file whole or not at all, and
//!   [`sha256_of_file`] and [`sha256_of_bytes`] tell files apart.
//! - [`host`](host()) reads a tensor back from its device.
//! - [`DeviceName`], [`Seed`] and [`Observer`] are how a caller says where to compute, which
//!   random numbers to draw, and when to stop.
//!
//! No function of neuroinspect names a Burn backend: each takes a [`Device`](burn::tensor::Device)
//! or finds it on its inputs.
//!
//! # Example
//!
//! ```
//! use ndarray::array;
//! use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, InputSpec, Provenance};
//!
//! # fn main() -> Result<(), neuroinspect_core::Error> {
//! // Two classes seen through two neurons; the third sample is a mistake.
//! let layer = DecisionLayer::new(array![[1.0, 0.0], [0.0, 1.0]], array![0.0, 0.0])?;
//! let features = array![[2.0, 0.5], [0.1, 1.0], [0.9, 1.1]];
//! let labels = [0, 1, 0].map(ClassId);
//! let table = FeatureTable::new(
//!     features.clone(),
//!     labels.to_vec(),
//!     layer.predict(features.view())?,
//!     vec!["cat".into(), "dog".into()],
//!     Provenance::new("toy", InputSpec::new(32)),
//! )?;
//! assert_eq!(table.mistakes(ClassId(0))?, [2]);
//! # Ok(())
//! # }
//! ```
//!
//! # Feature flags
//!
//! Backends, passed through to Burn: `flex` (default), `tch`, `wgpu`, `vulkan`, `metal`, `cuda`,
//! `rocm`.

mod classifier;
mod decision;
mod device;
mod encoder;
mod error;
mod files;
mod host;
mod ids;
mod input;
mod metrics;
mod names;
mod progress;
mod seed;
mod table;
mod tensor_file;
mod tensors;

pub use classifier::{Activations, Classifier};
pub use decision::DecisionLayer;
pub use device::{Backend, DeviceName};
pub use encoder::ImageTextEncoder;
pub use error::{Error, Result};
pub use files::{sha256_of_bytes, sha256_of_file, write_atomically};
pub use host::host;
pub use ids::{ClassId, NeuronId};
pub use input::{InputSpec, Interpolation, ResizeRule};
pub use metrics::Metrics;
pub use names::{class_by_name_or_index, nearest_name};
pub use progress::{Observer, Progress, Silent};
pub use seed::Seed;
pub use table::{FeatureTable, Groups, Provenance, check_same_classes};
pub use tensor_file::TensorFile;
pub use tensors::{NamedTensor, write_safetensors};
