//! The loss of the ratio edit, Eq. 8, and its gradient in closed form.

use std::slice::Chunks;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation::softmax};
use neuroinspect_core::NeuronId;

use super::{EditScope, RatioEdit, RatioForm, RatioNorm};
use crate::{
    Batch, Evaluation, LayerTensors, Objective, data::indices, training::CrossEntropyTerms,
};

/// Keeps the quotient of Eq. 7 finite: no probability ratio is above `1 / EPSILON`.
pub(crate) const EPSILON: f64 = 1e-9;

/// Eq. 8 for one set of neurons: `CE + lambda3 |r - o|`.
pub(crate) struct RatioObjective {
    scope: EditScope,
    norm: RatioNorm,
    lambda3: f64,
    target: f64,
    /// Sets of neurons that are zeroed together; a probability ratio is taken for each.
    groups: Vec<Tensor<1, Int>>,
}

/// A penalty, and where it leads.
struct Penalty {
    /// `|r - o|`, not yet weighted: `[1]`.
    value: Tensor<1>,
    /// Its gradient with respect to each group's ratios: `[B, K]`.
    by_ratio: Vec<Tensor<2>>,
}

/// One group's probability ratios.
struct Ratio<'a> {
    group: &'a Tensor<1, Int>,
    /// Activations of the group's neurons: `[B, |S|]`.
    activations: Tensor<2>,
    /// `q = softmax` of the logits with the group zeroed: `[B, K]`.
    without: Tensor<2>,
    /// `r = p / (q + 1e-9)`: `[B, K]`.
    ratio: Tensor<2>,
}

impl Objective for RatioObjective {
    /// With `G` and `G_S` the gradients with respect to the logits `W f + b` and `W f^S + b`, that of
    /// `W` is `G^T f + G_S^T f^S`. Because `f^S` is `f` but for a few columns, two products of full
    /// width do for any number of groups: one for the logits, and one for the gradient,
    /// `(G + G_S)^T f`, from which the columns `S` of `G_S^T f` are taken off.
    fn evaluate(&mut self, layer: &LayerTensors, batch: &Batch) -> Evaluation {
        let logits = layer.logits(batch.features.clone());
        let CrossEntropyTerms { loss, p, gradient } = CrossEntropyTerms::new(logits.clone(), batch);
        let ratios = self.ratios(layer, batch, &logits, &p);
        let penalty = self.penalty(&ratios);
        // At a weight of 0 the penalty is only reported: 0 times its gradient is no number where
        // that is infinite, and work for nothing where it is not.
        if self.lambda3 == 0.0 {
            let result = Evaluation::through_logits(loss, gradient, &batch.features);
            return Evaluation {
                penalty: penalty.value,
                ..result
            };
        }

        let mut total = gradient;
        let mut columns = layer.weight.zeros_like();
        for (ratio, by_ratio) in ratios.into_iter().zip(penalty.by_ratio) {
            // d r_k / d z = r_k (e_k - p),  d r_k / d z^S = -r_k q_k / (q_k + 1e-9) (e_k - q)
            let by_log = by_ratio * ratio.ratio * self.lambda3;
            let q = ratio.without;
            let by_log_without = by_log.clone() * q.clone() / (q.clone() + EPSILON);
            let sum = by_log.clone().sum_dim(1);
            let sum_without = by_log_without.clone().sum_dim(1);
            let with = by_log - p.clone() * sum;
            let without = q * sum_without - by_log_without;
            let zeroed = without.clone().transpose().matmul(ratio.activations);
            let (group, add) = (ratio.group.clone(), IndexingUpdateOp::Add);
            columns = columns.select_assign(1, group, zeroed, add);
            total = total + with + without;
        }
        let loss = loss + penalty.value.clone() * self.lambda3;
        let result = Evaluation::through_logits(loss, total, &batch.features);
        Evaluation {
            penalty: penalty.value,
            weight: result.weight - columns,
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
        let p = softmax(logits.clone(), 1);
        let ratios = self.ratios(layer, batch, logits, &p);
        Some(match self.scope {
            EditScope::Class(class) => self.squares(&self.distances(&ratios, class.0)),
            EditScope::AllClasses => {
                let ratios = ratios.iter().map(|ratio| ratio.ratio.clone());
                sum_of(ratios) / p.dims()[1] as f64
            }
        })
    }

    fn penalty_of(&self, sum: f64, samples: usize) -> f64 {
        let ratios = (samples * self.groups.len()) as f64;
        match (self.scope, self.norm) {
            (EditScope::Class(_), RatioNorm::L2) => sum.sqrt(),
            (EditScope::Class(_), RatioNorm::RootMeanSquare) => (sum / ratios).sqrt(),
            (EditScope::AllClasses, _) => (sum / ratios - self.target).abs(),
        }
    }
}

impl RatioObjective {
    pub(crate) fn new(edit: &RatioEdit, target: f64, device: &Device) -> Self {
        let groups = groups(&edit.neurons, edit.config.ratio_form);
        Self {
            scope: edit.scope,
            norm: edit.config.ratio_norm,
            lambda3: edit.config.lambda3,
            target,
            groups: groups.map(|group| indices(group, device)).collect(),
        }
    }

