//! Adam, and its learning rate over time.

mod host;

use burn::tensor::Tensor;
use neuroinspect_core::is_flex;

use self::host::HostMoments;
use super::Schedule;
use crate::Result;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Adam (arXiv 1412.6980) for one tensor, as PyTorch has it: weight decay is added to the gradient.
///
/// Not Burn's, which takes `1 - 0.999^t` in single precision: on the values of the test below it is
/// 9e-7 off PyTorch on a value of 1.7 after three steps, seven units in the last place.
pub(crate) struct Adam<const R: usize> {
    moments: Option<Moments<R>>,
    steps: i32,
}

/// The means of gradient and squared gradient.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each parameter, of which a training has two"
)]
enum Moments<const R: usize> {
    /// Where the parameter is.
    Device { mean: Tensor<R>, square: Tensor<R> },
    /// In one pass over memory, where the device is the CPU: as tensors they would be read and written anew for each
    /// operation.
    Host(HostMoments),
}

/// What a step is taken with.
#[derive(Clone, Copy)]
struct Step {
    /// The learning rate over `1 - BETA1^t`.
    rate: f64,
    /// The root of `1 - BETA2^t`.
    correction: f64,
    weight_decay: f64,
}

impl<const R: usize> Adam<R> {
    pub(crate) fn new() -> Self {
        Self {
            moments: None,
            steps: 0,
        }
    }

    /// Takes the parameter a step along its gradient. One that nobody else holds is overwritten where it lies, on the CPU.
    ///
    /// # Errors
    ///
    /// When the device does not give the values back.
    pub(crate) fn step(
        &mut self,
        parameter: &mut Tensor<R>,
        gradient: Tensor<R>,
        rate: f64,
        weight_decay: f64,
    ) -> Result<()> {
        self.steps += 1;
        let step = Step {
            rate: rate / (1.0 - BETA1.powi(self.steps)),
            correction: (1.0 - BETA2.powi(self.steps)).sqrt(),
            weight_decay,
        };
        if is_flex(&parameter.device()) {
            let mut moments = match self.moments.take() {
                Some(Moments::Host(moments)) => moments,
                _ => HostMoments::zeros(parameter.shape().num_elements()),
            };
            moments.step(parameter, gradient, step)?;
            self.moments = Some(Moments::Host(moments));
        } else {
            self.on_device(parameter, gradient, step);
        }
        Ok(())
    }

    /// A step by operations on tensors.
    ///
    /// Moments that nobody else holds are overwritten where they lie: they are taken out for that,
    /// and clones come last.
    fn on_device(&mut self, parameter: &mut Tensor<R>, gradient: Tensor<R>, step: Step) {
        let gradient = match step.weight_decay {
            0.0 => gradient,
            decay => gradient + parameter.clone() * decay,
        };
        let mean = gradient.clone() * (1.0 - BETA1);
        let square = gradient.square() * (1.0 - BETA2);
        // From moments of 0 the first come out as they are.
        let (mean, square) = match self.moments.take() {
            Some(Moments::Device {
                mean: earlier,
                square: earlier_square,
            }) => (earlier * BETA1 + mean, earlier_square * BETA2 + square),
            _ => (mean, square),
        };
        let divisor = square.clone().sqrt() / step.correction + EPSILON;
        *parameter = parameter.clone() - mean.clone() / divisor * step.rate;
        self.moments = Some(Moments::Device { mean, square });
    }
}

impl Schedule {
    /// The learning rate of a step, counted from 0 over all epochs.
    pub(crate) fn rate(self, base: f64, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        let progress = |step: f64| step / (steps_per_epoch as f64 * epochs as f64);
        let cosine = |least: f64| {
            let done = (step / steps_per_epoch) as f64 / epochs as f64;
            base * (0.5 + least / 2.0 + (0.5 - least / 2.0) * (std::f64::consts::PI * done).cos())
        };
        match self {
            Self::Constant => base,
            Self::Warmup => warmup(base, progress(step as f64 + 0.5)),
            // The original sets the rate after each step, from that step's place in its epoch, for
            // the next step to use, be it in the next epoch; the very first has the full rate.
            Self::OriginalWarmup => match step.checked_sub(1) {
                None => base,
                Some(previous) => warmup(base, progress((previous % steps_per_epoch) as f64)),
            },
            Self::Cosine => cosine(0.1),
            Self::CosineToTwentieth => cosine(0.05),
        }
    }
}

/// The warm-up curve at `progress` in `[0, 1]`.
pub(crate) fn warmup(base: f64, progress: f64) -> f64 {
    let fall = (4.0 * (1.0 - progress)).min(1.0);
    let rise = (20.0 * progress).min(1.0);
    base * (0.5 - 0.5 * (std::f64::consts::PI * fall).cos()) * rise
}

#[cfg(test)]
mod tests;
