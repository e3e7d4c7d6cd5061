//! What a decision layer is trained for.

use burn::tensor::{Tensor, activation::log_softmax};

use crate::{LayerTensors, SampleBatch};

/// The loss of a batch, with its gradient in closed form.
///
/// A loss that keeps something over batches, as the group weights of group DRO, keeps it on
/// the device: a value read back in the middle of an epoch makes every step wait. What it needs of
/// each sample, it finds by [`SampleBatch::samples`]. It is called as [work](neuroinspect_core::among_workers): it must not hold a
/// lock while it computes that another loss asks for, nor wait for anything.
///
/// ```
/// use burn::tensor::{Tensor, activation::log_softmax};
/// use neuroinspect_editing::{SampleBatch, LossAndGradient, LayerTensors, Loss};
///
/// /// `sum(w_y CE) / sum(w_y)`, as PyTorch weights classes.
/// struct ClassWeighting {
///     /// `w`: `[1, K]`.
///     weights: Tensor<2>,
/// }
///
/// impl Loss for ClassWeighting {
///     fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
///         let one_hot = batch.one_hot();
///         let log_p = log_softmax(layer.logits(batch.features.clone()), 1);
///         let weight = (one_hot.clone() * self.weights.clone()).sum_dim(1); // [B, 1]
///         let share = weight.clone() / weight.sum().unsqueeze();
///         let loss = -(log_p.clone() * one_hot.clone() * share.clone()).sum();
///         LossAndGradient::through_logits(loss, (log_p.exp() - one_hot) * share, &batch.features)
///     }
/// }
/// ```
pub trait Loss: Send {
    /// The loss of a batch of the training table, and its gradient.
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient;

    /// Weight of the penalty in the loss. At 0, as where there is no penalty, it is reported but
    /// chooses no epoch.
    fn penalty_weight(&self) -> f64 {
        0.0
    }

    /// What a chunk of the validation table adds to the sum that [`penalty_of`](Self::penalty_of)
    /// makes the penalty of: `[1]`. `logits` `[B, K]` are the layer's; [`SampleBatch::samples`] are indices
    /// into the validation table, not the training table. `None` where there is no penalty.
    fn penalty_sum(
        &self,
        layer: &LayerTensors,
        batch: &SampleBatch,
        logits: &Tensor<2>,
    ) -> Option<Tensor<1>> {
        let _ = (layer, batch, logits);
        None
    }

    /// The penalty over the whole validation table, out of the sum over its samples.
    fn penalty_of(&self, sum: f64, samples: usize) -> f64 {
        sum / samples as f64
    }
}

/// The loss of a batch, and its gradient.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LossAndGradient {
    /// The loss, penalties and all: `[1]`.
    pub loss: Tensor<1>,
    /// The penalty in it, before it is weighted: `[1]`; 0 where there is none.
    pub penalty: Tensor<1>,
    /// Gradient of the loss with respect to `W`: `[K, D]`.
    pub weight: Tensor<2>,
    /// The same with respect to `b`: `[K]`.
    pub bias: Tensor<1>,
}

impl LossAndGradient {
    /// A loss that depends on `W` and `b` through the logits alone, `gradient` `[B, K]` being that
    /// with respect to them.
    pub fn through_logits(loss: Tensor<1>, gradient: Tensor<2>, features: &Tensor<2>) -> Self {
        Self {
            penalty: loss.zeros_like(),
            loss,
            weight: gradient.clone().transpose().matmul(features.clone()),
            bias: gradient.sum_dim(0).squeeze_dim(0),
        }
    }
}

/// The mean cross-entropy: plain retraining.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy;

impl Loss for CrossEntropy {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let terms = CrossEntropyTerms::new(layer.logits(batch.features.clone()), batch);
        LossAndGradient::through_logits(terms.loss, terms.gradient, &batch.features)
    }
}

/// Least probability that a gradient is computed from, and its logarithm. What is smaller is far below what Adam's epsilon
/// lets through, and below 1e-38, which a layer that is sure of itself comes to, products are slow on a CPU.
pub(crate) const LEAST_PROBABILITY: f64 = 1e-30;
const LEAST_LOG: f64 = -69.077_552_789_821_37;

/// `softmax` out of its logarithm, both `[B, K]`, nowhere below [`LEAST_PROBABILITY`].
pub(crate) fn probabilities(log_p: Tensor<2>) -> Tensor<2> {
    log_p.clamp_min(LEAST_LOG).exp()
}

/// The mean cross-entropy of a batch, and what others build on it.
pub(crate) struct CrossEntropyTerms {
    /// The loss: `[1]`.
    pub(crate) loss: Tensor<1>,
    /// `softmax` of the logits: `[B, K]`.
    pub(crate) p: Tensor<2>,
    /// The gradient with respect to the logits: `[B, K]`.
    pub(crate) gradient: Tensor<2>,
}

impl CrossEntropyTerms {
    /// Those of `sum_i w_i CE_i`; `weights` `[B, 1]`.
    pub(crate) fn weighted(logits: Tensor<2>, batch: &SampleBatch, weights: Tensor<2>) -> Self {
        let one_hot = batch.one_hot();
        let log_p = log_softmax(logits, 1);
        let p = probabilities(log_p.clone());
        Self {
            loss: -(log_p * one_hot.clone() * weights.clone()).sum(),
            gradient: (p.clone() - one_hot) * weights,
            p,
        }
    }

    pub(crate) fn new(logits: Tensor<2>, batch: &SampleBatch) -> Self {
        let (samples, one_hot) = (batch.len() as f64, batch.one_hot());
        let log_p = log_softmax(logits, 1);
        let p = probabilities(log_p.clone());
        Self {
            loss: -(log_p * one_hot.clone()).sum() / samples,
            gradient: (p.clone() - one_hot) / samples,
            p,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, activation::log_softmax};

    use super::{LEAST_PROBABILITY, probabilities};

    /// What a `f32` holds below its smallest normal number is slow to multiply.
    #[test]
    fn what_is_improbable_is_quick_to_multiply() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[0.0, -1.0, -68.0, -95.0, -200.0]], &device);
        let p = probabilities(log_softmax(logits, 1));
        let gradient = (p.clone() / 1e5).into_data().try_to_vec::<f32>().unwrap();
        assert!(gradient.iter().all(|it| it.is_normal()), "{gradient:?}");
        let p = p.into_data().try_to_vec::<f32>().unwrap();
        let sum = 1.0 + (-1f32).exp();
        let wanted = [1.0 / sum, (-1f32).exp() / sum, (-68f32).exp() / sum];
        for (ours, wanted) in p.iter().zip(wanted) {
            assert!((ours / wanted - 1.0).abs() < 1e-5, "{ours} for {wanted}");
        }
        for &least in &p[3..] {
            assert!(
                (f64::from(least) / LEAST_PROBABILITY - 1.0).abs() < 1e-5,
                "{least}"
            );
        }
    }
}
