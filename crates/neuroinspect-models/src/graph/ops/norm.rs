//! Normalisations.

use burn::tensor::module::{batch_norm, batch_norm_train};
use derive_setters::Setters;
use neuroinspect_core::layer_norm;

use super::{axis, map, one, value};
use crate::graph::{
    InitialValues, Slot, Value, op::Operation, run::NodeParameters, value::each_rank,
};

/// Batch normalisation of the second axis (Ioffe and Szegedy 2015): by the running statistics, or in
/// training by those of the batch, which then move the running ones.
///
/// As in Burn, the running variance moves towards the batch's biased one, the mean square over its `n`
/// values; PyTorch takes `n / (n - 1)` times that.
///
/// Parameters: `weight`, `bias`, and the buffers `running_mean` and `running_var`, each `[C]`.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_")]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f64,
    /// How far the running statistics move towards those of a batch.
    #[setters(skip)]
    pub momentum: f64,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self {
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }
}

impl Operation for BatchNorm {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let channels = axis(one(inputs)?, 1)?;
        let running = |value| InitialValues::Buffer { value };
        Ok(vec![
            Slot::new("weight", [channels], InitialValues::ones()),
            Slot::new("bias", [channels], InitialValues::zeros()),
            Slot::new("running_mean", [channels], running(0.0)),
            Slot::new("running_var", [channels], running(1.0)),
        ])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let (weight, bias) = (parameters.rank1(0)?, parameters.rank1(1)?);
        let (mean, variance) = (parameters.running(2)?, parameters.running(3)?);
        // Clones on several devices share the statistics, which are on the device of the last update.
        let device = x.device();
        if !parameters.trains_on(&device) {
            let [mean, variance] =
                [mean, variance].map(|running| running.value_sync().to_device(&device));
            return each_rank!(x, x => batch_norm(x, weight, bias, mean, variance, self.epsilon));
        }
        each_rank!(x, x => {
            let batch = batch_norm_train(x, weight, bias, self.epsilon);
            for (running, now) in [(mean, batch.mean), (variance, batch.variance)] {
                let kept = running.value_sync().to_device(&device) * (1.0 - self.momentum);
                running.update((kept + now.detach() * self.momentum).detach());
            }
            batch.output
        })
    }
}

/// Layer normalisation over one axis (Ba et al. 2016).
///
/// Parameters: `weight` and `bias`, each of the axis's size.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_", generate = false)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f64,
    /// The axis; the last one where there is none.
    #[setters(generate, strip_option)]
    pub axis: Option<usize>,
}

impl Default for LayerNorm {
    fn default() -> Self {
        let (epsilon, axis) = (1e-5, None);
        Self { epsilon, axis }
    }
}

impl LayerNorm {
    /// Over the last axis, with a constant.
    pub fn new(epsilon: f64) -> Self {
        let axis = None;
        Self { epsilon, axis }
    }
}

impl Operation for LayerNorm {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let input = one(inputs)?;
        let last = input.len().saturating_sub(1);
        let width = axis(input, self.axis.unwrap_or(last))?;
        Ok(vec![
            Slot::new("weight", [width], InitialValues::ones()),
            Slot::new("bias", [width], InitialValues::zeros()),
        ])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?;
        let (weight, bias) = (parameters.rank1(0)?, parameters.rank1(1)?);
        let last = x.dims().len().saturating_sub(1);
        let axis = self.axis.unwrap_or(last);
        each_rank!(x, x => {
            let x = layer_norm(x.swap_dims(axis, last), weight, bias, self.epsilon);
            x.swap_dims(axis, last)
        })
    }
}

/// Group normalisation of a map's channels (Wu and He 2018).
///
/// Parameters: `weight` and `bias`, each `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNorm {
    /// Number of groups the channels are divided into.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl GroupNorm {
    /// PyTorch's constant for a number of groups.
    pub fn new(groups: usize) -> Self {
        let epsilon = 1e-5;
        Self { groups, epsilon }
    }
}

impl Operation for GroupNorm {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let [_, channels, ..] = map(inputs)?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err(format!(
                "expected a number of groups that divides {channels} channels, found {}",
                self.groups
            ));
        }
        Ok(vec![
            Slot::new("weight", [channels], InitialValues::ones()),
            Slot::new("bias", [channels], InitialValues::zeros()),
        ])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(one(inputs)?.to_vec())
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?.rank4()?;
        let [images, channels, height, width] = x.dims();
        let rows = x.reshape([images, self.groups, channels / self.groups * height * width]);
        let centred = rows.clone() - rows.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let x =
            (centred / (variance + self.epsilon).sqrt()).reshape([images, channels, height, width]);
        let [weight, bias] = [parameters.rank1(0)?, parameters.rank1(1)?]
            .map(|parameter| parameter.reshape([1, channels, 1, 1]));
        Ok((x * weight + bias).into())
    }
}
