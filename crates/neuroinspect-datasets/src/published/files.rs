//! The files of a data set: in a folder, in archives in it, or in one archive.

use std::{
    fmt::Display,
    fs,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use neuroinspect_core::Error as CoreError;
use walkdir::WalkDir;

use super::archive::Archive;
use crate::{
    Error, Result,
    decode::{decode_image, open_image, read_file},
    folder::state,
};

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Entry { archive: usize, entry: usize },
}

/// The files of a data set.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    /// Folders that files are looked for in, in turn.
    folders: Vec<PathBuf>,
    /// Archives that are looked in for what no folder has.
    archive_paths: Vec<PathBuf>,
    archives: OnceLock<Vec<Archive>>,
}

/// A text, and where it is from.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
    expected: &'static str,
}

impl Files {
    /// The files at `path`: an archive, or a folder. In a folder they are looked for in itself, then in
    /// those of its folders that `tops` names, then in the archives there that `archives` names.
    pub(super) fn open(path: &Path, tops: &[&str], archives: &[&str]) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|source| CoreError::Read {
            path: path.to_owned(),
            source,
        })?;
        let (folders, archive_paths) = if metadata.is_dir() {
            let below = tops.iter().map(|top| path.join(top));
            let folders = [path.to_owned()].into_iter().chain(below);
            let archives = archives.iter().map(|name| path.join(name));
            (
                folders.filter(|folder| folder.is_dir()).collect(),
                archives.filter(|archive| archive.is_file()).collect(),
            )
        } else {
            (Vec::new(), vec![path.to_owned()])
        };
        Ok(Self {
            root: path.to_owned(),
            folders,
            archive_paths,
            archives: OnceLock::new(),
        })
    }

    /// The folder, or the archive, that all is in.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The archives; opened when they are first needed, as a compressed one is expanded by that.
    fn archives(&self) -> Result<&[Archive]> {
        if let Some(archives) = self.archives.get() {
            return Ok(archives);
        }
        let paths = self.archive_paths.iter();
        let opened = paths
            .map(|path| Archive::open(path))
            .collect::<Result<_>>()?;
        Ok(self.archives.get_or_init(|| opened))
    }

    /// Where a file is, by its path in the data set with `/` between its parts.
    ///
    /// # Errors
    ///
    /// When the path is not one below the data set's folder, or an archive cannot be read.
    pub(super) fn find(&self, name: &str) -> Result<Option<Place>> {
        let path = Path::new(name);
        let parts = path.components();
        if name.is_empty()
            || !parts
                .into_iter()
                .all(|it| matches!(it, Component::Normal(_)))
        {
            return Err(CoreError::Format {
                path: self.root.clone(),
                expected: "a data set of files in its folder",
                reason: format!("it names the file {name:?}, which is none below its folder"),
            }
            .into());
        }
        let paths = self.folders.iter().map(|folder| folder.join(path));
        if let Some(found) = paths.into_iter().find(|path| path.is_file()) {
            return Ok(Some(Place::File(found)));
        }
        let archives = self.archives()?.iter().enumerate();
        let mut found = archives.filter_map(|(archive, content)| {
            let entry = content.find(name)?;
            Some(Place::Entry { archive, entry })
        });
        Ok(found.next())
    }

    /// The bytes of a file that must be there.
    pub(super) fn bytes(&self, name: &str) -> Result<(PathBuf, Vec<u8>)> {
        let Some(place) = self.find(name)? else {
            return Err(CoreError::Read {
                path: self.root.join(name),
                source: std::io::ErrorKind::NotFound.into(),
            }
            .into());
        };
        let bytes = match &place {
            Place::File(path) => read_file(path)?,
            Place::Entry { archive, entry } => self.archives()?[*archive].read(*entry)?,
        };
        Ok((self.path_of(&place)?, bytes))
    }

    /// A text that must be there, which is `expected`.
    pub(super) fn text(&self, name: &str, expected: &'static str) -> Result<Text> {
        let (path, bytes) = self.bytes(name)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Text {
                path,
                text,
                expected,
            }),
            Err(error) => Err(CoreError::Format {
                path,
                expected,
                reason: error.to_string(),
            }
            .into()),
        }
    }

    /// Every file in the first of the places that has any `wanted` ones, by their paths below it, in byte
    /// order.
    pub(super) fn list(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Place)>> {
        for folder in self.folders.iter().rev() {
            let files = below(folder, &wanted)?;
            if !files.is_empty() {
                return Ok(files);
            }
        }
        for (archive, content) in self.archives()?.iter().enumerate() {
            let names = content.names().filter(|(_, name)| wanted(name));
            let place = |entry| Place::Entry { archive, entry };
            let mut files: Vec<_> = names
                .map(|(entry, name)| (name.to_owned(), place(entry)))
                .collect();
            if !files.is_empty() {
                files.sort_by(|a, b| a.0.cmp(&b.0));
                return Ok(files);
            }
        }
        Ok(Vec::new())
    }

    /// What to call a file in a message.
    pub(super) fn path_of(&self, place: &Place) -> Result<PathBuf> {
        Ok(match place {
            Place::File(path) => path.clone(),
            Place::Entry { archive, entry } => self.archives()?[*archive].path_of(*entry),
        })
    }

    /// An image, decoded.
    pub(super) fn image(&self, place: &Place) -> Result<image::RgbImage> {
        match place {
            Place::File(path) => open_image(path),
            Place::Entry { archive, entry } => {
                let archive = &self.archives()?[*archive];
                decode_image(&archive.path_of(*entry), &archive.read(*entry)?)
            }
        }
    }

    /// What tells the state of these files from another; `None` where one has no time of change.
    pub(super) fn states<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
    ) -> Option<Vec<String>> {
        let archives = self.archives.get().map_or(&[][..], Vec::as_slice);
        let whole = archives.iter().map(|archive| state(archive.path()).ok());
        let files = places.filter_map(|place| match place {
            Place::File(path) => Some(state(path).ok()),
            Place::Entry { .. } => None,
        });
        whole.chain(files).collect()
    }
}

/// The wanted files below a folder, links followed, in byte order of their paths.
fn below(folder: &Path, wanted: &impl Fn(&str) -> bool) -> Result<Vec<(String, Place)>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let source = error.into();
                return Err(CoreError::Read { path, source }.into());
            }
        };
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.join("/");
        if entry.file_type().is_file() && wanted(&name) {
            files.push((name, Place::File(entry.into_path())));
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

impl Text {
    /// Its lines that are not empty, without blanks after them, by their number from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        let lines = lines.map(|(index, line)| (index + 1, line.trim_end()));
        lines.filter(|(_, line)| !line.is_empty())
    }

    /// The error that a line is not what it should be.
    pub(super) fn wrong(&self, line: usize, reason: impl Display) -> Error {
        self.not_expected(format!("line {line}: {reason}"))
    }

    /// The error that the text as a whole is not what it should be.
    pub(super) fn not_expected(&self, reason: impl Into<String>) -> Error {
        CoreError::Format {
            path: self.path.clone(),
            expected: self.expected,
            reason: reason.into(),
        }
        .into()
    }
}
