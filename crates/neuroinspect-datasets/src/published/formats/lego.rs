//! Lego bricks in a folder for each kind, as the paper's experiment out of domain has them.

use crate::{
    Result,
    published::{PublishedConfig, files::Files, formats::class_folders, listing::Listing},
};

/// Share of the images of a class that validate, as the original code has it.
const VALIDATION: f64 = 0.2;

/// Lists the images class by class, folders in byte order, then in byte order of paths.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let mut listing = class_folders(files, &[], None)?;
    listing.parts = vec!["train".to_owned(), "validation".to_owned()];
    listing.draw(0, 1, VALIDATION, config.seed)?;
    Ok(listing)
}
