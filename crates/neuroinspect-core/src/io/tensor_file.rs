//! Reading safetensors files: those that neuroinspect writes, and those made elsewhere.

use std::{
    cmp::Ordering,
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use safetensors::{Dtype, tensor::Metadata};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::open_regular;
use crate::{
    Error, MemoryLimit, Result,
    table::{RowFile, Stamp},
};

/// Longest header that readers of safetensors accept, in bytes.
pub(super) const LONGEST_HEADER: usize = 100_000_000;

/// A kind of file that neuroinspect writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorFormat {
    /// Its name, e.g. `neuroinspect.edit`.
    pub name: &'static str,
    /// The version that is written and read.
    pub version: u64,
    /// What such a file is, for messages: "an edit written by neuroinspect".
    pub expected: &'static str,
}

impl TensorFormat {
    /// The metadata key under which a file says what it is.
    pub const KEY: &'static str = "neuroinspect";
}

/// A safetensors file: a description in JSON, and tensors by their names.
///
/// Those of neuroinspect's formats are written by [`write_tensors`](super::write_tensors). Every error
/// names the file. Tensors are read out of it when they are asked for.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    expected: &'static str,
    description: Map<String, Value>,
    header: Metadata,
    file: Arc<Mutex<File>>,
    /// What it was when it was opened.
    stamp: Stamp,
    /// Where the first tensor begins.
    start: u64,
}

/// Why a file could not be read.
enum Failure {
    Read(io::Error),
    Core(Error),
    Format(String),
}

impl TensorFile {
    /// Opens a safetensors file, whoever wrote it, and reads its header. Each text in its metadata is
    /// a part of the description: the JSON that it is, or else the text. `expected` says for messages
    /// what the file should be.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]; [`Error::Format`] when it is no such file, truncated, or longer than its
    /// header says.
    pub fn open(path: impl AsRef<Path>, expected: &'static str) -> Result<Self> {
        let path = path.as_ref().to_owned();
        match parts(&path) {
            Ok(Parts {
                header,
                file,
                stamp,
                start,
            }) => Ok(Self {
                description: description(header.metadata().as_ref()),
                path,
                expected,
                header,
                file: Arc::new(Mutex::new(file)),
                stamp,
                start,
            }),
            Err(Failure::Read(source)) => Err(Error::Read { path, source }),
            Err(Failure::Core(error)) => Err(error),
            Err(Failure::Format(reason)) => Err(Error::Format {
                path,
                expected,
                reason,
            }),
        }
    }

    /// Opens a file of the given format, and reads its header.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::Format`] when it is of another format or version.
    pub fn read(path: impl AsRef<Path>, format: &TensorFormat) -> Result<Self> {
        Self::open(path, format.expected)?.of_format(format)
    }

