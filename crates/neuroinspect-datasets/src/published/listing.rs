//! What the files of a data set say of its samples, before images are looked for.

use std::{collections::HashMap, fmt::Display, path::PathBuf};

use neuroinspect_core::{ClassId, Error as CoreError, Seed, Split};

use super::files::Text;
use crate::{Error, Result};

/// The samples of a data set, in the order of its files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) class_names: Vec<String>,
    /// Empty where the data set has no groups.
    pub(super) group_names: Vec<String>,
    pub(super) parts: Vec<String>,
    pub(super) items: Vec<Item>,
    /// Files that items name lines of.
    origins: Vec<PathBuf>,
    /// Files of pixels that items are in.
    pub(super) pixels: Vec<(PathBuf, Vec<u8>)>,
}

/// A sample as it is listed.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) label: usize,
    pub(super) group: Option<usize>,
    pub(super) part: usize,
    pub(super) image: Listed,
    /// The line that lists it: a number into the listing's origins, and the line from 1.
    pub(super) origin: (usize, usize),
}

/// Where an image is said to be.
#[derive(Clone, Debug)]
pub(super) enum Listed {
    /// In a file of the data set.
    Named(String),
    /// 32 x 32 pixels, red before green before blue, from a byte of a file on.
    Pixels { file: usize, at: usize },
}

impl Listing {
    pub(super) fn new(parts: &[&str]) -> Self {
        Self {
            parts: parts.iter().map(|&part| part.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The number under which items name a file.
    pub(super) fn origin(&mut self, path: impl Into<PathBuf>) -> usize {
        self.origins.push(path.into());
        self.origins.len() - 1
    }

    /// The error that a listed sample is not what it should be.
    pub(super) fn wrong(&self, item: &Item, reason: impl Display) -> Error {
        let (origin, line) = item.origin;
        let place = match line {
            0 => String::new(),
            line => format!("line {line}: "),
        };
        CoreError::Format {
            path: self.origins.get(origin).cloned().unwrap_or_default(),
            expected: "a list of the data set's images",
            reason: format!("{place}{reason}"),
        }
        .into()
    }

    /// Refuses samples listed twice.
    pub(super) fn check(&self) -> Result<()> {
        let mut first = HashMap::with_capacity(self.items.len());
        for item in &self.items {
            if let Some(earlier) = first.insert(item.id.as_str(), item) {
                let reason = match earlier.origin.0 == item.origin.0 {
                    true => format!(
                        "'{}' is listed twice, first in line {}",
                        item.id, earlier.origin.1
                    ),
                    false => format!("'{}' is listed in another file, too", item.id),
                };
                return Err(self.wrong(item, reason));
            }
        }
        Ok(())
    }

    /// Divides the samples of a part at random, class by class: a share of them goes to another.
    pub(super) fn draw(&mut self, from: usize, to: usize, share: f64, seed: Seed) -> Result<()> {
        let chosen = self
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.part == from);
        let chosen: Vec<usize> = chosen.map(|(index, _)| index).collect();
        let labels: Vec<_> = chosen
            .iter()
            .map(|&index| ClassId(self.items[index].label))
            .collect();
        let split = Split::stratified(&labels, &[("stays", 1.0 - share), ("goes", share)], seed)?;
        for (&index, &part) in chosen.iter().zip(split.of_sample()) {
            if part == 1 {
                self.items[index].part = to;
            }
        }
        Ok(())
    }
}

/// Names of classes by number, of a text with one a line.
pub(super) fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// The class of a name.
pub(super) fn class_of(text: &Text, line: usize, classes: &[String], name: &str) -> Result<usize> {
    let found = classes.iter().position(|class| class == name);
    found.ok_or_else(|| {
        let count = classes.len();
        text.wrong(line, format!("'{name}' is none of the {count} classes"))
    })
}
