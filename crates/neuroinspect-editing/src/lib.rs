//! Editing a decision layer so that chosen neurons no longer decide a class.

mod comparison;
mod config;
mod error;
mod loss;
mod optimizer;
mod patch;
mod train;

pub use comparison::Comparison;
pub use config::{EditConfig, EditScope, Keep, RatioForm, RatioNorm, Schedule, Target};
pub use error::{Error, Result};
pub use patch::{Edit, Recipe};
pub use train::{Edited, EpochRecord, edit};
