//! CLIP-Illusion: class-conditional pictures of what a neuron means.
//!
//! A neuron of the penultimate layer answers to different things within different classes.
//! CLIP-Illusion (NeuroInspect, arXiv 2310.07184) optimises an image so that one neuron fires, one
//! class's logit rises, and a joint image-text encoder, CLIP, sees that class.
//!
//! - [`Networks`] holds copies of the classifier and the encoder, prepared once.
//! - A [`Request`] says which [`Pair`]s of neuron and class are pictured, by what [`Recipe`], and in
//!   what [`Execution`]. The recipe alone decides what a picture shows; its hash, and that of a
//!   piece of [`Work`], names it.
//! - [`visualize`] makes the pictures, [`visualize_each`] hands them over as they come, and
//!   [`visualize_batches`] lets a [`BatchKeeper`] keep the batch under way, to go on after a kill.
//! - [`Request::of_units`] pictures units of any layer in place of neurons: channels, positions of them,
//!   directions.
//! - [`classes_of_neuron`] and [`neurons_of_class`] propose pairs; [`core_relevance`] hints at which
//!   neurons are spurious.
//!
//! # Example
//!
//! A classifier is whatever implements [`Classifier`](neuroinspect_core::Classifier); here one
//! convolution with random weights. Without an image-text encoder the objective is "w/o CLIP".
//!
//! ```
//! use burn::{
//!     module::Module,
//!     nn::{Linear, LinearConfig, conv::{Conv2d, Conv2dConfig}},
//!     tensor::{Device, Tensor, activation::relu},
//! };
//! use neuroinspect_core::{
//!     Activations, Classifier, DecisionLayer, InputSpec, NeuronId, Result, Silent,
//! };
//! use neuroinspect_illusion::{
//!     Networks, Objective, Pair, Recipe, Request, classes_of_neuron, visualize,
//! };
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     conv: Conv2d,
//!     head: Linear,
//!     #[module(skip)]
//!     input: InputSpec,
//! }
//!
//! impl Classifier for Net {
//!     // ...
//! #   fn name(&self) -> &str { "net" }
//! #   fn input(&self) -> &InputSpec { &self.input }
//! #   fn activations(&self, images: Tensor<4>) -> Activations {
//! #       Activations::pooled(relu(self.conv.forward(images)))
//! #   }
//! #   fn decision_layer(&self) -> Result<DecisionLayer> { DecisionLayer::from_linear(&self.head) }
//! #   fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
//! #       layer.replace(&mut self.head)
//! #   }
//! #   fn device(&self) -> Device { self.head.weight.val().device() }
//! }
//!
//! # fn main() -> neuroinspect_illusion::Result<()> {
//! let device = Device::flex();
//! let net = Net {
//!     conv: Conv2dConfig::new([3, 8], [3, 3]).init(&device),
//!     head: LinearConfig::new(8, 4).init(&device),
//!     input: InputSpec::new(16),
//! };
//! let neuron = NeuronId(1);
//! let classes = classes_of_neuron(&net.decision_layer()?, neuron, 2)?;
//! let pairs = classes.into_iter().map(|class| Pair { neuron, class });
//!
//! let recipe = Recipe::default()
//!     .with_objective(Objective::without_clip(0.5))
//!     .with_steps(5);
//! let request = Request::new(pairs.collect::<Vec<_>>(), recipe);
//! let illusions = visualize(&Networks::of(&net, None)?, &request, &mut Silent)?;
//! assert_eq!(illusions.finished.len(), 2);
//! assert_eq!(illusions.finished[0].image.dim(), (3, 16, 16));
//! # Ok(())
//! # }
//! ```
//!
//! # Objective
//!
//! Let `a_n(x)` be the activation of neuron `n` on image `x`, `z_c(x)` the logit of class `c`,
//! `E_I` the encoder's image tower and `t_c` the mean of the unit-normalised embeddings of the
//! class's prompts. Minimised is
//!
//! ```text
//! s(x) = < E_I(x) / |E_I(x)| , t_c >                                    (3)
//! L(x) = - (s(x) + eps) (a_n(x) + gamma z_c(x))                         (2)(4)(10)
//! ```
//!
//! `gamma` weighs the class against the neuron; `eps` keeps the signal when the encoder does not
//! know the domain. It is one [`Objective`] of many: an expression kept as data, whose terms may be
//! any layer's units, and the paper's ablations are two others.
//!
//! # Networks
//!
//! Pictures are made with copies of the networks ([`PreparedClassifier`], [`PreparedGuide`]): in
//! evaluation state, folded, in one number format, on a device without autodiff. Your models stay as
//! they are. A network that computes something else when its input can be differentiated, such as
//! one with batch statistics or dropout, would be optimised through as one that it is not: it is
//! refused when it is prepared.
//!
//! # Parameter and optimisation
//!
//! 1. The image is not optimised pixel by pixel but as a spectrum in a decorrelated colour space
//!    ([`ImageParameter`]), starting from noise of standard deviation 0.001, or from what
//!    [`Initial`] says.
//! 2. At each step the picture goes through a random rotation, shift, resize and crop
//!    ([`Augmentation`]), and gets a random offset per channel, whose size falls linearly to 0
//!    (the paper cites randomised smoothing). Each network then sees it in its own size and
//!    normalisation.
//! 3. Autodiff records the networks alone: from what they see the gradient is taken back to the
//!    parameter in closed form.
//! 4. AdamW (rate 9e-3, betas 0.5 and 0.99, weight decay 2e-4) with cosine annealing to 12 % of
//!    the rate, over 450 steps; the paper reports 300 to 650.
//! 5. The result is looked at once more without augmentation: the neuron's activation, the class's
//!    logit and probability, the similarity `s`, and the [mask](activation_mask) of where the
//!    neuron is active. The published pictures are [`Illusion::masked_image`].
//!
//! 6. A unit that no step has moved is [told](Unmoved) as such, with the reason as far as activations
//!    tell, and optimised again by what its activation function reads, where the classifier
//!    [says](neuroinspect_core::Classifier::before_activation) what that is.
//!
//! 7. The same pair is pictured from [other seeds](Execution::other_seeds), with fewer steps, to see
//!    whether the pictures agree; and with [`RealImages`] it is measured how far each can be
//!    [trusted](Trust).
//!
//! Pairs are optimised in batches, and the losses of a batch are summed: AdamW divides a gradient
//! by its own size plus a constant, so with the mean that constant would weigh more in a larger
//! batch. All random numbers belong to (seed, pair, step) or (seed, step). A pair's picture
//! therefore depends on neither its batch nor its place in the list. Nothing is read back from the
//! device inside the loop but a few numbers every [`trace_every`](Execution::trace_every) steps.
//!
//! # Deviations from the authors' code
//!
//! | the code | here |
//! | --- | --- |
//! | multiplies a `[B]` vector of similarities by a `[B, 1]` one of activations, so that images of a batch pull on each other | each image has its own loss, as in the paper; [`Coupling::WholeBatch`], or [`Recipe::original`], for the code's way |
//! | draws from three generators, of which one is seeded | one seed, keyed draws |
//! | loses the imaginary part of the spectrum when starting from an image | keeps it; [`ImaginaryPart::Drop`], or [`Recipe::original`], for the code's way |
//! | has the Nyquist column when starting from an image, and only then: `S / 2 + 1` columns | leaves it out: what an image has in it is lost |
//! | takes an image to start from as normalised, and undoes ImageNet's normalisation first | takes pixels in `[0, 1]`: [`Initial::Images`] |
//! | smooths by `(T - 2 - t) / T` at step `t` of `T`, the last step's wrapping round | by `(T - t) / T` |
//!
//! As `original()`, and with random draws switched off, steps on real networks agree with the
//! code's to rounding, up to where rounding decides on which side of a ReLU an activation falls:
//! see `tests/facade/full_loop.rs` of the repository.
//!
//! # Feature flags
//!
//! - `schema`: results implement `schemars::JsonSchema`.
//!
//! # References
//!
//! - NeuroInspect: Interpretable Neuron-based Debugging Framework through Class-conditional
//!   Visualizations, arXiv 2310.07184.
//! - Geirhos et al., "Don't trust your eyes: on the (un)reliability of feature visualizations", ICML
//!   2024, arXiv 2306.04719: pictures that deceive, and how they are told.
//! - Fel et al., "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
//!   Optimization", NeurIPS 2023, arXiv 2306.06805.
//! - Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017: the spectrum, the
//!   colour space, robustness to transformations.
//! - Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
//!   ICML 2021: CLIP.
//! - Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
//!   ICML 2019.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;
mod agreement;
mod appearance;
mod augment;
mod batch;
mod context;
mod error;
mod execution;
mod features;
mod finish;
mod given;
mod illusion;
mod likeness;
mod mask;
mod objective;
mod occlusion;
mod optimization;
mod optimizer;
mod parameter;
mod prepare;
mod recipe;
mod relevance;
mod select;
#[cfg(test)]
mod tests;
mod towers;
mod trust;
mod unmoved;
mod view;
mod visualize;
mod warp;
mod within_memory;

pub use agreement::SeedAgreement;
pub use appearance::{AppearanceDistance, RealAppearance};
pub use augment::Augmentation;
pub use error::{Error, Result};
pub use execution::Execution;
pub use given::{LookedAt, visit_likenesses};
pub use illusion::{Diverged, Illusion, Illusions, Pair, Shortfall, TracePoint};
pub use mask::activation_mask;
pub use objective::Objective;
pub use occlusion::Occlusion;
pub use optimization::{BatchKeeper, OptimizationState};
pub use parameter::{COLOR_CORRELATION, COLOR_CORRELATION_NORM, ImageParameter, Magnitudes};
pub use prepare::{Guide, Networks, PreparedClassifier, PreparedGuide};
pub use recipe::{Coupling, ImaginaryPart, Recipe, TransformDraw, Work};
pub use relevance::{CoreRelevance, core_relevance};
pub use select::{classes_of_neuron, neurons_of_class};
pub use trust::{Continuity, LayerLikeness, PathLikeness, RealImages, Recognition, Trust, Verdict};
pub use unmoved::{Restart, Unmoved, UnmovedCause};
pub use visualize::{Initial, Request, visualize, visualize_batches, visualize_each};
