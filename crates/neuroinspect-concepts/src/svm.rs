//! A linear support vector machine, solved in its dual.

use ndarray::{Array1, Array2, ArrayView2};

use crate::{Error, LearningConfig, Result};

/// Steps at most, as libsvm has it.
const MAX_STEPS: usize = 10_000_000;

/// Least curvature along a pair of multipliers; samples that are the same have none.
const MIN_CURVATURE: f64 = 1e-12;

/// The hyperplane `w . x + b = 0`.
#[derive(Debug)]
pub(crate) struct Hyperplane {
    /// `w`: `[D]`.
    pub(crate) weight: Array1<f64>,
    /// `b`.
    pub(crate) intercept: f64,
}

/// Minimises `|w|^2 / 2 + C sum_i max(0, 1 - y_i (w . x_i + b))`, `y_i` 1 for the positive samples and -1
/// for the others, as libsvm and with it scikit-learn's `SVC(kernel="linear")` do.
///
/// The dual is ascended two multipliers at a time, the pair that libsvm's second-order rule chooses (Fan,
/// Chen and Lin 2005, *Working Set Selection Using Second Order Information*). One at a time, as liblinear
/// does it, would only do with `b` in the penalty. Nothing is random: among equals the first sample is
/// taken.
///
/// The inner products of all samples are kept: `8 N^2` bytes.
///
/// # Shapes
///
/// `samples` is `[N, D]`, with at least one positive and one negative sample.
pub(crate) fn fit(
    samples: ArrayView2<'_, f32>,
    is_positive: &[bool],
    config: &LearningConfig,
    concept: &str,
) -> Result<Hyperplane> {
    let samples = samples.mapv(f64::from);
    let mut dual = Dual {
        products: samples.dot(&samples.t()),
        labels: is_positive
            .iter()
            .map(|&positive| if positive { 1.0 } else { -1.0 })
            .collect(),
        multipliers: vec![0.0; is_positive.len()],
        slack: Vec::new(),
        bound: config.regularization,
    };
    dual.slack = dual.labels.clone();
    for _ in 0..MAX_STEPS {
        let Some(pair) = dual.pair(config.tolerance) else {
            return Ok(dual.hyperplane(&samples));
        };
        dual.step(pair);
    }
    Err(Error::NotConverged {
        concept: concept.to_owned(),
        steps: MAX_STEPS,
    })
}

struct Dual {
    /// `x_i . x_j`: `[N, N]`.
    products: Array2<f64>,
    /// `y_i`.
    labels: Vec<f64>,
    /// `alpha_i`, in `[0, C]`.
    multipliers: Vec<f64>,
    /// `y_i - w . x_i` for the `w` of the multipliers: the intercept at which a sample is on its margin.
    slack: Vec<f64>,
    /// `C`.
    bound: f64,
}

impl Dual {
    /// Whether `alpha_i y_i` can grow.
    fn can_grow(&self, sample: usize) -> bool {
        let multiplier = self.multipliers[sample];
        match self.labels[sample] > 0.0 {
            true => multiplier < self.bound,
            false => multiplier > 0.0,
        }
    }

    /// Whether `alpha_i y_i` can shrink.
    fn can_shrink(&self, sample: usize) -> bool {
        let multiplier = self.multipliers[sample];
        match self.labels[sample] > 0.0 {
            true => multiplier > 0.0,
            false => multiplier < self.bound,
        }
    }

    /// The curvature of the dual along a pair.
    fn curvature(&self, grown: usize, shrunk: usize) -> f64 {
        let product = |a, b| self.products[[a, b]];
        let curvature =
            product(grown, grown) + product(shrunk, shrunk) - 2.0 * product(grown, shrunk);
        curvature.max(MIN_CURVATURE)
    }

    /// The largest slack of those that can grow, and the smallest of those that can shrink.
    fn extremes(&self) -> (Option<usize>, f64) {
        let mut grown = None;
        let (mut most, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        for (sample, &slack) in self.slack.iter().enumerate() {
            if self.can_grow(sample) && slack > most {
                (grown, most) = (Some(sample), slack);
            }
            if self.can_shrink(sample) {
                least = least.min(slack);
            }
        }
        (grown, least)
    }

    /// The pair whose change gains most; none where all samples are within the tolerance of the optimum.
    fn pair(&self, tolerance: f64) -> Option<(usize, usize)> {
        let (grown, least) = self.extremes();
        let grown = grown?;
        let most = self.slack[grown];
        if most - least < tolerance {
            return None;
        }
        let mut best: Option<(usize, f64)> = None;
        for (sample, &slack) in self.slack.iter().enumerate() {
            let gap = most - slack;
            if !self.can_shrink(sample) || gap <= 0.0 {
                continue;
            }
            let gain = gap * gap / self.curvature(grown, sample);
            if best.is_none_or(|(_, most)| gain > most) {
                best = Some((sample, gain));
            }
        }
        best.map(|(shrunk, _)| (grown, shrunk))
    }

    /// Goes to the optimum along a pair, or to where a multiplier meets its bound.
    fn step(&mut self, (grown, shrunk): (usize, usize)) {
        let gap = self.slack[grown] - self.slack[shrunk];
        let room = |sample: usize, grows: bool| match (self.labels[sample] > 0.0) == grows {
            true => self.bound - self.multipliers[sample],
            false => self.multipliers[sample],
        };
        let room = room(grown, true).min(room(shrunk, false));
        let step = (gap / self.curvature(grown, shrunk)).min(room);
        self.set(grown, step * self.labels[grown]);
        self.set(shrunk, -step * self.labels[shrunk]);
        for (sample, slack) in self.slack.iter_mut().enumerate() {
            *slack -= step * (self.products[[sample, grown]] - self.products[[sample, shrunk]]);
        }
    }

    /// Changes a multiplier; one that rounding left beside a bound is on it.
    fn set(&mut self, sample: usize, change: f64) {
        let rounding = 1e-12 * self.bound;
        let multiplier = self.multipliers[sample] + change;
        self.multipliers[sample] = match multiplier {
            low if low < rounding => 0.0,
            high if high > self.bound - rounding => self.bound,
            between => between,
        };
    }

    /// The intercept is the mean slack of the samples on the margin, or where there are none the middle of
    /// what is allowed.
    fn hyperplane(&self, samples: &Array2<f64>) -> Hyperplane {
        let signed: Array1<f64> = self
            .multipliers
            .iter()
            .zip(&self.labels)
            .map(|(multiplier, label)| multiplier * label)
            .collect();
        let is_free = |&(sample, _): &(usize, &f64)| {
            let multiplier = self.multipliers[sample];
            multiplier > 0.0 && multiplier < self.bound
        };
        let free: Vec<f64> = (self.slack.iter().enumerate().filter(is_free))
            .map(|(_, &slack)| slack)
            .collect();
        let intercept = match free.len() {
            0 => {
                let (grown, least) = self.extremes();
                let most = grown.map_or(least, |sample| self.slack[sample]);
                (most + least) / 2.0
            }
            count => free.iter().sum::<f64>() / count as f64,
        };
        Hyperplane {
            weight: samples.t().dot(&signed),
            intercept,
        }
    }
}
