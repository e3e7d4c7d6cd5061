//! Data sets in the formats that they were published in, read from their archives or extracted folders.
//!
//! [`published`] lists them. [`Published::open`] reads one: class names, groups and parts with it, samples
//! in the order in which its files list them, whatever order a folder or an archive has them in. Nothing is
//! written, and nothing in a file is run.
//!
//! ```no_run
//! use neuroinspect_datasets::{ImageDataset, published::{Published, PublishedConfig}};
//!
//! # fn main() -> Result<(), neuroinspect_datasets::Error> {
//! let config = PublishedConfig::default().with_part("test");
//! let birds = Published::open("waterbirds", "waterbird_complete95_forest2water2.tar.gz", &config)?;
//! assert_eq!(birds.group_names()[1], "landbird on water");
//! # Ok(())
//! # }
//! ```
//!
//! [`check`] compares files with published checksums and counts, and says all that is missing; [`get`]
//! downloads them, by whatever downloads; [`extract`] writes an archive's files into a folder, and none beside
//! it.

mod archive;
mod check;
mod columns;
mod config;
mod files;
mod formats;
mod get;
mod info;
mod listing;
mod matlab;
mod pickle;
mod table;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, Error as CoreError, Observer, Split, nearest_name};

pub use check::{Content, FileCheck, PartCheck, PublishedCheck, check, check_file};
pub use config::PublishedConfig;
pub use get::{Download, DownloadError, Got, get};
pub use info::{PublishedFile, PublishedInfo};
pub use table::published;

use self::{
    archive::Archive,
    files::{Files, Place},
    listing::{Item, Listed, Listing},
};
use crate::{Error, ImageDataset, Result, Sample, fingerprint_of};

/// What is known of a published data set by its name.
///
/// # Errors
///
/// [`Error::UnknownDataset`] with the names there are.
pub fn published_named(name: &str) -> Result<&'static PublishedInfo> {
    let found = published().iter().find(|info| info.name == name);
    found.ok_or_else(|| {
        let known: Vec<_> = published().iter().map(|info| info.name).collect();
        Error::UnknownDataset {
            name: name.to_owned(),
            nearest: nearest_name(name, known.iter().copied()),
            known: known.join(", "),
        }
    })
}

/// Writes the files of an archive (tar, tar.gz or zip) into a folder, and returns what was made directly in
/// it. What is there already is left as it is, and what is directly in the archive is written whole or not
/// at all: the same call after it was stopped goes on.
///
/// # Errors
///
/// When the archive cannot be read, an entry is a link or would leave the folder, its files have more than a
/// hundred times its own bytes, the folder cannot be written, or the observer asks to stop.
pub fn extract(
    archive: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    observer: &mut dyn Observer,
) -> Result<Vec<PathBuf>> {
    Archive::open(archive.as_ref())?.extract(folder.as_ref(), observer)
}

/// A published data set, or a part of it.
#[derive(Debug)]
pub struct Published {
    info: &'static PublishedInfo,
    name: String,
    class_names: Vec<String>,
    group_names: Vec<String>,
    samples: Vec<Sample>,
    /// Of all parts; none where one part is wanted.
    split: Option<Split>,
    images: Vec<ImageAt>,
    files: Files,
    pixels: Vec<(PathBuf, Vec<u8>)>,
}

/// Where a sample's image is.
#[derive(Debug)]
enum ImageAt {
    File(Place),
    Pixels { file: usize, at: usize },
}

impl Published {
    /// Reads a data set that [`published`] lists, from its archive, from the folder that its files were
    /// downloaded to, or from what was extracted of them.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownDataset`], [`Error::DatasetOption`] for an option that it does not have,
    /// [`Error::NotThere`] where the path holds no such data set, and an error of core's that names the file, and
    /// the line where it has lines, when one cannot be read or is not what it should be, a sample is listed twice,
    /// or an image is missing.
    pub fn open(name: &str, path: impl AsRef<Path>, config: &PublishedConfig) -> Result<Self> {
        let info = published_named(name)?;
        let (files, listing) = list(info, path.as_ref(), config)?;
        listing.check()?;
        let of_sample = listing.items.iter().map(|item| item.part).collect();
        let split = Split::new(listing.parts.clone(), of_sample)?;
        let wanted: Vec<usize> = match &config.part {
            Some(part) => split.samples_of(part)?,
            None => (0..listing.items.len()).collect(),
        };
        let (part, name) = match &config.part {
            Some(part) => (format!("part '{part}' of {name}"), format!("{name}/{part}")),
            None => (name.to_owned(), name.to_owned()),
        };
        if wanted.is_empty() {
            let what = format!("samples in {part}");
            return Err(CoreError::Empty { what }.into());
        }
        let mut images = Vec::with_capacity(wanted.len());
        let mut samples = Vec::with_capacity(wanted.len());
        for &index in &wanted {
            let item = &listing.items[index];
            images.push(image_at(&files, &listing, item)?.ok_or_else(|| missing(&listing, item))?);
            samples.push(Sample {
                id: item.id.clone(),
                label: ClassId(item.label),
                group: item.group,
            });
        }
        Ok(Self {
            info,
            name,
            split: config.part.is_none().then_some(split),
            class_names: listing.class_names,
            group_names: listing.group_names,
            samples,
            images,
            files,
            pixels: listing.pixels,
        })
    }

