//! Safetensors files that are the same, byte for byte, whenever their content is.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::Path,
};

use burn::tensor::DType;
use safetensors::{Dtype, tensor::TensorInfo};

use crate::{Error, Result, write_atomically};

/// Longest header that readers of safetensors accept, in bytes.
pub(crate) const LONGEST_HEADER: usize = 100_000_000;

/// The name of a header's entry that is no tensor.
const METADATA: &str = "__metadata__";

/// A tensor as it goes into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Row-major, little-endian.
    bytes: Vec<u8>,
}

impl NamedTensor {
    /// A tensor of values that are bytes already: in row-major order, little-endian, a boolean one
    /// byte.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a number format that safetensors do not have: Burn's quantized ones.
    /// Whether there are as many bytes as the shape says is looked at when they are
    /// [written](write_safetensors).
    pub fn new(
        name: impl Into<String>,
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        bytes: Vec<u8>,
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
                let what = format!("number format of tensor '{name}'");
                let expected = "floats, integers or booleans, not quantized";
                return Err(Error::shape(what, expected, other));
            }
        };
        let shape = shape.into();
        Ok(Self {
            name,
            dtype,
            shape,
            bytes,
        })
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
            bytes: values.into_iter().flat_map(f32::to_le_bytes).collect(),
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
            bytes,
        }
    }

    /// Bytes that the shape and the number format ask for; none when they are beyond counting.
    fn length(&self) -> Option<usize> {
        let bits = self.dtype.bitsize();
        let bits = self.shape.iter().try_fold(bits, |a, &b| a.checked_mul(b));
        bits.map(|bits| bits / 8)
    }
}

/// Writes tensors and texts beside them as a safetensors file, whole or not at all.
///
/// Equal content makes equal bytes: the `safetensors` crate itself writes the texts in the random
/// order of a hash map.
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write), naming the tensor, when one does not have as many bytes
/// as its shape and type say, or its name is that of another or the format's own `__metadata__`;
/// when the names and texts are too long for a header, or the file cannot be written. What stood at
/// `path` before is then untouched.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    write_atomically(path, |out| {
        // As the `safetensors` crate does: the widest values first, so that all are aligned.
        let mut tensors: Vec<&NamedTensor> = tensors.iter().collect();
        tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then(a.name.cmp(&b.name)));
        let header = header(&tensors, metadata, LONGEST_HEADER)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors
            .iter()
            .try_for_each(|tensor| out.write_all(&tensor.bytes))
    })
}

/// The header of a file of tensors in the order given, at most `longest` bytes long.
fn header(
    tensors: &[&NamedTensor],
    metadata: &BTreeMap<String, String>,
    longest: usize,
) -> io::Result<Vec<u8>> {
    let mut header = b"{".to_vec();
    let mut entry = |name: &str, write: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>| {
        if header.len() > 1 {
            header.push(b',');
        }
        serde_json::to_writer(&mut header, name)?;
        header.push(b':');
        write(&mut header)
    };
    if !metadata.is_empty() {
        entry(METADATA, &|out| serde_json::to_writer(out, metadata))?;
    }
    let mut names = HashSet::new();
    let mut start = 0;
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
        let (shape, found) = (tensor.shape.clone(), tensor.bytes.len());
        if tensor.length() != Some(found) {
            let dtype = tensor.dtype;
            return refuse(&format!(
                "has {found} bytes, which is not {dtype:?} {shape:?}"
            ));
        }
        let info = TensorInfo {
            dtype: tensor.dtype,
            shape,
            data_offsets: (start, start + found),
        };
        start += found;
        entry(&tensor.name, &|out| serde_json::to_writer(out, &info))?;
    }
    header.push(b'}');
    // Data begin at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    if header.len() > longest {
        return Err(io::Error::other(format!(
            "names and metadata take {} bytes, {longest} is the most",
            header.len()
        )));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use safetensors::{SafeTensors, tensor::TensorView};

    use super::*;
    use crate::Error;

    fn tensors() -> Vec<NamedTensor> {
        vec![
            NamedTensor::f32("b", [2, 1], [0.5, -2.0]),
            NamedTensor::indices("a", [7, 8, 9]),
        ]
    }

    fn written(tensors: &[NamedTensor], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.safetensors");
        write_safetensors(&path, tensors, metadata)?;
        Ok(std::fs::read(path).unwrap())
    }

    #[test]
    fn equal_content_makes_equal_bytes() {
        let text = |i: usize| (format!("key {i}"), "\"quoted\" \u{1f980}\n".repeat(i));
        let metadata: BTreeMap<_, _> = (0..20).map(text).collect();
        let first = written(&tensors(), &metadata).unwrap();
        for _ in 0..20 {
            assert_eq!(written(&tensors(), &metadata).unwrap(), first);
        }
        let (header, contents) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(header % 8, 0);
        let found: BTreeMap<_, _> = contents.metadata().clone().unwrap().into_iter().collect();
        assert_eq!(found, metadata);
        let file = SafeTensors::deserialize(&first).unwrap();
        assert_eq!(file.tensor("b").unwrap().shape(), [2, 1]);
        assert_eq!(
            file.tensor("b").unwrap().data()[4..],
            (-2.0f32).to_le_bytes()
        );
        assert_eq!(file.tensor("a").unwrap().data()[16..], 9i64.to_le_bytes());
    }

    #[test]
    fn either_part_may_be_empty() {
        let metadata = BTreeMap::from([("key".to_owned(), "text".to_owned())]);
        for (tensors, metadata) in [
            (tensors(), BTreeMap::new()),
            (vec![], metadata),
            (vec![], BTreeMap::new()),
        ] {
            let bytes = written(&tensors, &metadata).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(file.len(), tensors.len());
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            let found = header.metadata().clone().unwrap_or_default();
            assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), metadata);
        }
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
            let Error::Write { source, .. } = written(&tensors, &BTreeMap::new()).unwrap_err()
            else {
                panic!("{reason}")
            };
            assert_eq!(source.to_string(), reason);
        }
    }

    #[test]
    fn a_header_longer_than_readers_accept_is_refused() {
        let metadata = BTreeMap::from([("key".to_owned(), "text".to_owned())]);
        let tensors = tensors();
        let tensors: Vec<&NamedTensor> = tensors.iter().collect();
        let length = header(&tensors, &metadata, LONGEST_HEADER).unwrap().len();
        assert!(header(&tensors, &metadata, length).is_ok());
        let error = header(&tensors, &metadata, length - 1).unwrap_err();
        let least = length - 1;
        assert_eq!(
            error.to_string(),
            format!("names and metadata take {length} bytes, {least} is the most")
        );
    }

    #[test]
    fn files_are_those_of_the_safetensors_crate() {
        let ours = written(&tensors(), &BTreeMap::new()).unwrap();
        let tensors = tensors();
        let views = tensors.iter().map(|tensor| {
            let shape = tensor.shape.clone();
            let view = TensorView::new(tensor.dtype, shape, &tensor.bytes).unwrap();
            (tensor.name.as_str(), view)
        });
        assert_eq!(ours, safetensors::serialize(views, None).unwrap());
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
            written(&[tensor], &BTreeMap::new()).unwrap();
        }
    }
}
