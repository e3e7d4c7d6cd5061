//! Eq. 1 minimised for a batch of samples at a time, on the device.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::softmax};
use ndarray::{Array1, ArrayView2};
use neuroinspect_core::{ClassId, DecisionLayer, read_back};

use crate::{CounterfactualConfig, Floor, PenaltyScale, Result};

/// Steps between two looks at the device. Samples stop at the exact step whatever it is; a look
/// costs a transfer, and samples that have stopped cost a step's work until the next one.
const STEPS_PER_LOOK: usize = 16;

const SHIFTS: &str = "counterfactual shifts";

/// Momentum descent on Eq. 1 for one decision layer and class.
pub(crate) struct Descent<'a> {
    config: &'a CounterfactualConfig,
    class: ClassId,
    device: &'a Device,
    /// `W`: `[K, D]`.
    weight: Tensor<2>,
    /// `b`: `[1, K]`.
    bias: Tensor<2>,
    /// `e_y`: `[1, K]`.
    one_hot: Tensor<2>,
    /// `lambda1` and `lambda2`, times the scale of the norms.
    penalties: [f64; 2],
    /// The samples still descending; none before [`start`](Self::start) and after the last.
    state: Option<State>,
}

/// The `A` samples still descending.
struct State {
    /// Row of each sample in the batch.
    rows: Vec<usize>,
    /// Steps each of them has taken.
    steps: usize,
    /// Logits of the features as they are, `z0`: `[A, K]`.
    start: Tensor<2>,
    /// Logits of the shifted features, `z0 + w W^T`: `[A, K]`.
    logits: Tensor<2>,
    /// The shifts `w`: `[A, D]`.
    shift: Tensor<2>,
    /// The least that they can be, where activations stay at or above 0: `[A, D]`.
    least: Option<Tensor<2>>,
    /// The momentum buffer: `[A, D]`.
    velocity: Tensor<2>,
}

/// A sample that has come to its end.
pub(crate) struct End {
    /// Its row in the batch.
    pub(crate) row: usize,
    /// Steps taken.
    pub(crate) steps: usize,
    /// Whether the prediction flipped.
    pub(crate) flipped: bool,
    /// Its shift: `[D]`.
    pub(crate) shift: Array1<f32>,
}

impl<'a> Descent<'a> {
    pub(crate) fn new(
        layer: &DecisionLayer,
        class: ClassId,
        config: &'a CounterfactualConfig,
        device: &'a Device,
    ) -> Self {
        let mut one_hot = vec![0.0_f32; layer.classes()];
        one_hot[class.0] = 1.0;
        let scale = match config.penalty_scale {
            PenaltyScale::PerNeuron => 1.0 / layer.neurons() as f64,
            PenaltyScale::Unscaled => 1.0,
        };
        Self {
            config,
            class,
            device,
            weight: layer.weight_on(device),
            bias: layer.bias_on(device).unsqueeze(),
            one_hot: Tensor::from_data(TensorData::new(one_hot, [1, layer.classes()]), device),
            penalties: [config.lambda1 * scale, config.lambda2 * scale],
            state: None,
        }
    }

    /// Begins with a batch of features `[B, D]`, all of them mistakes.
    pub(crate) fn start(&mut self, features: ArrayView2<'_, f32>) {
        let (samples, neurons) = features.dim();
        let data = TensorData::new(features.iter().copied().collect(), [samples, neurons]);
        let features = Tensor::<2>::from_data(data, self.device);
        let start = features.clone().matmul(self.weight.clone().transpose()) + self.bias.clone();
        self.state = Some(State {
            rows: (0..samples).collect(),
            steps: 0,
            logits: start.clone(),
            start,
            shift: Tensor::zeros([samples, neurons], self.device),
            least: (self.config.floor != Floor::None).then(|| -features),
            velocity: Tensor::zeros([samples, neurons], self.device),
        });
    }

    /// Whether no sample is left.
    pub(crate) fn is_done(&self) -> bool {
        self.state.is_none()
    }

