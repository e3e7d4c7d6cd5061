//! ImageNet's thousand classes (Russakovsky et al. 2015), in folders named by synset.

use crate::{
    Result,
    published::{PublishedConfig, files::Files, formats::class_folders, listing::Listing},
};

/// Lists `train` and `val` (the part `validation`), or where there is neither one part `all`: class by class
/// in the order of synsets, which is the models', then in byte order of paths.
pub(in crate::published) fn list(files: &Files, _: &PublishedConfig) -> Result<Listing> {
    let rows = include_str!("../classes/imagenet.tsv").lines();
    let classes: Vec<(&str, &str)> = rows.filter_map(|row| row.split_once('\t')).collect();
    let synsets: Vec<String> = classes
        .iter()
        .map(|(synset, _)| (*synset).to_owned())
        .collect();
    let mut listing = class_folders(
        files,
        &[("train", "train"), ("val", "validation")],
        Some(&synsets),
    )?;
    // Two pairs of classes share a name.
    listing.class_names = classes
        .iter()
        .map(|(synset, name)| {
            let alike = classes.iter().filter(|(_, other)| other == name).count();
            match alike {
                1 => (*name).to_owned(),
                _ => format!("{name} ({synset})"),
            }
        })
        .collect();
    Ok(listing)
}
