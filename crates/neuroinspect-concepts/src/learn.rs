//! Concepts learned from features of images that show them and of images that do not.

use derive_setters::Setters;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use neuroinspect_core::{Observer, Seed, check_option};
use rand::{Rng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{ConceptVector, Error, Margins, Result, svm};

/// Most samples of a side that a support vector machine learns from: their inner products fill 128 MiB.
const MAX_SAMPLES: usize = 2048;

/// Options of [`learn_concept`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct LearningConfig {
    /// The weight `C` of the support vector machine's errors; 0.1, of the values 1e-5 to 1 that CCE's
    /// program tries.
    pub regularization: f64,
    /// Samples of each side to learn from, at most 2048; CCE's 50. The others measure `test_accuracy`.
    pub samples: usize,
    /// How far from its optimum the support vector machine may stop; 1e-6, of the 1 that a sample on the margin
    /// is at, however large features are. libsvm's 1e-3 leaves it to the order of the samples how the third
    /// digit comes out.
    pub tolerance: f64,
    /// Which samples are learned from: a draw by this seed and the concept's name; 0.
    pub seed: Seed,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self {
            regularization: 0.1,
            samples: 50,
            tolerance: 1e-6,
            seed: Seed(0),
        }
    }
}

impl LearningConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        for (option, value) in [
            ("regularization", self.regularization),
            ("tolerance", self.tolerance),
        ] {
            check_option(option, value, positive(value), "a number above 0")?;
        }
        let samples = self.samples;
        let allowed = (1..=MAX_SAMPLES).contains(&samples);
        Ok(check_option("samples", samples, allowed, "from 1 to 2048")?)
    }
}

/// What a concept is learned from.
#[derive(Clone, Copy, Debug)]
pub struct ConceptRequest<'a> {
    /// What the concept is called.
    pub name: &'a str,
    /// Features of images that show it: `[P, D]`.
    pub positives: ArrayView2<'a, f32>,
    /// Features of images that do not: `[N, D]`.
    pub negatives: ArrayView2<'a, f32>,
}

/// Learns a concept from the features of images that show it, and of others.
///
/// A linear support vector machine tells the two apart, as in CCE's program (Abid et al. 2022). Up to
/// [`samples`](LearningConfig::samples) of each side are learned from; the rest measures the accuracy on
/// samples that were not. The program takes the first files of each folder; here they are drawn.
///
/// The observer can stop the work every thousand steps of the support vector machine.
///
/// # Errors
///
/// [`Error::TooFew`] when a side has no sample, [`Error::NotSeparated`] when what was learned says nothing;
/// when shapes do not fit, a feature is not finite, an option is out of range, or the observer asks to stop.
pub fn learn_concept(
    request: &ConceptRequest<'_>,
    config: &LearningConfig,
    observer: &mut dyn Observer,
) -> Result<ConceptVector> {
    config.validate()?;
    let ConceptRequest {
        name,
        positives,
        negatives,
    } = *request;
    let sides = [
        ("positive samples", positives),
        ("negative samples", negatives),
    ];
    for (what, side) in sides {
        check_side(name, what, side, positives.ncols())?;
    }
    let mut rng = config.seed.rng(name, &[]);
    let [
        (train_positives, test_positives),
        (train_negatives, test_negatives),
    ] = [positives, negatives].map(|side| {
        let mut rows: Vec<usize> = (0..side.nrows()).collect();
        rows.shuffle(&mut rng);
        let (train, test) = rows.split_at(config.samples.min(rows.len()));
        (side.select(Axis(0), train), side.select(Axis(0), test))
    });
    let train = Labelled::new(train_positives.view(), train_negatives.view());
    let test = Labelled::new(test_positives.view(), test_negatives.view());
    let boundary = boundary(name, &train, config, observer)?;
    let concept = ConceptVector {
        name: name.to_owned(),
        margins: Margins::of(boundary.distances(&train)),
        vector: boundary.weight.mapv(|value| value as f32),
        intercept: boundary.intercept as f32,
        train_accuracy: boundary.accuracy(&train),
        test_accuracy: boundary.accuracy(&test),
        mean_features: mean(positives),
    };
    match (concept.margins.pos_mean, concept.margins.neg_mean) {
        (Some(_), Some(_)) => Ok(concept),
        _ => Err(not_separated(
            name,
            "all samples are on one side of the boundary",
        )),
    }
}

/// The direction that tells the samples of a request apart, all of them, in double precision: `[D]`.
pub(crate) fn direction(
    request: &ConceptRequest<'_>,
    config: &LearningConfig,
    observer: &mut dyn Observer,
) -> Result<Array1<f64>> {
    let train = Labelled::new(request.positives, request.negatives);
    Ok(boundary(request.name, &train, config, observer)?.weight)
}

