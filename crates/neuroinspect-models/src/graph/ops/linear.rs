//! Linear layers.

use burn::tensor::{Tensor, module::linear};
use derive_setters::Setters;
use neuroinspect_core::is_flex;

use super::{one, value};
use crate::graph::{
    InitialValues, Slot, Value, op::Operation, pytorch_uniform, run::NodeParameters,
    value::each_rank,
};

/// A linear layer over the last axis: `[.., inputs]` to `[.., outputs]`.
///
/// Parameters: `weight` `[outputs, inputs]`, and `bias` `[outputs]` where it has one.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_")]
pub struct Linear {
    /// Size of the last axis of its value.
    #[setters(skip)]
    pub outputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

impl Linear {
    /// A layer with a bias.
    pub fn new(outputs: usize) -> Self {
        let bias = true;
        Self { outputs, bias }
    }
}

impl Operation for Linear {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let Some(&inputs) = one(inputs)?.last() else {
            return Err("expected a value with axes, found none".to_owned());
        };
        let start = || InitialValues::random(pytorch_uniform(), inputs, self.outputs);
        let weight = Slot::new("weight", [self.outputs, inputs], start());
        let bias = self
            .bias
            .then(|| Slot::new("bias", [self.outputs], start()));
        Ok([weight].into_iter().chain(bias).collect())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let mut shape = one(inputs)?.to_vec();
        if let Some(last) = shape.last_mut() {
            *last = self.outputs;
        }
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let weight = parameters.rank2(0)?;
        let bias = match self.bias {
            true => Some(parameters.rank1(1)?),
            false => None,
        };
        each_rank!(value(inputs)?, x => affine(x, weight, bias))
    }
}

/// `W x + b` over the last axis, with `W` `[outputs, inputs]`.
///
/// The kernels of the flex backend are quick with a weight of this layout on the left and, in the
/// backward pass, with its transpose there. On the right only one of the two is, and with the rows of a
/// single image the other takes twice as long. Those of libtorch want it on the right, as Burn has it.
pub(super) fn affine<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let ([outputs, inputs], mut shape) = (weight.dims(), x.dims());
    let rows = shape[..D - 1].iter().product::<usize>();
    shape[D - 1] = outputs;
    let x = x.reshape([rows, inputs]);
    if !is_flex(&x.device()) {
        return linear(x, weight.transpose(), bias).reshape(shape);
    }
    let y = weight.matmul(x.transpose());
    let y = match bias {
        Some(bias) => y + bias.unsqueeze_dim(1),
        None => y,
    };
    y.transpose().reshape(shape)
}
