//! Arithmetic of values.

use super::{one, two, value, values};
use crate::graph::{Value, op::Operation, run::NodeParameters, value::each_rank};

/// Two values combined number by number; an axis of size 1 is repeated, and one missing in front
/// counts as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// How.
    pub arithmetic: Arithmetic,
}

/// How two numbers are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`.
    Add,
    /// `a - b`.
    Subtract,
    /// `a b`.
    Multiply,
    /// `a / b`.
    Divide,
    /// The smaller of the two.
    Minimum,
    /// The larger of the two.
    Maximum,
}

impl Operation for Binary {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [a, b] = two(inputs)?;
        repeated(a, b)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let [a, b] = values(inputs)?;
        let rank = a.dims().len().max(b.dims().len());
        let (a, b) = (a.with_rank(rank)?, b.with_rank(rank)?);
        macro_rules! combine {
            ($($rank:ident)*) => {
                match (a, b) {
                    $((Value::$rank(a), Value::$rank(b)) => Ok(match self.arithmetic {
                        Arithmetic::Add => a + b,
                        Arithmetic::Subtract => a - b,
                        Arithmetic::Multiply => a * b,
                        Arithmetic::Divide => a / b,
                        Arithmetic::Minimum => a.min_pair(b),
                        Arithmetic::Maximum => a.max_pair(b),
                    }.into()),)*
                    (a, b) => Err(format!(
                        "expected floats of one rank, found shapes {:?} and {:?}",
                        a.dims(),
                        b.dims()
                    )),
                }
            };
        }
        combine!(Rank1 Rank2 Rank3 Rank4 Rank5 Rank6)
    }
}

/// The shape of two values of which axes of size 1 are repeated, and missing ones put in front.
fn repeated(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let padded = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
    let sizes = padded(a).into_iter().zip(padded(b));
    sizes
        .map(|sizes| match sizes {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!(
                "expected axes of the same size, or of size 1, as in {a:?}, found {b:?}"
            )),
        })
        .collect()
}

/// A value times a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// The number.
    pub factor: f64,
}

impl Operation for Scale {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        each_rank!(value(inputs)?, x => x * self.factor)
    }
}

/// Product of matrices, the last two axes; of those before, one of size 1 is repeated, and one missing
/// in front counts as such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatMul {}

impl Operation for MatMul {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [a, b] = two(inputs)?;
        let wrong =
            || format!("expected a matrix of as many rows as {a:?} has columns, found {b:?}");
        let ([before @ .., lines, inner], [others @ .., rows, columns]) = (a, b) else {
            return Err(wrong());
        };
        if inner != rows {
            return Err(wrong());
        }
        let mut shape = repeated(before, others)?;
        shape.extend([*lines, *columns]);
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let [a, b] = values(inputs)?;
        let rank = a.dims().len().max(b.dims().len());
        let (a, b) = (a.with_rank(rank)?, b.with_rank(rank)?);
        match (a, b) {
            (Value::Rank2(a), Value::Rank2(b)) => Ok(a.matmul(b).into()),
            (Value::Rank3(a), Value::Rank3(b)) => Ok(a.matmul(b).into()),
            (Value::Rank4(a), Value::Rank4(b)) => Ok(a.matmul(b).into()),
            (Value::Rank5(a), Value::Rank5(b)) => Ok(a.matmul(b).into()),
            (Value::Rank6(a), Value::Rank6(b)) => Ok(a.matmul(b).into()),
            (a, b) => Err(format!(
                "expected floats of one rank, found shapes {:?} and {:?}",
                a.dims(),
                b.dims()
            )),
        }
    }
}
