//! Where the object is in images of a folder: files of the same names in another.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use neuroinspect_core::Error as CoreError;

use crate::{Result, Sample, open_image};

/// The file of a sample's outline.
fn path_of(root: &Path, sample: &Sample) -> PathBuf {
    root.join(&sample.id).with_extension("png")
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Refuses a folder without an outline of any of the samples, which nothing would be known by.
pub(super) fn check(root: &Path, samples: &[Sample]) -> Result<()> {
    let Some(first) = samples.first() else {
        return Ok(());
    };
    if samples
        .iter()
        .any(|sample| is_there(&path_of(root, sample)))
    {
        return Ok(());
    }
    Err(CoreError::Format {
        path: root.to_owned(),
        expected: "a folder of objects' outlines",
        reason: format!(
            "none of its files is called as an image is; expected '{}' for the first image",
            path_of(root, first).display()
        ),
    }
    .into())
}

/// The outline of a sample, where there is one.
pub(super) fn open(root: &Path, sample: &Sample) -> Result<Option<RgbImage>> {
    let path = path_of(root, sample);
    is_there(&path).then(|| open_image(path)).transpose()
}
