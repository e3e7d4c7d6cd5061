//! The one problem that all candidates are solutions of.

use std::collections::HashMap;

use burn::tensor::{Tensor, activation::log_softmax};
use ndarray::{Array1, Array2, ArrayView1, Axis, Zip};
use neuroinspect_core::{
    DecisionLayer, Error as CoreError, NeuronId, Seed, among_workers, read_back,
};
use rand::seq::SliceRandom;

use super::{FOLDS, lbfgs::minimise, outcome::Outcome};
use crate::{
    DeviceTable, LayerTensors, MethodInput, Result, data::image_of_view, training::probabilities,
};

/// The rows of the training table and then of the validation table. Each is a sample, or an augmented
/// [view](crate::EditData::with_views) of one. Layers learn from samples and views; they are judged by samples alone, and
/// a layer that is not fitted on a sample is not fitted on its views.
pub(super) struct Union<'a> {
    tables: [&'a DeviceTable; 2],
    /// The class of each row.
    pub(super) labels: Vec<usize>,
    /// Which of five parts, stratified by class and table, each row is in: a view is where its sample is.
    pub(super) folds: Vec<usize>,
    /// The rows that are samples, in order.
    samples: Vec<usize>,
    /// Which of these each row is, or is a view of.
    sample_of: Vec<usize>,
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

/// One fit: `sum_i w_i CE_i / sum_i w_i + lambda/2 |W - W_0|^2`, of standardised features.
pub(super) struct Problem<'a> {
    /// `w`, of every sample.
    pub(super) weights: &'a [f64],
    /// `lambda`
    pub(super) lambda: f64,
    /// `W_0` and where to begin; from 0 where there is none.
    pub(super) start: Option<&'a DecisionLayer>,
    /// Neurons taken for 0, whose weights are 0 in the solution.
    pub(super) silenced: &'a [NeuronId],
}

