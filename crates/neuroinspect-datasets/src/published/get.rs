//! Getting a published data set's files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use neuroinspect_core::{Error as CoreError, Observer};
use serde::Serialize;

use super::{Content, PublishedFile, check_file, extract, published_named};
use crate::{Error, Result};

/// What downloads files.
pub trait Download {
    /// Where a file is to be downloaded from; `None` where it cannot be. Its published address by default.
    fn address(&self, file: &PublishedFile) -> Option<String> {
        file.url.map(str::to_owned)
    }

    /// Downloads what is at an address into a file, from where that ends, so that it holds all of it.
    ///
    /// # Errors
    ///
    /// Whatever may be wrong with an address, a server or a file.
    fn download(
        &mut self,
        address: &str,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), DownloadError>;
}

/// Why a download failed.
pub type DownloadError = Box<dyn std::error::Error + Send + Sync>;

/// What was got of a published data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Got {
    /// Its files, downloaded now or before.
    pub files: Vec<PathBuf>,
    /// What was extracted of its archives now.
    pub extracted: Vec<PathBuf>,
    /// Its files that have no address: they are to be fetched from its page.
    pub by_hand: Vec<&'static str>,
}

/// Downloads the files of a published data set into a folder, which is made if it is missing, compares them with
/// their published checksums, and extracts the archives among them.
///
/// What is there is not downloaded again, and a download that was stopped goes on: its beginning stands beside
/// the file under a name of its own.
///
/// # Errors
///
/// [`Error::UnknownDataset`]; [`Error::NoAddress`] when none of its files can be downloaded;
/// [`Error::Download`] with the cause; [`Error::Checksum`] for a file that is not the published one, which is
/// removed if it was downloaded just now; as [`extract`]; when the folder cannot be written; and when the
/// observer asks to stop.
pub fn get(
    name: &str,
    folder: impl AsRef<Path>,
    downloads: &mut dyn Download,
    observer: &mut dyn Observer,
) -> Result<Got> {
    let (info, folder) = (published_named(name)?, folder.as_ref());
    if !info
        .files
        .iter()
        .any(|file| downloads.address(file).is_some())
    {
        return Err(Error::NoAddress {
            dataset: info.name,
            page: info.page,
        });
    }
    let unwritable = |path: &Path, source| -> Error {
        let path = path.to_owned();
        CoreError::Write { path, source }.into()
    };
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    let mut got = Got::default();
    for file in info.files {
        let path = folder.join(file.name);
        if path.is_file() {
            compare(&path, file, observer)?;
        } else if let Some(address) = downloads.address(file) {
            // Not as a run's unfinished files are called: those are removed when its folder is opened.
            let part = folder.join(format!("{}.part", file.name));
            let downloaded = downloads.download(&address, &part, observer);
            downloaded.map_err(|source| Error::Download { address, source })?;
            if let Err(error) = compare(&part, file, observer) {
                if matches!(error, Error::Checksum { .. }) {
                    fs::remove_file(&part).map_err(|source| unwritable(&part, source))?;
                }
                return Err(error);
            }
            fs::rename(&part, &path).map_err(|source| unwritable(&path, source))?;
        } else {
            got.by_hand.push(file.name);
            continue;
        }
        if file.is_archive() {
            got.extracted.extend(extract(&path, folder, observer)?);
        }
        got.files.push(path);
    }
    Ok(got)
}

/// Refuses a file that has not the published checksum.
fn compare(path: &Path, file: &PublishedFile, observer: &mut dyn Observer) -> Result<()> {
    match check_file(path, file, observer)? {
        Content::Differs { expected, found } => Err(Error::Checksum {
            path: path.to_owned(),
            expected,
            found,
        }),
        Content::Absent => Err(CoreError::Read {
            path: path.to_owned(),
            source: io::ErrorKind::NotFound.into(),
        }
        .into()),
        Content::AsPublished | Content::Unknown => Ok(()),
    }
}
