//! `get`: downloads, checksums and extraction together.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use neuroinspect_core::{Observer, Silent};
use neuroinspect_datasets::{
    Error,
    published::{Download, DownloadError, Got, PublishedFile, get},
};
use neuroinspect_testing::files::Folder;

use super::fixtures::{self, gzip, listed, open, tar_of};

const ARCHIVE: &str = "waterbird_complete95_forest2water2.tar.gz";

fn archive() -> Vec<u8> {
    gzip(&tar_of(
        fixtures::waterbirds().as_ref(),
        "waterbird_complete95_forest2water2/",
    ))
}

/// Downloads these bytes, or the first of them and no more.
struct Bytes<'a> {
    bytes: &'a [u8],
    dead_after: Option<usize>,
    mirror: bool,
    asked: Vec<String>,
}

impl<'a> Bytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            dead_after: None,
            mirror: false,
            asked: Vec::new(),
        }
    }
}

impl Download for Bytes<'_> {
    fn address(&self, file: &PublishedFile) -> Option<String> {
        match self.mirror {
            true => Some(format!("mirror/{}", file.name)),
            false => file.url.map(str::to_owned),
        }
    }

    fn download(
        &mut self,
        address: &str,
        part: &Path,
        _: &mut dyn Observer,
    ) -> Result<(), DownloadError> {
        self.asked.push(address.to_owned());
        let there = fs::read(part).unwrap_or_default().len();
        let mut file = File::options().append(true).create(true).open(part)?;
        file.write_all(&self.bytes[there..self.dead_after.unwrap_or(self.bytes.len())])?;
        match self.dead_after {
            Some(_) => Err("the line is dead".into()),
            None => Ok(()),
        }
    }
}

/// Gets a data set by a download of these bytes; what was asked for, and what came of it.
fn got(name: &str, folder: &Folder, bytes: &[u8]) -> (Vec<String>, Result<Got, Error>) {
    let mut downloads = Bytes::new(bytes);
    let result = get(name, folder.path("data"), &mut downloads, &mut Silent);
    (downloads.asked, result)
}

#[test]
fn files_are_downloaded_once_and_extracted_once() {
    let folder = Folder::new();
    let (asked, result) = got("waterbirds", &folder, &archive());
    assert_eq!(
        asked,
        [format!("https://nlp.stanford.edu/data/dro/{ARCHIVE}")]
    );
    let result = result.unwrap();
    let top = folder.path("data/waterbird_complete95_forest2water2");
    assert_eq!(
        (&result.extracted, result.by_hand.len()),
        (&vec![top.clone()], 0)
    );
    let birds = open("waterbirds", folder.path("data"));
    assert_eq!(
        listed(&birds),
        listed(&open("waterbirds", fixtures::waterbirds()))
    );

    let (asked, again) = got("waterbirds", &folder, b"not asked for");
    assert_eq!((asked.len(), again.unwrap().extracted.len()), (0, 0));
    fs::remove_dir_all(&top).unwrap();
    let (asked, again) = got("waterbirds", &folder, b"not asked for");
    assert_eq!((asked.len(), again.unwrap().extracted), (0, vec![top]));
}

#[test]
fn a_download_that_failed_goes_on() {
    let folder = Folder::new();
    let bytes = archive();
    let mut downloads = Bytes::new(&bytes);
    downloads.dead_after = Some(100);
    let error = get(
        "waterbirds",
        folder.path("data"),
        &mut downloads,
        &mut Silent,
    )
    .unwrap_err();
    let error = neuroinspect_core::with_causes(&error);
    assert!(
        error.contains("nlp.stanford.edu") && error.contains("the line is dead"),
        "{error}"
    );
    assert!(!folder.path("data").join(ARCHIVE).exists());
    // Only what is missing is written by the next one.
    let (asked, result) = got("waterbirds", &folder, &bytes);
    assert_eq!((asked.len(), result.unwrap().extracted.len()), (1, 1));
}

#[test]
fn another_content_than_the_published_one_is_not_kept() {
    let folder = Folder::new();
    let (_, result) = got("cifar10", &folder, b"something else");
    let error = result.unwrap_err();
    let expected = "c32a1d4ab5d03f1284b67883e8d87530";
    assert!(
        matches!(&error, Error::Checksum { expected: it, .. } if it == expected),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path("data")).unwrap().count(), 0);
    // One that somebody put there stays.
    let path = folder.write("data/cifar-10-binary.tar.gz", "mine");
    let (asked, result) = got("cifar10", &folder, b"");
    assert!(asked.is_empty() && result.is_err());
    assert_eq!(fs::read(path).unwrap(), b"mine");
}

#[test]
fn what_has_no_address_is_named() {
    let folder = Folder::new();
    let (_, result) = got("celeba", &folder, b"");
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
        "{error}"
    );
    let bytes = fixtures::zip_of(&[("images/1.jpg", b"")]);
    let (asked, result) = got("metashift", &folder, &bytes);
    assert_eq!(asked, ["https://nlp.stanford.edu/data/gqa/images.zip"]);
    assert_eq!(result.unwrap().by_hand, ["full-candidate-subsets.pkl"]);

    let mut mirrored = Bytes::new(b"");
    mirrored.mirror = true;
    assert!(get("celeba", folder.path("faces"), &mut mirrored, &mut Silent).is_err());
    assert_eq!(mirrored.asked, ["mirror/img_align_celeba.zip"]);
}
