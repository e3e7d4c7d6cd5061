//! Indices of an axis, in any order and any number of times.

use burn::tensor::{Tensor, TensorData};

use super::{axis, one, value};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// These indices of an axis: a shuffle, a flip, every other one, or one again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
    /// The indices, each less than the axis is long.
    pub indices: Vec<usize>,
}

impl Operation for Gather {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = one(inputs)?.to_vec();
        let size = axis(&shape, self.axis)?;
        if let Some(index) = self.indices.iter().find(|index| **index >= size) {
            return Err(format!(
                "expected indices below {size} on axis {}, found {index}",
                self.axis
            ));
        }
        shape[self.axis] = self.indices.len();
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let indices: Vec<i64> = self.indices.iter().map(|&index| index as i64).collect();
        let indices = TensorData::new(indices, [self.indices.len()]);
        let indices = Tensor::from_data(indices, &x.device().without_autodiff());
        each_rank!(x, x => x.select(self.axis, indices))
    }
}
