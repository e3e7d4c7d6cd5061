//! Writing safetensors.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
};

use burn::{module::Module, tensor::f16};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, bridge};
use neuroinspect_core::write_atomically;
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The number format of weights in a file; they are read back to `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to half precision: half the size, 11 significant bits, magnitudes up to 65504.
    F16,
}

impl Precision {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
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

/// Writes a module's parameters and buffers as safetensors of `f32`, under PyTorch's names and in
/// its layout, with `metadata` beside them.
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
    let tensors = module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|tensor| {
            let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
            let values = bridge::into_data(tensor)
                .map_err(|error| error.to_string())
                .and_then(|data| data.try_into_vec_as::<f32>().map_err(|e| format!("{e:?}")));
            let file = path.display().to_string();
            let values = match values {
                Ok(values) => values,
                Err(reason) => {
                    let tensor = name;
                    return Err(Error::UnreadableTensor {
                        file,
                        tensor,
                        reason,
                    });
                }
            };
            match values
                .iter()
                .position(|&it| !precision.round(it).is_finite())
            {
                None => Ok((name, shape, precision.bytes(&values))),
                Some(index) => Err(Error::NotFinite {
                    file,
                    tensor: name,
                    index,
                    value: values[index],
                }),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata: HashMap<_, _> = metadata.clone().into_iter().collect();
    write_atomically(path, |out| {
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((
                    name,
                    TensorView::new(precision.dtype(), shape.clone(), bytes)?,
                ))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let file = views.and_then(|views| serialize(views, Some(metadata)));
        out.write_all(&file.map_err(io::Error::other)?)
    })?;
    Ok(())
}
