//! MetaShift (Liang and Zou 2022): images of GQA in subsets by what is beside a class.
//!
//! The parts are those of the experiment that Conceptual Counterfactual Explanations (Abid et al. 2022)
//! introduced: all training images of one class are from one subset, such as `dog(chair)`, and its other
//! images are from elsewhere.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

use neuroinspect_core::Error as CoreError;
use rand::seq::SliceRandom;

use crate::{
    Error, Result,
    published::{
        PublishedConfig,
        files::Files,
        listing::{Item, Listed, Listing},
        pickle,
    },
};

/// Images of a class to train on.
const TRAIN: usize = 100;
/// Images of a class to validate on.
const VALIDATION: usize = 100;
/// Images of a class to test on, of all but the class of the context.
const TEST: usize = 50;

/// Lists class by class, images in byte order of their numbers; drawn are the first 100 for training, the
/// next 100 to validate, and 50 to test; of the class of the context 100 of the subset to train (or all,
/// where there are fewer), 100 without it to validate and all others without it to test. Where a part of a class
/// would be short, or that context had no image to train or to test on, it is refused.
///
/// An image in several of the classes is left out: its label would be that of one of them.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let by_default = || {
        ["bear", "bird", "cat", "dog", "elephant"]
            .map(String::from)
            .to_vec()
    };
    let classes = config.classes.clone().unwrap_or_else(by_default);
    let Some(context) = &config.context else {
        return Err(Error::DatasetOption {
            dataset: "metashift",
            option: "context",
            reason:
                "it is needed: the subset that all training images of its class are from, such as \
                     dog(chair)"
                    .to_owned(),
        });
    };
    let parts_of_context = context.strip_suffix(')').and_then(|it| it.split_once('('));
    let Some((shifted, beside)) =
        parts_of_context.filter(|(class, _)| classes.iter().any(|it| it == class))
    else {
        return Err(PublishedConfig::wrong(
            "context",
            context,
            "one of the classes, and in brackets what is beside it, such as dog(chair)",
        ));
    };

    let (path, sets) = subsets(files)?;
    let wrong = |reason: String| CoreError::Format {
        path: path.clone(),
        expected: "MetaShift's subsets",
        reason,
    };
    if !sets.contains_key(context) {
        let near = format!("{shifted}(");
        let known = sets.keys().filter(|name| name.starts_with(&near));
        let known: Vec<_> = known.map(String::as_str).collect();
        return Err(wrong(format!(
            "it has no subset '{context}'; there are: {}",
            known.join(", ")
        ))
        .into());
    }
    let in_subset = |class: &str| -> BTreeSet<&str> {
        let subset = sets.get(&format!("{class}({beside})"));
        subset.into_iter().flatten().map(String::as_str).collect()
    };
    let images: Vec<BTreeSet<&str>> = classes
        .iter()
        .map(|class| {
            let prefix = format!("{class}(");
            let subsets = sets.iter().filter(|(name, _)| name.starts_with(&prefix));
            subsets
                .flat_map(|(_, images)| images)
                .map(String::as_str)
                .collect()
        })
        .collect();
    if let Some(empty) = images.iter().position(BTreeSet::is_empty) {
        return Err(wrong(format!(
            "it has no subset of the class '{}'",
            classes[empty]
        ))
        .into());
    }
    let mut classes_of = HashMap::<&str, usize>::new();
    for image in images.iter().flatten() {
        *classes_of.entry(image).or_default() += 1;
    }

    let mut listing = Listing::new(&["train", "validation", "test"]);
    let origin = listing.origin(&path);
    for (label, (class, images)) in classes.iter().zip(&images).enumerate() {
        let with = in_subset(class);
        let alone = images
            .iter()
            .copied()
            .filter(|image| classes_of[image] == 1);
        let is_shifted = class == shifted;
        let (mut inside, mut outside): (Vec<&str>, Vec<&str>) =
            alone.partition(|image| is_shifted && with.contains(image));
        let (least_inside, least_outside) = match is_shifted {
            true => (1, VALIDATION + 1),
            false => (0, TRAIN + VALIDATION + TEST),
        };
        if inside.len() < least_inside || outside.len() < least_outside {
            let needed = match is_shifted {
                true => format!(
                    "{} in '{context}' and {} elsewhere, where {least_inside} and {least_outside}",
                    inside.len(),
                    outside.len()
                ),
                false => format!("{}, where {least_outside}", outside.len()),
            };
            return Err(wrong(format!(
                "of images of the class '{class}' and of no other it has {needed} are needed: take other \
                 classes or another context"
            ))
            .into());
        }
        // Drawn for the class by its name: which images of others there are changes nothing.
        for (which, images) in [(0, &mut inside), (1, &mut outside)] {
            images.shuffle(&mut config.seed.rng(&format!("MetaShift {class}"), &[which]));
        }
        let mut chosen: Vec<(&str, usize)> = match is_shifted {
            true => {
                let train = inside.into_iter().take(TRAIN).map(|image| (image, 0));
                let rest = outside.into_iter().enumerate();
                let rest =
                    rest.map(|(place, image)| (image, if place < VALIDATION { 1 } else { 2 }));
                train.chain(rest).collect()
            }
            false => {
                let parts = [(0, TRAIN), (1, VALIDATION), (2, TEST)];
                let parts = parts
                    .into_iter()
                    .flat_map(|(part, count)| vec![part; count]);
                outside.into_iter().zip(parts).collect()
            }
        };
        chosen.sort_unstable();
        for (image, part) in chosen {
            listing.items.push(Item {
                id: format!("{class}/{image}"),
                label,
                group: Some(2 * label + usize::from(with.contains(image))),
                part,
                image: Listed::Named(format!("images/{image}.jpg")),
                origin: (origin, 0),
            });
        }
    }
    let groups = classes.iter();
    let groups =
        groups.flat_map(|class| ["without", "with"].map(|it| format!("{class} {it} {beside}")));
    listing.group_names = groups.collect();
    listing.class_names = classes;
    Ok(listing)
}

/// The subsets, of the file as published, or of that by attributes.
fn subsets(files: &Files) -> Result<(PathBuf, pickle::Sets)> {
    let names = [
        "full-candidate-subsets.pkl",
        "attributes-candidate-subsets.pkl",
    ];
    let mut name = names[0];
    for known in names {
        if files.find(known)?.is_some() {
            name = known;
            break;
        }
    }
    let (path, bytes) = files.bytes(name)?;
    match pickle::sets(&bytes) {
        Ok(sets) => Ok((path, sets)),
        Err(reason) => Err(CoreError::Format {
            path,
            expected: "a pickle of MetaShift's subsets",
            reason,
        }
        .into()),
    }
}
