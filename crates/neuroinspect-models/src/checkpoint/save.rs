//! Writing safetensors.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::Module,
    tensor::{DType, f16},
};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, bridge, burn_pack};
use neuroinspect_core::{NamedTensor, write_safetensors};
use serde::{Deserialize, Serialize};

use super::module::settle;
use crate::{Error, Result};

/// The number format of weights in a file; they are read back to `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to half precision: half the size, 11 significant bits, magnitudes up to 65504.
    F16,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
        }
    }

    /// The value as it will be read back.
    fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => f16::from_f32(value).to_f32(),
        }
    }

    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|it| it.to_le_bytes()).collect(),
            Self::F16 => {
                let half = values.iter().map(|&it| f16::from_f32(it));
                half.flat_map(f16::to_le_bytes).collect()
            }
        }
    }
}

/// Writes a module's parameters and buffers as safetensors, under PyTorch's names and in its layout,
/// with `metadata` beside them; floats as `f32`, integers and booleans as they are. The running
/// statistics of batch normalisations are those after the last training step.
///
/// # Errors
///
/// [`Error::UnreadableTensor`] when a parameter cannot be read from the device,
/// [`Error::NotFinite`] when one is NaN, infinite, or too large for the number format,
/// [`Error::Core`] when the file cannot be written. What stood there before is then untouched.
pub fn save(
    module: &impl Module,
    metadata: &BTreeMap<String, String>,
    path: impl AsRef<Path>,
) -> Result<()> {
    save_as(module, metadata, Precision::F32, path)
}

/// [`save`] in a number format of choice.
///
/// # Errors
///
/// As [`save`].
pub fn save_as(
    module: &impl Module,
    metadata: &BTreeMap<String, String>,
    precision: Precision,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let file = path.display().to_string();
    settle(module);
    let tensors = module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|tensor| stored(tensor, precision, &file))
        .collect::<Result<Vec<_>>>()?;
    Ok(write_safetensors(path, &tensors, metadata)?)
}

/// A tensor of `file` as it is written: floats in the precision asked for, others as they are.
fn stored(tensor: burn_pack::Tensor, precision: Precision, file: &str) -> Result<NamedTensor> {
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
            let finite = |&value: &f32| precision.round(value).is_finite();
            if let Some(index) = values.iter().position(|value| !finite(value)) {
                return Err(Error::NotFinite {
                    file: file.to_owned(),
                    tensor: name,
                    index,
                    value: values[index],
                });
            }
            (precision.dtype(), precision.bytes(&values))
        }
    };
    Ok(NamedTensor::new(name, dtype, shape, bytes)?)
}