    /// Takes a few steps, then hands over the samples that have come to their end and lets go of
    /// them.
    pub(crate) fn advance(&mut self) -> Result<Vec<End>> {
        let Some(mut state) = self.state.take() else {
            return Ok(Vec::new());
        };
        let planned = STEPS_PER_LOOK.min(self.config.max_steps - state.steps);
        // 1 for a sample whose prediction has not flipped yet, else 0.
        let mut active = Tensor::<2>::ones([state.rows.len(), 1], self.device);
        // Of the steps planned, how many each sample took.
        let mut taken = active.zeros_like();
        for _ in 0..planned {
            taken = taken + active.clone();
            self.step(&mut state, &active);
            let flipped = state
                .logits
                .clone()
                .argmax(1)
                .equal_elem(self.class.0 as i64);
            active = active * flipped.bool_not().float();
        }
        let state_of_each = read_back(Tensor::cat(vec![active, taken], 1), SHIFTS)?;
        let state_of_each = state_of_each.as_chunks().0.iter();
        let steps = state.steps;
        state.steps += planned;

        let mut ended = Vec::new();
        let mut going = Vec::new();
        for (index, &[active, taken]) in state_of_each.enumerate() {
            let flipped = active == 0.0;
            if flipped || state.steps == self.config.max_steps {
                // At most STEPS_PER_LOOK, which is exact in any float.
                ended.push((index, steps + taken as usize, flipped));
            } else {
                going.push(index);
            }
        }
        if ended.is_empty() {
            self.state = Some(state);
            return Ok(Vec::new());
        }
        let indices: Vec<usize> = ended.iter().map(|&(index, ..)| index).collect();
        let neurons = self.weight.dims()[1];
        let shifts = read_back(
            state.shift.clone().select(0, self.indices(&indices)),
            SHIFTS,
        )?;
        let ends = ended.iter().zip(shifts.chunks_exact(neurons));
        let ends = ends.map(|(&(index, steps, flipped), shift)| End {
            row: state.rows[index],
            steps,
            flipped,
            shift: shift.to_vec().into(),
        });
        let ends = ends.collect();
        if !going.is_empty() {
            self.state = Some(state.keep(&going, self.indices(&going)));
        }
        Ok(ends)
    }

    /// One step of momentum descent for the active samples; the others stay where they are.
    fn step(&self, state: &mut State, active: &Tensor<2>) {
        let config = self.config;
        let residual = softmax(state.logits.clone(), 1) - self.one_hot.clone();
        let gradient = residual.matmul(self.weight.clone()) + self.penalty_gradient(&state.shift);
        // PyTorch's first step takes the gradient itself as the buffer: from a buffer of 0 that
        // comes out the same.
        state.velocity = state.velocity.clone() * config.momentum + gradient;
        let step = state.velocity.clone() * (active.clone() * config.learning_rate);
        state.shift = state.shift.clone() - step;
        if let Some(least) = &state.least {
            state.shift = state.shift.clone().max_pair(least.clone());
        }
        state.logits =
            state.start.clone() + state.shift.clone().matmul(self.weight.clone().transpose());
    }

    /// `lambda1 sign(w) + lambda2 w / |w|_2`, both 0 at `w = 0`: `[A, D]`.
    fn penalty_gradient(&self, shift: &Tensor<2>) -> Tensor<2> {
        let [lambda1, lambda2] = self.penalties;
        let norm = shift.clone().powi_scalar(2).sum_dim(1).sqrt();
        // Below the floor the quotient is shorter than 1, still a subgradient of the norm at 0.
        let direction = shift.clone() / norm.clamp_min(1e-12);
        shift.clone().sign() * lambda1 + direction * lambda2
    }

    fn indices(&self, indices: &[usize]) -> Tensor<1, Int> {
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let count = indices.len();
        Tensor::from_data(TensorData::new(indices, [count]), self.device)
    }
}

impl State {
    /// The samples at `indices` alone.
    fn keep(self, indices: &[usize], on_device: Tensor<1, Int>) -> Self {
        Self {
            rows: indices.iter().map(|&index| self.rows[index]).collect(),
            steps: self.steps,
            start: self.start.select(0, on_device.clone()),
            logits: self.logits.select(0, on_device.clone()),
            shift: self.shift.select(0, on_device.clone()),
            least: self.least.map(|least| least.select(0, on_device.clone())),
            velocity: self.velocity.select(0, on_device),
        }
    }
}
