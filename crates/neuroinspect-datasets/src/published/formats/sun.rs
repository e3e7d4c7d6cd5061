//! SUN397 (Xiao et al. 2010): scenes, in ten published partitions.

use crate::{
    Result,
    published::{
        PublishedConfig,
        files::Files,
        listing::{Item, Listed, Listing, class_of, names},
    },
};

/// Lists the images of `Training_NN.txt`, then of `Testing_NN.txt`: 50 of each class in each.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let partition = config.partition.unwrap_or(1);
    if !(1..=10).contains(&partition) {
        let expected = "the number of a published partition, from 1 to 10";
        return Err(PublishedConfig::wrong(
            "partition",
            &partition.to_string(),
            expected,
        ));
    }
    let mut listing = Listing::new(&["train", "test"]);
    let folders = names(&files.text("ClassName.txt", "the classes of SUN397")?.text);
    // `/a/athletic_field/outdoor` is `athletic field outdoor`.
    let class_name = |folder: &String| {
        let parts = folder.split('/').skip(2).collect::<Vec<_>>();
        parts.join(" ").replace('_', " ")
    };
    listing.class_names = folders.iter().map(class_name).collect();
    for (part, name) in ["Training", "Testing"].into_iter().enumerate() {
        let name = format!("{name}_{partition:02}.txt");
        let text = files.text(&name, "a partition of SUN397")?;
        let origin = listing.origin(&text.path);
        for (line, image) in text.lines() {
            let Some((folder, _)) = image.rsplit_once('/') else {
                return Err(text.wrong(line, format!("'{image}' is no path of an image")));
            };
            let id = image.trim_start_matches('/').to_owned();
            listing.items.push(Item {
                label: class_of(&text, line, &folders, folder)?,
                group: None,
                part,
                image: Listed::Named(id.clone()),
                id,
                origin: (origin, line),
            });
        }
    }
    Ok(listing)
}
