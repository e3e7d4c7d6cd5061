//! The vocabulary of neuroinspect: the types every other crate of it speaks in.
//!
//! A trained classifier is `h = h_t . h_b`: a backbone `h_b` maps an image to a *feature map*
//! `[D, h, w]` and, pooled, to a *feature vector* `[D]`; a linear *decision layer* `h_t` maps that
//! vector to `K` logits. A *neuron* is one of the `D` coordinates, and its *activation* the value
//! of that coordinate.
//!
//! - [`Classifier`] is what a model implements to be explained, pictured and edited, and
//!   [`ImageTextEncoder`] what a CLIP-like model implements to guide the pictures. Both can be
//!   boxed.
//! - [`DecisionLayer`] is `h_t`, held on the host, where it can be read, edited and hashed.
//! - A layer has a name and values ([`LayerInfo`], [`LayerValues`]); a [`Unit`] is what of it is
//!   looked at.
//! - [`ActivationTable`] is a data set as one layer sees it; [`FeatureTable`] adds labels,
//!   [`Groups`] and a [`Split`] to the penultimate layer's. Every stage but visualization works from
//!   it alone. [`Predicted`] is what a decision layer says of it, and [`Metrics`] what that is worth,
//!   per class and per group.
//! - [`InputSpec`] says which pixels a model wants to see.
//! - [`class_by_name_or_index`] and [`nearest_name`] find what a person has named.
//! - [`io`] writes files whole or not at all, tells them apart, and keeps tensors in them.
//! - [`read_back`](read_back()) reads a tensor back from its device, and [`among_workers`] and
//!   [`side_by_side`] compute by the threads that a device's operations are shared among.
//! - [`DeviceName`], [`Precision`], [`Seed`] and [`Observer`] are how a caller says where to compute
//!   and how exactly, which random numbers to draw, and when to stop; [`is_cancellation`] tells an
//!   error that says so from others.
//!
//! No function of neuroinspect names a Burn backend: each takes a [`Device`](burn::tensor::Device)
//! or finds it on its inputs.
//!
//! # Example
//!
//! ```
//! use ndarray::array;
//! use neuroinspect_core::{
//!     ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, Provenance,
//! };
//!
//! # fn main() -> Result<(), neuroinspect_core::Error> {
//! // Two classes seen through two neurons; the third sample is a mistake.
//! let layer = DecisionLayer::new(array![[1.0, 0.0], [0.0, 1.0]], array![0.0, 0.0])?;
//! let features = array![[2.0, 0.5], [0.1, 1.0], [0.9, 1.1]];
//! let activations = ActivationTable::new(features, Provenance::new("toy", InputSpec::new(32)))?;
//! let labels = [0, 1, 0].map(ClassId).to_vec();
//! let table = FeatureTable::new(activations, labels, vec!["cat".into(), "dog".into()])?;
//! let predicted = table.predicted_by(&layer)?;
//! assert_eq!(predicted.mistakes(ClassId(0))?, [2]);
//! assert_eq!(predicted.metrics()?.worst_class_accuracy, 0.5);
//! # Ok(())
//! # }
//! ```
//!
//! # Feature flags
//!
//! Backends, passed through to Burn: `flex` (default), `tch`, `wgpu`, `vulkan`, `metal`, `cuda`,
//! `rocm`. And `schema`: results implement `schemars::JsonSchema`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod classifier;
mod convolution;
mod decision;
mod device;
mod differentiable;
mod direction;
mod embeddings;
mod encoder;
mod error;
mod ids;
mod input;
pub mod io;
mod layer;
mod metrics;
mod names;
mod panic;
mod partition;
mod precision;
mod progress;
mod read_back;
mod seed;
mod table;
mod unit;
mod workers;

pub use classifier::{Activations, Classifier, CopyClassifier, unknown_layer};
pub use convolution::{Convolution, Rectifier};
pub use decision::DecisionLayer;
pub use device::{Backend, DeviceName, is_flex, is_tch};
pub use differentiable::{attention, gelu, layer_norm};
pub use direction::Direction;
pub use embeddings::ClassEmbeddings;
pub use encoder::{CopyEncoder, ImageTextEncoder};
pub use error::{Cancelled, Error, Result, check_option, is_cancellation, with_causes};
pub use ids::{ClassId, NeuronId};
pub use input::{InputSpec, Interpolation, ResizeRule};
pub use layer::{LayerInfo, LayerKind, LayerValues};
pub use metrics::{Metrics, share_interval};
pub use names::{class_argument, class_by_name_or_index, nearest_name};
pub use panic::{catch_panic, is_out_of_memory};
pub use partition::{Groups, Split};
pub use precision::Precision;
pub use progress::{Observer, Progress, Silent};
pub use read_back::read_back;
pub use seed::Seed;
pub use table::{
    ActivationTable, CollectedRows, Difference, FeatureTable, MemoryLimit, NeuronSummary,
    Predicted, Provenance, check_finite, check_same_classes,
};
pub use unit::{Unit, UnitKind};
pub use workers::{among_workers, side_by_side};
