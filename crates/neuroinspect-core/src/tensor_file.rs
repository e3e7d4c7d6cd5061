//! Reading the safetensors files that neuroinspect writes.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::Metadata};
use serde::de::DeserializeOwned;

use crate::{Error, Result, tensors::LONGEST_HEADER};

/// A safetensors file of one of neuroinspect's formats: texts and tensors by their names.
///
/// Written by [`write_safetensors`](crate::write_safetensors) with a text `format` that names the
/// format and its version. Every error names the file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    expected: &'static str,
    texts: HashMap<String, String>,
    header: Metadata,
    data: Vec<u8>,
}

/// Why a file could not be read.
enum Failure {
    Read(io::Error),
    Format(String),
}

impl TensorFile {
    /// Reads a file whose text `format` is `format`. Of any other file no more is read than its
    /// header. `expected` says in errors what the file should be, e.g. "an edit".
    ///
    /// # Errors
    ///
    /// [`Error::Read`]; [`Error::Format`] when it is of another format, truncated, or longer than
    /// its header says.
    pub fn read(path: impl AsRef<Path>, format: &str, expected: &'static str) -> Result<Self> {
        let path = path.as_ref().to_owned();
        match parts(&path, format) {
            Ok((texts, header, data)) => Ok(Self {
                path,
                expected,
                texts,
                header,
                data,
            }),
            Err(Failure::Read(source)) => Err(Error::Read { path, source }),
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

    /// Whether there is a text of that name.
    pub fn has_text(&self, key: &str) -> bool {
        self.texts.contains_key(key)
    }

    /// Whether there is a tensor of that name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }

    /// What a text says in JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when there is no such text, or it says something else.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let text = self.texts.get(key);
        let text = text.ok_or_else(|| self.refuse(format!("its metadata has no {key}")))?;
        serde_json::from_str(text)
            .map_err(|error| self.refuse(format!("{key} in its metadata: {error}")))
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

type Parts = (HashMap<String, String>, Metadata, Vec<u8>);

fn parts(path: &Path, format: &str) -> Result<Parts, Failure> {
    let mut file = File::open(path)?;
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
    if texts.get("format").map(String::as_str) != Some(format) {
        let reason = format!("its metadata does not say format = {format}");
        return Err(Failure::Format(reason));
    }
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
    Ok((texts, header, data))
}

fn truncated() -> Failure {
    Failure::Format("it is truncated".to_owned())
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
