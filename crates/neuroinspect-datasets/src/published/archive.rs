//! Archives as they are published, read in place: tar, compressed tar and zip.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use flate2::read::MultiGzDecoder;
use neuroinspect_core::{Error as CoreError, Observer, Progress, io::open_regular};
use tar::EntryType;
use zip::ZipArchive;

use crate::{Error, Result, decode::MAX_FILE_BYTES};

const EXPECTED: &str = "an archive that can be read";

/// An archive's files. Names are relative paths of plain parts with `/` between them.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    /// In the archive's order.
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// The folder that all entries are in, with a `/` after it; empty where there is none.
    top: String,
    content: Content,
}

/// A file in an archive.
#[derive(Debug)]
struct Entry {
    name: String,
    bytes: u64,
    /// First byte in a tar, or number in a zip.
    at: u64,
}

/// One reader for all threads: decoding an image takes many times as long as reading it.
#[derive(Debug)]
enum Content {
    Tar(Mutex<File>),
    Zip(Mutex<ZipArchive<File>>),
}

impl Archive {
    /// Lists an archive, told by its content: tar, tar.gz or zip.
    ///
    /// A compressed tar is expanded once, to a file without a name, which goes with this value: beside it, or
    /// where the system has temporary files if that folder cannot be written.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is none of these or damaged, an entry is a link or has a name that would
    /// leave the folder that it is extracted to, or its files have more bytes than [`most_bytes`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut file = open_regular(path)?;
        let mut head = [0; 512];
        let found = read_up_to(&mut file, &mut head).map_err(|source| unreadable(path, source))?;
        file.rewind().map_err(|source| unreadable(path, source))?;
        let head = &head[..found];
        let (entries, content) = if head.starts_with(b"PK") {
            list_zip(path, file)?
        } else if head.starts_with(&[0x1f, 0x8b]) {
            list_tar(path, expand(path, file)?)?
        } else if head.get(257..262) == Some(b"ustar") {
            list_tar(path, file)?
        } else {
            return Err(damaged(path, "it is neither a tar, a tar.gz nor a zip"));
        };
        let names = entries.iter().enumerate();
        let by_name = names.map(|(index, entry)| (entry.name.clone(), index));
        Ok(Self {
            path: path.to_owned(),
            by_name: by_name.collect(),
            top: common_folder(&entries),
            entries,
            content,
        })
    }

    /// The archive's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The entry of a name, with or without the folder that all entries are in.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let below = || self.by_name.get(&format!("{}{name}", self.top));
        self.by_name.get(name).or_else(below).copied()
    }

    /// The entries, and their names below the folder that all entries are in.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let entries = self.entries.iter().enumerate();
        entries.map(|(index, entry)| (index, &entry.name[self.top.len()..]))
    }

    /// What to call an entry in a message.
    pub(crate) fn path_of(&self, entry: usize) -> PathBuf {
        self.path.join(&self.entries[entry].name)
    }

    /// The bytes of an entry.
    pub(crate) fn read(&self, entry: usize) -> Result<Vec<u8>> {
        let bytes = self.entries[entry].bytes;
        if bytes > MAX_FILE_BYTES {
            return Err(Error::FileTooLarge {
                path: self.path_of(entry),
                limit: MAX_FILE_BYTES,
            });
        }
        let mut content = Vec::with_capacity(bytes as usize);
        self.copy(entry, &mut content)?;
        Ok(content)
    }

    /// Writes an entry's bytes.
    fn copy(&self, entry: usize, out: &mut dyn Write) -> Result<()> {
        let Entry { bytes, at, .. } = self.entries[entry];
        // One byte more than there should be is enough to know.
        let copied = match &self.content {
            Content::Tar(file) => {
                let mut file = lock(file);
                file.seek(SeekFrom::Start(at))
                    .and_then(|_| io::copy(&mut (&mut *file).take(bytes), out))
            }
            Content::Zip(zip) => {
                let mut zip = lock(zip);
                let file = zip.by_index(at as usize).map_err(io::Error::other);
                file.and_then(|file| io::copy(&mut file.take(bytes + 1), out))
            }
        };
        let copied = copied.map_err(|source| unreadable(&self.path_of(entry), source))?;
        match copied == bytes {
            true => Ok(()),
            false => Err(damaged(
                &self.path_of(entry),
                format!("it should have {bytes} bytes and has others"),
            )),
        }
    }

    /// Writes into a folder what is directly in the archive and not in the folder yet: each whole, or not at
    /// all. Returns what was made.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, an entry is damaged, or the observer asks to stop.
    pub(crate) fn extract(
        &self,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Vec<PathBuf>> {
        let is_there = |top: &str| folder.join(top).symlink_metadata().is_ok();
        let tops: BTreeSet<&str> = self.entries.iter().map(|it| first_part(&it.name)).collect();
        let tops: BTreeSet<&str> = tops.into_iter().filter(|top| !is_there(top)).collect();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = folder.join(format!(".neuroinspect-unfinished-{name}"));
        match fs::remove_dir_all(&unfinished) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(&unfinished, source));
            }
            _ => {}
        }
        let extracted = (|| {
            let missing = self.entries.iter().enumerate();
            let missing = missing.filter(|(_, entry)| tops.contains(first_part(&entry.name)));
            let missing: Vec<_> = missing.collect();
            for (done, &(index, entry)) in missing.iter().enumerate() {
                self.write(index, &unfinished.join(&entry.name))?;
                observer.proceed(Progress {
                    stage: "extracting",
                    done: done + 1,
                    total: missing.len(),
                })?;
            }
            let moved = tops.iter().map(|top| {
                let path = folder.join(top);
                let renamed = fs::rename(unfinished.join(top), &path);
                renamed.map_err(|source| unwritable(&path, source))?;
                Ok(path)
            });
            moved.collect()
        })();
        // What went wrong is to be told, not that half a folder cannot be removed.
        let _ = fs::remove_dir_all(&unfinished);
        extracted
    }

    /// Writes an entry to a file that is not there yet.
    fn write(&self, entry: usize, path: &Path) -> Result<()> {
        let created = path.parent().map_or(Ok(()), fs::create_dir_all);
        let file = created.and_then(|()| File::create_new(path));
        let mut out = BufWriter::new(file.map_err(|source| unwritable(path, source))?);
        self.copy(entry, &mut out)?;
        out.flush().map_err(|source| unwritable(path, source))
    }
}

