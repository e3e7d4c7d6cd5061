//! Image folders, preprocessing and synthetic scenes with a planted false correlation.

mod dataset;
mod decode;
mod error;
mod folder;
mod loader;
mod preprocess;
mod resample;
pub mod scenes;

pub use dataset::{ImageDataset, Sample};
pub use decode::open_image;
pub use error::{Error, Result};
pub use folder::{ImageFolder, ImageFolderConfig};
pub use loader::{Batch, Batches, LoaderConfig, OnCorrupt, Skipped, batches};
pub use preprocess::{preprocess, thumbnail};
