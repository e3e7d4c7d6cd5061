//! Instance normalisation.

use super::{axis, one, product, value};
use crate::graph::{InitialValues, Slot, Value, op::Operation, run::NodeParameters};

/// Normalisation of each channel of each image by itself (Ulyanov et al. 2016): `[N, C, ..]`, over
/// all axes after the second.
///
/// Parameters: `weight` and `bias`, each `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceNorm {
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operation for InstanceNorm {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let channels = axis(one(inputs)?, 1)?;
        Ok(vec![
            Slot::new("weight", [channels], InitialValues::ones()),
            Slot::new("bias", [channels], InitialValues::zeros()),
        ])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let input = one(inputs)?;
        match input {
            [_, _, _, ..] => Ok(input.to_vec()),
            _ => Err(format!("expected at least three axes, found {input:?}")),
        }
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let shape = x.dims();
        let [images, channels, rest @ ..] = &shape[..] else {
            return Err(format!("expected at least three axes, found {shape:?}"));
        };
        let rows = [*images, *channels, product(rest.iter().copied())?];
        let rows = x.reshape(&rows)?.rank3()?;
        let centred = rows.clone() - rows.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let [weight, bias] = [parameters.rank1(0)?, parameters.rank1(1)?]
            .map(|parameter| parameter.reshape([1, *channels, 1]));
        let x = centred / (variance + self.epsilon).sqrt() * weight + bias;
        Value::from(x).reshape(&shape)
    }
}
