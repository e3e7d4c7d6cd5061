//! Any data set as a folder of image files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use image::ImageFormat;
use neuroinspect_core::{Error as CoreError, Observer, Progress};

use super::GROUPS_FILE;
use crate::{Error, ImageDataset, Result};

/// Writes a data set as an [`ImageFolder`](super::ImageFolder) reads it: PNG files in a folder for each
/// class, and its groups. The folder is made whole or not at all.
///
/// An image is called as its sample counts, `heron/000017.png`. Classes keep their order where it is the
/// byte order of their names; where it is another,
/// [`ImageFolderConfig::class_order`](super::ImageFolderConfig::class_order) has to give it.
///
/// # Errors
///
/// When `root` exists or cannot be written, a class has no name that a folder can have or the name of
/// another, an image cannot be read, a sample has no group though others have, or the observer asks to
/// stop.
pub fn write_image_folder(
    dataset: &dyn ImageDataset,
    root: impl AsRef<Path>,
    observer: &mut dyn Observer,
) -> Result<()> {
    let root = root.as_ref();
    check_names(dataset, root)?;
    let failed = |path: &Path, source| CoreError::Write {
        path: path.to_owned(),
        source,
    };
    if fs::symlink_metadata(root).is_ok() {
        let there = "something is there; move it away, or write elsewhere";
        let there = io::Error::new(io::ErrorKind::AlreadyExists, there);
        return Err(failed(root, there).into());
    }
    let unfinished = unfinished(root);
    // What a run that was killed has left there would be taken for this one's.
    match fs::remove_dir_all(&unfinished) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&unfinished, source).into());
        }
        _ => {}
    }
    let written = (|| {
        fs::create_dir_all(&unfinished).map_err(|source| failed(&unfinished, source))?;
        fill(dataset, &unfinished, observer)?;
        fs::rename(&unfinished, root).map_err(|source| failed(root, source).into())
    })();
    if written.is_err() {
        // What went wrong is to be told, not that half a folder cannot be removed.
        let _ = fs::remove_dir_all(&unfinished);
    }
    written
}

/// Where the folder is before it is whole: beside it.
fn unfinished(root: &Path) -> PathBuf {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    root.with_file_name(format!(".neuroinspect-unfinished-{name}"))
}

/// Refuses names that would not be read as they are written.
fn check_names(dataset: &dyn ImageDataset, root: &Path) -> Result<()> {
    let names = dataset.class_names();
    for (class, name) in names.iter().enumerate() {
        let unfit = name.starts_with('.') || name.contains(['/', '\\']) || !is_plain(name);
        let reason = if unfit {
            "cannot be the name of a folder that is read again; give the class another name"
        } else if names[..class].contains(name) {
            "would hold two classes of that name; give one another name"
        } else {
            continue;
        };
        return Err(Error::ClassFolder {
            root: root.to_owned(),
            folder: name.clone(),
            reason: reason.to_owned(),
        });
    }
    match dataset.group_names().iter().find(|name| !is_plain(name)) {
        Some(name) => Err(CoreError::InvalidOption {
            option: "name of a group",
            value: format!("{name:?}"),
            expected: "letters, without blanks around them, tabs or line breaks",
        }
        .into()),
        None => Ok(()),
    }
}

/// Whether a name can stand in a line between tabs.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains(char::is_control)
}

fn fill(dataset: &dyn ImageDataset, root: &Path, observer: &mut dyn Observer) -> Result<()> {
    let failed = |path: &Path, source| CoreError::Write {
        path: path.to_owned(),
        source,
    };
    for name in dataset.class_names() {
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
    }
    let total = dataset.samples().len();
    let all: Vec<usize> = (0..total).collect();
    let groups = dataset.groups_of(&all)?;
    let mut lines = String::new();
    for (index, sample) in dataset.samples().iter().enumerate() {
        let Some(class) = dataset.class_names().get(sample.label.0) else {
            return Err(Error::UnknownClass {
                sample: sample.id.clone(),
                dataset: dataset.name().to_owned(),
                class: sample.label.0,
                classes: dataset.class_names().len(),
            });
        };
        let id = format!("{class}/{index:06}.png");
        let path = root.join(&id);
        dataset
            .image(index)?
            .save_with_format(&path, ImageFormat::Png)
            .map_err(|error| failed(&path, io::Error::other(error)))?;
        if let Some(groups) = &groups {
            let group = &groups.names()[groups.of_sample()[index]];
            lines += &format!("{id}\t{group}\n");
        }
        observer.proceed(Progress {
            stage: "writing images",
            done: index + 1,
            total,
        })?;
    }
    if groups.is_some() {
        let path = root.join(GROUPS_FILE);
        fs::write(&path, lines).map_err(|source| failed(&path, source))?;
    }
    Ok(())
}
