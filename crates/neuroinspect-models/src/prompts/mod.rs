//! Prompt templates, and what a class means to an image-text encoder.
//!
//! A class name alone is a poor caption. Put into many templates ("a close-up photo of part of a
//! {}") and averaged, its embedding stands for the class in many guises (Radford et al. 2021,
//! arXiv 2103.00020, section 3.1.4). NeuroInspect (arXiv 2310.07184) guides its pictures by the
//! mean over 32 templates about parts:
//!
//! `t_c = (1 / T) * sum_j E_T(p_j(c)) / |E_T(p_j(c))|`
//!
//! [`class_embeddings`] computes it, and [`zero_shot`] classifies by the nearest `t_c`.

mod embeddings;
mod templates;

pub use embeddings::{ClassEmbeddingConfig, class_embeddings, zero_shot};
pub use templates::{PromptTemplates, class_text};
