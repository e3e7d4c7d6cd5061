//! CelebA (Liu et al. 2015): faces with forty attributes.

use std::collections::HashMap;

use crate::{
    Result,
    published::{
        PublishedConfig,
        files::{Files, Text},
        listing::{Item, Listed, Listing},
    },
};

/// Lists the rows of `list_attr_celeba.txt` in their order, in the parts of `list_eval_partition.txt`. An
/// attribute of 1 is there, one of -1 is not. The group is `2 * label + confounder`.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let attributes = files.text("list_attr_celeba.txt", "CelebA's list of attributes")?;
    let partition = files.text("list_eval_partition.txt", "CelebA's list of parts")?;
    let parts = parts_of(&partition)?;

    let mut lines = attributes.text.lines();
    let (count, header) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let count: usize = count
        .trim()
        .parse()
        .map_err(|_| attributes.wrong(1, format!("'{}' is no number of images", count.trim())))?;
    let names: Vec<&str> = header.split_whitespace().collect();
    let column = |name: &str| {
        let found = names.iter().position(|known| *known == name);
        found.ok_or_else(|| {
            let known = names.join(", ");
            attributes.wrong(
                2,
                format!("there is no attribute '{name}'; there are: {known}"),
            )
        })
    };
    let label_name = config.label.as_deref().unwrap_or("Blond_Hair");
    let confounder_name = config.confounder.as_deref().unwrap_or("Male");
    let (label, confounder) = (column(label_name)?, column(confounder_name)?);

    let mut listing = Listing::new(&["train", "validation", "test"]);
    listing.class_names = with_and_without(label_name).to_vec();
    let beside = with_and_without(confounder_name);
    let groups = listing.class_names.iter();
    let groups =
        groups.flat_map(|class| beside.each_ref().map(|other| format!("{class}, {other}")));
    listing.group_names = groups.collect();
    let origin = listing.origin(&attributes.path);

    for (line, row) in attributes.lines().filter(|(line, _)| *line > 2) {
        let mut fields = row.split_whitespace();
        let id = fields.next().unwrap_or_default();
        let values: Vec<&str> = fields.collect();
        if values.len() != names.len() {
            let (found, expected) = (values.len(), names.len());
            let reason = format!("'{id}' has {found} attributes; expected {expected}");
            return Err(attributes.wrong(line, reason));
        }
        let is_there = |column: usize| match values[column] {
            "1" => Ok(1),
            "-1" => Ok(0),
            other => {
                let name = names[column];
                Err(attributes.wrong(line, format!("{name} is '{other}'; expected 1 or -1")))
            }
        };
        let (label, confounder) = (is_there(label)?, is_there(confounder)?);
        let Some(&part) = parts.get(id) else {
            let partition = partition.path.display();
            return Err(attributes.wrong(
                line,
                format!("'{id}' is in no part: '{partition}' has no line for it"),
            ));
        };
        listing.items.push(Item {
            id: id.to_owned(),
            label,
            group: Some(2 * label + confounder),
            part,
            image: Listed::Named(format!("img_align_celeba/{id}")),
            origin: (origin, line),
        });
    }
    match listing.items.len() == count {
        true => Ok(listing),
        false => {
            let found = listing.items.len();
            Err(attributes.wrong(
                1,
                format!("it has {count} images by this line, and {found} rows"),
            ))
        }
    }
}

/// What classes or groups of an attribute are called: `not blond hair`, `blond hair`.
fn with_and_without(attribute: &str) -> [String; 2] {
    let words = attribute.replace('_', " ").to_lowercase();
    [format!("not {words}"), words]
}

/// The part of each image.
fn parts_of(text: &Text) -> Result<HashMap<&str, usize>> {
    let mut parts = HashMap::new();
    for (line, row) in text.lines() {
        let Some((id, part)) = row.split_once(char::is_whitespace) else {
            return Err(text.wrong(line, format!("'{row}' is no image and part")));
        };
        let part = match part.trim() {
            "0" => 0,
            "1" => 1,
            "2" => 2,
            other => {
                let reason = format!("the part of '{id}' is '{other}'; expected 0, 1 or 2");
                return Err(text.wrong(line, reason));
            }
        };
        if parts.insert(id, part).is_some() {
            return Err(text.wrong(line, format!("'{id}' is given a part again")));
        }
    }
    Ok(parts)
}
