//! Image folders, preprocessing, and data sets with a false correlation put in on purpose.
//!
//! - [`ImageDataset`] is what a labelled set of images is; implement it for images of your own.
//! - [`ImageFolder`] is the one for files: a folder of images per class.
//! - [`published`] reads the ones of the literature as they were published, from archives or folders.
//! - [`scenes`] draws the other one: pictures with a planted false correlation, so that
//!   what a method finds can be compared with what is there; [`corrupted`] puts another one into images
//!   that there are, a corruption for each class.
//! - [`Views`] are augmented images of a data set, to learn from beside it.
//! - [`write_image_folder`] makes image files of any data set.
//! - [`preprocess`] makes of an image the pixels that an
//!   [`InputSpec`](neuroinspect_core::InputSpec) asks for, bit for bit as torchvision and timm do
//!   with PIL.
//! - [`batches`] streams a data set through it, decoded by several threads in a fixed order, in
//!   memory that does not grow with the data set.
//!
//! # Example
//!
//! ```
//! use image::{Rgb, RgbImage};
//! use neuroinspect_core::InputSpec;
//! use neuroinspect_datasets::{
//!     ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, batches,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let root = tempfile::tempdir()?;
//! for (class, colour) in [("dark", 51), ("bright", 255)] {
//!     let folder = root.path().join(class);
//!     std::fs::create_dir(&folder)?;
//!     RgbImage::from_pixel(40, 30, Rgb([colour; 3])).save(folder.join("1.png"))?;
//! }
//!
//! let dataset = ImageFolder::open(&root, &ImageFolderConfig::default())?;
//! assert_eq!(dataset.class_names(), ["bright", "dark"]);
//! assert_eq!(dataset.samples()[1].id, "dark/1.png");
//!
//! std::thread::scope(|scope| -> Result<(), neuroinspect_datasets::Error> {
//!     let config = LoaderConfig::default().with_batch_size(2);
//!     for batch in batches(scope, &dataset, None, &InputSpec::new(16), &config)? {
//!         let batch = batch?;
//!         assert_eq!(batch.indices, [0, 1]);
//!         assert_eq!(batch.images.dim(), (2, 3, 16, 16));
//!         assert_eq!(batch.images[[1, 0, 8, 8]], 0.2);
//!     }
//!     Ok(())
//! })?;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod corrupted;
mod dataset;
mod decode;
mod error;
mod folder;
mod jpeg;
mod loader;
mod preprocess;
pub mod published;
mod resample;
pub mod scenes;
mod views;

pub use dataset::{ImageDataset, Sample, fingerprint_of};
pub use decode::open_image;
pub use error::{Error, Result};
pub use folder::{ImageFolder, ImageFolderConfig, write_image_folder};
pub use loader::{Batch, Batches, LoaderConfig, OnCorrupt, Skipped, batches};
pub use preprocess::{preprocess, thumbnail};
pub use views::Views;
