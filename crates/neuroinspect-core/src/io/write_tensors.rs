//! Safetensors files that are the same, byte for byte, whenever their content is.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io::{self, Write},
    path::Path,
};

use burn::tensor::DType;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{TensorFormat, tensor_file::LONGEST_HEADER, write_atomically};
use crate::{ActivationTable, Error, Result};

/// The name of a header's entry that is no tensor.
const METADATA: &str = "__metadata__";

/// A tensor as it goes into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    content: Content<'a>,
}

/// What a tensor holds, in row-major order.
#[derive(Clone, Debug, PartialEq)]
enum Content<'a> {
    /// Little-endian.
    Bytes(Cow<'a, [u8]>),
    /// The values of a table, which may be larger than memory.
    Table(&'a ActivationTable),
}

impl Content<'_> {
    /// Number of bytes.
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Table(table) => table.len() * table.width() * size_of::<f32>(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => out.write_all(bytes),
            Self::Table(table) => table.chunks().try_for_each(|chunk| {
                let chunk = chunk.map_err(io::Error::other)?;
                match chunk.as_slice() {
                    Some(values) if cfg!(target_endian = "little") => {
                        out.write_all(bytemuck::cast_slice(values))
                    }
                    _ => (chunk.iter()).try_for_each(|it| out.write_all(&it.to_le_bytes())),
                }
            }),
        }
    }
}

