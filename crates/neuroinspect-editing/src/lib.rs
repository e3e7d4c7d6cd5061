//! Editing a decision layer so that chosen neurons no longer decide a class.
//!
//! # What is optimised
//!
//! A classifier's decision layer says `z = W f + b`, `p = softmax(z)`, for features `f` in `R^D`.
//! Let some neurons `S` have been found to carry a false correlation with class `c`: water for
//! waterbirds. How much the class rests on them shows in the *probability ratio* of a sample `j`
//! (Eq. 5 to 7 of \[1\]), `f^S` being the features with `S` zeroed:
//!
//! ```text
//! r_j = p_c(f_j) / (p_c(f_j^S) + 1e-9)
//! ```
//!
//! [`edit`] trains `W` and `b`, and nothing else, so that the ratio comes to a target `o`, 1 or a
//! little more, while the predictions stay right (Eq. 8):
//!
//! ```text
//! L = CE + lambda3 | (r_j - o)_j over the batch |_2
//! ```
//!
//! No new images are needed, and no group labels. The features were computed once, by a backbone
//! that stays as it is; both gradients are in closed form, and for any number of neurons a step is
//! two matrix products of full width. What comes out can be kept as an [`Edit`]: a file that is
//! applied to exactly the layer it was made for, and reverted bit by bit. It holds every changed row
//! twice, before and after: up to `2 K (D + 1)` numbers, 16 MB for 1000 classes over 2048 neurons.
//! An edit is one between any two layers; its [`Recipe`] says by which [`Method`] it was made.
//!
//! # Options, and when to prefer them
//!
//! - [`EditScope`]: one class, or all of them by the mean ratio, as the paper does with the two of
//!   Waterbirds.
//! - [`Target`]: automatic, by the paper's rule, or given. 1 removes the influence; more leaves
//!   some where the feature is a part of the class, as water is of waterbirds.
//! - [`RatioForm`]: all neurons zeroed together, or each alone. Together they cannot make up for
//!   each other; apart, one strong neuron does not hide a weak one.
//! - [`RatioNorm`]: the paper's norm grows with the batch; the root mean square lets `lambda3` be
//!   carried over from one batch size to another.
//! - [`Keep`]: which epoch's layer. A validation table with the same false correlation as the
//!   training table favours the layer edited least; then keep the [last](Keep::Last), or measure on
//!   data without the correlation.
//! - [`Schedule`]: a warm-up over all steps, a constant rate, or the original's walk of the warm-up.
//!
//! # Where it departs from the paper and the original program
//!
//! - The paper writes one ratio for each neuron, the original zeroes all together while its
//!   automatic target comes from single neurons. Joint is the default, as in the original.
//! - The original computes the schedule from the step within the epoch, so that the rate starts
//!   again from 0 with the second step of every epoch ([`Schedule::OriginalWarmup`], part of
//!   [`EditConfig::original`]).
//! - The original leaves the backbone in training mode, so that its batch statistics drift, and runs
//!   it on augmented images at every step. Here it is frozen. Augmentation is a matter of the
//!   table: give one with several views of each image.
//! - An automatic target is never below 1, whatever the importances.
//! - Epochs of equal accuracy are told apart by their ratio penalty, where the original takes the
//!   later one ([`Ties::Later`], part of [`EditConfig::original`]). The layer given is never kept in
//!   place of an edited one.
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use ndarray::array;
//! use neuroinspect_core::{
//!     ClassId, DecisionLayer, FeatureTable, InputSpec, NeuronId, Provenance, Silent,
//! };
//! use neuroinspect_editing::{Edit, EditConfig, EditScope, Keep, Target, edit};
//!
//! # fn main() -> Result<(), neuroinspect_editing::Error> {
//! // Neuron 0 sees the bird, neuron 1 the water, and the layer says waterbird for water.
//! let before = DecisionLayer::new(array![[0.2, 2.0], [0.0, 0.0]], array![-1.0, 0.0])?;
//! let features = array![[1.0, 1.0], [0.9, 1.1], [0.0, 0.0], [0.1, 0.1]];
//! let labels = [0, 0, 1, 1].map(ClassId).to_vec();
//! let train = FeatureTable::new(
//!     features.clone(),
//!     labels,
//!     before.predict(features.view())?,
//!     vec!["waterbird".into(), "landbird".into()],
//!     Provenance::new("toy", InputSpec::new(32)),
//! )?;
//!
//! let config = EditConfig::default()
//!     .with_target(Target::Fixed(1.0))
//!     .with_lambda3(0.1)
//!     .with_learning_rate(0.05)
//!     .with_epochs(200, None)
//!     .with_keep(Keep::Last);
//! let scope = EditScope::Class(ClassId(0));
//! let water = [NeuronId(1)];
//! let edited =
//!     edit(&train, &train, &before, &water, scope, &config, &Device::flex(), &mut Silent)?;
//!
//! // A bird on land, and water without a bird.
//! let unseen = array![[1.0, 0.0], [0.0, 1.0]];
//! assert_eq!(before.predict(unseen.view())?, [ClassId(1), ClassId(0)]);
//! assert_eq!(edited.layer.predict(unseen.view())?, [ClassId(0), ClassId(1)]);
//!
//! let edit = Edit::between(&before, &edited.layer, edited.recipe())?;
//! assert_eq!(edit.apply(&before)?, edited.layer);
//! assert_eq!(edit.revert(&edited.layer)?, before);
//! # Ok(())
//! # }
//! ```
//!
//! # References
//!
//! 1. Y. Ju et al., *NeuroInspect: Interpretable Neuron-based Debugging Framework through
//!    Class-conditional Visualizations*, [arXiv 2310.07184](https://arxiv.org/abs/2310.07184).
//! 2. D. P. Kingma and J. Ba, *Adam: A Method for Stochastic Optimization*,
//!    [arXiv 1412.6980](https://arxiv.org/abs/1412.6980).

mod comparison;
mod config;
mod error;
mod loss;
mod optimizer;
mod patch;
mod train;

pub use comparison::Comparison;
pub use config::{EditConfig, EditScope, Keep, RatioForm, RatioNorm, Schedule, Target, Ties};
pub use error::{Error, Result};
pub use patch::{Edit, Method, Recipe};
pub use train::{Edited, EpochRecord, edit};
