//! Parameters as values, and names for values.

use burn::nn::Initializer;

use super::{one, value};
use crate::graph::{InitialValues, Slot, Value, op::Operation, run::NodeParameters};

/// A parameter as a value; its name is the node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterValue {
    /// Its shape, of 1 to 4 axes.
    pub shape: Vec<usize>,
}

impl ParameterValue {
    /// A parameter of this shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        Self { shape }
    }
}

impl Operation for ParameterValue {
    fn parameters(&self, _: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let start = InitialValues::random(normal, 1, 1);
        Ok(vec![Slot::new("", self.shape.clone(), start)])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match inputs {
            [] => Ok(self.shape.clone()),
            _ => Err(format!("expected no input, found {}", inputs.len())),
        }
    }

    fn apply(&self, _: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        parameters.value(0)
    }
}

/// A value under another name: what a module that holds others puts out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {}

impl Operation for Identity {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        value(inputs)
    }
}