    /// The ratios of each group, for every class; `p` is the softmax of `logits`, both `[B, K]`.
    fn ratios(
        &self,
        layer: &LayerTensors,
        batch: &Batch,
        logits: &Tensor<2>,
        p: &Tensor<2>,
    ) -> Vec<Ratio<'_>> {
        let of_group = |group| {
            let activations = batch.features.clone().select(1, Tensor::clone(group));
            let columns = layer.weight.clone().select(1, Tensor::clone(group));
            let without = logits.clone() - activations.clone().matmul(columns.transpose());
            let without = softmax(without, 1);
            Ratio {
                group,
                activations,
                ratio: p.clone() / (without.clone() + EPSILON),
                without,
            }
        };
        self.groups.iter().map(of_group).collect()
    }

    fn penalty(&self, ratios: &[Ratio<'_>]) -> Penalty {
        let [samples, classes] = ratios[0].ratio.dims();
        let count = (samples * ratios.len()) as f64;
        match self.scope {
            EditScope::Class(class) => {
                let scale = match self.norm {
                    RatioNorm::L2 => 1.0,
                    RatioNorm::RootMeanSquare => count.sqrt().recip(),
                };
                let distances = self.distances(ratios, class.0);
                let norm = self.squares(&distances).sqrt();
                // Where all ratios meet the target the gradient is taken as 0.
                let divisor = norm.clone().clamp_min(f32::MIN_POSITIVE).unsqueeze();
                let by_ratio = distances.into_iter().map(|distance| {
                    let zeros = Tensor::zeros([samples, classes], &distance.device());
                    let column = [0..samples, class.0..class.0 + 1];
                    zeros.slice_assign(column, distance / divisor.clone() * scale)
                });
                Penalty {
                    by_ratio: by_ratio.collect(),
                    value: norm * scale,
                }
            }
            EditScope::AllClasses => {
                // A mean is one number: both norms are its absolute value.
                let count = count * classes as f64;
                let sum = sum_of(ratios.iter().map(|ratio| ratio.ratio.clone()));
                let distance = sum / count - self.target;
                let by_ratio = (distance.clone().sign() / count).unsqueeze::<2>();
                let by_ratio = by_ratio.expand([samples, classes]);
                Penalty {
                    value: distance.abs(),
                    by_ratio: vec![by_ratio; ratios.len()],
                }
            }
        }
    }

    /// The distances of a class's ratios from the target: `[B, 1]` for each group.
    fn distances(&self, ratios: &[Ratio<'_>], class: usize) -> Vec<Tensor<2>> {
        let ratios = ratios.iter().map(|ratio| ratio.ratio.clone());
        let distances = ratios.map(|ratio| ratio.slice_dim(1, class..class + 1) - self.target);
        distances.collect()
    }

    /// The sum of the distances' squares: `[1]`.
    fn squares(&self, distances: &[Tensor<2>]) -> Tensor<1> {
        sum_of(distances.iter().map(|distance| distance.clone().square()))
    }
}

/// The sum of all values of some tensors: `[1]`.
fn sum_of(tensors: impl Iterator<Item = Tensor<2>>) -> Tensor<1> {
    Tensor::cat(tensors.map(Tensor::sum).collect(), 0).sum()
}

/// The neurons in sets that are zeroed together.
fn groups(neurons: &[NeuronId], form: RatioForm) -> Chunks<'_, NeuronId> {
    match form {
        RatioForm::Joint => neurons.chunks(neurons.len()),
        RatioForm::PerNeuron => neurons.chunks(1),
    }
}

#[cfg(test)]
mod tests;
