//! Axes put together to one number.

use super::{axis, one, value};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// One number of all along some axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// Which number.
    pub to: Reduction,
    /// The axes.
    pub axes: Vec<usize>,
    /// Whether the axes stay, with the size 1.
    pub keep: bool,
}

/// What numbers are put together to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl Operation for Reduce {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let input = one(inputs)?;
        for &reduced in &self.axes {
            axis(input, reduced)?;
        }
        let sizes = input.iter().enumerate();
        let kept = sizes.filter_map(|(axis, &size)| match self.axes.contains(&axis) {
            true => self.keep.then_some(1),
            false => Some(size),
        });
        let shape: Vec<usize> = kept.collect();
        match shape.is_empty() {
            true => Err(format!(
                "expected an axis of {input:?} to be left, found none"
            )),
            false => Ok(shape),
        }
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let shape = self.shape(&[&x.dims()])?;
        let x = each_rank!(x, x => self.axes.iter().fold(x, |x, &axis| match self.to {
            Reduction::Mean => x.mean_dim(axis),
            Reduction::Sum => x.sum_dim(axis),
            Reduction::Max => x.max_dim(axis),
            Reduction::Min => x.min_dim(axis),
        }))?;
        x.reshape(&shape)
    }
}
