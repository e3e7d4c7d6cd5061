//! Making decision layers: editing one so that chosen neurons no longer decide a class, and whatever
//! else can be done with the last layer of a classifier.
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
//! The [`RatioEdit`] trains `W` and `b`, and nothing else, so that the ratio comes to a target `o`, 1
//! or a little more, while the predictions stay right (Eq. 8):
//!
//! ```text
//! L = CE + lambda3 | (r_j - o)_j over the batch |_2
//! ```
//!
//! No new images are needed, and no group labels. The features were computed once, by a backbone
//! that stays as it is; both gradients are in closed form, and for any number of neurons a step is
//! two matrix products of full width.
//!
//! # A session
//!
//! An [`EditSession`] keeps [samples](EditData) and layer on the device. It says what silencing
//! neurons would do from the logits alone ([`preview`](EditSession::preview)), and makes layers by any
//! [`DecisionMethod`] ([`edit`](EditSession::edit)). Every [`EditResult`] says what the layer is worth
//! before and after, what the [`Control`] is worth, plain retraining with the same options, and
//! whether the edit did what it was for ([`Verdict`]): on real data retraining alone often does as
//! much, and what it gains too an edit cannot claim.
//!
//! The difference between the layers is a [`LayerPatch`]: a file that is applied to exactly the layer
//! it was made for, and reverted bit by bit. It holds every changed row twice, before and after: up to
//! `2 K (D + 1)` numbers, 16 MB for 1000 classes over 2048 neurons. Its [`MethodRecord`] says by which
//! method it was made, with which options.
//!
//! # Methods
//!
//! | labels used | methods |
//! | --- | --- |
//! | classes | [`RatioEdit`], its baseline [`Con`], [`RandomNeurons`], [`Silence`], [`SingleWeight`]; [`Retrain`], [`ClassBias`], [`LogitAdjustment`], [`ClassWeighting`], [`Focal`]; [`Jtt`], [`Afr`], [`SelectiveFinetuning`] (SELF), [`NeuronTune`], [`Disc`] |
//! | groups of validation samples | [`Dfr`] |
//! | groups of training samples | [`GroupDro`], and [`GroupBalanced`], an oracle taken for the ceiling |
//!
//! [`Mend`] chooses among simple ones by samples that they were not fitted on, without a group label, or
//! leaves the layer as it is ([`MendResult`]); [`suspects`] says which neurons mistakes are blamed on. What
//! is reported in the end is measured on samples [held out](HeldOut) of all choices.
//!
//! [`method_named`] makes one by its name, and a [`Tuner`] chooses its options on validation samples. A rival's paper may retrain the whole network: here it makes
//! a decision layer on features computed once, and says what of it that leaves.
//!
//! A method is a type that implements [`DecisionMethod`]: its name, its paper, which labels it uses,
//! its options, and [`fit`](DecisionMethod::fit). What learns by batches shares the loop, [`train`], and
//! brings a [`Loss`] with its gradient, or a [`Sampling`]; [`TrainingConfig`] has optimiser, schedule and
//! the choice of the epoch, alike for all.
//!
//! Outside this crate that is all: a session [makes](EditSession::edit) layers by it, their patches
//! are written, read, applied and reverted as any, and [`MethodRecord::parse`] gives the method back
//! out of its record. `docs/architecture.md` says what else makes it a part of this crate.
//!
//! # Where it departs from the paper and the original program
//!
//! - The paper writes one ratio for each neuron, the original zeroes all together while its
//!   automatic target comes from single neurons. Joint is the default, as in the original.
//! - The original computes the schedule from the step within the epoch, so that the rate starts
//!   again from 0 with the second step of every epoch ([`Schedule::OriginalWarmup`], part of
//!   [`EditConfig::original`]).
//! - The original leaves the backbone in training mode, so that its batch statistics drift, and runs
//!   it on augmented images at every step. Here it is frozen, and augmented views are made
//!   once, to be [learnt from](EditData::with_views) beside the images.
//! - An automatic target is never below 1, whatever the importances.
//! - Epochs of equal accuracy are told apart by their ratio penalty, where the original takes the
//!   later one ([`Ties::Later`], part of [`EditConfig::original`]), and leaves out the first ones
//!   ([`skipped_epochs`](TrainingConfig::skipped_epochs)). The layer given is never kept in place of
//!   an edited one.
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use ndarray::array;
//! use neuroinspect_core::{
//!     ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, NeuronId, Provenance, Silent,
//! };
//! use neuroinspect_editing::{
//!     EditConfig, EditData, EditScope, EditSession, RatioEdit, Target, TrainingConfig,
//! };
//!
//! # fn main() -> Result<(), neuroinspect_editing::Error> {
//! // Neuron 0 sees the bird, neuron 1 the water, and the layer says waterbird for water.
//! let layer = DecisionLayer::new(array![[0.2, 2.0], [0.0, 0.0]], array![-1.0, 0.0])?;
//! let table = |features, labels: &[usize]| -> Result<_, neuroinspect_core::Error> {
//!     FeatureTable::new(
//!         ActivationTable::new(features, Provenance::new("toy", InputSpec::new(32)))?,
//!         labels.iter().copied().map(ClassId).collect(),
//!         vec!["waterbird".into(), "landbird".into()],
//!     )
//! };
//! let features = array![[1.0, 1.0], [0.9, 1.1], [0.0, 0.0], [0.1, 0.1]];
//! let train = table(features, &[0, 0, 1, 1])?;
//! let validation = train.clone();
//! // Two birds on land, a landbird on water, a landbird on land.
//! let features = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.0, 0.0]];
//! let evaluation = table(features, &[0, 0, 1, 1])?;
//!
//! let data = EditData::of_parts(train, validation, evaluation)?;
//! let session = EditSession::new(data, &layer, &Device::flex())?;
//! assert_eq!(session.before().accuracy, 0.25);
//! // Without the water the layer knows no waterbirds at all.
//! let water = NeuronId(1);
//! let preview = session.preview(&[water])?;
//! assert_eq!(preview.comparison.after.class_accuracy[0], Some(0.0));
//!
//! let training = TrainingConfig::default()
//!     .with_learning_rate(0.05)
//!     .with_epochs(200, None);
//! let config = EditConfig::default()
//!     .with_target(Target::Fixed(1.0))
//!     .with_lambda3(0.1)
//!     .with_training(training);
//! let edit = RatioEdit::new(vec![water], EditScope::Class(ClassId(0))).with_config(config);
//! let edited = session.edit(&edit, &mut Silent)?;
//! assert_eq!(edited.result.comparison.after.accuracy, 1.0);
//! assert_eq!(edited.result.verdict.accuracy.map(|it| it.after), Some(1.0));
//!
//! assert_eq!(edited.patch.apply(&layer)?, edited.layer);
//! assert_eq!(edited.patch.revert(&edited.layer)?, layer);
//! # Ok(())
//! # }
//! ```
//!
//! # Feature flags
//!
//! - `schema`: results implement `schemars::JsonSchema`.
//!
//! # References
//!
//! 1. Y. Ju et al., *NeuroInspect: Interpretable Neuron-based Debugging Framework through
//!    Class-conditional Visualizations*, [arXiv 2310.07184](https://arxiv.org/abs/2310.07184).
//! 2. D. P. Kingma and J. Ba, *Adam: A Method for Stochastic Optimization*,
//!    [arXiv 1412.6980](https://arxiv.org/abs/1412.6980).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod comparison;
mod data;
mod error;
mod held_out;
mod mend;
mod method;
mod methods;
mod patch;
mod session;
mod training;
mod triage;
mod tuning;
mod verdict;

