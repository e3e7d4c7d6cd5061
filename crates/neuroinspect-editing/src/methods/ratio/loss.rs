//! The loss of the ratio edit, Eq. 8, and its gradient in closed form.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation::softmax};

use super::{EditScope, RatioEdit, RatioForm, RatioNorm};
use crate::{
    LayerTensors, Loss, LossAndGradient, SampleBatch,
    data::indices,
    training::{CrossEntropyTerms, LEAST_PROBABILITY},
};

/// Keeps the quotient of Eq. 7 finite: no probability ratio is above `1 / EPSILON`.
pub(crate) const EPSILON: f64 = 1e-9;

/// Samples that are looked at together when a penalty is summed over a chunk, at least.
const FEWEST_ROWS: usize = 64;

/// Eq. 8 for some neurons: `CE + lambda3 |r - o|`.
///
/// They fall into `G` groups of `s` that are zeroed together: one of all, or one of each. All groups
/// are computed at once, along a first axis.
pub(crate) struct RatioLoss {
    scope: EditScope,
    norm: RatioNorm,
    lambda3: f64,
    target: f64,
    /// All neurons, group by group: `[G s]`.
    neurons: Tensor<1, Int>,
    groups: usize,
}

/// The probability ratios of a batch, for `C` classes: the one, or all.
struct Ratios {
    /// Activations of each group's neurons: `[G, B, s]`.
    activations: Tensor<3>,
    /// `q = softmax` of the logits with a group zeroed, for every class: `[G, B, K]`.
    q: Tensor<3>,
    /// `q / (q + 1e-9)`: `[G, B, C]`.
    damping: Tensor<3>,
    /// `r = p / (q + 1e-9)`: `[G, B, C]`.
    ratio: Tensor<3>,
}

impl Loss for RatioLoss {
    /// With `G` and `G_S` the gradients with respect to the logits `W f + b` and `W f^S + b`, that of
    /// `W` is `G^T f + G_S^T f^S`. Because `f^S` is `f` but for a few columns, two products of full
    /// width do for any number of groups: one for the logits, and one for the gradient,
    /// `(G + G_S)^T f`, from which the columns `S` of `G_S^T f` are taken off.
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let logits = layer.logits(batch.features.clone());
        let CrossEntropyTerms { loss, p, gradient } = CrossEntropyTerms::new(logits.clone(), batch);
        let ratios = self.ratios(layer, &batch.features, logits, p.clone());
        let (penalty, by_ratio) = self.penalty(&ratios.ratio);
        // At a weight of 0 the penalty is only reported: 0 times its gradient is no number where
        // that is infinite, and work for nothing where it is not.
        if self.lambda3 == 0.0 {
            let result = LossAndGradient::through_logits(loss, gradient, &batch.features);
            return LossAndGradient { penalty, ..result };
        }

        // d r_k / d z = r_k (e_k - p),  d r_k / d z^S = r_k q_k / (q_k + 1e-9) (q - e_k)
        let by_log = by_ratio * ratios.ratio * self.lambda3;
        let without = self.through_softmax(ratios.q, by_log.clone() * ratios.damping);
        let with = self.through_softmax(p.unsqueeze(), by_log.sum_dim(0));
        let both = (without.clone().sum_dim(0) - with).squeeze_dim::<2>(0);

        let loss = loss + penalty.clone() * self.lambda3;
        let result = LossAndGradient::through_logits(loss, gradient + both, &batch.features);
        // [G, K, s] to [K, G s]
        let zeroed = without.swap_dims(1, 2).matmul(ratios.activations);
        let zeroed = zeroed.swap_dims(0, 1).flatten::<2>(1, 2);
        let (neurons, add) = (self.neurons.clone(), IndexingUpdateOp::Add);
        LossAndGradient {
            penalty,
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
        batch: &SampleBatch,
        logits: &Tensor<2>,
    ) -> Option<Tensor<1>> {
        // Of many groups fewer samples at a time: a chunk's logits fill a cache by themselves.
        let [samples, classes] = logits.dims();
        let rows = (samples / self.groups).max(FEWEST_ROWS);
        let sums = (0..samples).step_by(rows).map(|start| {
            let range = start..samples.min(start + rows);
            let logits = logits.clone().slice_dim(0, range.clone());
            let features = batch.features.clone().slice_dim(0, range);
            let p = softmax(logits.clone(), 1).clamp_min(LEAST_PROBABILITY);
            let ratios = self.ratios(layer, &features, logits, p);
            match self.scope {
                EditScope::Class(_) => (ratios.ratio - self.target).square().sum(),
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

impl RatioLoss {
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

    /// The ratios out of features `[B, D]`; `p` is the softmax of `logits`, both `[B, K]`.
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
        let q = softmax(logits.unsqueeze_dim::<3>(0) - without, 2).clamp_min(LEAST_PROBABILITY);
        let of_scope = |p: Tensor<3>| match self.scope {
            EditScope::Class(class) => p.slice_dim(2, class.0..class.0 + 1),
            EditScope::AllClasses => p,
        };
        let (p, q_of_scope) = (of_scope(p.unsqueeze()), of_scope(q.clone()));
        let divisor = q_of_scope.clone() + EPSILON;
        Ratios {
            ratio: p / divisor.clone(),
            damping: q_of_scope / divisor,
            q,
            activations,
        }
    }

    /// `|r - o|`, not yet weighted, `[1]`, and its gradient with respect to the ratios `[G, B, C]`, or
    /// what is broadcast to that.
    fn penalty(&self, ratio: &Tensor<3>) -> (Tensor<1>, Tensor<3>) {
        match self.scope {
            EditScope::Class(_) => {
                let scale = match self.norm {
                    RatioNorm::L2 => 1.0,
                    RatioNorm::RootMeanSquare => {
                        (ratio.shape().num_elements() as f64).sqrt().recip()
                    }
                };
                let distances = ratio.clone() - self.target;
                let norm = distances.clone().square().sum().sqrt();
                // Where all ratios meet the target the gradient is taken as 0.
                let divisor = norm.clone().clamp_min(f32::MIN_POSITIVE).unsqueeze();
                (norm * scale, distances / divisor * scale)
            }
            EditScope::AllClasses => {
                // A mean is one number: both norms are its absolute value.
                let count = ratio.shape().num_elements() as f64;
                let distance = ratio.clone().sum() / count - self.target;
                (
                    distance.clone().abs(),
                    (distance.sign() / count).unsqueeze(),
                )
            }
        }
    }

    /// `sum_k g_k (p - e_k)` for `p` `[.., .., K]` and `g` `[.., .., C]`: minus the gradient with
    /// respect to logits, where `g` is that with respect to their log-softmax.
    fn through_softmax(&self, p: Tensor<3>, g: Tensor<3>) -> Tensor<3> {
        let product = p * g.clone().sum_dim(2);
        match self.scope {
            EditScope::Class(class) => {
                let [groups, samples, _] = product.dims();
                let column = [0..groups, 0..samples, class.0..class.0 + 1];
                let values = product.clone().slice(column.clone()) - g;
                product.slice_assign(column, values)
            }
            EditScope::AllClasses => product - g,
        }
    }
}

#[cfg(test)]
mod tests;
