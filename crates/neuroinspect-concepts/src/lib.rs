//! Concepts in a classifier's features: what mistakes lack, what sways a class, and what units mean, in words.
//!
//! - A *concept* is anything that some images show and others do not: water, fur, a watermark.
//!   [`learn_concept`] finds its direction in the space of features, a [`ConceptVector`]; a [`ConceptBank`] keeps
//!   many of them, and reads CCE's published one.
//! - [`ConceptExplainer`] finds for each mistake which concepts would have made it right (CCE, \[1\]), and
//!   [`rank_concepts`] which the mistakes agree on: prec@K and concept score.
//! - [`tcav()`] tests whether a concept sways a class, against random images (\[2\]).
//! - [`label_units`] gives each unit of a layer the words that go with the images that activate it, and finds
//!   units by word (CLIP-Dissect, \[3\]).
//!
//! All of it works on tables of features and embeddings computed once; no image is looked at, and no network
//! is run.
//!
//! # Where it departs from the published programs
//!
//! - CCE reports `success` where the prediction *before* was the class; [`ConceptCounterfactual::flipped`] says
//!   whether the weights made it so.
//! - CCE takes the softmax twice; the default here is the logits, as in NeuroInspect's experiments
//!   ([`ConceptCounterfactualConfig::original`]).
//! - CCE learns from the first files of a folder; [`LearningConfig::seed`] draws them.
//! - TCAV's program compares by Student's t-test, here it is Welch's; the test is of all concepts together
//!   (Bonferroni).
//! - CLIP-Dissect's rank reorder draws its baseline; here it is the average of all orders ([`RankReorder`]).
//!
//! # Example
//!
//! The labels of two neurons, by four images and three words:
//!
//! ```
//! use ndarray::array;
//! use neuroinspect_concepts::{LabelConfig, LabelRequest, Similarity, Words, label_units};
//! use neuroinspect_core::{ActivationTable, Provenance, Silent};
//!
//! # fn main() -> neuroinspect_concepts::Result<()> {
//! // What an image-text encoder makes of the images and the words.
//! let images = array![[1.0, 0.1, 0.0], [0.9, 0.0, 0.2], [0.0, 1.0, 0.1], [0.1, 0.0, 1.0]];
//! let words = ["water", "fur", "sky"].map(String::from).to_vec();
//! let words = Words::new(words, array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])?;
//! // Neuron 0 fires for the first two images, neuron 1 for the third.
//! let activations = array![[3.0, 0.0], [2.0, 0.1], [0.1, 4.0], [0.0, 0.2]];
//! let activations = ActivationTable::new(activations, Provenance::new("toy", None))?;
//!
//! let config = LabelConfig::default().with_similarity(Similarity::CosSimilarity);
//! let asked = ["water".to_owned()];
//! let request = LabelRequest {
//!     activations: &activations,
//!     images: images.view(),
//!     words: &words,
//!     queries: &asked,
//! };
//! let labels = label_units(&request, &config, &mut Silent)?;
//! assert_eq!(labels.units[0].labels[0].word, "water");
//! assert_eq!(labels.units[1].labels[0].word, "fur");
//! assert_eq!(labels.units[1].top_images[0], "2");
//! assert_eq!(labels.queries[0].units[0].unit, 0); // who sees water
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
//! 1. A. Abid, M. Yuksekgonul, J. Zou, *Meaningfully Debugging Model Mistakes using Conceptual Counterfactual
//!    Explanations*, ICML 2022, [arXiv 2106.12723](https://arxiv.org/abs/2106.12723).
//! 2. B. Kim et al., *Interpretability Beyond Feature Attribution: Quantitative Testing with Concept Activation
//!    Vectors*, ICML 2018, [arXiv 1711.11279](https://arxiv.org/abs/1711.11279).
//! 3. T. Oikarinen, T.-W. Weng, *CLIP-Dissect: Automatic Description of Neuron Representations in Deep Vision
//!    Networks*, ICLR 2023, [arXiv 2204.10965](https://arxiv.org/abs/2204.10965).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bank;
mod counterfactual;
mod error;
mod labels;
mod learn;
mod rank;
mod svm;
mod tcav;

pub use bank::{ConceptBank, ConceptVector, Margins};
pub use counterfactual::{
    ConceptCounterfactual, ConceptCounterfactualConfig, ConceptExplainer, ConceptExplanation,
    CounterfactualObjective, Validity,
};
pub use error::{Error, Result};
pub use labels::{
    LabelConfig, LabelRequest, RankReorder, ScoredUnit, ScoredWord, Similarity, SoftWpmi,
    UnitLabel, UnitLabels, WordUnits, Words, Wpmi, label_units,
};
pub use learn::{ConceptRequest, LearningConfig, learn_concept};
pub use rank::{ConceptRanking, RankedConcept, rank_concepts};
pub use tcav::{ConceptInfluence, Tcav, TcavConfig, TcavRequest, tcav};
