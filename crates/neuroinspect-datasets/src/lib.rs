//! Image folders, preprocessing and synthetic scenes with a planted false correlation.

mod dataset;
mod error;
mod preprocess;
mod resample;

pub use dataset::{ImageDataset, Sample};
pub use error::{Error, Result};
pub use preprocess::{preprocess, thumbnail};
