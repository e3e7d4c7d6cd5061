//! Whether what lies in a folder is what was published.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use md5::{Digest, Md5};
use neuroinspect_core::{Error as CoreError, Observer, Progress, io::open_regular};
use serde::Serialize;

use super::{
    Error, PublishedConfig, PublishedFile, image_at, list, listing::Listing, missing,
    published_named,
};
use crate::Result;

/// The most missing images that are named; all are counted.
const NAMED: usize = 20;

/// What was found of a published data set.
#[derive(Clone, Debug, Serialize)]
pub struct PublishedCheck {
    /// Name of the data set.
    pub dataset: &'static str,
    /// Its files as published, each compared with its checksum.
    pub files: Vec<FileCheck>,
    /// Its parts; empty where they cannot be listed.
    pub parts: Vec<PartCheck>,
    /// Images that are listed and not there.
    pub missing_images: usize,
    /// What is wrong, with file and line: the first twenty missing images among it.
    pub problems: Vec<String>,
}

/// What was found of a file.
#[derive(Clone, Debug, Serialize)]
pub struct FileCheck {
    /// Its name as published.
    pub name: &'static str,
    /// What was found.
    pub content: Content,
}

/// What was found where a published file may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// There is no such file. An archive is not needed once it is extracted.
    Absent,
    /// It has the published checksum.
    AsPublished,
    /// It is there, and no checksum is published that we know of.
    Unknown,
    /// It has another checksum.
    Differs {
        /// The published one.
        expected: String,
        /// That of the file.
        found: String,
    },
}

/// How many images a part has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartCheck {
    /// The part.
    pub part: String,
    /// How many images are listed.
    pub images: usize,
    /// How many there are as published, where that is known.
    pub published: Option<usize>,
}

impl PublishedCheck {
    /// Whether nothing was found to be wrong.
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Compares what lies at a path with what was published: checksums, counts, and whether every listed image
/// is there. Images are not decoded.
///
/// # Errors
///
/// [`Error::UnknownDataset`], [`Error::DatasetOption`], when the path cannot be read, or the observer asks to
/// stop. What is wrong with the data set itself is in the result.
pub fn check(
    name: &str,
    path: impl AsRef<Path>,
    config: &PublishedConfig,
    observer: &mut dyn Observer,
) -> Result<PublishedCheck> {
    let (info, path) = (published_named(name)?, path.as_ref());
    config.check(info)?;
    let mut problems = Vec::new();
    let mut files = Vec::with_capacity(info.files.len());
    for file in info.files {
        let content = match place_of(path, info.tops, file) {
            None => Content::Absent,
            Some(path) => check_file(&path, file, observer)?,
        };
        if let Content::Differs { expected, found } = &content {
            problems.push(format!(
                "'{}' has the MD5 {found}, and {expected} as published: download it again",
                file.name
            ));
        }
        files.push(FileCheck {
            name: file.name,
            content,
        });
    }
    let mut checked = PublishedCheck {
        dataset: info.name,
        files,
        parts: Vec::new(),
        missing_images: 0,
        problems,
    };
    match list(info, path, config) {
        Err(error) => checked
            .problems
            .push(neuroinspect_core::with_causes(&error)),
        Ok((files, listing)) => {
            if let Err(error) = listing.check() {
                checked.problems.push(error.to_string());
            }
            for item in &listing.items {
                let found = image_at(&files, &listing, item);
                let problem = match found {
                    Ok(Some(_)) => continue,
                    Ok(None) => missing(&listing, item).to_string(),
                    Err(error) => neuroinspect_core::with_causes(&error),
                };
                checked.missing_images += 1;
                if checked.missing_images <= NAMED {
                    checked.problems.push(problem);
                }
            }
            checked.count_parts(&listing, info.parts);
        }
    }
    Ok(checked)
}

impl PublishedCheck {
    fn count_parts(&mut self, listing: &Listing, published: &[(&str, Option<usize>)]) {
        for (number, part) in listing.parts.iter().enumerate() {
            let images = listing
                .items
                .iter()
                .filter(|item| item.part == number)
                .count();
            let known = published.iter().find(|(name, _)| name == part);
            let published = known.and_then(|(_, images)| *images);
            if published.is_some_and(|published| published != images) {
                let published = published.unwrap_or_default();
                self.problems.push(format!(
                    "part '{part}' has {images} images, and {published} as published"
                ));
            }
            self.parts.push(PartCheck {
                part: part.clone(),
                images,
                published,
            });
        }
    }
}

/// Where a published file is: `path` itself, or in it.
fn place_of(path: &Path, tops: &[&str], file: &PublishedFile) -> Option<PathBuf> {
    if path.is_file() {
        let named = path.file_name().is_some_and(|name| name == file.name);
        return named.then(|| path.to_owned());
    }
    let folders = tops.iter().map(|top| path.join(top));
    let mut places = [path.to_owned()]
        .into_iter()
        .chain(folders)
        .map(|it| it.join(file.name));
    places.find(|place| place.is_file())
}

/// Compares a file with its published checksum.
///
/// # Errors
///
/// When it cannot be read, or the observer asks to stop.
pub fn check_file(
    path: &Path,
    file: &PublishedFile,
    observer: &mut dyn Observer,
) -> Result<Content> {
    let Some(expected) = file.md5 else {
        return Ok(Content::Unknown);
    };
    let unreadable = |source| -> Error {
        let path = path.to_owned();
        CoreError::Read { path, source }.into()
    };
    let mut reader = open_regular(path)?;
    let total = reader.metadata().map_err(unreadable)?.len();
    let (mut hash, mut buffer, mut done) = (Md5::new(), vec![0; 1 << 20], 0);
    loop {
        let read = reader.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        done += read as u64;
        observer.proceed(Progress {
            stage: "computing the checksum (MiB)",
            done: (done >> 20) as usize,
            total: (total >> 20) as usize,
        })?;
    }
    let found: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(match found == expected {
        true => Content::AsPublished,
        false => Content::Differs {
            expected: expected.to_owned(),
            found,
        },
    })
}
