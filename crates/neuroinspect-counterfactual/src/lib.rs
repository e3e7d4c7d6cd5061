//! Which neurons caused a classifier's mistakes: counterfactual explanation and ranking.
//!
//! # What is optimised
//!
//! A classifier `h = h_t . h_b` maps an image to features `f` in `R^D` and, by its linear decision
//! layer, to logits `z = W f + b`. A *neuron* is one of the `D` coordinates. For each sample of
//! class `y` that the classifier gets wrong, we look for a small shift `w` of its features that
//! makes the prediction `y` (Eq. 1 of \[1\]); [`Explainer`] does:
//!
//! ```text
//! L(w) = CE(h_t(f + w), y) + lambda1 |w|_1 / D + lambda2 |w|_2 / D
//! ```
//!
//! `w` starts at 0 and follows momentum descent until `argmax h_t(f + w) = y`, tested after each
//! step; then it is left where it is. A neuron with `w_i > 0` was not active enough for `y`
//! (*insufficient*), one with `w_i < 0` too active (*excessive*).
//!
//! # Ranking
//!
//! Every mistake votes for the K neurons of its largest shifts above 0, and for the K of its smallest
//! below 0; K is [5](RankingConfig::top). A neuron's *prec@K* is the share of mistakes that vote for it.
//! Neurons above 3 % are listed, at most 30 in each direction, the highest first ([`rank`]). Beside each
//! stands its [`importance`] `r_i = p_y / p_y^(i -> 0)` at the mean features (Eq. 7).
//!
//! # How it is computed
//!
//! The features do not change while `w` does: the backbone is never run, and the gradient is
//! `W^T (p - e_y) + lambda1/D sign(w) + lambda2/D w/|w|_2`, both penalties contributing 0 at 0. All
//! mistakes descend together on the device as two matrix products a step. Those that have
//! flipped stand still at once, and leave the batch every few steps, when the device is read.
//!
//! # The smallest change, with a proof
//!
//! The shift of the descent is a way into the class's region, not the shortest. As the decision layer
//! is linear, the shortest is the solution of a convex problem, and [`certify`] finds it: the smallest
//! `|w|_2` with `argmax h_t(f + w) = y`, activations kept at or above 0 where a rectifier made them, for
//! all rivals or for one ("why `k`, not `y`"). Each comes with a length below which no change does, by
//! the dual problem. It is ranked as the other is ([`CertifiedConfig::beside`]).
//!
//! # Stability
//!
//! [`stability`] ranks mistakes drawn from the mistakes with replacement: between which values a
//! neuron's prec@K lies, and how often it is among the first.
//!
//! # Options, and when to prefer them
//!
//! - [`PenaltyScale`]: the paper prints the norms without the division by `D`, the original program
//!   divides. Divided, which is the default, the penalties are so weak at usual widths that `w` is
//!   close to a few plain gradient steps: good for ranking, where only the order counts. Undivided,
//!   most of `w` only hovers about 0 and a part of the samples never flips: prefer it, with
//!   weights of your own, to learn how few neurons suffice.
//! - [`Overlap`]: keep a neuron that stands in both lists, or drop it as the interactive tool does
//!   when one list of suspects is wanted.
//! - [`CounterfactualConfig::original`] and [`RankingConfig::original`] do what the original
//!   program does, [`RankingConfig::interactive`] what its interactive tool shows of it.
//!
//! # Where it departs from the original program
//!
//! - The number of steps is bounded. A sample that does not flip is reported as such and votes with
//!   the shift it had come to; the original loops for ever.
//! - Only a shift above 0 votes for insufficient. The original checks the sign of excessive shifts
//!   alone ([`Votes`]).
//! - A neuron in both lists stays in both, unless asked otherwise; the original's interactive tool
//!   leaves it out.
//! - Importance comes from log-probabilities in double precision.
//!
//! As in the original, the descent's shift may take an activation below 0 even where the backbone ends
//! in a rectifier: `w` says in which direction the features are wrong, not which image would be right.
//! Those of [`certify`] do not.
//!
//! # Example
//!
//! ```
//! use burn::tensor::Device;
//! use ndarray::array;
//! use neuroinspect_core::{
//!     ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, NeuronId, Provenance, Silent,
//! };
//! use neuroinspect_counterfactual::{Explainer, RankingConfig, rank};
//!
//! # fn main() -> Result<(), neuroinspect_counterfactual::Error> {
//! // Neuron 0 sees fur, 1 barks, 2 sees a sofa. Cats on no sofa are taken for dogs.
//! let layer = DecisionLayer::new(array![[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]], array![0.0, 0.0])?;
//! let features = array![[1.0, 0.1, 0.9], [1.0, 0.3, 0.0], [0.9, 0.4, 0.1], [0.8, 1.0, 0.1]];
//! let cat = ClassId(0);
//! let table = FeatureTable::new(
//!     ActivationTable::new(features, Provenance::new("toy", InputSpec::new(32)))?,
//!     vec![cat, cat, cat, ClassId(1)],
//!     vec!["cat".into(), "dog".into()],
//! )?;
//!
//! let explainer = Explainer::new(&Device::flex());
//! let explanation = explainer.explain(&table.predicted_by(&layer)?, cat, &mut Silent)?;
//! assert!(explanation.counterfactuals.iter().all(|sample| sample.flipped));
//!
//! let mean = table.mean_features()?;
//! // With three neurons, five would always include them all.
//! let ranking = rank(&explanation, &layer, mean.view(), &RankingConfig::default().with_top(1))?;
//! assert_eq!(ranking.mistakes, 2);
//! assert_eq!(ranking.insufficient[0].neuron, NeuronId(2)); // no sofa
//! assert_eq!(ranking.excessive[0].neuron, NeuronId(1)); // barking
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

#![cfg_attr(docsrs, feature(doc_cfg))]

mod certified;
mod config;
mod descent;
mod error;
mod explain;
mod importance;
mod rank;
mod stability;

pub use certified::{Certificate, Certified, CertifiedExplanation, Outcome, certify};
pub use config::{
    CertifiedConfig, CounterfactualConfig, Floor, Overlap, PenaltyScale, RankingConfig,
    StabilityConfig, Votes,
};
pub use error::{Error, Result};
pub use explain::{Confusion, Counterfactual, Explainer, Explanation};
pub use importance::{importance, importances};
pub use rank::{RankedNeuron, Ranking, rank};
pub use stability::{NeuronStability, Stability, stability};
