//! The loss of the ratio edit, Eq. 8, and its gradient in closed form.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation::softmax};

use super::{EditScope, RatioEdit, RatioForm, RatioNorm};
use crate::{
    Batch, LayerTensors, LossAndGradient, Objective, data::indices, training::CrossEntropyTerms,
};

/// Keeps the quotient of Eq. 7 finite: no probability ratio is above `1 / EPSILON`.
pub(crate) const EPSILON: f64 = 1e-9;

/// Samples that are looked at together when a penalty is summed over a chunk, at least.
const FEWEST_ROWS: usize = 64;

/// Eq. 8 for some neurons: `CE + lambda3 |r - o|`.
///
/// They fall into `G` groups of `s` that are zeroed together: one of all, or one of each. All groups
/// are computed at once, along a first axis.
pub(crate) struct RatioObjective {
    scope: EditScope,
    norm: RatioNorm,
    lambda3: f64,
    target: f64,
    /// All neurons, group by group: `[G s]`.
    neurons: Tensor<1, Int>,
    groups: usize,
}

/// The probability ratios of a batch.
struct Ratios {
    /// Activations of each group's neurons: `[G, B, s]`.
    activations: Tensor<3>,
    /// `q = softmax` of the logits with a group zeroed: `[G, B, K]`.
    without: Tensor<3>,
    /// `r = p / (q + 1e-9)`: `[G, B, K]`.
    ratio: Tensor<3>,
}

/// A penalty, and where it leads.
struct Penalty {
    /// `|r - o|`, not yet weighted: `[1]`.
    value: Tensor<1>,
    /// Its gradient with respect to the ratios: `[G, B, K]`.
    by_ratio: Tensor<3>,
}

impl Objective for RatioObjective {
    /// With `G` and `G_S` the gradients with respect to the logits `W f + b` and `W f^S + b`, that of
    /// `W` is `G^T f + G_S^T f^S`. Because `f^S` is `f` but for a few columns, two products of full
    /// width do for any number of groups: one for the logits, and one for the gradient,
    /// `(G + G_S)^T f`, from which the columns `S` of `G_S^T f` are taken off.
    fn evaluate(&mut self, layer: &LayerTensors, batch: &Batch) -> LossAndGradient {
        let logits = layer.logits(batch.features.clone());
        let CrossEntropyTerms { loss, p, gradient } = CrossEntropyTerms::new(logits.clone(), batch);
        let ratios = self.ratios(layer, &batch.features, logits, p.clone());
        let penalty = self.penalty(&ratios);
        // At a weight of 0 the penalty is only reported: 0 times its gradient is no number where
        // that is infinite, and work for nothing where it is not.
        if self.lambda3 == 0.0 {
            let result = LossAndGradient::through_logits(loss, gradient, &batch.features);
            return LossAndGradient {
                penalty: penalty.value,
                ..result
            };
        }

        // d r_k / d z = r_k (e_k - p),  d r_k / d z^S = -r_k q_k / (q_k + 1e-9) (e_k - q)
        let by_log = penalty.by_ratio * ratios.ratio * self.lambda3;
        let q = ratios.without;
        let by_log_without = by_log.clone() * q.clone() / (q.clone() + EPSILON);
        let sum = by_log.clone().sum_dim(2);
        let with = by_log - p.unsqueeze_dim::<3>(0) * sum;
        let without = q * by_log_without.clone().sum_dim(2) - by_log_without;

        let loss = loss + penalty.value.clone() * self.lambda3;
        let total = gradient + (with + without.clone()).sum_dim(0).squeeze_dim::<2>(0);
        let result = LossAndGradient::through_logits(loss, total, &batch.features);
        // [G, K, s] to [K, G s]
        let zeroed = without.swap_dims(1, 2).matmul(ratios.activations);
        let zeroed = zeroed.swap_dims(0, 1).flatten::<2>(1, 2);
        let (neurons, add) = (self.neurons.clone(), IndexingUpdateOp::Add);
        LossAndGradient {
            penalty: penalty.value,
            weight: result.weight.select_assign(1, neurons, -zeroed, add),
            ..result
        }
    }

    fn penalty_weight(&self) -> f64 {
        self.lambda3
    }