/// The most bytes that an archive of so many may expand to; images are compressed already, and lists
/// compress twenty times at best.
fn most_bytes(compressed: u64) -> u64 {
    compressed.saturating_mul(100).max(64 << 20)
}

/// The first part of a path.
fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The one folder that all entries are in, with a `/` after it, or nothing.
fn common_folder(entries: &[Entry]) -> String {
    let Some(first) = entries.first() else {
        return String::new();
    };
    let folder = format!("{}/", first_part(&first.name));
    match entries.iter().all(|entry| entry.name.starts_with(&folder)) {
        true => folder,
        false => String::new(),
    }
}

/// The name of an entry without `./` before it, where it stays in the folder that it is extracted to.
fn plain_name(path: &Path, name: &str) -> Result<String> {
    let plain = name.trim_start_matches("./");
    let stays = !plain.is_empty()
        && !plain.contains(['\\', '\0', ':'])
        && Path::new(plain)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    match stays {
        true => Ok(plain.to_owned()),
        false => Err(damaged(
            path,
            format!("its entry {name:?} would leave the folder that it is extracted to"),
        )),
    }
}

fn list_tar(path: &Path, mut file: File) -> Result<(Vec<Entry>, Content)> {
    let failed = |source| unreadable(path, source);
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let mut archive = tar::Archive::new(BufReader::new(&file));
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            kind => {
                return Err(damaged(
                    path,
                    format!("its entry {name:?} is no file but {kind:?}, which is not extracted"),
                ));
            }
        }
        let (bytes, at) = (entry.size(), entry.raw_file_position());
        if at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(damaged(path, format!("it is truncated within {name:?}")));
        }
        entries.push(Entry {
            name: plain_name(path, &name)?,
            bytes,
            at,
        });
    }
    drop(archive);
    Ok((entries, Content::Tar(Mutex::new(file))))
}

/// A gzip file's content, in a file without a name.
fn expand(path: &Path, file: File) -> Result<File> {
    let failed = |source| unreadable(path, source);
    let limit = most_bytes(file.metadata().map_err(failed)?.len());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Beside the archive, where there is room for what it holds: the system's place may be memory.
    let mut expanded = tempfile::tempfile_in(folder)
        .or_else(|_| tempfile::tempfile())
        .map_err(|source| unwritable(&folder.join("(expanded archive)"), source))?;
    let mut content = MultiGzDecoder::new(BufReader::new(file)).take(limit + 1);
    let copied = io::copy(&mut content, &mut expanded).map_err(failed)?;
    if copied > limit {
        return Err(too_many(path, limit));
    }
    expanded.rewind().map_err(failed)?;
    Ok(expanded)
}

fn list_zip(path: &Path, file: File) -> Result<(Vec<Entry>, Content)> {
    let failed = |source: zip::result::ZipError| unreadable(path, io::Error::other(source));
    let limit = most_bytes(
        file.metadata()
            .map_err(|source| unreadable(path, source))?
            .len(),
    );
    let zip = ZipArchive::new(file).map_err(failed)?;
    let mut entries = Vec::new();
    let mut total = 0_u64;
    for at in 0..zip.len() {
        let entry = zip.by_index_data(at).map_err(failed)?;
        let name = entry.name().map_err(failed)?.into_owned();
        if entry.is_dir() {
            continue;
        }
        if entry.is_symlink() {
            return Err(damaged(
                path,
                format!("its entry {name:?} is a link, which is not extracted"),
            ));
        }
        total = total.saturating_add(entry.size());
        if total > limit {
            return Err(too_many(path, limit));
        }
        entries.push(Entry {
            name: plain_name(path, &name)?,
            bytes: entry.size(),
            at: at as u64,
        });
    }
    Ok((entries, Content::Zip(Mutex::new(zip))))
}

fn too_many(path: &Path, limit: u64) -> Error {
    damaged(
        path,
        format!(
            "it expands to more than {limit} bytes, which no archive of images of its size does"
        ),
    )
}

/// Reads until the buffer is full or the file ends; how many bytes.
fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while found < buffer.len() {
        match file.read(&mut buffer[found..])? {
            0 => break,
            more => found += more,
        }
    }
    Ok(found)
}

/// A panic while it was held leaves a reader as it was: every reading begins with a seek.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    CoreError::Read { path, source }.into()
}

fn unwritable(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    CoreError::Write { path, source }.into()
}

fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    CoreError::Format {
        path: path.to_owned(),
        expected: EXPECTED,
        reason: reason.into(),
    }
    .into()
}
