//! The cache that Python's `huggingface_hub` has, too: contents under their hashes (`blobs`), links to
//! them by commit and name (`snapshots`), and the commits that branches stood for (`refs`).
//!
//! <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use neuroinspect_core::{
    Observer, Progress,
    io::{sha256_of_file, write_atomically},
};

use super::{HubError, HubName};
use crate::Result;

/// A file of a repository in the cache, and the commit that it is of.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) commit: String,
}

/// The part of the cache for one repository.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(super) fn of(root: &Path, name: &HubName) -> Self {
        let folder = name.folder();
        Self {
            locks: root.join(".locks").join(&folder),
            folder: root.join(folder),
        }
    }

    /// Where a content is, or will be.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where as much of a content is as was downloaded.
    pub(super) fn part(&self, etag: &str) -> PathBuf {
        self.blob(&format!("{etag}.incomplete"))
    }

    fn link_of(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit).join(file)
    }

    /// The commit of a revision, as far as is known here.
    fn commit(&self, revision: &str) -> Option<String> {
        let commit = match is_commit(revision) {
            true => revision.to_owned(),
            false => fs::read_to_string(self.folder.join("refs").join(revision)).ok()?,
        };
        is_commit(&commit).then_some(commit)
    }

    /// A file of a revision, as far as is known here.
    pub(super) fn find(&self, revision: &str, file: &str) -> Option<Kept> {
        let commit = self.commit(revision)?;
        let path = self.link_of(&commit, file);
        path.is_file().then_some(Kept { path, commit })
    }

    /// Where it is noted that a commit has no such file.
    fn no_exist(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    /// Whether it is known that a revision has no such file.
    pub(super) fn lacks(&self, revision: &str, file: &str) -> bool {
        let commit = self.commit(revision);
        commit.is_some_and(|commit| self.no_exist(&commit, file).exists())
    }

    /// Notes that a commit has no such file.
    pub(super) fn note_missing(&self, commit: &str, file: &str) -> Result<()> {
        let path = self.no_exist(commit, file);
        if is_commit(commit) && !path.exists() {
            write_atomically(&path, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Waits until no other process downloads this content.
    pub(super) fn lock(&self, etag: &str, observer: &mut dyn Observer) -> Result<File> {
        fs::create_dir_all(&self.locks).map_err(|error| written(&self.locks, error))?;
        let path = self.locks.join(format!("{etag}.lock"));
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| written(&path, error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(written(&path, error)),
                Err(TryLockError::WouldBlock) => observer.proceed(Progress {
                    stage: "waiting for a download",
                    done: 0,
                    total: 1,
                })?,
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Names a content that is there: as this file of this commit.
    pub(super) fn link(&self, etag: &str, commit: &str, file: &str) -> Result<PathBuf> {
        let (path, blob) = (self.link_of(commit, file), self.blob(etag));
        if path.canonicalize().ok() == blob.canonicalize().ok() && path.is_file() {
            return Ok(path);
        }
        let attempt = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Relative, so that the cache can be moved.
            #[cfg(unix)]
            let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), &path);
            #[cfg(not(unix))]
            let linked = fs::hard_link(&blob, &path);
            linked
        };
        attempt().map_err(|error| written(&path, error))?;
        Ok(path)
    }

    /// Notes which commit a branch or tag stands for.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs").join(revision);
        let noted = fs::read_to_string(&path).is_ok_and(|noted| noted == commit);
        if !is_commit(revision) && !noted {
            write_atomically(&path, |out| out.write_all(commit.as_bytes()))?;
        }
        Ok(())
    }
}

/// Checks a file of the cache against the hash that it is kept under, where that is one of its content:
/// weights are, and small files are not.
pub(super) fn check(path: &Path, advice: &'static str) -> Result<()> {
    let blob = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = blob.file_stem().unwrap_or_default().to_string_lossy();
    if !is_hash(&name, 64) {
        return Ok(());
    }
    let found = sha256_of_file(&blob)?;
    match found == name {
        true => Ok(()),
        false => Err(HubError::Hash {
            file: blob.display().to_string(),
            expected: name.into_owned(),
            found,
            advice,
        }
        .into()),
    }
}

/// Whether this is the hash of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    is_hash(text, 40)
}

/// Whether this is a hash of so many digits.
pub(super) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn written(path: &Path, source: io::Error) -> crate::Error {
    let path = path.to_owned();
    neuroinspect_core::Error::Write { path, source }.into()
}
