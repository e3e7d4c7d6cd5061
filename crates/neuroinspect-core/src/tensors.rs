//! Safetensors files that are the same, byte for byte, whenever their content is.

use std::{collections::BTreeMap, io, path::Path};

use safetensors::{Dtype, serialize, tensor::TensorView};

use crate::{Result, write_atomically};

/// Longest header that readers of safetensors accept, in bytes.
const LONGEST_HEADER: usize = 100_000_000;

/// A tensor as it goes into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its name, unique in the file.
    pub name: String,
    /// Type of its values.
    pub dtype: Dtype,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Its values in row-major order, little-endian.
    pub bytes: Vec<u8>,
}

impl NamedTensor {
    /// A tensor of 32-bit floats in row-major order.
    pub fn f32(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        values: impl IntoIterator<Item = f32>,
    ) -> Self {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self::new(name.into(), Dtype::F32, shape.into(), bytes)
    }

    /// A tensor of one axis of indices, as 64-bit integers.
    pub fn indices(name: impl Into<String>, values: impl IntoIterator<Item = usize>) -> Self {
        let values = values.into_iter().map(|value| value as i64);
        let bytes: Vec<u8> = values.flat_map(i64::to_le_bytes).collect();
        let shape = vec![bytes.len() / size_of::<i64>()];
        Self::new(name.into(), Dtype::I64, shape, bytes)
    }

    fn new(name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self {
            name,
            dtype,
            shape,
            bytes,
        }
    }
}

/// Writes tensors and texts beside them as a safetensors file, whole or not at all.
///
/// Equal content makes equal bytes: the `safetensors` crate itself writes the texts in the random
/// order of a hash map.
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) when a tensor does not have as many bytes as its shape and
/// type say, the names and texts are too long for a header, or the file cannot be written; what
/// stood at `path` before is then untouched.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[NamedTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    write_atomically(path, |out| {
        let views = tensors
            .iter()
            .map(|tensor| {
                let shape = tensor.shape.clone();
                let view = TensorView::new(tensor.dtype, shape, &tensor.bytes)?;
                Ok((tensor.name.as_str(), view))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let file = views.and_then(|views| serialize(views, None));
        let file = file.map_err(io::Error::other)?;
        let (header, data) = with_metadata(&file, metadata)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        out.write_all(data)
    })
}

/// The header of a file without metadata, metadata put in front, and the file's data.
fn with_metadata<'a>(
    file: &'a [u8],
    metadata: &BTreeMap<String, String>,
) -> io::Result<(Vec<u8>, &'a [u8])> {
    let damaged = || io::Error::other("safetensors were not written as expected");
    let (length, rest) = file.split_first_chunk().ok_or_else(damaged)?;
    let length = u64::from_le_bytes(*length) as usize;
    let (tensors, data) = rest.split_at_checked(length).ok_or_else(damaged)?;
    if metadata.is_empty() {
        return Ok((tensors.to_vec(), data));
    }
    let tensors = tensors.trim_ascii_end();
    let tensors = tensors.strip_prefix(b"{").ok_or_else(damaged)?;
    let mut header = br#"{"__metadata__":"#.to_vec();
    serde_json::to_writer(&mut header, metadata)?;
    if tensors != b"}" {
        header.push(b',');
    }
    header.extend(tensors);
    // Data begin at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
    if header.len() > LONGEST_HEADER {
        return Err(io::Error::other(format!(
            "names and metadata take {} bytes, {LONGEST_HEADER} is the most",
            header.len()
        )));
    }
    Ok((header, data))
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

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
    fn a_tensor_of_another_length_than_its_shape_is_refused() {
        let wrong = NamedTensor::f32("a", [3], [1.0]);
        let error = written(&[wrong], &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
    }
}
