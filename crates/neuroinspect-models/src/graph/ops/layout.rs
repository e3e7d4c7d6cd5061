//! The same numbers elsewhere.

use burn::tensor::{Tensor, ops::PadMode};

use super::{axis, one, product, sum, two, value, values};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// The same numbers in another shape; 0 keeps the size of the axis at its place, and -1, at most
/// once, takes what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// The sizes.
    pub shape: Vec<i64>,
}

impl Operation for Reshape {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let input = one(inputs)?;
        let wrong = || {
            let shape = &self.shape;
            format!("expected a shape of as many elements as {input:?} has, found {shape:?}")
        };
        let total = product(input.iter().copied())?;
        let mut shape = Vec::with_capacity(self.shape.len());
        let mut free = None;
        for (index, &size) in self.shape.iter().enumerate() {
            shape.push(match size {
                0 => axis(input, index)?,
                -1 if free.is_none() => {
                    free = Some(index);
                    1
                }
                size => usize::try_from(size).map_err(|_| wrong())?,
            });
        }
        let known = product(shape.iter().copied())?;
        if let Some(free) = free {
            shape[free] = total.checked_div(known).ok_or_else(wrong)?;
        }
        match product(shape.iter().copied())? == total {
            true => Ok(shape),
            false => Err(wrong()),
        }
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        reshaped(self, value(inputs)?)
    }
}

/// A value in the shape that an operation gives it.
fn reshaped(operation: &impl Operation, x: Value) -> Result<Value, String> {
    let shape = operation.shape(&[&x.dims()])?;
    x.reshape(&shape)
}

/// Axes `from` to `to`, both included, joined to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flatten {
    /// The first axis.
    pub from: usize,
    /// The last axis.
    pub to: usize,
}

impl Operation for Flatten {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let (input, Self { from, to }) = (one(inputs)?, self);
        axis(input, *to)?;
        if from > to {
            return Err(format!(
                "expected a first axis of at most {to}, found {from}"
            ));
        }
        let joined = product(input[*from..=*to].iter().copied())?;
        Ok([&input[..*from], &[joined], &input[to + 1..]].concat())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        reshaped(self, value(inputs)?)
    }
}

/// Axes in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permute {
    /// Which axis of the input each one is.
    pub axes: Vec<usize>,
}

impl Operation for Permute {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let input = one(inputs)?;
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..input.len()) {
            return Err(format!(
                "expected each axis of the shape {input:?} once, found {:?}",
                self.axes
            ));
        }
        Ok(self.axes.iter().map(|&axis| input[axis]).collect())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        fn permuted<const D: usize>(x: Tensor<D>, axes: &[usize]) -> Result<Tensor<D>, String> {
            let axes: [usize; D] = axes
                .try_into()
                .map_err(|_| format!("axes {axes:?} of a value of {D} axes"))?;
            Ok(x.permute(axes.map(|axis| axis as isize)))
        }
        each_rank!(value(inputs)?, x => permuted(x, &self.axes)?)
    }
}

/// Part of an axis: `length` from `start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first index.
    pub start: usize,
    /// How many.
    pub length: usize,
}

impl Operation for Slice {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = one(inputs)?.to_vec();
        let size = axis(&shape, self.axis)?;
        let Self { start, length, .. } = *self;
        if length == 0 || sum([start, length])? > size {
            return Err(format!(
                "expected at least 1 and at most {size} along axis {}, found {length} from {start}",
                self.axis
            ));
        }
        shape[self.axis] = length;
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => x.narrow(self.axis, self.start, self.length))
    }
}

/// One index of an axis, which goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The axis.
    pub axis: usize,
    /// The index.
    pub index: usize,
}

impl Operation for Select {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = one(inputs)?.to_vec();
        let size = axis(&shape, self.axis)?;
        if self.index >= size || shape.len() == 1 {
            return Err(format!(
                "expected more than one axis, and an index below {size} on axis {}, found {} of shape {shape:?}",
                self.axis, self.index
            ));
        }
        shape.remove(self.axis);
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let shape = self.shape(&[&x.dims()])?;
        each_rank!(x, x => x.narrow(self.axis, self.index, 1))?.reshape(&shape)
    }
}

/// Values side by side along an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operation for Concat {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [first, rest @ ..] = inputs else {
            return Err("expected at least 1 input, found none".to_owned());
        };
        let mut shape = first.to_vec();
        let mut total = axis(first, self.axis)?;
        for other in rest {
            total = sum([total, axis(other, self.axis)?])?;
            shape[self.axis] = other[self.axis];
            if shape != **other {
                return Err(format!(
                    "expected the shape {first:?} but for axis {}, found {other:?}",
                    self.axis
                ));
            }
        }
        shape[self.axis] = total;
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let mut inputs = inputs.into_iter();
        macro_rules! concat {
            ($($rank:ident $getter:ident)*) => {
                match inputs.next() {
                    $(Some(Value::$rank(first)) => {
                        let mut all = vec![first];
                        for input in inputs {
                            all.push(input.$getter()?);
                        }
                        Ok(Tensor::cat(all, self.axis).into())
                    })*
                    _ => Err("expected floats".to_owned()),
                }
            };
        }
        concat!(Rank1 rank1 Rank2 rank2 Rank3 rank3 Rank4 rank4 Rank5 rank5 Rank6 rank6)
    }
}

/// Zeros before and after an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pad {
    /// The axis.
    pub axis: usize,
    /// How many before.
    pub before: usize,
    /// How many after.
    pub after: usize,
}

impl Operation for Pad {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = one(inputs)?.to_vec();
        shape[self.axis] = sum([axis(&shape, self.axis)?, self.before, self.after])?;
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        // Burn takes pairs of the last axes.
        let mut padding = vec![(0, 0); x.dims().len().saturating_sub(self.axis)];
        if let Some(first) = padding.first_mut() {
            *first = (self.before, self.after);
        }
        each_rank!(x, x => x.pad(padding.as_slice(), PadMode::Constant(0.0)))
    }
}

/// A value whose first axis has size 1, repeated as often as the first axis of another is long: a
/// learned token put before those of every image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expand {}

impl Operation for Expand {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [input, other] = two(inputs)?;
        if axis(input, 0)? != 1 {
            return Err(format!("expected a first axis of size 1, found {input:?}"));
        }
        let mut shape = input.to_vec();
        shape[0] = axis(other, 0)?;
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let [x, other] = values(inputs)?;
        let times = other.dims().first().copied().unwrap_or(1);
        each_rank!(x, x => {
            let mut shape = x.dims();
            shape[0] = times;
            x.expand(shape)
        })
    }
}
