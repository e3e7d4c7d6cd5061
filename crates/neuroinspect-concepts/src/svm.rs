//! A linear support vector machine, solved in its dual.

use ndarray::{Array1, Array2, Axis};
use neuroinspect_core::{Observer, Progress};

use crate::{Error, LearningConfig, Result, learn::Labelled};

const STAGE: &str = "learning a concept";

/// Steps at most, as libsvm has it.
const MAX_STEPS: usize = 10_000_000;

/// Steps between two looks at the observer.
const STEPS_AT_ONCE: usize = 1000;

/// Steps after which all multipliers between their bounds are moved at once.
const STEPS_IN_PAIRS: usize = 10_000;

/// How far from its optimum the start for the next, ten times larger `C` may be.
const START_TOLERANCE: f64 = 1e-4;

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
/// Where features are large, steps are short against `C`, and multipliers creep to it: of 100 samples that
/// overlap, with five features of 1e4 each, ten million steps leave a gap of 6. So a `C` that steps are not
/// short against is solved first, and the solution, scaled, is the start for one ten times larger (DeCoste and
/// Wagstaff 2000, *Alpha Seeding for Support Vector Machines*): these take 1800 steps then.
///
/// Where the samples on their margins nearly depend on each other, pairs creep all the same. Every ten thousand steps
/// these multipliers are therefore moved together, by conjugate gradients.
///
/// The observer can stop the work every thousand steps. The inner products of all samples are kept: `8 N^2`
/// bytes.
///
/// There is at least one positive and one negative sample.
pub(crate) fn fit(
    concept: &str,
    train: &Labelled,
    config: &LearningConfig,
    observer: &mut dyn Observer,
) -> Result<Hyperplane> {
    let samples = train.features.mapv(f64::from);
    let labels = train.is_positive.iter();
    let mut dual = Dual::new(
        samples.dot(&samples.t()),
        labels.map(|&it| if it { 1.0 } else { -1.0 }).collect(),
    );
    let mut steps = 0;
    for (bound, tolerance) in dual.stages(config) {
        dual.raise(bound);
        while let Some(pair) = dual.pair(tolerance) {
            if steps == MAX_STEPS {
                return Err(Error::NotConverged {
                    concept: concept.to_owned(),
                    steps,
                });
            }
            if steps % STEPS_AT_ONCE == 0 {
                observer.proceed(Progress {
                    stage: STAGE,
                    done: steps,
                    total: MAX_STEPS,
                })?;
            }
            dual.step(pair);
            steps += 1;
            if steps % STEPS_IN_PAIRS == 0 {
                dual.climb();
            }
        }
    }
    Ok(dual.hyperplane(&samples))
}

struct Dual {
    /// `x_i . x_j`: `[N, N]`.
    products: Array2<f64>,
    /// `y_i`.
    labels: Array1<f64>,
    /// `alpha_i`, in `[0, C]`.
    multipliers: Vec<f64>,
    /// `y_i - w . x_i` for the `w` of the multipliers: the intercept at which a sample is on its margin.
    slack: Array1<f64>,
    /// `C`.
    bound: f64,
}

impl Dual {
    /// All multipliers are 0.
    fn new(products: Array2<f64>, labels: Array1<f64>) -> Self {
        Self {
            multipliers: vec![0.0; labels.len()],
            slack: labels.clone(),
            bound: 1.0,
            products,
            labels,
        }
    }

    /// The values of `C` to solve one after the other, the last of them that asked for, and how far from the
    /// optimum each may stop. At the first, `C` times the mean of `|x_i|^2` is at most 1.
    fn stages(&self, config: &LearningConfig) -> Vec<(f64, f64)> {
        let (bound, tolerance) = (config.regularization, config.tolerance);
        let mean = self.products.diag().mean().unwrap_or_default();
        let tenfold = (bound * mean).log10().ceil().clamp(0.0, 100.0) as i32;
        let starts = (1..=tenfold).rev().map(|tenfold| {
            let bound = bound / 10_f64.powi(tenfold);
            (bound, tolerance.max(START_TOLERANCE))
        });
        starts.chain([(bound, tolerance)]).collect()
    }

