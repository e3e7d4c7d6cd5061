//! The operations, one file a kind.
//!
//! An operation is a structure with its configuration, and three functions: the parameters it needs,
//! the shape of its value, the value. A new one is such a structure in a file of its kind and a line
//! in the list of [`Op`](super::Op).

mod activation;
mod arithmetic;
mod attention;
mod conv;
mod elementwise;
mod gather;
mod instance_norm;
mod layout;
mod linear;
mod norm;
mod parameter;
mod pool;
mod rectified_conv;
mod reduce;
mod token;

pub use activation::{Activation, Function, Softmax};
pub use arithmetic::{Arithmetic, Binary, MatMul, Scale};
pub use attention::Attention;
pub use conv::{Conv2d, Padding, ScaledConv2d};
pub use elementwise::{Clamp, Power, Shift};
pub use gather::Gather;
pub use instance_norm::InstanceNorm;
pub use layout::{Concat, Expand, Flatten, Pad, Permute, Reshape, Select, Slice};
pub use linear::Linear;
pub use norm::{BatchNorm, GroupNorm, LayerNorm};
pub use parameter::{Identity, ParameterValue};
pub use pool::{AvgPool2d, GlobalMean, MaxPool2d};
pub use rectified_conv::RectifiedConv2d;
pub use reduce::{Reduce, Reduction};
pub use token::{AddPositions, ArgmaxPool, Embedding};

/// The only input's shape.
fn one<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("expected 1 input, found {}", inputs.len())),
    }
}

/// The shapes of two inputs.
fn two<'a>(inputs: &[&'a [usize]]) -> Result<[&'a [usize]; 2], String> {
    match *inputs {
        [first, second] => Ok([first, second]),
        _ => Err(format!("expected 2 inputs, found {}", inputs.len())),
    }
}

/// The only input's shape, `[N, C, h, w]`.
fn map(inputs: &[&[usize]]) -> Result<[usize; 4], String> {
    let input = one(inputs)?;
    input
        .try_into()
        .map_err(|_| format!("expected a map [N, C, h, w], found {input:?}"))
}

/// The only input's shape, `[N, T, C]`.
fn tokens(inputs: &[&[usize]]) -> Result<[usize; 3], String> {
    let input = one(inputs)?;
    input
        .try_into()
        .map_err(|_| format!("expected tokens [N, T, C], found {input:?}"))
}

/// Checks that an axis exists.
fn axis(input: &[usize], axis: usize) -> Result<usize, String> {
    let size = input.get(axis).copied();
    size.ok_or_else(|| {
        let rank = input.len();
        format!("expected an axis below {rank} of the shape {input:?}, found {axis}")
    })
}

/// Most elements of a tensor: as many 32-bit numbers as there are addresses.
pub(super) const MOST_ELEMENTS: usize = isize::MAX as usize / size_of::<f32>();

/// The sum of sizes, which may be out of a file.
pub(super) fn sum(sizes: impl IntoIterator<Item = usize>) -> Result<usize, String> {
    within_bounds(sizes, 0, usize::checked_add)
}

/// The product of sizes, which may be out of a file.
pub(super) fn product(sizes: impl IntoIterator<Item = usize>) -> Result<usize, String> {
    within_bounds(sizes, 1, usize::checked_mul)
}

fn within_bounds(
    sizes: impl IntoIterator<Item = usize>,
    start: usize,
    combine: impl Fn(usize, usize) -> Option<usize>,
) -> Result<usize, String> {
    let total = sizes.into_iter().try_fold(start, combine);
    let total = total.filter(|total| *total <= MOST_ELEMENTS);
    total.ok_or_else(|| format!("expected sizes of at most {MOST_ELEMENTS} elements, found more"))
}

/// The only input's value.
fn value(inputs: Vec<crate::graph::Value>) -> Result<crate::graph::Value, String> {
    let count = inputs.len();
    match <[_; 1]>::try_from(inputs) {
        Ok([input]) => Ok(input),
        Err(_) => Err(format!("expected 1 input, found {count}")),
    }
}

/// The values of two inputs.
fn values(inputs: Vec<crate::graph::Value>) -> Result<[crate::graph::Value; 2], String> {
    let count = inputs.len();
    <[_; 2]>::try_from(inputs).map_err(|_| format!("expected 2 inputs, found {count}"))
}