    /// The file as one of the given format: its description is what it says of itself there.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when it is of another format or version.
    pub fn of_format(mut self, format: &TensorFormat) -> Result<Self> {
        let TensorFormat { name, version, .. } = *format;
        let refuse = |reason: String| Err(self.refuse(reason));
        let foreign = format!("its metadata does not say format = {name}");
        let description = match self.description.get(TensorFormat::KEY) {
            Some(Value::Object(description)) => description.clone(),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(description) => description,
                Err(error) => {
                    return refuse(format!("'{}' in its metadata: {error}", TensorFormat::KEY));
                }
            },
            _ => return refuse(foreign),
        };
        if description.get("format").and_then(Value::as_str) != Some(name) {
            return refuse(foreign);
        }
        match description.get("version").and_then(Value::as_u64) {
            Some(found) if found == version => {}
            Some(found) => {
                return refuse(format!(
                    "it is of version {found} of {name}, this program reads version {version}"
                ));
            }
            None => {
                return refuse(format!("its metadata does not say which version of {name}"));
            }
        }
        self.description = description;
        Ok(self)
    }

    /// The [`Error::Format`] that says what else is wrong with the file.
    pub fn refuse(&self, reason: impl ToString) -> Error {
        Error::Format {
            path: self.path.clone(),
            expected: self.expected,
            reason: reason.to_string(),
        }
    }

    /// What is wrong with what the file holds as what is wrong with the file.
    pub(crate) fn blame(&self, error: Error) -> Error {
        match error {
            already @ (Error::Format { .. } | Error::Read { .. } | Error::Changed { .. }) => {
                already
            }
            error => self.refuse(error),
        }
    }

    /// Whether the description has a part of that name.
    pub fn has(&self, key: &str) -> bool {
        self.description.contains_key(key)
    }

    /// A text of the file's metadata, as it stands there.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let texts = self.header.metadata().as_ref()?;
        texts.get(key).map(String::as_str)
    }

    /// The names of all tensors, in order.
    pub(crate) fn tensor_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.tensors().into_keys().collect();
        names.sort_unstable();
        names
    }

    /// Whether there is a tensor of that name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// A part of the description.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such part, or it is something else.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let part = self.description.get(key);
        let part = part.ok_or_else(|| self.refuse(format!("its metadata has no {key}")))?;
        T::deserialize(part).map_err(|error| self.refuse(format!("{key} in its metadata: {error}")))
    }

    /// The length of each axis of a tensor.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        let info = self.header.info(name);
        let info = info.ok_or_else(|| self.refuse(format!("it has no tensor '{name}'")))?;
        Ok(&info.shape)
    }

    /// The values of a tensor of 32-bit floats in row-major order, finite or not.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such tensor, or it has another shape or number format.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.values(name, Dtype::F32, shape, f32::from_le_bytes)
    }

    /// The values of a tensor of one axis of 64-bit integers, none of them negative.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such tensor, it has several axes or another number
    /// format, or a value is negative.
    pub fn indices(&self, name: &str) -> Result<Vec<usize>> {
        let count = self.shape(name)?.iter().product();
        let values = self.values(name, Dtype::I64, &[count], i64::from_le_bytes)?;
        let index = |value: i64| {
            usize::try_from(value)
                .map_err(|_| self.refuse(format!("'{name}' holds {value}, which is negative")))
        };
        values.into_iter().map(index).collect()
    }

    /// The rows of a tensor of 32-bit floats with two axes, which stay in the file.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such tensor, or it has another shape or number format.
    pub(crate) fn rows(
        &self,
        name: &str,
        [rows, width]: [usize; 2],
        limit: MemoryLimit,
    ) -> Result<RowFile> {
        let (begin, _) = self.offsets(name, Dtype::F32, &[rows, width])?;
        Ok(RowFile {
            path: self.path.clone(),
            expected: self.expected,
            file: Arc::clone(&self.file),
            start: self.start + begin as u64,
            rows,
            width,
            stamp: self.stamp.clone(),
            limit,
        })
    }

    /// Where the bytes of a tensor begin and end, counted from the first tensor.
    fn offsets(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<(usize, usize)> {
        let found = self.shape(name)?;
        let info = self.header.info(name);
        let (offsets, found_dtype) =
            info.map_or(((0, 0), dtype), |info| (info.data_offsets, info.dtype));
        match found_dtype == dtype && found == shape {
            true => Ok(offsets),
            false => Err(self.refuse(format!(
                "'{name}' is {found_dtype:?} {found:?}, expected {dtype:?} {shape:?}"
            ))),
        }
    }

    fn values<T, const B: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
        value: fn([u8; B]) -> T,
    ) -> Result<Vec<T>> {
        let offsets = self.offsets(name, dtype, shape)?;
        match self.between(offsets, value) {
            Ok(values) => Ok(values),
            Err(source) => Err(Error::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// The values in the bytes from `begin` to `end`, counted from the first tensor. There is never
    /// more than a few of the bytes in memory beside the values.
    fn between<T, const B: usize>(
        &self,
        (begin, end): (usize, usize),
        value: fn([u8; B]) -> T,
    ) -> io::Result<Vec<T>> {
        const VALUES_AT_ONCE: usize = 1 << 13;
        let count = end.saturating_sub(begin) / B;
        let mut values = Vec::new();
        values.try_reserve_exact(count)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + begin as u64))?;
        let mut bytes = vec![0; VALUES_AT_ONCE * B];
        while values.len() < count {
            let bytes = &mut bytes[..VALUES_AT_ONCE.min(count - values.len()) * B];
            file.read_exact(bytes)?;
            values.extend(bytes.as_chunks().0.iter().copied().map(value));
        }
        Ok(values)
    }
}

/// An opened file.
struct Parts {
    header: Metadata,
    file: File,
    stamp: Stamp,
    start: u64,
}

fn parts(path: &Path) -> Result<Parts, Failure> {
    let mut file = open_regular(path).map_err(Failure::Core)?;
    let stamp = Stamp::of(&file)?;
    let mut length = Vec::new();
    (&mut file).take(8).read_to_end(&mut length)?;
    let length = <[u8; 8]>::try_from(length).map_err(|_| truncated())?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER as u64 {
        // A length may begin with the byte of a brace, too: the text of JSON is a far larger number.
        return Err(Failure::Format(match length.to_le_bytes()[0] {
            b'{' => "it begins as JSON does, and is no safetensors file".to_owned(),
            _ => format!("it is no safetensors file: its header would be {length} bytes long"),
        }));
    }
    let mut header = Vec::new();
    (&mut file).take(length).read_to_end(&mut header)?;
    if header.len() as u64 != length {
        return Err(truncated());
    }
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| {
        Failure::Format(format!("its header is no safetensors header: {error}"))
    })?;
    // The length of tensors is the header's word: nothing is reserved before it is found to be true.
    let start = 8 + length;
    let found = file.metadata()?.len().saturating_sub(start);
    match found.cmp(&(header.data_len() as u64)) {
        Ordering::Less => Err(truncated()),
        Ordering::Greater => Err(Failure::Format("it is longer than its header says".into())),
        Ordering::Equal => Ok(Parts {
            header,
            file,
            stamp,
            start,
        }),
    }
}

/// The texts of a file's metadata, each as the JSON that it is, or else as the text.
fn description(texts: Option<&HashMap<String, String>>) -> Map<String, Value> {
    let texts = texts.into_iter().flatten();
    let read = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| text.clone().into());
    texts.map(|(key, text)| (key.clone(), read(text))).collect()
}

fn truncated() -> Failure {
    Failure::Format("it is truncated".to_owned())
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