impl<'a> Union<'a> {
    pub(super) fn new(input: &MethodInput<'a>, seed: Seed) -> Result<Self> {
        let tables = [input.train(), input.validation()];
        let (mut labels, mut folds) = (Vec::new(), Vec::new());
        let (mut all_samples, mut sample_of) = (Vec::new(), Vec::new());
        for (key, table) in tables.into_iter().enumerate() {
            let origins = origins(table);
            let mut of_table = vec![0; table.len()];
            for class in 0..table.classes() {
                let of_class = table.labels().iter().enumerate();
                let of_class =
                    of_class.filter(|&(row, label)| label.0 == class && origins[row] == row);
                let mut samples: Vec<usize> = of_class.map(|(sample, _)| sample).collect();
                samples.shuffle(&mut seed.rng("mend folds", &[key as u64, class as u64]));
                // From another part for each class: where each has a few samples, they are not all in one.
                for (position, sample) in samples.into_iter().enumerate() {
                    of_table[sample] = (position + class) % FOLDS;
                }
            }
            let mut place = vec![0; table.len()];
            for (row, _) in origins.iter().enumerate().filter(|&(row, &of)| row == of) {
                place[row] = all_samples.len();
                all_samples.push(labels.len() + row);
            }
            sample_of.extend(origins.iter().map(|&origin| place[origin]));
            folds.extend(origins.iter().map(|&origin| of_table[origin]));
            labels.extend(table.labels().iter().map(|label| label.0));
        }
        let neurons = input.layer().neurons();
        let samples = labels.len() as f64;
        let mut mean = Array1::<f64>::zeros(neurons);
        for table in tables {
            let see = |_: usize, row: ArrayView1<'_, f32>| mean += &row.mapv(f64::from);
            table.samples().visit(0..table.len(), see)?;
        }
        mean /= samples;
        let mut squares = Array1::<f64>::zeros(neurons);
        for table in tables {
            table.samples().visit(0..table.len(), |_, row| {
                squares += &(row.mapv(f64::from) - &mean).mapv(|it| it * it);
            })?;
        }
        // What a neuron constant but for rounding teaches is rounding: it is not to be divided by nearly 0.
        let deviation = (squares / samples).mapv(f64::sqrt);
        let deviation = Zip::from(&deviation).and(&mean).map_collect(|&it, mean| {
            match it > 1e-6 * mean.abs() {
                true => it + 1e-6,
                false => 1.0,
            }
        });
        Ok(Self {
            tables,
            labels,
            folds,
            samples: all_samples,
            sample_of,
            mean,
            deviation,
        })
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// How many of them are of the training table.
    pub(super) fn training(&self) -> usize {
        self.tables[0].len()
    }

    /// How many of the samples are of the training table.
    pub(super) fn training_samples(&self) -> usize {
        self.samples.partition_point(|&row| row < self.training())
    }

    /// Of what there is for each row, what there is for each sample.
    pub(super) fn of_samples<T: Copy>(&self, of_rows: &[T]) -> Vec<T> {
        self.samples.iter().map(|&row| of_rows[row]).collect()
    }

    /// For each row, what there is for its sample.
    pub(super) fn of_rows<T: Copy>(&self, of_samples: &[T]) -> Vec<T> {
        let samples = self.sample_of.iter();
        samples.map(|&sample| of_samples[sample]).collect()
    }

    /// Number of classes.
    pub(super) fn classes(&self) -> usize {
        self.tables[0].classes()
    }

    /// The solution of a problem, as a layer of features as they are. Without a weight above 0 it is where it
    /// begins.
    pub(super) fn solve(&self, problem: &Problem<'_>) -> Result<DecisionLayer> {
        let (classes, neurons) = (self.classes(), self.mean.len());
        let mut silenced = vec![false; neurons];
        problem
            .silenced
            .iter()
            .for_each(|neuron| silenced[neuron.0] = true);
        // In standardised features z = W_s x_s + b_s, W_s = W sd, b_s = b + W mean.
        let mut anchor = Array2::<f64>::zeros((classes, neurons));
        let mut bias = Array1::<f64>::zeros(classes);
        if let Some(layer) = problem.start {
            anchor = layer.weight().mapv(f64::from);
            for (mut column, _) in anchor
                .columns_mut()
                .into_iter()
                .zip(&silenced)
                .filter(|it| *it.1)
            {
                column.fill(0.0);
            }
            bias = layer.bias().mapv(f64::from) + anchor.dot(&self.mean);
            anchor *= &self.deviation;
        }
        let start = anchor.iter().chain(&bias).copied().collect();
        let weights = self.device_weights(problem.weights);
        let solution = minimise(start, |x| {
            let (weight, bias) = x.split_at(classes * neurons);
            let weight = array(weight, classes, neurons)?;
            let layer = self.layer(&weight, bias)?;
            let device = self.tables[0].device();
            let of_layer = || self.gradient(&layer, &weights);
            let (mut value, of_weight, of_bias) = among_workers(device, of_layer)?;
            // d / d W_s = (d / d W - d / d b mean^T) / sd
            let means = of_bias
                .view()
                .insert_axis(Axis(1))
                .dot(&self.mean.view().insert_axis(Axis(0)));
            let mut gradient = (of_weight - means) / &self.deviation;
            let away = &weight - &anchor;
            value += problem.lambda / 2.0 * away.iter().map(|it| it * it).sum::<f64>();
            gradient += &(away * problem.lambda);
            for (mut column, _) in gradient
                .columns_mut()
                .into_iter()
                .zip(&silenced)
                .filter(|it| *it.1)
            {
                column.fill(0.0);
            }
            Ok((value, gradient.iter().chain(&of_bias).copied().collect()))
        })?;
        let (weight, bias) = solution.split_at(classes * neurons);
        self.layer(&array(weight, classes, neurons)?, bias)
    }

    /// A layer of standardised features as one of features as they are.
    fn layer(&self, weight: &Array2<f64>, bias: &[f64]) -> Result<DecisionLayer> {
        let weight = weight / &self.deviation;
        let bias = Array1::from(bias.to_vec()) - weight.dot(&self.mean);
        let layer = DecisionLayer::new(weight.mapv(|it| it as f32), bias.mapv(|it| it as f32));
        Ok(layer?)
    }

    /// Weights on the device, 1 in sum; `None` for a table that has none.
    fn device_weights(&self, weights: &[f64]) -> [Option<Tensor<2>>; 2] {
        let sum: f64 = weights.iter().sum();
        let (train, validation) = weights.split_at(self.training());
        let column = |table: &DeviceTable, weights: &[f64]| {
            let any = weights.iter().any(|&weight| weight > 0.0);
            any.then(|| table.column(weights.iter().map(|weight| weight / sum)))
        };
        [
            column(self.tables[0], train),
            column(self.tables[1], validation),
        ]
    }

    /// `sum_i w_i CE_i`, and its gradients with respect to `W` and `b`.
    fn gradient(
        &self,
        layer: &DecisionLayer,
        weights: &[Option<Tensor<2>>; 2],
    ) -> Result<(f64, Array2<f64>, Array1<f64>)> {
        let (classes, neurons) = (self.classes(), self.mean.len());
        let layer = LayerTensors::of(layer, self.tables[0].device());
        let mut sums: Option<Tensor<1>> = None;
        for (table, weights) in self.tables.into_iter().zip(weights) {
            let Some(weights) = weights else { continue };
            for (batch, range) in table.chunks().zip(table.ranges()) {
                let batch = batch?;
                let weights = weights.clone().slice_dim(0, range);
                let one_hot = batch.one_hot();
                let log_p = log_softmax(layer.logits(batch.features.clone()), 1);
                let residual = (probabilities(log_p.clone()) - one_hot.clone()) * weights.clone();
                let loss = -(log_p * one_hot * weights).sum();
                let weight = residual.clone().transpose().matmul(batch.features);
                let bias = residual.sum_dim(0).squeeze_dim::<1>(0);
                let all = Tensor::cat(vec![loss, bias, weight.flatten::<1>(0, 1)], 0);
                sums = Some(match sums {
                    Some(sums) => sums + all,
                    None => all,
                });
            }
        }
        let sums = match sums {
            Some(sums) => read_back(sums, "a gradient")?,
            None => vec![0.0; 1 + classes + classes * neurons],
        };
        let expected = 1 + classes + classes * neurons;
        let (Some((loss, rest)), true) = (sums.split_first(), sums.len() == expected) else {
            return Err(CoreError::length("values of a gradient", expected, sums.len()).into());
        };
        let (bias, weight) = rest.split_at(classes);
        let weight: Vec<f64> = weight.iter().copied().map(f64::from).collect();
        let bias = bias.iter().copied().map(f64::from).collect();
        Ok((f64::from(*loss), array(&weight, classes, neurons)?, bias))
    }

    /// What a layer says of the samples for which that is wanted, each with its row, for every class asked for.
    fn outcomes(
        &self,
        layer: &DecisionLayer,
        classes: &[Option<usize>],
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Vec<(usize, Outcome)>>> {
        let layer = LayerTensors::of(layer, self.tables[0].device());
        let mut all = vec![Vec::new(); classes.len()];
        let (train, validation) = self.samples.split_at(self.training_samples());
        let of_tables = [(train, 0), (validation, self.training())];
        for (table, (samples, first)) in self.tables.into_iter().zip(of_tables) {
            let wanted = samples.iter().filter(|&&row| is_wanted(row));
            let wanted = wanted.map(|row| row - first);
            for samples in wanted.collect::<Vec<_>>().chunks(table.chunk_len()) {
                let logits = layer.logits(table.batch(samples)?.features);
                let logits = read_back(logits, "logits")?;
                for (&sample, logits) in samples.iter().zip(logits.chunks(self.classes())) {
                    let sample = first + sample;
                    for (&class, all) in classes.iter().zip(&mut all) {
                        all.push((sample, Outcome::new(logits, self.labels[sample], class)));
                    }
                }
            }
        }
        Ok(all)
    }

    /// What a layer says of every sample, for every class asked for.
    pub(super) fn all_outcomes(
        &self,
        layer: &DecisionLayer,
        classes: &[Option<usize>],
    ) -> Result<Vec<Vec<Outcome>>> {
        Ok(in_order(self.outcomes(layer, classes, |_| true)?))
    }

    /// What the layer that `of_fold` gives for a sample's fold says of it, for every sample and class asked
    /// for.
    pub(super) fn out_of_fold(
        &self,
        classes: &[Option<usize>],
        mut of_fold: impl FnMut(usize) -> Result<DecisionLayer>,
    ) -> Result<Vec<Vec<Outcome>>> {
        let mut all = vec![Vec::with_capacity(self.len()); classes.len()];
        for fold in 0..FOLDS {
            let layer = of_fold(fold)?;
            let found = self.outcomes(&layer, classes, |sample| self.folds[sample] == fold)?;
            all.iter_mut()
                .zip(found)
                .for_each(|(all, found)| all.extend(found));
        }
        Ok(in_order(all))
    }
}

/// For each row of a table the row of its sample: another where it is an augmented view.
fn origins(table: &DeviceTable) -> Vec<usize> {
    let samples = table.samples();
    let own = samples.without_views();
    let mut origins: Vec<usize> = (0..own).collect();
    if own < table.len() {
        let rows: HashMap<_, _> = (0..own).map(|row| (samples.id(row), row)).collect();
        origins.extend((own..table.len()).map(|view| {
            let origin = image_of_view(samples.id(view)).find_map(|image| rows.get(image));
            origin.copied().unwrap_or(view)
        }));
    }
    origins
}

/// Outcomes in the order of their samples, for every class asked for.
fn in_order(all: Vec<Vec<(usize, Outcome)>>) -> Vec<Vec<Outcome>> {
    let of_class = |mut all: Vec<(usize, Outcome)>| {
        all.sort_unstable_by_key(|&(sample, _)| sample);
        all.into_iter().map(|(_, outcome)| outcome).collect()
    };
    all.into_iter().map(of_class).collect()
}

fn array(values: &[f64], rows: usize, columns: usize) -> Result<Array2<f64>> {
    Array2::from_shape_vec((rows, columns), values.to_vec())
        .map_err(|_| CoreError::length("values", rows * columns, values.len()).into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn::tensor::Device;
    use ndarray::array;
    use neuroinspect_testing::{
        assert_close,
        tables::{neuron_ids, table},
    };

    use super::*;
    use crate::Storage;

    /// The samples of both tables: eight to train on and four to validate on.
    fn tables() -> [DeviceTable; 2] {
        let feature = |row: usize, column: usize| {
            let value = ((7 * row + 3 * column) % 11) as f32 / 10.0;
            value + if row % 3 == column { 0.5 } else { 0.0 }
        };
        [0..8, 8..12].map(|rows| {
            let first = rows.start;
            let features = Array2::from_shape_fn((rows.len(), 3), |(row, column)| {
                feature(first + row, column)
            });
            let labels: Vec<usize> = rows
                .map(|row| match row {
                    4 => 2,
                    7 => 0,
                    row => row % 3,
                })
                .collect();
            let table = table(features, &labels, 3);
            DeviceTable::new(table, &Device::flex(), Storage::Device).unwrap()
        })
    }

    fn layer() -> DecisionLayer {
        let weight = array![[0.5, -0.2, 0.1], [0.0, 0.3, -0.4], [-0.1, 0.2, 0.6]];
        DecisionLayer::new(weight, array![0.1, 0.0, -0.2]).unwrap()
    }

    fn solved(silenced: &[usize]) -> DecisionLayer {
        let ([train, validation], layer) = (tables(), layer());
        let input = MethodInput::new(&train, &validation, &layer).unwrap();
        let union = Union::new(&input, Seed(0)).unwrap();
        let weight = |row: usize| match row {
            5 => 0.0,
            row => 1.0 + (row % 4) as f64 / 2.0,
        };
        let weights: Vec<f64> = (0..12).map(weight).collect();
        let problem = Problem {
            weights: &weights,
            lambda: 0.05,
            start: Some(&layer),
            silenced: &neuron_ids(silenced),
        };
        union.solve(&problem).unwrap()
    }

    #[test]
    fn the_solution_is_that_of_another_solver() {
        // scipy.optimize.minimize (BFGS, gradient below 1e-10) on the same problem in double precision.
        let weight = [
            [1.307774, -1.52011, -2.014479],
            [0.443143, 2.255677, 1.156398],
            [-1.350917, -0.435566, 1.158081_f32],
        ];
        let found = solved(&[]);
        // Stopped when a step gains less than 1e-7, of a valley with a curvature of 0.05 at least.
        assert_close(
            found.weight().iter().copied().collect::<Vec<_>>(),
            weight.concat(),
            0.0,
            5e-3,
        );
        let bias = [2.249996, -3.039452, 0.689456_f32];
        // A bias can be added to all classes alike: what counts is how they differ.
        let apart = |bias: &[f32]| [bias[0] - bias[1], bias[1] - bias[2]];
        assert_close(apart(&found.bias().to_vec()), apart(&bias), 0.0, 1e-2);
    }

    #[test]
    fn silenced_neurons_have_no_weight() {
        let found = solved(&[1]);
        assert!(found.weight().column(1).iter().all(|&weight| weight == 0.0));
        assert_ne!(found.weight().column(0), solved(&[]).weight().column(0));
    }

    #[test]
    fn folds_are_even_within_class_and_table() {
        let ([train, validation], layer) = (tables(), layer());
        let input = MethodInput::new(&train, &validation, &layer).unwrap();
        let union = Union::new(&input, Seed(0)).unwrap();
        for class in 0..3 {
            let of_class = (0..8).filter(|&row| union.labels[row] == class);
            let folds: BTreeSet<usize> = of_class.map(|row| union.folds[row]).collect();
            let expected = (0..folds.len()).map(|position| (position + class) % FOLDS);
            assert_eq!(folds, expected.collect());
        }
    }

    #[test]
    fn without_a_sample_the_layer_stays_as_it_is() {
        let ([train, validation], layer) = (tables(), layer());
        let input = MethodInput::new(&train, &validation, &layer).unwrap();
        let union = Union::new(&input, Seed(0)).unwrap();
        let problem = Problem {
            weights: &[0.0; 12],
            lambda: 0.05,
            start: Some(&layer),
            silenced: &[],
        };
        let found = union.solve(&problem).unwrap();
        let values = |of: &DecisionLayer| of.weight().iter().copied().collect::<Vec<_>>();
        assert_close(values(&found), values(&layer), 0.0, 1e-6);
    }
}
