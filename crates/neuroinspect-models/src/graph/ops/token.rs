//! Tokens of texts, and positions.

use burn::{nn::Initializer, tensor::module::embedding};

use super::{one, tokens, two, value, values};
use crate::graph::{InitialValues, Slot, Value, op::Operation, run::NodeParameters};

/// Rows of a table, by number: `[T, L]` integers to `[T, L, width]`.
///
/// Parameter: `weight` `[rows, width]`. The integers must be less than `rows`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// Rows of the table.
    pub rows: usize,
    /// Length of a row.
    pub width: usize,
}

impl Operation for Embedding {
    fn parameters(&self, _: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let start = InitialValues::random(normal, self.rows, self.width);
        Ok(vec![Slot::new("weight", [self.rows, self.width], start)])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match *one(inputs)? {
            [texts, length] => Ok(vec![texts, length, self.width]),
            ref other => Err(format!("expected tokens of texts [T, L], found {other:?}")),
        }
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let ids = value(inputs)?.ids()?;
        Ok(embedding(parameters.rank2(0)?, ids).into())
    }
}

/// A table of learned positions added to tokens, `[N, T, C]`, as many of its rows as there are.
///
/// Its parameter is the node's name itself, `[rows, C]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPositions {
    /// Rows of the table: most tokens there can be.
    pub rows: usize,
}

impl AddPositions {
    /// A table `[rows, C]`.
    pub fn new(rows: usize) -> Self {
        Self { rows }
    }
}

impl Operation for AddPositions {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let [.., width] = tokens(inputs)?;
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let start = InitialValues::random(normal, self.rows, width);
        Ok(vec![Slot::new("", [self.rows, width], start)])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [_, count, _] = tokens(inputs)?;
        if count > self.rows {
            return Err(format!(
                "expected at most {} tokens, found {count}",
                self.rows
            ));
        }
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?.rank3()?;
        let [_, count, _] = x.dims();
        let table = parameters.rank2(0)?.narrow(0, 0, count);
        Ok((x + table.unsqueeze()).into())
    }
}

/// Of each text the row at its token of highest number, CLIP's end of text: `[T, L, C]` and the
/// tokens `[T, L]` to `[T, C]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgmaxPool {}

impl Operation for ArgmaxPool {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match two(inputs)? {
            [&[texts, length, width], &[also_texts, also_length]]
                if texts == also_texts && length == also_length =>
            {
                Ok(vec![texts, width])
            }
            [rows, ids] => Err(format!(
                "expected rows [T, L, C] and tokens [T, L], found {rows:?} and {ids:?}"
            )),
        }
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let [rows, ids] = values(inputs)?;
        let rows = rows.rank3()?;
        let [texts, _, width] = rows.dims();
        let end = ids.ids()?.argmax(1);
        let end = end.unsqueeze_dim::<3>(2).expand([texts, 1, width]);
        Ok(rows.gather(1, end).reshape([texts, width]).into())
    }
}
