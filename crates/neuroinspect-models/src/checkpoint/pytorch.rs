//! Reading what `torch.save` writes.

use std::{collections::BTreeMap, path::Path};

use burn_store::{bridge, burn_pack, pytorch_reader::PytorchReader};

/// The tensors of a file of `file_len` bytes, by their paths through the saved dictionaries.
pub(super) fn read(
    path: &Path,
    file_len: u64,
) -> Result<BTreeMap<String, burn_pack::Tensor>, String> {
    let reader = PytorchReader::new(path).map_err(|error| error.to_string())?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in reader.into_tensors() {
        // A view of stride 0 can make gigabytes out of a byte; weights are never such views.
        if tensor.byte_len() as u64 > file_len {
            return Err(format!(
                "tensor '{name}' claims {} bytes, the file has {file_len}",
                tensor.byte_len(),
            ));
        }
        tensors.insert(name, bridge::from_pytorch(tensor));
    }
    Ok(tensors)
}
