//! A file for each published form.

pub(super) mod celeba;
pub(super) mod cifar;
pub(super) mod flowers;
pub(super) mod fmow;
pub(super) mod food;
pub(super) mod imagenet;
pub(super) mod lego;
pub(super) mod metashift;
pub(super) mod sun;
pub(super) mod waterbirds;

use std::{collections::HashMap, path::Path};

use neuroinspect_core::Error as CoreError;

use super::{
    files::Files,
    listing::{Item, Listed, Listing},
};
use crate::{Result, folder::is_image};

/// Lists images that are in a folder of their class, class by class. `parts` are folders above those of the
/// classes, and what they are called; where there is none of them, all images are of one part, `all`.
///
/// Classes are those given, in that order, or else the folders in byte order.
fn class_folders(
    files: &Files,
    parts: &[(&str, &str)],
    classes: Option<&[String]>,
) -> Result<Listing> {
    let hidden = |name: &str| name.split('/').any(|part| part.starts_with('.'));
    let images =
        files.list(|name| name.contains('/') && is_image(Path::new(name)) && !hidden(name))?;
    let first = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let in_parts = images
        .iter()
        .any(|(name, _)| parts.iter().any(|(folder, _)| *folder == first(name)));
    let names: Vec<&str> = match in_parts {
        true => parts.iter().map(|(_, name)| *name).collect(),
        false => vec!["all"],
    };
    let mut listing = Listing::new(&names);
    let origin = listing.origin(files.root());
    let wrong = |reason: String| CoreError::Format {
        path: files.root().to_owned(),
        expected: "a folder of images by class",
        reason,
    };
    // The part, the folder of the class and the path of each image.
    let mut found = Vec::with_capacity(images.len());
    for (name, _) in &images {
        let (part, below) = match in_parts {
            false => (0, name.as_str()),
            true => {
                let (folder, below) = name.split_once('/').unwrap_or((name, ""));
                match parts.iter().position(|(known, _)| *known == folder) {
                    Some(part) => (part, below),
                    None => return Err(wrong(format!("'{name}' is in none of the parts")).into()),
                }
            }
        };
        let Some((class, _)) = below.split_once('/') else {
            return Err(wrong(format!("'{name}' is in no folder of a class")).into());
        };
        found.push((part, class.to_owned(), name));
    }
    if found.is_empty() {
        return Err(wrong("there are no images in folders".to_owned()).into());
    }
    let mut folders: Vec<String> = found.iter().map(|(_, class, _)| class.clone()).collect();
    folders.sort_unstable();
    folders.dedup();
    let classes = classes.unwrap_or(&folders);
    let labels = classes.iter().enumerate();
    let labels: HashMap<&str, usize> = labels
        .map(|(label, class)| (class.as_str(), label))
        .collect();
    for (part, class, name) in found {
        let Some(&label) = labels.get(class.as_str()) else {
            let reason = format!("folder '{class}' is none of the {} classes", classes.len());
            return Err(wrong(reason).into());
        };
        listing.items.push(Item {
            id: name.clone(),
            label,
            group: None,
            part,
            image: Listed::Named(name.clone()),
            origin: (origin, 0),
        });
    }
    listing.items.sort_by_key(|item| (item.part, item.label));
    listing.class_names = classes.to_vec();
    Ok(listing)
}