    /// What is known of it.
    pub fn info(&self) -> &'static PublishedInfo {
        self.info
    }
}

/// What the files of a data set say.
fn list(info: &PublishedInfo, path: &Path, config: &PublishedConfig) -> Result<(Files, Listing)> {
    config.check(info)?;
    let archives = info.files.iter().filter(|file| file.is_archive());
    let archives: Vec<_> = archives.map(|file| file.name).collect();
    let files = Files::open(path, info.tops, &archives)?;
    let listing = (info.list)(&files, config).map_err(|error| not_there(info, &files, error))?;
    Ok((files, listing))
}

/// Of a list that is missing, what that means: another data set, or none, is there.
fn not_there(info: &PublishedInfo, files: &Files, error: Error) -> Error {
    match &error {
        Error::Core(CoreError::Read { path, source }) if source.kind() == ErrorKind::NotFound => {
            match path.strip_prefix(files.root()) {
                Ok(file) => Error::NotThere {
                    root: files.root().to_owned(),
                    name: info.name,
                    file: file.display().to_string(),
                },
                Err(_) => error,
            }
        }
        _ => error,
    }
}

/// Where an image is, if it is there.
fn image_at(files: &Files, listing: &Listing, item: &Item) -> Result<Option<ImageAt>> {
    match &item.image {
        Listed::Pixels { file, at } => Ok(Some(ImageAt::Pixels {
            file: *file,
            at: *at,
        })),
        Listed::Named(name) => {
            let found = files.find(name);
            // A path that leads elsewhere is one that a line gives.
            let found = found.map_err(|error| match error {
                Error::Core(CoreError::Format { reason, .. }) => listing.wrong(item, reason),
                other => other,
            })?;
            Ok(found.map(ImageAt::File))
        }
    }
}

fn missing(listing: &Listing, item: &Item) -> Error {
    let name = match &item.image {
        Listed::Named(name) => name.as_str(),
        Listed::Pixels { .. } => item.id.as_str(),
    };
    listing.wrong(item, format!("image '{name}' is not there"))
}

impl ImageDataset for Published {
    fn name(&self) -> &str {
        &self.name
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn group_names(&self) -> &[String] {
        &self.group_names
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The published parts, and those that are drawn; `None` where one part is wanted.
    fn split(&self) -> Option<&Split> {
        self.split.as_ref()
    }

    /// Covers path, length and time of change of every file or archive; `None` where a file system keeps no
    /// time of change, or a file is gone.
    fn fingerprint(&self) -> Option<String> {
        let places = self.images.iter().filter_map(|image| match image {
            ImageAt::File(place) => Some(place),
            ImageAt::Pixels { .. } => None,
        });
        let mut states = self.files.states(places)?;
        // Which samples are in which part may have been drawn.
        let parts = self.split.iter().flat_map(Split::of_sample);
        states.extend(parts.map(usize::to_string));
        let pixels = self.pixels.iter();
        states.extend(pixels.map(|(_, bytes)| neuroinspect_core::io::sha256_of_bytes(bytes)));
        Some(fingerprint_of(self, states))
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        self.sample(index)?;
        match &self.images[index] {
            ImageAt::File(place) => self.files.image(place),
            ImageAt::Pixels { file, at } => {
                let (_, bytes) = &self.pixels[*file];
                let plane = 32 * 32;
                let value = |plane_at: usize, pixel: usize| bytes[at + plane_at * plane + pixel];
                Ok(RgbImage::from_fn(32, 32, |x, y| {
                    let pixel = (32 * y + x) as usize;
                    Rgb([0, 1, 2].map(|channel| value(channel, pixel)))
                }))
            }
        }
    }
}
