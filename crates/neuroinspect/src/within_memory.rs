//! As many images at a time as a device's memory holds.

use ndarray::{ArrayView4, Axis, Slice};
use neuroinspect_core::{Error as CoreError, catch_panic, is_out_of_memory};

use crate::{Error, Result};

/// Rows of numbers, and their shape.
type Rows = ([usize; 2], Vec<f32>);

/// What `read` makes of images, `at_once` at a time; where the device's memory does not hold that, half as many from then on,
/// down to one.
pub(crate) fn within_memory(
    images: ArrayView4<'_, f32>,
    at_once: &mut usize,
    read: &dyn Fn(ArrayView4<'_, f32>) -> Result<Rows>,
) -> Result<Rows> {
    let count = images.dim().0;
    let (mut rows, mut width, mut values) = (0, 0, Vec::new());
    let mut start = 0;
    while start < count {
        let end = count.min(start + (*at_once).max(1));
        let part = images.slice_axis(Axis(0), Slice::from(start..end));
        let reason = match catch_panic(|| read(part)) {
            Ok(Ok(([found, columns], of_part))) => {
                rows += found;
                width = columns;
                values.extend(of_part);
                start = end;
                continue;
            }
            Ok(Err(Error::Core(CoreError::Device { reason, .. }))) | Err(reason) => reason,
            Ok(Err(error)) => return Err(error),
        };
        if end - start == 1 || !is_out_of_memory(&reason) {
            let what = "the activations";
            return Err(CoreError::Device { what, reason }.into());
        }
        *at_once = (end - start).div_ceil(2);
    }
    Ok(([rows, width], values))
}