    /// The squares of the distances from the target, or the means over all classes, summed.
    fn penalty_sum(
        &self,
        layer: &LayerTensors,
        batch: &Batch,
        logits: &Tensor<2>,
    ) -> Option<Tensor<1>> {
        // Of many groups fewer samples at a time: a chunk's logits fill a cache by themselves.
        let [samples, classes] = logits.dims();
        let rows = (samples / self.groups).max(FEWEST_ROWS);
        let sums = (0..samples).step_by(rows).map(|start| {
            let range = start..samples.min(start + rows);
            let logits = logits.clone().slice_dim(0, range.clone());
            let features = batch.features.clone().slice_dim(0, range);
            let p = softmax(logits.clone(), 1);
            let ratios = self.ratios(layer, &features, logits, p);
            match self.scope {
                EditScope::Class(class) => self.distances(&ratios, class.0).square().sum(),
                EditScope::AllClasses => ratios.ratio.sum() / classes as f64,
            }
        });
        Some(Tensor::cat(sums.collect(), 0).sum())
    }

    fn penalty_of(&self, sum: f64, samples: usize) -> f64 {
        let ratios = (samples * self.groups) as f64;
        match (self.scope, self.norm) {
            (EditScope::Class(_), RatioNorm::L2) => sum.sqrt(),
            (EditScope::Class(_), RatioNorm::RootMeanSquare) => (sum / ratios).sqrt(),
            (EditScope::AllClasses, _) => (sum / ratios - self.target).abs(),
        }
    }
}

impl RatioObjective {
    pub(crate) fn new(edit: &RatioEdit, target: f64, device: &Device) -> Self {
        Self {
            scope: edit.scope,
            norm: edit.config.ratio_norm,
            lambda3: edit.config.lambda3,
            target,
            neurons: indices(&edit.neurons, device),
            groups: match edit.config.ratio_form {
                RatioForm::Joint => 1,
                RatioForm::PerNeuron => edit.neurons.len(),
            },
        }
    }

    /// The ratios for every class, out of features `[B, D]`; `p` is the softmax of `logits`, both
    /// `[B, K]`.
    fn ratios(
        &self,
        layer: &LayerTensors,
        features: &Tensor<2>,
        logits: Tensor<2>,
        p: Tensor<2>,
    ) -> Ratios {
        let by_group = |values: Tensor<2>| {
            let [rows, neurons] = values.dims();
            let values = values.reshape([rows, self.groups, neurons / self.groups]);
            values.swap_dims(0, 1)
        };
        let activations = by_group(features.clone().select(1, self.neurons.clone()));
        let columns = by_group(layer.weight.clone().select(1, self.neurons.clone()));
        let without = activations.clone().matmul(columns.swap_dims(1, 2));
        let without = softmax(logits.unsqueeze_dim::<3>(0) - without, 2);
        Ratios {
            ratio: p.unsqueeze_dim::<3>(0) / (without.clone() + EPSILON),
            without,
            activations,
        }
    }

    fn penalty(&self, ratios: &Ratios) -> Penalty {
        let [groups, samples, classes] = ratios.ratio.dims();
        let count = (groups * samples) as f64;
        match self.scope {
            EditScope::Class(class) => {
                let scale = match self.norm {
                    RatioNorm::L2 => 1.0,
                    RatioNorm::RootMeanSquare => count.sqrt().recip(),
                };
                let distances = self.distances(ratios, class.0);
                let norm = distances.clone().square().sum().sqrt();
                // Where all ratios meet the target the gradient is taken as 0.
                let divisor = norm.clone().clamp_min(f32::MIN_POSITIVE).unsqueeze();
                let column = [0..groups, 0..samples, class.0..class.0 + 1];
                let by_ratio = ratios.ratio.zeros_like();
                Penalty {
                    by_ratio: by_ratio.slice_assign(column, distances / divisor * scale),
                    value: norm * scale,
                }
            }
            EditScope::AllClasses => {
                // A mean is one number: both norms are its absolute value.
                let count = count * classes as f64;
                let distance = ratios.ratio.clone().sum() / count - self.target;
                let by_ratio = (distance.clone().sign() / count).unsqueeze::<3>();
                Penalty {
                    value: distance.abs(),
                    by_ratio: by_ratio.expand([groups, samples, classes]),
                }
            }
        }
    }

    /// The distances of a class's ratios from the target: `[G, B, 1]`.
    fn distances(&self, ratios: &Ratios, class: usize) -> Tensor<3> {
        ratios.ratio.clone().slice_dim(2, class..class + 1) - self.target
    }
}

#[cfg(test)]
mod tests;
