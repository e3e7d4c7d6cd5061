//! The loss of an edit, Eq. 8, and its gradient in closed form.

use std::slice::Chunks;

use burn::tensor::{
    Device, IndexingUpdateOp, Int, Tensor, TensorData,
    activation::{log_softmax, softmax},
};
use ndarray::{Array1, ArrayView2, Axis};
use neuroinspect_core::{DecisionLayer, NeuronId};

use crate::{EditConfig, EditScope, RatioForm, RatioNorm};

/// Keeps the quotient of Eq. 7 finite: no probability ratio is above `1 / EPSILON`.
pub(crate) const EPSILON: f64 = 1e-9;

/// Eq. 8 for one set of neurons: `CE + lambda3 |r - o|`.
pub(crate) struct Loss {
    scope: EditScope,
    norm: RatioNorm,
    lambda3: f64,
    target: f64,
    /// Sets of neurons that are zeroed together; a probability ratio is taken for each.
    groups: Vec<Tensor<1, Int>>,
}

/// The loss of a batch, and its gradient.
pub(crate) struct Evaluation {
    /// Mean cross-entropy: `[1]`.
    pub(crate) cross_entropy: Tensor<1>,
    /// `|r - o|`, not yet weighted: `[1]`.
    pub(crate) penalty: Tensor<1>,
    /// Gradient of the whole loss with respect to `W`: `[K, D]`.
    pub(crate) weight: Tensor<2>,
    /// The same with respect to `b`: `[K]`.
    pub(crate) bias: Tensor<1>,
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

impl Loss {
    pub(crate) fn new(
        neurons: &[NeuronId],
        scope: EditScope,
        target: f64,
        config: &EditConfig,
        device: &Device,
    ) -> Self {
        let groups = groups(neurons, config.ratio_form);
        let on_device = |group: &[NeuronId]| {
            let indices: Vec<i64> = group.iter().map(|neuron| neuron.0 as i64).collect();
            Tensor::from_data(TensorData::new(indices, [group.len()]), device)
        };
        Self {
            scope,
            norm: config.ratio_norm,
            lambda3: config.lambda3,
            target,
            groups: groups.map(on_device).collect(),
        }
    }

    /// The loss of a batch and its gradient.
    ///
    /// With `G` and `G_S` the gradients with respect to the logits `W f + b` and
    /// `W f^S + b`, that of `W` is `G^T f + G_S^T f^S`. Because `f^S` is `f` but for a few
    /// columns, two products of full width do for any number of groups: one for the logits, and
    /// one for the gradient, `(G + G_S)^T f`, from which the columns `S` of `G_S^T f` are taken off.
    ///
    /// # Shapes
    ///
    /// `W` `[K, D]`, `b` `[K]`, features `[B, D]`, one-hot labels `[B, K]`.
    pub(crate) fn evaluate(
        &self,
        weight: &Tensor<2>,
        bias: &Tensor<1>,
        features: Tensor<2>,
        labels: Tensor<2>,
    ) -> Evaluation {
        let [samples, _] = features.dims();
        let logits = features.clone().matmul(weight.clone().transpose()) + bias.clone().unsqueeze();
        let log_p = log_softmax(logits.clone(), 1);
        let p = log_p.clone().exp();
        let cross_entropy = -(log_p * labels.clone()).sum() / samples as f64;
        let mut total = (p.clone() - labels) / samples as f64;

        let ratios: Vec<Ratio<'_>> = self
            .groups
            .iter()
            .map(|group| {
                let activations = features.clone().select(1, group.clone());
                let columns = weight.clone().select(1, group.clone());
                let without = logits.clone() - activations.clone().matmul(columns.transpose());
                let without = softmax(without, 1);
                Ratio {
                    group,
                    activations,
                    ratio: p.clone() / (without.clone() + EPSILON),
                    without,
                }
            })
            .collect();
        let (penalty, by_ratio) = self.penalty(&ratios);
        // At a weight of 0 the penalty is only reported: 0 times its gradient is no number where
        // that is infinite, and work for nothing where it is not.
        let by_ratio = if self.lambda3 > 0.0 {
            by_ratio
        } else {
            Vec::new()
        };

        let mut columns = weight.zeros_like();
        for (ratio, by_ratio) in ratios.into_iter().zip(by_ratio) {
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
        Evaluation {
            cross_entropy,
            penalty,
            weight: total.clone().transpose().matmul(features) - columns,
            bias: total.sum_dim(0).squeeze_dim(0),
        }
    }

    /// `|r - o|` `[1]`, and its gradient with respect to each group's ratios `[B, K]`.
    fn penalty(&self, ratios: &[Ratio<'_>]) -> (Tensor<1>, Vec<Tensor<2>>) {
        let [samples, classes] = ratios[0].ratio.dims();
        let count = (samples * ratios.len()) as f64;
        match self.scope {
            EditScope::Class(class) => {
                let scale = match self.norm {
                    RatioNorm::L2 => 1.0,
                    RatioNorm::RootMeanSquare => count.sqrt().recip(),
                };
                let column = class.0..class.0 + 1;
                let distances = |ratio: &Ratio<'_>| {
                    ratio.ratio.clone().slice([0..samples, column.clone()]) - self.target
                };
                let distances: Vec<Tensor<2>> = ratios.iter().map(distances).collect();
                let squares = distances
                    .iter()
                    .map(|distance| distance.clone().square().sum());
                let norm = Tensor::cat(squares.collect(), 0).sum().sqrt();
                // Where all ratios meet the target the gradient is taken as 0.
                let divisor = norm.clone().clamp_min(f32::MIN_POSITIVE).unsqueeze();
                let by_ratio = distances.into_iter().map(|distance| {
                    let zeros = Tensor::zeros([samples, classes], &distance.device());
                    let column = [0..samples, column.clone()];
                    zeros.slice_assign(column, distance / divisor.clone() * scale)
                });
                let by_ratio = by_ratio.collect();
                (norm * scale, by_ratio)
            }
            EditScope::AllClasses => {
                // A mean is one number: both norms are its absolute value.
                let count = count * classes as f64;
                let sums = ratios.iter().map(|ratio| ratio.ratio.clone().sum());
                let distance = Tensor::cat(sums.collect(), 0).sum() / count - self.target;
                let by_ratio = (distance.clone().sign() / count).unsqueeze::<2>();
                let by_ratio = by_ratio.expand([samples, classes]);
                (distance.abs(), vec![by_ratio; ratios.len()])
            }
        }
    }
}

/// `|r - o|` of a layer over a whole table, on the host and in double precision.
pub(crate) struct Penalty<'a> {
    neurons: &'a [NeuronId],
    scope: EditScope,
    form: RatioForm,
    norm: RatioNorm,
    target: f64,
}

impl<'a> Penalty<'a> {
    pub(crate) fn new(
        neurons: &'a [NeuronId],
        scope: EditScope,
        target: f64,
        config: &EditConfig,
    ) -> Self {
        Self {
            neurons,
            scope,
            form: config.ratio_form,
            norm: config.ratio_norm,
            target,
        }
    }

