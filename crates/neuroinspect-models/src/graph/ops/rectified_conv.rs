//! Convolution with what follows it.

use neuroinspect_core::{Convolution, Rectifier};

use super::{Activation, Arithmetic, Binary, Conv2d, Function};
use crate::graph::{Slot, Value, op::Operation, run::NodeParameters};

/// A convolution, what is added to it, and a rectifier, in one: `function(conv(x) + added)`.
///
/// Parameters: those of [`Conv2d`]. Inputs: `x`, and `added` where there is something: of the convolution's shape, but for images of
/// another size than the graph was made for, where one of the two may be repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct RectifiedConv2d {
    /// The convolution.
    pub convolution: Conv2d,
    /// [`Function::Relu`] or [`Function::Relu6`].
    pub function: Function,
    /// Name of the value that the function is of.
    pub of: String,
}

const SUM: Binary = Binary {
    arithmetic: Arithmetic::Add,
};

impl RectifiedConv2d {
    fn rectifier(&self) -> Result<Rectifier, String> {
        match self.function {
            Function::Relu => Ok(Rectifier::Relu),
            Function::Relu6 => Ok(Rectifier::Relu6),
            other => Err(format!("expected a rectifier, found {other:?}")),
        }
    }
}

impl Operation for RectifiedConv2d {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        self.convolution.parameters(inputs.get(..1).unwrap_or(&[]))
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        self.rectifier()?;
        let shape = self.convolution.shape(inputs.get(..1).unwrap_or(&[]))?;
        match inputs {
            [_] => Ok(shape),
            [_, added] => SUM.shape(&[&shape, added]),
            _ => Err(format!("expected 1 or 2 inputs, found {}", inputs.len())),
        }
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let mut inputs = inputs.into_iter();
        let x = inputs.next().ok_or("expected 1 or 2 inputs, found none")?;
        let x = x.rank4()?;
        let added = inputs.next().map(Value::rank4).transpose()?;
        let bias = match self.convolution.bias {
            true => Some(parameters.rank1(1)?),
            false => None,
        };
        let convolution = Convolution::new(self.convolution.options(&x)?);
        let weight = parameters.rank4(0)?;
        let shape = self.convolution.shape(&[&x.dims()])?;
        match added {
            Some(added) if added.dims() != *shape => {
                let sum = convolution.apply(x, weight, bias, None) + added;
                let activation = Activation {
                    function: self.function,
                };
                activation.apply(vec![sum.into()], parameters)
            }
            added => {
                let convolution = convolution.with_rectifier(self.rectifier()?);
                Ok(convolution.apply(x, weight, bias, added).into())
            }
        }
    }
}