impl<'a> NamedTensor<'a> {
    /// A tensor of values that are bytes already: in row-major order, little-endian, a boolean one
    /// byte.
    ///
    /// # Errors
    ///
    /// [`Error::NumberFormat`] for one that safetensors do not have: Burn's quantized ones.
    /// Whether there are as many bytes as the shape says is looked at when they are
    /// [written](write_safetensors).
    pub fn new(
        name: impl Into<String>,
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self> {
        let name = name.into();
        let dtype = match dtype {
            DType::F64 => Dtype::F64,
            DType::F32 | DType::Flex32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            DType::I16 => Dtype::I16,
            DType::I8 => Dtype::I8,
            DType::U64 => Dtype::U64,
            DType::U32 => Dtype::U32,
            DType::U16 => Dtype::U16,
            DType::U8 => Dtype::U8,
            DType::Bool(_) => Dtype::BOOL,
            other => {
                return Err(Error::NumberFormat {
                    tensor: name,
                    found: format!("{other:?}"),
                });
            }
        };
        let shape = shape.into();
        Ok(Self {
            name,
            dtype,
            shape,
            content: Content::Bytes(bytes.into()),
        })
    }

    /// The activations `[N, D]` of a table, of which no more than a part is copied: a table may fill half of the memory,
    /// or be larger than it.
    pub(crate) fn table(name: impl Into<String>, table: &'a ActivationTable) -> Self {
        Self {
            name: name.into(),
            dtype: Dtype::F32,
            shape: vec![table.len(), table.width()],
            content: Content::Table(table),
        }
    }

    /// A tensor of 32-bit floats in row-major order.
    pub fn f32(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: impl IntoIterator<Item = f32>,
    ) -> Self {
        Self {
            name: name.into(),
            dtype: Dtype::F32,
            shape: shape.into(),
            content: Content::Bytes(values.into_iter().flat_map(f32::to_le_bytes).collect()),
        }
    }

    /// A tensor of one axis of indices, as 64-bit integers.
    pub fn indices(name: impl Into<String>, values: impl IntoIterator<Item = usize>) -> Self {
        let values = values.into_iter().map(|value| value as i64);
        let bytes: Vec<u8> = values.flat_map(i64::to_le_bytes).collect();
        Self {
            name: name.into(),
            dtype: Dtype::I64,
            shape: vec![bytes.len() / size_of::<i64>()],
            content: Content::Bytes(bytes.into()),
        }
    }

    /// Bytes that the shape and the number format ask for; none when they are beyond counting.
    fn length(&self) -> Option<usize> {
        let bits = self.dtype.bitsize();
        let bits = self.shape.iter().try_fold(bits, |a, &b| a.checked_mul(b));
        bits.map(|bits| bits / 8)
    }
}

/// Writes tensors as a file of one of neuroinspect's formats, whole or not at all: `description`, a
/// JSON object, stands with the format's name and version in the file's metadata.
///
/// # Errors
///
/// As [`write_safetensors`], and [`Error::Write`] when `description` is no JSON object or has a
/// `format` or a `version` of its own.
pub fn write_tensors(
    path: impl AsRef<Path>,
    format: &TensorFormat,
    tensors: &[NamedTensor<'_>],
    description: &impl Serialize,
) -> Result<()> {
    let path = path.as_ref();
    let refuse = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let Value::Object(description) =
        serde_json::to_value(description).map_err(|error| refuse(error.into()))?
    else {
        return Err(refuse(io::Error::other(
            "its description is no JSON object",
        )));
    };
    let mut all = Map::from_iter([
        ("format".to_owned(), format.name.into()),
        ("version".to_owned(), format.version.into()),
    ]);
    if let Some(key) = all.keys().find(|&key| description.contains_key(key)) {
        let reason = format!("its description has a '{key}' of its own; rename it");
        return Err(refuse(io::Error::other(reason)));
    }
    all.extend(description);
    let text = Value::Object(all).to_string();
    write_safetensors(path, tensors, Some((TensorFormat::KEY, &text)))
}

/// Writes tensors, and a text under one metadata key beside them, as a safetensors file, whole or
/// not at all.
///
/// There is one key because a header's texts are a hash map, whose order is random: so, equal content
/// makes equal bytes.
///
/// # Errors
///
/// [`Error::Write`], naming the tensor, when one does not have as many bytes as its shape and type
/// say, or its name is that of another or the format's own `__metadata__`; when the names and texts
/// are too long for a header, or the file cannot be written. What stood at `path` before is then
/// untouched.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor<'_>],
    metadata: Option<(&str, &str)>,
) -> Result<()> {
    // Not by the `safetensors` crate, which writes through a file of its own: a kill would leave it
    // under a name that nobody knows.
    write_atomically(path, |out| {
        check(tensors)?;
        // By alignment, as the format asks for.
        let mut tensors: Vec<_> = tensors.iter().collect();
        tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
        let header = header(&tensors, metadata)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors
            .iter()
            .try_for_each(|tensor| tensor.content.write(out))
    })
}

/// The header in JSON, filled up with spaces so that the tensors behind it are aligned.
fn header(tensors: &[&NamedTensor<'_>], metadata: Option<(&str, &str)>) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.content.len();
        let info = TensorInfo {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        (tensor.name.clone(), info)
    });
    let texts = metadata.map(|(key, text)| HashMap::from([(key.to_owned(), text.to_owned())]));
    let header = Metadata::new(texts, infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    match header.len() <= LONGEST_HEADER {
        true => Ok(header),
        false => Err(io::Error::other(
            "its names and texts are too long for a header",
        )),
    }
}

/// Refuses what nobody could read.
fn check(tensors: &[NamedTensor<'_>]) -> io::Result<()> {
    let mut names = HashSet::new();
    for tensor in tensors {
        let refuse = |reason: &str| {
            let name = &tensor.name;
            Err(io::Error::other(format!("tensor '{name}' {reason}")))
        };
        if tensor.name == METADATA {
            return refuse("bears the name of the texts beside the tensors; rename it");
        }
        if !names.insert(&tensor.name) {
            return refuse("is there twice; name each tensor differently");
        }
        let found = tensor.content.len();
        if tensor.length() != Some(found) {
            let (dtype, shape) = (tensor.dtype, &tensor.shape);
            return refuse(&format!(
                "has {found} bytes, which is not {dtype:?} {shape:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;
    use crate::io::TensorFile;

    fn tensors() -> Vec<NamedTensor<'static>> {
        vec![
            NamedTensor::f32("b", [2, 1], [0.5, -2.0]),
            NamedTensor::indices("a", [7, 8, 9]),
        ]
    }

    fn written(tensors: &[NamedTensor<'_>], metadata: Option<(&str, &str)>) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.safetensors");
        write_safetensors(&path, tensors, metadata)?;
        Ok(std::fs::read(path).unwrap())
    }

    #[test]
    fn equal_content_makes_equal_bytes() {
        let text = "\"quoted\" \u{1f980}\n".repeat(20);
        let metadata = Some(("key", &*text));
        let first = written(&tensors(), metadata).unwrap();
        for _ in 0..20 {
            assert_eq!(written(&tensors(), metadata).unwrap(), first);
        }
        let (_, contents) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(contents.metadata().clone().unwrap()["key"], text);
        let file = SafeTensors::deserialize(&first).unwrap();
        assert_eq!(file.tensor("b").unwrap().shape(), [2, 1]);
        assert_eq!(
            file.tensor("b").unwrap().data()[4..],
            (-2.0f32).to_le_bytes()
        );
        assert_eq!(file.tensor("a").unwrap().data()[16..], 9i64.to_le_bytes());
    }

    #[test]
    fn tables_are_written_as_their_values_are() {
        let values = vec![0.5, -0.0, f32::MIN_POSITIVE, 1e30];
        let table = ndarray::Array2::from_shape_vec((2, 2), values.clone()).unwrap();
        let table = ActivationTable::new(table, crate::Provenance::new("toy", None)).unwrap();
        let [of_table, of_values] = [
            NamedTensor::table("a", &table),
            NamedTensor::f32("a", [2, 2], values),
        ]
        .map(|tensor| written(&[tensor], None).unwrap());
        assert_eq!(of_table, of_values);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.safetensors");
        let names = || -> Vec<String> {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        write_safetensors(&path, &tensors(), None).unwrap();
        assert_eq!(names(), ["file.safetensors"]);
        let long = "x".repeat(LONGEST_HEADER);
        assert!(write_safetensors(&path, &tensors(), Some(("key", &long))).is_err());
        assert_eq!(names(), ["file.safetensors"]);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            written(&tensors(), None).unwrap()
        );
    }

    #[test]
    fn either_part_may_be_empty() {
        for (tensors, metadata) in [
            (tensors(), None),
            (vec![], Some(("key", "text"))),
            (vec![], None),
        ] {
            let bytes = written(&tensors, metadata).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(file.len(), tensors.len());
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            let found = header.metadata().clone().unwrap_or_default();
            assert_eq!(
                found.get("key").map(String::as_str),
                metadata.map(|it| it.1)
            );
        }
    }

    #[test]
    fn a_description_cannot_pass_for_another_format() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let format = TensorFormat {
            name: "test",
            version: 2,
            expected: "a test",
        };
        for key in ["format", "version"] {
            let description = serde_json::json!({ key: "another" });
            let error = write_tensors(path.path(), &format, &[], &description).unwrap_err();
            let Error::Write { source, .. } = error else {
                panic!("{error:?}")
            };
            let reason = format!("its description has a '{key}' of its own; rename it");
            assert_eq!(source.to_string(), reason);
        }
    }

    /// The length of a header may begin with the number of a brace, and JSON is no header.
    #[test]
    fn a_header_of_any_length_is_read_and_json_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        for length in [123, 379, 380] {
            let header = format!("{header:length$}");
            let mut bytes = (length as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 4]);
            std::fs::write(&file, bytes).unwrap();
            TensorFile::open(&file, "a test").unwrap();
        }
        std::fs::write(&file, "{\n  \"schema\": \"neuroinspect.edit\"\n}").unwrap();
        let error = TensorFile::open(&file, "a test").unwrap_err().to_string();
        assert!(error.contains("it begins as JSON does"), "{error}");
    }

    #[test]
    fn tensors_that_make_no_file_are_refused_by_name() {
        let float = |name: &str, shape: &[usize]| NamedTensor::f32(name, shape, [1.0]);
        for (tensors, reason) in [
            (
                vec![float("a", &[3])],
                "tensor 'a' has 4 bytes, which is not F32 [3]",
            ),
            (
                vec![float("a", &[usize::MAX, 2])],
                "tensor 'a' has 4 bytes, which is not F32 [18446744073709551615, 2]",
            ),
            (
                vec![float("a", &[1]), NamedTensor::indices("a", [1])],
                "tensor 'a' is there twice; name each tensor differently",
            ),
            (
                vec![float("__metadata__", &[1])],
                "tensor '__metadata__' bears the name of the texts beside the tensors; rename it",
            ),
        ] {
            let Error::Write { source, .. } = written(&tensors, None).unwrap_err() else {
                panic!("{reason}")
            };
            assert_eq!(source.to_string(), reason);
        }
    }

    #[test]
    fn every_number_format_but_quantized_ones_can_be_written() {
        use burn::tensor::BoolStore;

        for (dtype, bytes) in [
            (DType::F64, 8),
            (DType::F32, 4),
            (DType::F16, 2),
            (DType::BF16, 2),
            (DType::I64, 8),
            (DType::U32, 4),
            (DType::I16, 2),
            (DType::U8, 1),
            (DType::Bool(BoolStore::Native), 1),
        ] {
            let tensor = NamedTensor::new("a", dtype, [3], vec![0; 3 * bytes]).unwrap();
            written(&[tensor], None).unwrap();
        }
    }
}
