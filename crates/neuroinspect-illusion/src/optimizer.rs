//! AdamW on one tensor, and its learning rate.

use burn::tensor::Tensor;

use crate::IllusionConfig;

/// Keeps the division by the second moment finite, as in PyTorch.
const EPSILON: f64 = 1e-8;

/// AdamW (Loshchilov and Hutter 2019) in PyTorch's formulation, with cosine annealing over all
/// steps to a share of the initial rate.
#[derive(Debug)]
pub(crate) struct AdamW<'a> {
    config: &'a IllusionConfig,
    step: usize,
    moments: Option<[Tensor<4>; 2]>,
}

impl<'a> AdamW<'a> {
    pub(crate) fn new(config: &'a IllusionConfig) -> Self {
        Self {
            config,
            step: 0,
            moments: None,
        }
    }

    /// The parameter after one step along `gradient`.
    pub(crate) fn step(&mut self, parameter: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        let rate = learning_rate(self.config, self.step);
        let (beta1, beta2) = self.config.betas;
        self.step += 1;

        let [first, second] = self
            .moments
            .take()
            .unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
        let first = first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = second * beta2 + gradient.clone() * gradient * (1.0 - beta2);
        let correction1 = 1.0 - beta1.powf(self.step as f64);
        let correction2 = 1.0 - beta2.powf(self.step as f64);
        let root = second.clone().sqrt() / correction2.sqrt() + EPSILON;
        let update = first.clone() / root * (rate / correction1);

        self.moments = Some([first, second]);
        parameter * (1.0 - rate * self.config.weight_decay) - update
    }
}

/// The learning rate of a step, from 0.
pub(crate) fn learning_rate(config: &IllusionConfig, step: usize) -> f64 {
    let least = config.learning_rate * config.final_rate_factor;
    let progress = step as f64 / config.steps as f64;
    least + (config.learning_rate - least) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
}
