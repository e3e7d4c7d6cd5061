//! Waterbirds (Sagawa et al. 2020): birds of CUB on backgrounds of Places.

use crate::{
    Result,
    published::{
        PublishedConfig,
        columns::Columns,
        files::Files,
        listing::{Item, Listed, Listing},
    },
};

/// Lists the rows of `metadata.csv` in their order. The group is `2 * y + place`, as in group DRO's code.
pub(in crate::published) fn list(files: &Files, _: &PublishedConfig) -> Result<Listing> {
    let text = files.text("metadata.csv", "the metadata of Waterbirds")?;
    let mut listing = Listing::new(&["train", "validation", "test"]);
    listing.class_names = ["landbird", "waterbird"].map(String::from).to_vec();
    let grounds = ["land", "water"];
    let groups = listing.class_names.iter();
    let groups = groups.flat_map(|bird| grounds.map(|ground| format!("{bird} on {ground}")));
    listing.group_names = groups.collect();
    let origin = listing.origin(&text.path);

    let columns = Columns::of(&text)?;
    let names = ["img_filename", "y", "split", "place"];
    let [image, y, split, place] = names.map(|name| columns.find(name));
    let (image, y, split, place) = (image?, y?, split?, place?);
    for row in columns.rows() {
        let row = row?;
        let label = row.index(y, "y", 2)?;
        let ground = row.index(place, "place", 2)?;
        let id = row.text(image);
        if id.is_empty() {
            return Err(row.wrong("img_filename is empty"));
        }
        listing.items.push(Item {
            id: id.to_owned(),
            label,
            group: Some(2 * label + ground),
            part: row.index(split, "split", 3)?,
            image: Listed::Named(id.to_owned()),
            origin: (origin, row.line),
        });
    }
    Ok(listing)
}
