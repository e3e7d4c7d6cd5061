//! An atlas: every unit of a layer pictured within its top classes, by as many devices and machines as
//! there are.
//!
//! What is to be made is planned first ([`Plan`]) and kept in the atlas's folder: the units with their
//! classes, in batches that never change, each of which belongs to one of a number of shards by the rank of its hash.
//! [`Atlas::make`] makes a shard, or all of them; a machine, a job of an array or a process may each be
//! given one. What a batch came to is a file that is there when the batch is finished, so that work that
//! was killed at any moment goes on, and nothing that is finished is made twice. As batches are the same whoever makes
//! them, so are the pictures, to the last bit on devices of one kind. [`Atlas::merge`] checks that all is
//! there, and writes the index and a page to browse.
//!
//! | in the folder | is |
//! | --- | --- |
//! | `atlas.json` | the plan |
//! | `batches/N.json` | what became of a batch: written last, when its pictures are there |
//! | `pictures/*.png` | the pictures, and the same masked |
//! | `shards/I-of-N/` | where a shard's batch under way stands; held by who makes it, gone when merged |
//! | `index.json`, `index.html` | all of it, and a page; `index.parquet` with the feature `parquet` |
//!
//! ```
//! use neuroinspect::{
//!     PictureOrigin,
//!     atlas::{Atlas, AtlasConfig, AtlasDevice, AtlasInputs, AtlasWork, MergeRequest},
//!     models::init_classifier,
//!     prelude::*,
//!     report::{AtlasIndex, Run},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path();
//! let name: DeviceName = "flex".parse()?;
//! let device = name.open()?;
//! let model = init_classifier("cifar_resnet20", 2, &device)?;
//! let origin = PictureOrigin {
//!     classifier_sha256: "of the weights, which are at random here".to_owned(),
//!     encoder_sha256: None,
//!     encoder_config_sha256: None,
//!     device: name,
//!     complete: true,
//! };
//! let inputs = AtlasInputs {
//!     classifier: &model,
//!     guide: None,
//!     judge: None,
//!     images: None,
//!     class_names: &["cat".to_owned(), "dog".to_owned()],
//!     origin: &origin,
//!     run: &Run::new("cifar_resnet20", "no images", "flex", Seed(0)),
//! };
//! let mut config = AtlasConfig::default().with_classes(1);
//! config.recipe = config.recipe.with_objective(Objective::without_clip(0.5)).with_steps(2);
//!
//! let atlas = Atlas::plan(path, &inputs, &config, Some(4), &mut Silent)?;
//! let work = AtlasWork {
//!     inputs: &inputs,
//!     config: &config,
//!     devices: &[AtlasDevice { name, device }],
//!     shard: Some(3), // of 0 to 3
//!     command: None,
//! };
//! assert_eq!(atlas.make(&work, &mut Silent)?.pictures, 16);
//! assert_eq!(atlas.status()?.array(), "0-2");
//! assert_eq!(atlas.make(&AtlasWork { shard: None, ..work }, &mut Silent)?.found, 16);
//! let index = atlas.merge(&MergeRequest::default(), &mut Silent)?;
//! assert_eq!(index.entries.len(), 64); // neurons of the last layer
//! assert!(path.join(AtlasIndex::HTML_FILE).exists());
//! # Ok(())
//! # }
//! ```

mod config;
mod devices;
mod folder;
mod make;
mod merge;
mod plan;
mod status;
mod top_classes;
mod work;

pub use config::{AtlasConfig, AtlasInputs};
pub use folder::Atlas;
pub use make::{AtlasDevice, AtlasMade, AtlasWork};
pub use merge::MergeRequest;
pub use plan::{MadeWith, Plan, Planned};
pub use status::{AtlasStatus, ShardMissing};
