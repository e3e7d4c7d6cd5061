//! CLIP-Illusion: class-conditional pictures of what a neuron means.

mod augment;
mod batch;
mod config;
mod error;
mod illusion;
mod mask;
mod objective;
mod optimizer;
mod relevance;
mod resample;
mod select;
mod spectrum;
mod visualize;

pub use augment::Augmentation;
pub use config::{Coupling, IllusionConfig, Objective, TransformDraw};
pub use error::{Error, Result};
pub use illusion::{Illusion, Illusions, Pair, TracePoint};
pub use mask::activation_mask;
pub use relevance::{CoreRelevance, core_relevance};
pub use select::{classes_of_neuron, neurons_of_class};
pub use spectrum::{COLOR_CORRELATION, COLOR_CORRELATION_NORM, Spectrum, Squash};
pub use visualize::{Guide, Initial, visualize, visualize_from};
