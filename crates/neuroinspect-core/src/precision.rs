//! The number format that a network computes in.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Device, FloatDType, Tensor},
};
use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The number format of a network's weights and activations.
///
/// Images, optimiser state and what is read back are 32-bit floats in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[display(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16: the range of `f32`, 8 significant bits.
    Bf16,
    /// Half precision: 11 significant bits, magnitudes up to 65504.
    F16,
}

impl Precision {
    /// The number format in Burn.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// Checks that a device computes in it.
    ///
    /// # Errors
    ///
    /// [`Error::Precision`] when it does not.
    pub fn check(self, device: &Device) -> Result<()> {
        match self == Self::F32 || device.supports_dtype(DType::from(self.dtype())) {
            true => Ok(()),
            false => Err(Error::Precision { precision: self }),
        }
    }

    /// A tensor in this number format.
    pub fn cast<const R: usize>(self, tensor: Tensor<R>) -> Tensor<R> {
        tensor.cast(self.dtype())
    }

    /// A copy of a module in evaluation state, on a device without autodiff, with all its
    /// floating-point parameters and buffers in this number format. It shares no running statistics
    /// with the original.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn copy_of<M: Module>(self, module: &M, device: &Device) -> Result<M> {
        self.check(device)?;
        // `valid` makes running statistics of its own; `clone` and `to_device` share them.
        let copy = module.valid().to_device(&device.clone().without_autodiff());
        Ok(copy.map(&mut Cast(self)))
    }
}

/// Casts every floating-point parameter and buffer.
struct Cast(Precision);

impl ModuleMapper for Cast {
    fn map_float<const R: usize>(&mut self, param: Param<Tensor<R>>) -> Param<Tensor<R>> {
        param.map(|tensor| self.0.cast(tensor))
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;

    /// Casts without asking whether the device computes in the format.
    fn cast(linear: Linear, precision: Precision) -> Linear {
        linear.map(&mut Cast(precision))
    }

    #[test]
    fn a_copy_is_in_the_format_asked_for_whatever_the_models() {
        let device = Device::flex();
        let linear: Linear = LinearConfig::new(3, 2).init(&device);
        for of_model in [Precision::F32, Precision::Bf16, Precision::F16] {
            let model = cast(linear.clone(), of_model);
            assert_eq!(model.weight.val().dtype(), DType::from(of_model.dtype()));
            let copy = Precision::F32.copy_of(&model, &device).unwrap();
            assert_eq!(copy.weight.val().dtype(), DType::F32, "{of_model}");
            assert_eq!(copy.bias.unwrap().val().dtype(), DType::F32, "{of_model}");
        }
    }
}
