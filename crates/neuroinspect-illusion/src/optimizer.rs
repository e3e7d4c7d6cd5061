//! AdamW on one tensor, and its learning rate.

use burn::tensor::Tensor;
use burn_optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};

use crate::Recipe;

/// Keeps the division by the second moment finite, as in PyTorch.
const EPSILON: f32 = 1e-8;

/// Burn's AdamW on one tensor, with cosine annealing over all steps to a share of the initial rate.
pub(crate) struct AdamW<'a> {
    recipe: &'a Recipe,
    optimizer: burn_optim::AdamW,
    step: usize,
    state: Option<AdamWState<4>>,
}

impl<'a> AdamW<'a> {
    pub(crate) fn new(recipe: &'a Recipe) -> Self {
        let optimizer = AdamWConfig::new()
            .with_beta_1(recipe.betas.0 as f32)
            .with_beta_2(recipe.betas.1 as f32)
            .with_epsilon(EPSILON)
            .with_weight_decay(recipe.weight_decay as f32)
            .build();
        Self {
            recipe,
            optimizer,
            step: 0,
            state: None,
        }
    }

    /// As it is after `step` steps, at least 1, that have come to these first and second moments:
    /// `[N, ..]`.
    pub(crate) fn go_on(recipe: &'a Recipe, step: usize, moments: [Tensor<4>; 2]) -> Self {
        let [first, second] = moments;
        let momentum = AdaptiveMomentumState::new(step, first, second);
        Self {
            step,
            state: Some(AdamWState::new(momentum)),
            ..Self::new(recipe)
        }
    }

    /// First and second moments, `[N, ..]`; none before the first step.
    pub(crate) fn moments(&self) -> Option<[Tensor<4>; 2]> {
        let momentum = &self.state.as_ref()?.momentum;
        Some([momentum.moment_1.clone(), momentum.moment_2.clone()])
    }

    /// The parameter after one step along `gradient`.
    pub(crate) fn step(&mut self, parameter: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        let rate = learning_rate(self.recipe, self.step);
        self.step += 1;
        let state = self.state.take();
        let (parameter, state) = self.optimizer.step(rate, parameter, gradient, state);
        self.state = state;
        parameter
    }
}

/// The learning rate of a step, from 0.
pub(crate) fn learning_rate(recipe: &Recipe, step: usize) -> f64 {
    let least = recipe.learning_rate * recipe.final_rate_factor;
    let progress = step as f64 / recipe.steps as f64;
    least + (recipe.learning_rate - least) * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn row(values: [f32; 4]) -> Tensor<4> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [1, 1, 1, 4]),
            &Device::flex(),
        )
    }

    /// Printed by PyTorch 2.9 in double precision: `AdamW(lr=9e-3, betas=(0.5, 0.99),
    /// weight_decay=2e-4)` under `CosineAnnealingLR(T_max=5, eta_min=0.12 * 9e-3)`, the gradients
    /// below. Ours is single precision: five steps of some ten roundings of numbers up to 2.
    #[test]
    fn steps_are_pytorchs() {
        let recipe = Recipe::default().with_steps(5);
        let steps = [
            (
                0.009,
                [1.0, -2.0, 1e-6, 0.0],
                [0.49099910009, -0.9909982000449999, 1.991085508910891, 0.0],
            ),
            (
                0.008243707297724792,
                [0.5, 2.0, -1e-6, 0.0],
                [
                    0.48403608255329605,
                    -0.9937444685640165,
                    1.9938029216034598,
                    0.0,
                ],
            ),
            (
                0.006263707297724791,
                [-0.25, 1.0, 3e-6, 1.0],
                [
                    0.4826777654311655,
                    -0.9968481688238462,
                    1.988705327194702,
                    -0.006168490989954204,
                ],
            ),
            (
                0.0038162927022752082,
                [4.0, -1.0, 0.0, 1.0],
                [
                    0.47866782713358524,
                    -0.9965246152240312,
                    1.9870281635957794,
                    -0.01046459456918717,
                ],
            ),
            (
                0.0018362927022752083,
                [0.125, -3.0, 2e-6, -1.0],
                [
                    0.47755837985977667,
                    -0.9950077404090244,
                    1.9855677046154938,
                    -0.010160224265076156,
                ],
            ),
        ];
        let mut optimizer = AdamW::new(&recipe);
        let mut parameter = row([0.5, -1.0, 2.0, 0.0]);
        for (step, (rate, gradient, expected)) in steps.into_iter().enumerate() {
            assert!((learning_rate(&recipe, step) - rate).abs() < 1e-15);
            parameter = optimizer.step(parameter, row(gradient));
            let ours: Vec<f32> = parameter.clone().try_into_vec_as().unwrap();
            for (ours, expected) in ours.into_iter().zip(expected) {
                assert!(
                    (f64::from(ours) - expected).abs() < 2e-6,
                    "{ours} {expected}"
                );
            }
        }
    }
}
