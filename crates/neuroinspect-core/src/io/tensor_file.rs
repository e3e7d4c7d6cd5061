//! Reading the safetensors files that neuroinspect writes.

use std::{
    collections::HashMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::Metadata};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::open_regular;
use crate::{Error, Result};

/// Longest header that readers of safetensors accept, in bytes.
pub(crate) const LONGEST_HEADER: usize = 100_000_000;

/// A kind of file that neuroinspect writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorFormat {
    /// Its name, e.g. `neuroinspect.edit`.
    pub name: &'static str,
    /// The version that is written. Earlier ones are read.
    pub version: u64,
    /// What such a file is, for messages: "an edit written by neuroinspect".
    pub expected: &'static str,
}

impl TensorFormat {
    /// The metadata key under which a file says what it is.
    pub const KEY: &'static str = "neuroinspect";
}

/// A safetensors file of one of neuroinspect's formats: a description in JSON, and tensors by their
/// names.
///
/// Written by [`write_tensors`](super::write_tensors). Files of version 1 of any format, which had a
/// metadata key for each part of the description, are read too. Every error names the file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    expected: &'static str,
    description: Map<String, Value>,
    header: Metadata,
    data: Vec<u8>,
}

/// Why a file could not be read.
enum Failure {
    Read(io::Error),
    Core(Error),
    Format(String),
}

impl TensorFile {
    /// Reads a file of the given format. Of any other file no more is read than its header.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]; [`Error::Format`] when it is of another format or of a later version,
    /// truncated, or longer than its header says.
    pub fn read(path: impl AsRef<Path>, format: &TensorFormat) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let expected = format.expected;
        match parts(&path, format) {
            Ok((description, header, data)) => Ok(Self {
                path,
                expected,
                description,
                header,
                data,
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

    /// The [`Error::Format`] that says what else is wrong with the file.
    pub fn refuse(&self, reason: impl ToString) -> Error {
        Error::Format {
            path: self.path.clone(),
            expected: self.expected,
            reason: reason.to_string(),
        }
    }

    /// Whether the description has a part of that name.
    pub fn has(&self, key: &str) -> bool {
        self.description.contains_key(key)
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

    fn values<T, const B: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
        value: fn([u8; B]) -> T,
    ) -> Result<Vec<T>> {
        let found = self.shape(name)?;
        let (data, found_dtype) = match self.header.info(name) {
            Some(info) => (
                self.data.get(info.data_offsets.0..info.data_offsets.1),
                info.dtype,
            ),
            None => (None, dtype),
        };
        if found_dtype != dtype || found != shape {
            return Err(self.refuse(format!(
                "'{name}' is {found_dtype:?} {found:?}, expected {dtype:?} {shape:?}"
            )));
        }
        let data = data.ok_or_else(|| self.refuse("it is truncated"))?;
        Ok(data.as_chunks().0.iter().copied().map(value).collect())
    }
}

type Parts = (Map<String, Value>, Metadata, Vec<u8>);

fn parts(path: &Path, format: &TensorFormat) -> Result<Parts, Failure> {
    let mut file = open_regular(path).map_err(Failure::Core)?;
    let mut length = Vec::new();
    (&mut file).take(8).read_to_end(&mut length)?;
    let length = <[u8; 8]>::try_from(length).map_err(|_| truncated())?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER as u64 {
        return Err(Failure::Format(format!(
            "it is no safetensors file: its header would be {length} bytes long"
        )));
    }
    let mut header = Vec::new();
    (&mut file).take(length).read_to_end(&mut header)?;
    if header.len() as u64 != length {
        return Err(truncated());
    }
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| {
        Failure::Format(format!("its header is no safetensors header: {error}"))
    })?;
    let texts = header.metadata().clone();
    let texts = texts.ok_or_else(|| Failure::Format("it has no metadata".into()))?;
    let description = description(texts, format).map_err(Failure::Format)?;
    // One byte more shows a file that goes on; the length is the header's word, and not reserved.
    let expected = header.data_len();
    let mut data = Vec::new();
    file.take((expected as u64).saturating_add(1))
        .read_to_end(&mut data)?;
    if data.len() < expected {
        return Err(truncated());
    }
    if data.len() > expected {
        return Err(Failure::Format("it is longer than its header says".into()));
    }
    Ok((description, header, data))
}

/// What a file says of itself, if it is of the format.
fn description(
    texts: HashMap<String, String>,
    format: &TensorFormat,
) -> Result<Map<String, Value>, String> {
    let TensorFormat { name, version, .. } = *format;
    let Some(text) = texts.get(TensorFormat::KEY) else {
        return first_description(texts, name);
    };
    let description: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("'{}' in its metadata: {error}", TensorFormat::KEY))?;
    if description.get("format").and_then(Value::as_str) != Some(name) {
        return Err(format!("its metadata does not say format = {name}"));
    }
    let found = description.get("version").and_then(Value::as_u64);
    match found {
        Some(found) if (2..=version).contains(&found) => Ok(description),
        Some(found) if found > version => Err(format!(
            "it is of version {found} of {name}, this program reads 1 to {version}; use a newer one"
        )),
        // Version 1 had a metadata key for each part, and there was none before it.
        Some(found) => Err(format!(
            "it claims to be of version {found} of {name} but is not laid out like that; write it \
             again"
        )),
        None => Err(format!("its metadata does not say which version of {name}")),
    }
}

/// The description of a file of version 1: a text for each part, each in JSON.
fn first_description(
    texts: HashMap<String, String>,
    name: &str,
) -> Result<Map<String, Value>, String> {
    let format = format!("{name}.v1");
    if texts.get("format") != Some(&format) {
        return Err(format!("its metadata does not say format = {name}"));
    }
    let parts = texts.into_iter().filter(|(key, _)| key != "format");
    parts
        .map(|(key, text)| match serde_json::from_str(&text) {
            Ok(part) => Ok((key, part)),
            Err(error) => Err(format!("{key} in its metadata: {error}")),
        })
        .collect()
}

fn truncated() -> Failure {
    Failure::Format("it is truncated".to_owned())
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
