//! Choosing among candidates by what they predict for samples that they were not fitted on.

use neuroinspect_core::{ClassId, Seed};
use rand::{Rng, RngExt};

use super::{Candidate, FOLDS, Gain, Interval, outcome::Outcome};

/// A candidate and one of the [biases](Judge::biases), by their indices.
pub(super) type Choice = (usize, usize);

/// How far the mean may be below the best for the sake of a class.
const SLACK: f64 = 0.005;

const BOOTSTRAP: usize = 400;
const BOOTSTRAP_OF_A_CHOICE: usize = 100;

/// What candidates are judged on.
pub(super) struct Samples<'a> {
    pub(super) labels: &'a [usize],
    pub(super) folds: &'a [usize],
    pub(super) weights: &'a [f64],
    /// Of every candidate, what it says of each sample.
    pub(super) outcomes: Vec<&'a [Outcome]>,
    /// Number of classes.
    pub(super) classes: usize,
}

/// Chooses the candidate of best mean class accuracy, or for a class that of best accuracy of the class,
/// with a bias on it. Classes of fewer than five samples do not count for the mean.
pub(super) struct Judge<'a> {
    candidates: &'a [Candidate],
    samples: Samples<'a>,
    class: Option<usize>,
    /// The biases tried, the nearest to 0 first, which is 0.
    pub(super) biases: Vec<f64>,
    /// Whether each class has samples enough to be judged by.
    counts: Vec<bool>,
    seed: Seed,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        candidates: &'a [Candidate],
        samples: Samples<'a>,
        class: Option<ClassId>,
        seed: Seed,
    ) -> Self {
        let class = class.map(|class| class.0);
        let mut biases = vec![0.0];
        if class.is_some() {
            biases = (0..=16).map(|step| 0.25 * f64::from(step) - 1.0).collect();
            biases.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        }
        let mut of_class = vec![0; samples.classes];
        samples
            .labels
            .iter()
            .for_each(|&label| of_class[label] += 1);
        Self {
            counts: of_class.into_iter().map(|count| count >= FOLDS).collect(),
            candidates,
            samples,
            class,
            biases,
            seed,
        }
    }

    /// The same, by the classes that count for another.
    pub(super) fn counting_as(mut self, other: &Self) -> Self {
        self.counts.clone_from(&other.counts);
        self
    }

    /// The candidates.
    pub(super) fn candidates(&self) -> &[Candidate] {
        self.candidates
    }

    /// The classes of too few samples to be judged by.
    pub(super) fn too_few(&self) -> Vec<ClassId> {
        let classes = self.counts.iter().enumerate();
        let too_few = classes.filter(|(_, counts)| !**counts);
        too_few.map(|(class, _)| ClassId(class)).collect()
    }

    /// Whether there are samples enough of the class asked for, or of any class.
    pub(super) fn can_tell(&self) -> bool {
        match self.class {
            Some(class) => self.counts[class],
            None => self.counts.contains(&true),
        }
    }

    /// The mean over the classes that count.
    fn mean(&self, of_classes: &[f64]) -> f64 {
        let counted = of_classes.iter().zip(&self.counts).filter(|it| *it.1);
        let counted: Vec<f64> = counted.map(|(&value, _)| value).collect();
        mean(&counted)
    }

    /// Number of samples.
    pub(super) fn len(&self) -> usize {
        self.samples.labels.len()
    }

    /// Accuracy of the class asked for, if one is, and mean class accuracy, over all samples.
    pub(super) fn worth(&self, choice: Choice) -> (Option<f64>, f64) {
        let all: Vec<usize> = (0..self.len()).collect();
        let accuracies = self.accuracies(&all, choice);
        (
            self.class.map(|class| accuracies[class]),
            self.mean(&accuracies),
        )
    }

    /// What is chosen, and what choosing so gains: by the choices made without each fold, on that fold.
    /// The layers that such a choice goes by were fitted on it, but for their own folds.
    pub(super) fn judge(&self) -> (Choice, Gain) {
        let mut right = vec![false; self.len()];
        for fold in 0..FOLDS {
            let (within, others): (Vec<_>, Vec<_>) =
                (0..self.len()).partition(|&row| self.samples.folds[row] == fold);
            let choice = self.choose(&others, fold as u64);
            for row in within {
                right[row] = self.is_right(choice, row);
            }
        }
        let all: Vec<usize> = (0..self.len()).collect();
        (
            self.choose(&all, FOLDS as u64),
            self.gain_of(|row| right[row]),
        )
    }

    /// What a choice gains, though it may be made on these samples.
    pub(super) fn gain(&self, choice: Choice) -> Gain {
        self.gain_of(|row| self.is_right(choice, row))
    }

    fn gain_of(&self, is_right: impl Fn(usize) -> bool) -> Gain {
        let mut rng = self.seed.rng("mend gain", &[]);
        let gain = |row: usize| difference(is_right(row), self.is_right((0, 0), row));
        let all: Vec<usize> = (0..self.len()).collect();
        let draws = self.bootstrap(&all, gain, BOOTSTRAP, &mut rng);
        let of_class = |class: usize| interval(draws.iter().map(|draw| draw[class]).collect());
        Gain {
            class: self.class.map(of_class),
            mean: interval(draws.iter().map(|draw| self.mean(draw)).collect()),
            samples: self.len(),
        }
    }

    fn is_right(&self, (candidate, bias): Choice, row: usize) -> bool {
        let outcome = self.samples.outcomes[candidate][row];
        outcome.predicted(self.class, self.biases[bias]) == self.samples.labels[row]
    }

    /// The weighted mean of values within each class, over some samples: `[K]`, 0 without any.
    fn by_class(&self, rows: &[usize], value: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.samples.classes];
        let mut weights = sums.clone();
        for &row in rows {
            let (class, weight) = (self.samples.labels[row], self.samples.weights[row]);
            sums[class] += value(row) * weight;
            weights[class] += weight;
        }
        let pairs = sums.into_iter().zip(weights);
        pairs
            .map(|(sum, weight)| sum / f64::max(weight, 1e-12))
            .collect()
    }

    fn accuracies(&self, rows: &[usize], choice: Choice) -> Vec<f64> {
        self.by_class(rows, |row| f64::from(u8::from(self.is_right(choice, row))))
    }

    /// Draws of the mean within each class of `gain(row)`, the samples drawn again within classes.
    fn bootstrap(
        &self,
        rows: &[usize],
        gain: impl Fn(usize) -> f64,
        draws: usize,
        rng: &mut impl Rng,
    ) -> Vec<Vec<f64>> {
        let mut of_class = vec![Vec::new(); self.samples.classes];
        rows.iter()
            .for_each(|&row| of_class[self.samples.labels[row]].push(row));
        let mut drawn_mean = |rows: &Vec<usize>| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for _ in rows {
                let row = rows[rng.random_range(0..rows.len())];
                sum += gain(row) * self.samples.weights[row];
                weights += self.samples.weights[row];
            }
            sum / f64::max(weights, 1e-12)
        };
        (0..draws)
            .map(|_| of_class.iter().map(&mut drawn_mean).collect())
            .collect()
    }

    /// The simplest choice within a standard error of the best, on some samples.
    fn choose(&self, rows: &[usize], key: u64) -> Choice {
        let kinds = self.kinds(rows);
        let options = match self.class {
            None => kinds
                .iter()
                .map(|&(candidate, mean)| ((candidate, 0), (mean, mean)))
                .collect(),
            Some(class) => self.options_of_class(rows, class, &kinds),
        };
        let Some(&(best, _)) = first_largest(&options, |(_, worth)| *worth) else {
            return (0, 0);
        };
        let mut rng = self.seed.rng("mend choice", &[key]);
        for &(choice, _) in &options {
            let gain =
                |row: usize| difference(self.is_right(best, row), self.is_right(choice, row));
            let (shortfall, error) = match self.class {
                None => {
                    let draws = self.bootstrap(rows, gain, BOOTSTRAP_OF_A_CHOICE, &mut rng);
                    let draws: Vec<f64> = draws.iter().map(|draw| self.mean(draw)).collect();
                    (self.mean(&self.by_class(rows, gain)), deviation(&draws))
                }
                Some(class) => self.shortfall(rows, class, gain),
            };
            if choice == best || shortfall <= error {
                return choice;
            }
        }
        best
    }

    /// The candidate of best mean of each kind, without a bias; of equal ones that of least
    /// cross-entropy.
    fn kinds(&self, rows: &[usize]) -> Vec<(usize, f64)> {
        let mut kinds: Vec<(usize, f64, f64)> = Vec::new();
        for (candidate, of) in self.candidates.iter().enumerate() {
            let score = self.mean(&self.accuracies(rows, (candidate, 0)));
            let losses = self.samples.outcomes[candidate];
            let loss = self.mean(&self.by_class(rows, |row| f64::from(losses[row].loss)));
            let alike = kinds.iter_mut().find(|(other, ..)| {
                let other = &self.candidates[*other];
                (of.kind, &of.silenced) == (other.kind, &other.silenced)
            });
            match alike {
                None => kinds.push((candidate, score, loss)),
                Some(best) => {
                    let ahead = score - best.1;
                    if ahead > 1e-9 || (ahead.abs() <= 1e-9 && loss < best.2) {
                        *best = (candidate, score, loss);
                    }
                }
            }
        }
        kinds
            .into_iter()
            .map(|(candidate, score, _)| (candidate, score))
            .collect()
    }

    /// Of each kind the one without a bias, and that of highest accuracy of the class, of those whose
    /// mean is within half a point of the best without a bias; with accuracy and mean.
    fn options_of_class(
        &self,
        rows: &[usize],
        class: usize,
        kinds: &[(usize, f64)],
    ) -> Vec<(Choice, (f64, f64))> {
        let without = 0..self.candidates.len();
        let without = without.map(|it| self.mean(&self.accuracies(rows, (it, 0))));
        let floor = without.fold(f64::NEG_INFINITY, f64::max) - SLACK;
        let mut options = Vec::new();
        for &(candidate, _) in kinds {
            let of_bias = |bias| {
                let accuracies = self.accuracies(rows, (candidate, bias));
                (
                    (candidate, bias),
                    (accuracies[class], self.mean(&accuracies)),
                )
            };
            let allowed = (0..self.biases.len()).map(of_bias);
            let allowed: Vec<_> = allowed.filter(|(_, (_, mean))| *mean >= floor).collect();
            options.extend(allowed.first().filter(|((_, bias), _)| *bias == 0));
            options.extend(first_largest(&allowed, |(_, worth)| *worth));
        }
        options
    }

    /// The weighted mean of gains within a class, and its standard error.
    fn shortfall(&self, rows: &[usize], class: usize, gain: impl Fn(usize) -> f64) -> (f64, f64) {
        let rows = rows
            .iter()
            .filter(|&&row| self.samples.labels[row] == class);
        let weighted: Vec<(f64, f64)> = rows
            .map(|&row| (self.samples.weights[row], gain(row)))
            .collect();
        let sum = weighted
            .iter()
            .map(|(weight, _)| weight)
            .sum::<f64>()
            .max(1e-12);
        let mean = weighted
            .iter()
            .map(|(weight, gain)| weight / sum * gain)
            .sum::<f64>();
        let squares = weighted
            .iter()
            .map(|(weight, gain)| (weight / sum * (gain - mean)).powi(2));
        (mean, squares.sum::<f64>().sqrt())
    }
}

fn difference(one: bool, other: bool) -> f64 {
    f64::from(i8::from(one) - i8::from(other))
}

/// The first of those that are largest by a key.
fn first_largest<T, K: PartialOrd>(of: &[T], key: impl Fn(&T) -> K) -> Option<&T> {
    of.iter()
        .reduce(|best, it| if key(it) > key(best) { it } else { best })
}

fn mean(values: &[f64]) -> f64 {
    // The sum of none is -0 by itself.
    (0.0 + values.iter().sum::<f64>()) / values.len().max(1) as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
    (squares / values.len().max(1) as f64).sqrt()
}

/// The mean of draws, and the ends of 95 % of them.
fn interval(mut draws: Vec<f64>) -> Interval {
    draws.sort_unstable_by(f64::total_cmp);
    let last = draws.len().saturating_sub(1);
    let quantile = |share: f64| {
        let place = share * last as f64;
        let at = |index: usize| draws.get(index.min(last)).copied().unwrap_or(0.0);
        let below = place.floor() as usize;
        at(below) + place.fract() * (at(below + 1) - at(below))
    };
    Interval {
        low: quantile(0.025),
        estimate: mean(&draws),
        high: quantile(0.975),
    }
}