    /// Goes on with another `C`, from the same solution in proportion.
    fn raise(&mut self, bound: f64) {
        for multiplier in &mut self.multipliers {
            *multiplier = match *multiplier < self.bound {
                true => *multiplier * (bound / self.bound),
                false => bound,
            };
        }
        self.bound = bound;
        self.slack = &self.labels - &self.products.dot(&self.signed());
    }

    /// `alpha_i y_i`.
    fn signed(&self) -> Array1<f64> {
        let pairs = self.multipliers.iter().zip(&self.labels);
        pairs
            .map(|(multiplier, label)| multiplier * label)
            .collect()
    }

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
        let rooms = [room(grown, true), room(shrunk, false)];
        let step = (gap / self.curvature(grown, shrunk))
            .min(rooms[0])
            .min(rooms[1]);
        for (sample, change, room) in [(grown, step, rooms[0]), (shrunk, -step, rooms[1])] {
            let (before, label) = (self.multipliers[sample], self.labels[sample]);
            let after = match step < room {
                true => (before + change * label).clamp(0.0, self.bound),
                // A sum may miss the bound by rounding.
                false if change * label > 0.0 => self.bound,
                false => 0.0,
            };
            self.multipliers[sample] = after;
            let change = (after - before) * label;
            self.slack.scaled_add(-change, &self.products.row(sample));
        }
    }

    /// Ascends along conjugate directions of the multipliers between their bounds, until one meets its bound.
    fn climb(&mut self) {
        let free: Vec<usize> = (0..self.multipliers.len())
            .filter(|&sample| {
                self.multipliers[sample] > 0.0 && self.multipliers[sample] < self.bound
            })
            .collect();
        if free.len() < 2 {
            return;
        }
        let products = self.products.select(Axis(0), &free).select(Axis(1), &free);
        let labels = self.labels.select(Axis(0), &free);
        // Of `alpha_i y_i` the sum stays: directions are those of mean 0.
        let centred = |values: Array1<f64>| {
            let mean = values.mean().unwrap_or_default();
            values - mean
        };
        let mut residual = centred(self.slack.select(Axis(0), &free));
        let mut direction = residual.clone();
        for _ in 0..free.len() {
            let square = residual.dot(&residual);
            let turned = products.dot(&direction);
            let length = square / direction.dot(&turned).max(MIN_CURVATURE);
            // Each multiplier's change, and how far it may go.
            let changes = &direction * &labels;
            let room = |(&sample, &change): (&usize, &f64)| match change > 0.0 {
                true => (self.bound - self.multipliers[sample]) / change,
                false => -self.multipliers[sample] / change,
            };
            let rooms: Vec<f64> = free.iter().zip(&changes).map(room).collect();
            let least = rooms.iter().copied().fold(f64::INFINITY, f64::min);
            let taken = length.min(least);
            if !(taken > 0.0 && taken.is_finite()) {
                break;
            }
            for ((&sample, &change), &room) in free.iter().zip(&changes).zip(&rooms) {
                let after = self.multipliers[sample] + taken * change;
                // A sum may miss the bound by rounding.
                self.multipliers[sample] = match (room <= taken, change > 0.0) {
                    (true, true) => self.bound,
                    (true, false) => 0.0,
                    (false, _) => after.clamp(0.0, self.bound),
                };
            }
            if least <= length {
                break;
            }
            residual = centred(residual - taken * turned);
            let share = residual.dot(&residual) / square;
            direction = &residual + share * direction;
        }
        self.slack = &self.labels - &self.products.dot(&self.signed());
    }

    /// The intercept is the mean slack of the samples on the margin, or where there are none the middle of
    /// what is allowed.
    fn hyperplane(&self, samples: &Array2<f64>) -> Hyperplane {
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
            weight: samples.t().dot(&self.signed()),
            intercept,
        }
    }
}
