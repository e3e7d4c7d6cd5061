//! Writing safetensors.

use std::path::Path;

use burn::{
    module::Module,
    tensor::{DType, bf16, f16},
};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, bridge, burn_pack};
use neuroinspect_core::{
    Precision,
    io::{NamedTensor, write_safetensors},
};

use super::module::{check_weights, synchronize_statistics};
use crate::{Error, Result};

/// The value as it will be read back.
fn rounded(precision: Precision, value: f32) -> f32 {
    match precision {
        Precision::Bf16 => bf16::from_f32(value).to_f32(),
        Precision::F16 => f16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// The number format that values are written in, and their bytes.
fn bytes(precision: Precision, values: &[f32]) -> (DType, Vec<u8>) {
    let values = values.iter().copied();
    match precision {
        Precision::Bf16 => {
            let bytes = values.flat_map(|it| bf16::from_f32(it).to_le_bytes());
            (DType::BF16, bytes.collect())
        }
        Precision::F16 => {
            let bytes = values.flat_map(|it| f16::from_f32(it).to_le_bytes());
            (DType::F16, bytes.collect())
        }
        _ => (DType::F32, values.flat_map(f32::to_le_bytes).collect()),
    }
}

/// Writes a module's parameters and buffers as safetensors, under PyTorch's names and in its layout,
/// with a text under one key of the metadata beside them. Floats are rounded to the precision, and read
/// back to `f32`; integers and booleans are written as they are. The running statistics of batch
/// normalisations are those after the last training step.
///
/// # Errors
///
/// [`Error::UnreadableTensor`] when a parameter cannot be read from the device,
/// [`Error::NotFinite`] when one is NaN, infinite, or too large for the number format,
/// [`Error::Rewritten`] for a network rewritten by [passes](crate::graph::passes),
/// [`Error::Core`] when the file cannot be written. What stood there before is then untouched.
pub fn save(
    module: &impl Module,
    metadata: Option<(&str, &str)>,
    precision: Precision,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let file = path.display().to_string();
    check_weights(module)?;
    synchronize_statistics(module);
    let tensors = module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|tensor| stored(tensor, precision, &file))
        .collect::<Result<Vec<_>>>()?;
    Ok(write_safetensors(path, &tensors, metadata)?)
}

/// A tensor of `file` as it is written: floats in the precision asked for, others as they are.
fn stored(
    tensor: burn_pack::Tensor,
    precision: Precision,
    file: &str,
) -> Result<NamedTensor<'static>> {
    let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
    let unreadable = |reason: String| Error::UnreadableTensor {
        file: file.to_owned(),
        tensor: name.clone(),
        reason,
    };
    let data = bridge::into_data(tensor).map_err(|error| unreadable(error.to_string()))?;
    let (dtype, bytes) = match data.dtype() {
        booleans @ DType::Bool(_) => (booleans, data.iter::<bool>().map(u8::from).collect()),
        integers if integers.is_int() || integers.is_uint() => {
            (integers, data.into_bytes().to_vec())
        }
        _ => {
            let values: Vec<f32> = data
                .try_into_vec_as()
                .map_err(|error| unreadable(format!("{error:?}")))?;
            let finite = |&value: &f32| rounded(precision, value).is_finite();
            if let Some(index) = values.iter().position(|value| !finite(value)) {
                return Err(Error::NotFinite {
                    file: file.to_owned(),
                    tensor: name,
                    index,
                    value: values[index],
                });
            }
            bytes(precision, &values)
        }
    };
    Ok(NamedTensor::new(name, dtype, shape, bytes)?)
}
