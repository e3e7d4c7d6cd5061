//! Reading tensors back from their device.

use burn::tensor::Tensor;

use crate::{Error, Result};

/// The values of a tensor, row by row, on the host: this waits for the device.
///
/// `what` says in the error what could not be read. Numbers of another precision are converted.
///
/// # Errors
///
/// [`Error::Device`] when the device does not give them back.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::read_back;
///
/// let logits = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
/// assert_eq!(read_back(logits, "the logits")?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
pub fn read_back<const R: usize>(tensor: Tensor<R>, what: &'static str) -> Result<Vec<f32>> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|error| Error::Device {
            what,
            reason: error.to_string(),
        })
}
