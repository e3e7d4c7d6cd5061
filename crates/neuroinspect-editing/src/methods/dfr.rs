//! DFR: logistic regression on groups of equal size.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ClassId, DecisionLayer, Groups, Metrics, Observer, Progress, Seed, check_option, read_back,
};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{FromArguments, MethodArguments, STAGE, logistic::l1_logistic};
use crate::{Citation, DecisionMethod, DeviceTable, Fitted, LabelsUsed, MethodInput, Result};

/// Deep feature reweighting on the validation samples (Kirichenko et al. 2023).
///
/// Features are standardised by the training samples. On group-balanced subsets of one half of the
/// validation samples an L1-regularised logistic regression is fitted for every strength, and the one
/// whose worst group is best on the other half is chosen; then a regression is fitted on each of several
/// group-balanced subsets of all validation samples, and their weights are averaged. Softmax in place of
/// one class against the rest, so that there may be more than two classes. The
/// authors standardise by the subset while they choose the strength, and penalise biases too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dfr {
    /// The inverse strengths `C` to choose from, as scikit-learn has them, `C sum_i CE_i + |W|_1`; the
    /// authors' 1, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01 for Waterbirds. The first among equals is taken.
    pub inverse_strengths: Vec<f64>,
    /// Subsets that are averaged; the authors' 20.
    pub subsets: usize,
    /// Most steps of each regression; 1000.
    pub steps: usize,
    /// Seed of halves and subsets; 0.
    pub seed: Seed,
}

impl Dfr {
    /// The name it is recorded under.
    pub const NAME: &'static str = "dfr";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Fits the layer anew on held-out samples, as many of each group.";

    /// The number that [`Fitted::derived`] holds of it: the `C` that was chosen.
    pub const CHOSEN: &'static str = "inverse_strength";

    fn validate(&self) -> Result<()> {
        let allowed = |&c: &f64| c > 0.0 && c.is_finite();
        let allowed =
            !self.inverse_strengths.is_empty() && self.inverse_strengths.iter().all(allowed);
        let given = format!("{:?}", self.inverse_strengths);
        check_option("inverse_strengths", given, allowed, "numbers above 0")?;
        check_option("subsets", self.subsets, self.subsets > 0, "at least 1")?;
        check_option("steps", self.steps, self.steps > 0, "at least 1")?;
        Ok(())
    }

    /// A regression on a group-balanced subset of `rows`, as a layer of standardised features.
    fn fit_on(
        &self,
        subset: &Subset<'_>,
        rows: &[usize],
        c: f64,
        key: u64,
    ) -> Result<DecisionLayer> {
        let rows = subset.balanced(rows, self.seed, key);
        let batch = subset.table.batch(&rows)?;
        let x = (batch.features.clone() - subset.mean.clone()) / subset.deviation.clone();
        let penalty = 1.0 / (c * rows.len() as f64);
        let (weight, bias) = l1_logistic(x, batch.one_hot(), penalty, self.steps)?;
        let shape = weight.dims();
        let weight = read_back(weight, "the weights of a regression")?;
        let bias = read_back(bias, "the biases of a regression")?;
        let (expected, found) = (shape[0] * shape[1], weight.len());
        let weight = Array2::from_shape_vec((shape[0], shape[1]), weight).map_err(|_| {
            neuroinspect_core::Error::length("weights of a regression", expected, found)
        })?;
        Ok(DecisionLayer::new(weight, Array1::from(bias))?)
    }
}

impl Default for Dfr {
    fn default() -> Self {
        Self {
            inverse_strengths: vec![1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01],
            subsets: 20,
            steps: 1000,
            seed: Seed(0),
        }
    }
}

impl FromArguments for Dfr {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            seed: arguments.training.seed,
            ..Self::default()
        })
    }
}