    /// The penalty of a layer, not weighted, with the whole table as one batch.
    ///
    /// # Shapes
    ///
    /// Features `[N, D]`, the layer's logits of them `[N, K]`.
    pub(crate) fn of(
        &self,
        layer: &DecisionLayer,
        features: ArrayView2<'_, f32>,
        logits: ArrayView2<'_, f32>,
    ) -> f64 {
        let columns = |group: &[NeuronId]| {
            let indices: Vec<usize> = group.iter().map(|neuron| neuron.0).collect();
            let columns = layer.weight().select(Axis(1), &indices);
            columns.reversed_axes().as_standard_layout().mapv(f64::from)
        };
        let groups: Vec<_> = groups(self.neurons, self.form)
            .map(|group| (group, columns(group)))
            .collect();
        let mut sum = 0.0;
        for (features, logits) in features.rows().into_iter().zip(logits.rows()) {
            let logits = logits.mapv(f64::from);
            let log_sum = log_sum_exp(&logits);
            for (group, columns) in &groups {
                let mut zeroed = logits.clone();
                for (neuron, column) in group.iter().zip(columns.rows()) {
                    zeroed.scaled_add(-f64::from(features[neuron.0]), &column);
                }
                let log_sum_zeroed = log_sum_exp(&zeroed);
                let ratio = |class: usize| {
                    let without = (zeroed[class] - log_sum_zeroed).exp();
                    (logits[class] - log_sum).exp() / (without + EPSILON)
                };
                sum += match self.scope {
                    EditScope::Class(class) => (ratio(class.0) - self.target).powi(2),
                    EditScope::AllClasses => (0..logits.len()).map(ratio).sum(),
                };
            }
        }
        let ratios = (features.nrows() * groups.len()) as f64;
        match (self.scope, self.norm) {
            (EditScope::Class(_), RatioNorm::L2) => sum.sqrt(),
            (EditScope::Class(_), RatioNorm::RootMeanSquare) => (sum / ratios).sqrt(),
            (EditScope::AllClasses, _) => {
                (sum / (ratios * logits.ncols() as f64) - self.target).abs()
            }
        }
    }
}

/// The neurons in sets that are zeroed together.
fn groups(neurons: &[NeuronId], form: RatioForm) -> Chunks<'_, NeuronId> {
    match form {
        RatioForm::Joint => neurons.chunks(neurons.len()),
        RatioForm::PerNeuron => neurons.chunks(1),
    }
}

fn log_sum_exp(logits: &Array1<f64>) -> f64 {
    let largest = logits.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    largest + sum.ln()
}

#[cfg(test)]
mod tests;
