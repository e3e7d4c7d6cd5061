//! Food-101 (Bossard et al. 2014): lists of images by class.

use crate::{
    Result,
    published::{
        PublishedConfig,
        files::Files,
        listing::{Item, Listed, Listing, class_of, names},
    },
};

/// Share of the training images of a class that validate, as the original code has it.
const VALIDATION: f64 = 0.15;

/// Lists the images of `meta/train.txt`, of which some become the validation part, then of
/// `meta/test.txt`. Nothing is written.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let mut listing = Listing::new(&["train", "validation", "test"]);
    let folders = files.text("meta/classes.txt", "the classes of Food-101")?;
    let folders = names(&folders.text);
    listing.class_names = folders
        .iter()
        .map(|folder| folder.replace('_', " "))
        .collect();
    for (part, name) in [(0, "meta/train.txt"), (2, "meta/test.txt")] {
        let text = files.text(name, "a list of Food-101's images")?;
        let origin = listing.origin(&text.path);
        for (line, id) in text.lines() {
            let Some((class, _)) = id.split_once('/') else {
                return Err(text.wrong(line, format!("'{id}' is no class/number")));
            };
            listing.items.push(Item {
                id: id.to_owned(),
                label: class_of(&text, line, &folders, class)?,
                group: None,
                part,
                image: Listed::Named(format!("images/{id}.jpg")),
                origin: (origin, line),
            });
        }
    }
    listing.draw(0, 1, VALIDATION, config.seed)?;
    Ok(listing)
}