pub use comparison::{Comparison, Control};
pub use data::{DeviceTable, EditData, LayerTensors, SampleBatch, Samples, Storage};
pub use error::{Error, Result};
pub use held_out::{Chosen, HeldOut, Measurement};
pub use mend::{
    Candidate, CandidateKind, ChosenOn, Evidence, FrontierPoint, Gain, Interval, Mend, MendResult,
    Mended, Yardstick, YardstickChoice,
};
pub use method::{
    Citation, ControlBy, DecisionMethod, Fitted, LabelsUsed, MethodInput, MethodOptions,
};
pub use methods::{
    AdjustmentForm, Afr, ClassBias, ClassWeighting, Con, Concept, Dfr, Disc, EditConfig, EditScope,
    Focal, GroupBalanced, GroupDro, Jtt, LogitAdjustment, METHODS, MethodArguments, NeuronTune,
    RandomNeurons, RatioEdit, RatioForm, RatioNorm, Retrain, SelectiveFinetuning, Silence,
    SingleWeight, Target, about_method, check_neurons, grid_of, method_named,
};
pub use patch::{LayerPatch, MethodRecord};
pub use session::{EditResult, EditSession, Edited, Preview};
pub use training::{
    CrossEntropy, EpochRecord, Keep, LayerTraining, Loss, LossAndGradient, MOST_EPOCHS, Sampling,
    Schedule, Shuffled, Ties, TrainingConfig, Weighted, train,
};
pub use triage::{Suspect, suspects};
pub use tuning::{Tried, Tuned, Tuner};
pub use verdict::{Change, ClassChange, Conclusion, Subject, Trend, Verdict, percent};