/// Refuses a side that nothing can be learned from.
pub(crate) fn check_side(
    concept: &str,
    what: &'static str,
    side: ArrayView2<'_, f32>,
    neurons: usize,
) -> Result<()> {
    if side.is_empty() {
        return Err(Error::TooFew {
            concept: concept.to_owned(),
            what,
            needed: 1,
            found: side.nrows(),
        });
    }
    let what = format!("{what} of concept '{concept}'");
    if side.ncols() != neurons {
        let expected = ["N".to_owned(), neurons.to_string()];
        return Err(neuroinspect_core::Error::shape(what, expected, side.shape()).into());
    }
    match side.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(neuroinspect_core::Error::NotFinite { what, value }.into()),
        None => Ok(()),
    }
}

/// Samples of both sides, the positive ones first.
pub(crate) struct Labelled {
    /// `[N, D]`.
    pub(crate) features: Array2<f32>,
    pub(crate) is_positive: Vec<bool>,
}

impl Labelled {
    fn new(positives: ArrayView2<'_, f32>, negatives: ArrayView2<'_, f32>) -> Self {
        let side = |side: ArrayView2<'_, f32>, positive| vec![positive; side.nrows()];
        Self {
            is_positive: [side(positives, true), side(negatives, false)].concat(),
            // Both are of one width.
            features: concatenate(Axis(0), &[positives, negatives]).unwrap_or_default(),
        }
    }
}

fn boundary(
    name: &str,
    train: &Labelled,
    config: &LearningConfig,
    observer: &mut dyn Observer,
) -> Result<svm::Hyperplane> {
    let boundary = svm::fit(name, train, config, observer)?;
    let norm = boundary.weight.dot(&boundary.weight).sqrt();
    // In single precision, which a bank is kept in, it is to be more than 0 too.
    match norm > f64::from(f32::MIN_POSITIVE) {
        true => Ok(boundary),
        false => Err(not_separated(name, "both have the same features")),
    }
}

fn not_separated(concept: &str, reason: &'static str) -> Error {
    Error::NotSeparated {
        concept: concept.to_owned(),
        reason,
    }
}

fn mean(features: ArrayView2<'_, f32>) -> Option<Array1<f32>> {
    let mean = features.mapv(f64::from).mean_axis(Axis(0))?;
    Some(mean.mapv(|value| value as f32))
}

impl svm::Hyperplane {
    fn distances(&self, samples: &Labelled) -> Vec<f64> {
        let norm = self.weight.dot(&self.weight).sqrt();
        let products = samples.features.mapv(f64::from).dot(&self.weight);
        let distance = |product: f64| (product + self.intercept) / norm;
        products.into_iter().map(distance).collect()
    }

    /// The share of samples on their side, mean of both sides; `None` where a side has no sample.
    fn accuracy(&self, samples: &Labelled) -> Option<f32> {
        let distances = self.distances(samples);
        let share_of = |side: bool| {
            let sides = distances.iter().zip(&samples.is_positive);
            let of_side = sides.filter(|(_, positive)| **positive == side);
            let right: Vec<_> = of_side
                .map(|(distance, _)| (*distance > 0.0) == side)
                .collect();
            let count = right.iter().filter(|right| **right).count();
            (!right.is_empty()).then(|| count as f32 / right.len() as f32)
        };
        Some(f32::midpoint(share_of(true)?, share_of(false)?))
    }
}

impl Margins {
    /// Of at least one distance.
    fn of(mut distances: Vec<f64>) -> Self {
        distances.sort_by(f64::total_cmp);
        let last = distances.len() - 1;
        // numpy's default, linear between neighbours.
        let quantile = |share: f64| {
            let at = share * last as f64;
            let (below, part) = (at.floor() as usize, at.fract());
            let above = (below + 1).min(last);
            (distances[below] + part * (distances[above] - distances[below])) as f32
        };
        let mean = |of: &dyn Fn(f64) -> bool| {
            let (mut sum, mut count) = (0.0, 0_usize);
            for &distance in distances.iter().filter(|distance| of(**distance)) {
                sum += distance;
                count += 1;
            }
            (count > 0).then(|| (sum / count as f64) as f32)
        };
        Self {
            max: distances[last] as f32,
            min: distances[0] as f32,
            pos_mean: mean(&|distance| distance > 0.0),
            neg_mean: mean(&|distance| distance < 0.0),
            q_90: quantile(0.9),
            q_10: quantile(0.1),
        }
    }
}

/// `count` of `total` indices, drawn.
pub(crate) fn drawn(total: usize, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..total).collect();
    indices.shuffle(rng);
    indices.truncate(count);
    indices
}
