//! Reading safetensors.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

use burn::tensor::{BoolStore, Bytes, DType, Shape};
use burn_store::burn_pack::{self, Error};
use safetensors::{Dtype, tensor::Metadata};

type Contents = (
    BTreeMap<String, String>,
    BTreeMap<String, burn_pack::Tensor>,
);

/// Whether a file that starts with these bytes is meant as safetensors: eight bytes of length,
/// then a JSON object.
pub(super) fn starts_like_one(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Metadata and tensors of bytes in memory.
pub(super) fn in_memory(bytes: Vec<u8>) -> Result<Contents, String> {
    let length = bytes.len() as u64;
    read(Cursor::new(bytes), length)
}

/// Metadata and tensors of a whole file of `length` bytes; the tensors are read when they are asked for, so
/// that there is never more than one of them in memory beside the model.
pub(super) fn read(
    mut source: impl Read + Seek + Send + 'static,
    length: u64,
) -> Result<Contents, String> {
    if length == 0 {
        return Err("it is empty".into());
    }
    let (start, header) = header(&mut source, length)?;
    let source = Arc::new(Mutex::new(source));

    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors() {
        let dtype = dtype(info.dtype)
            .ok_or_else(|| format!("tensor '{name}' has type {:?}, not supported", info.dtype))?;
        let (begin, end) = info.data_offsets;
        let (begin, length) = (start + begin as u64, end - begin);
        let source = Arc::clone(&source);
        let tensor = burn_pack::Tensor::deferred(
            name.clone(),
            dtype,
            Shape::from(info.shape.clone()),
            None,
            length,
            move || {
                let mut bytes = vec![0; length];
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                let found = source.seek(SeekFrom::Start(begin));
                let read = found.and_then(|_| source.read_exact(&mut bytes));
                read.map_err(|error| Error::IoError(error.to_string()))?;
                Ok(Bytes::from_bytes_vec(bytes))
            },
        );
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok((metadata.into_iter().collect(), tensors))
}

/// The longest header that readers of safetensors accept, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// Where the first tensor begins, and the header, whose every shape and offset is checked against the length
/// of the whole.
fn header(source: &mut impl Read, length: u64) -> Result<(u64, Metadata), String> {
    let truncated = || "it is truncated".to_owned();
    let mut of_header = [0; 8];
    source.read_exact(&mut of_header).map_err(|_| truncated())?;
    let of_header = u64::from_le_bytes(of_header);
    if of_header > LONGEST_HEADER {
        return Err(format!("its header is said to be of {of_header} bytes"));
    }
    let start = of_header.checked_add(8).filter(|&it| it <= length);
    let start = start.ok_or_else(truncated)?;
    let mut text = Vec::new();
    let read = source.take(of_header).read_to_end(&mut text);
    read.map_err(|error| error.to_string())?;
    let header: Metadata = serde_json::from_slice(&text)
        .map_err(|error| format!("its header is none of safetensors: {error}"))?;
    match start.checked_add(header.data_len() as u64) == Some(length) {
        true => Ok((start, header)),
        false => Err("its length is not what its header says: it is truncated or damaged".into()),
    }
}

/// Types of values in a file, and what Burn calls them.
const TYPES: [(Dtype, DType); 13] = [
    (Dtype::F64, DType::F64),
    (Dtype::F32, DType::F32),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::BF16),
    (Dtype::I64, DType::I64),
    (Dtype::I32, DType::I32),
    (Dtype::I16, DType::I16),
    (Dtype::I8, DType::I8),
    (Dtype::U64, DType::U64),
    (Dtype::U32, DType::U32),
    (Dtype::U16, DType::U16),
    (Dtype::U8, DType::U8),
    (Dtype::BOOL, DType::Bool(BoolStore::Native)),
];

fn dtype(stored: Dtype) -> Option<DType> {
    let mut types = TYPES.into_iter();
    types.find_map(|(known, dtype)| (known == stored).then_some(dtype))
}