impl DecisionMethod for Dfr {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Kirichenko et al., Last Layer Re-Training is Sufficient for Robustness to Spurious \
                   Correlations, ICLR 2023",
            url: "https://arxiv.org/abs/2204.02937",
        })
    }

    fn labels(&self) -> LabelsUsed {
        LabelsUsed::GroupsOfValidation
    }

    fn describe(&self) -> String {
        format!(
            "averages {} regressions on group-balanced validation samples",
            self.subsets
        )
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        self.validate()?;
        let groups = input.validation_groups()?;
        let train = input.train().samples();
        let (mean, deviation) = (
            train.mean_features()?,
            train.deviations()?.mapv(|it| it as f32),
        );
        let row = |values: &Array1<f32>| {
            let data = TensorData::new(values.to_vec(), [1, values.len()]);
            Tensor::<2>::from_data(data, input.device())
        };
        let table = input.validation();
        let subset = Subset {
            table,
            groups,
            mean: row(&mean),
            deviation: row(&deviation),
        };
        let total = self.inverse_strengths.len() + self.subsets;
        let mut done = 0;
        let mut proceed = |observer: &mut dyn Observer| {
            done += 1;
            observer.proceed(Progress {
                stage: STAGE,
                done,
                total,
            })
        };

        let mut all: Vec<usize> = (0..table.len()).collect();
        all.shuffle(&mut self.seed.rng("dfr halves", &[]));
        let (held_out, fitted_on) = all.split_at(all.len() / 2);
        let mut best: Option<(f64, f64)> = None;
        for &c in &self.inverse_strengths {
            let layer = self.fit_on(&subset, fitted_on, c, 0)?;
            let worst = subset.worst_group(&layer, held_out)?;
            if best.is_none_or(|(least, _)| worst > least) {
                best = Some((worst, c));
            }
            proceed(observer)?;
        }
        let c = best.map_or(1.0, |(_, c)| c);

        let mut weight = Array2::<f64>::zeros(input.layer().weight().dim());
        let mut bias = Array1::<f64>::zeros(input.layer().classes());
        for key in 1..=self.subsets {
            let layer = self.fit_on(&subset, &all, c, key as u64)?;
            weight += &layer.weight().mapv(f64::from);
            bias += &layer.bias().mapv(f64::from);
            proceed(observer)?;
        }
        // Of features as they are: W / s, b - W (m / s).
        let subsets = self.subsets as f64;
        let weight = weight / subsets / &deviation.mapv(f64::from);
        let bias = bias / subsets - weight.dot(&mean.mapv(f64::from));
        let layer = DecisionLayer::new(weight.mapv(|it| it as f32), bias.mapv(|it| it as f32))?;
        Ok(Fitted::new(layer).with_derived(Self::CHOSEN, c))
    }
}

/// What subsets are drawn from.
struct Subset<'a> {
    table: &'a DeviceTable,
    groups: &'a Groups,
    /// `[1, D]`
    mean: Tensor<2>,
    /// `[1, D]`
    deviation: Tensor<2>,
}

impl Subset<'_> {
    /// As many of each group that is among `rows` as the smallest has, in random order.
    fn balanced(&self, rows: &[usize], seed: Seed, key: u64) -> Vec<usize> {
        let mut rows = rows.to_vec();
        rows.shuffle(&mut seed.rng("dfr subset", &[key]));
        let mut of_group = vec![Vec::new(); self.groups.names().len()];
        for row in rows {
            of_group[self.groups.of_sample()[row]].push(row);
        }
        of_group.retain(|rows| !rows.is_empty());
        let least = of_group.iter().map(Vec::len).min().unwrap_or(0);
        of_group
            .iter()
            .flat_map(|rows| &rows[..least])
            .copied()
            .collect()
    }

    /// The accuracy of a layer of standardised features on the worst group of `rows`.
    fn worst_group(&self, layer: &DecisionLayer, rows: &[usize]) -> Result<f64> {
        let weight = layer.weight_on(self.table.device()).transpose();
        let bias: Tensor<2> = layer.bias_on(self.table.device()).unsqueeze();
        let mut predictions = Vec::with_capacity(rows.len());
        for rows in rows.chunks(self.table.chunk_len()) {
            let x = self.table.batch(rows)?.features - self.mean.clone();
            let logits = (x / self.deviation.clone()).matmul(weight.clone()) + bias.clone();
            predictions.extend(read_back(crate::data::predictions(logits), "predictions")?);
        }
        let predictions: Vec<_> = predictions
            .iter()
            .map(|&class| ClassId(class as usize))
            .collect();
        let labels: Vec<_> = rows.iter().map(|&row| self.table.labels()[row]).collect();
        let groups = self.groups.select(rows)?;
        let metrics = Metrics::new(&labels, &predictions, self.table.classes(), Some(&groups))?;
        Ok(metrics.worst_group_accuracy.unwrap_or(0.0))
    }
}
