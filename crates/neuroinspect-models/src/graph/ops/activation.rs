//! Activations.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::{
    Tensor,
    activation::{
        gelu_approximate, relu, relu6, sigmoid, silu, softmax, softplus_with_threshold, tanh,
    },
};
use neuroinspect_core::{gelu, is_flex, is_tch};

use super::{axis, one, value};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// A function of each number by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Which.
    pub function: Function,
}

/// The functions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x Phi(x)`, by the normal distribution function.
    Gelu,
    /// `x sigmoid(1.702 x)`.
    QuickGelu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x sigmoid(x)`.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// `x Phi(x)`, the distribution function by way of the hyperbolic tangent.
    GeluTanh,
    /// `x min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `log(1 + exp(x))`.
    Softplus,
    /// The error function.
    Erf,
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// `|x|`.
    Abs,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
}

impl Operation for Activation {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => match self.function {
            Function::Relu => relu(x),
            Function::Relu6 => relu6(x),
            Function::Gelu => exact_gelu(x),
            Function::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Function::Sigmoid => sigmoid(x),
            Function::Silu => silu(x),
            Function::Tanh => tanh(x),
            Function::GeluTanh => gelu_approximate(x),
            Function::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Function::Softplus => softplus_with_threshold(x, 1.0, 20.0),
            Function::Erf => x.erf(),
            Function::Exp => x.exp(),
            Function::Log => x.log(),
            Function::Abs => x.abs(),
            Function::Sin => x.sin(),
            Function::Cos => x.cos(),
        })
    }
}

/// GELU with its own derivative. That of Burn's `gelu` is the derivative of the approximation by `tanh`, up to
/// 1e-3 off, on each backend that has none of its own: on all but flex and libtorch.
fn exact_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let device = x.device();
    match is_flex(&device) || is_tch(&device) {
        true => gelu(x),
        false => x.clone() * ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5,
    }
}

/// Softmax along an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
}

impl Operation for Softmax {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let input = one(inputs)?;
        axis(input, self.axis)?;
        Ok(input.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => softmax(x, self.axis))
    }
}
