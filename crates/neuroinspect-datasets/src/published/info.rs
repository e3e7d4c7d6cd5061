//! What is known of published data sets.

use serde::Serialize;

use super::{PublishedConfig, files::Files, listing::Listing};
use crate::Result;

/// A data set that is read as it was published.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PublishedInfo {
    /// Its name here: `waterbirds`.
    pub name: &'static str,
    /// What it is, and who published it.
    pub title: &'static str,
    /// Its parts, and how many images each has as it was published; `None` where that depends on options.
    pub parts: &'static [(&'static str, Option<usize>)],
    /// How many classes it has; `None` where that depends on the files or on options.
    pub classes: Option<usize>,
    /// What its groups tell apart; `None` where it has none.
    pub groups: Option<&'static str>,
    /// What kind of thing the classes are, for the prompts of an image-text encoder.
    pub domain: Option<&'static str>,
    /// Options of [`PublishedConfig`] that it has, beside part and seed.
    pub options: &'static [&'static str],
    /// The page of its authors.
    pub page: &'static str,
    /// Its files as published.
    pub files: &'static [PublishedFile],
    /// Folders that files are in below that of the data set, as its archives or other readers make them.
    #[serde(skip)]
    pub(super) tops: &'static [&'static str],
    #[serde(skip)]
    pub(super) list: fn(&Files, &PublishedConfig) -> Result<Listing>,
}

/// A file as it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedFile {
    /// Its name.
    pub name: &'static str,
    /// Where it can be downloaded without more ado; `None` where its page has to be visited.
    pub url: Option<&'static str>,
    /// How large it is, as its publisher says, where we know it.
    pub size: Option<&'static str>,
    /// MD5 of its content, in hexadecimal; `None` where none is published that we know of.
    pub md5: Option<&'static str>,
    /// Who published address, size and checksum.
    pub source: &'static str,
}

impl PublishedFile {
    /// Whether it is an archive of the other files.
    pub fn is_archive(&self) -> bool {
        [".tar", ".tgz", ".tar.gz", ".zip"]
            .iter()
            .any(|end| self.name.ends_with(end))
    }
}
