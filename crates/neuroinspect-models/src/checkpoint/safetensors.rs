//! Reading safetensors.

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::{BoolStore, Bytes, DType, Shape};
use burn_store::burn_pack;
use safetensors::{Dtype, SafeTensors};

type Contents = (
    BTreeMap<String, String>,
    BTreeMap<String, burn_pack::Tensor>,
);

/// Whether a file that starts with these bytes is meant as safetensors: eight bytes of length,
/// then a JSON object.
pub(super) fn starts_like_one(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Metadata and tensors of a whole file.
pub(super) fn read(bytes: Vec<u8>) -> Result<Contents, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    // The header's length, every shape and every offset are checked against the buffer here.
    let (header_len, header) =
        SafeTensors::read_metadata(&bytes).map_err(|error| error.to_string())?;
    let data_start = header_len + size_of::<u64>();
    // Shared as it is: the vector is not copied.
    let bytes = Arc::new(bytes);

    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors() {
        let dtype = dtype(info.dtype)
            .ok_or_else(|| format!("tensor '{name}' has type {:?}, not supported", info.dtype))?;
        let (begin, end) = info.data_offsets;
        let range = data_start + begin..data_start + end;
        let bytes = Arc::clone(&bytes);
        let tensor = burn_pack::Tensor::deferred(
            name.clone(),
            dtype,
            Shape::from(info.shape.clone()),
            None,
            range.len(),
            move || Ok(Bytes::from_bytes_vec(bytes[range.clone()].to_vec())),
        );
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok((metadata.into_iter().collect(), tensors))
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
