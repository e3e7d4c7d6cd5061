//! A number with each number of a value.

use super::{one, value};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// A value plus a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// The number.
    pub by: f64,
}

/// A value to the power of a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Power {
    /// The number.
    pub exponent: f64,
}

/// A value, and where it is outside of bounds the bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Clamp {
    /// The lower bound, if there is one.
    pub least: Option<f64>,
    /// The upper bound, if there is one.
    pub most: Option<f64>,
}

impl Clamp {
    /// Bounds; an infinite one is none.
    pub fn new(least: Option<f64>, most: Option<f64>) -> Self {
        let finite = |bound: &f64| bound.is_finite();
        Self {
            least: least.filter(finite),
            most: most.filter(finite),
        }
    }
}

impl Operation for Shift {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => x + self.by)
    }
}

impl Operation for Power {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        // By name where there is one: a power by way of the logarithm knows no negative numbers.
        each_rank!(value(inputs)?, x => match self.exponent {
            2.0 => x.square(),
            3.0 => x.clone().square() * x,
            0.5 => x.sqrt(),
            -1.0 => x.recip(),
            -0.5 => x.sqrt().recip(),
            exponent => x.powf_scalar(exponent),
        })
    }
}

impl Operation for Clamp {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if let (Some(least), Some(most)) = (self.least, self.most)
            && least > most
        {
            return Err(format!(
                "expected bounds in order, found {least} and {most}"
            ));
        }
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => match (self.least, self.most) {
            (Some(least), Some(most)) => x.clamp(least, most),
            (Some(least), None) => x.clamp_min(least),
            (None, Some(most)) => x.clamp_max(most),
            (None, None) => x,
        })
    }
}
