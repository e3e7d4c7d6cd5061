//! The smallest change that makes a mistake right, with a proof of how small it can be.

mod nearest;

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use neuroinspect_core::{ClassId, DecisionLayer, Observer, Predicted, Progress};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::nearest::{Found, Nearest};
use crate::{
    CertifiedConfig, Counterfactual, Error, Explanation, Ranking, RankingConfig, Result, Stability,
    rank, stability,
};

const STAGE: &str = "certifying";
/// Mistakes between two looks at the observer.
const AT_A_TIME: usize = 64;

/// What the smallest changes say, beside an [`Explanation`], and how stable the ranking of that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Certified {
    /// The smallest changes.
    pub explanation: CertifiedExplanation,
    /// The neurons that recur in them.
    pub ranking: Ranking,
    /// How many times as long the other explanation's shifts are, in the median of the samples that both
    /// have flipped; none where there is no such sample.
    pub times_as_long: Option<f64>,
    /// What becomes of the other explanation's ranking where its mistakes are drawn again.
    pub stability: Stability,
}

impl CertifiedConfig {
    /// The smallest changes of the mistakes that an explanation is of, ranked as it is, and how stable
    /// its own ranking is. The importance of a neuron is taken at the table's mean features.
    ///
    /// # Errors
    ///
    /// As [`certify`], [`rank`](crate::rank) and [`stability`](crate::stability).
    pub fn beside(
        &self,
        explanation: &Explanation,
        predicted: &Predicted<'_>,
        ranking: &RankingConfig,
        observer: &mut dyn Observer,
    ) -> Result<Certified> {
        let smallest = certify(predicted, explanation.class, self, observer)?;
        let mean = predicted.table().mean_features()?;
        let layer = predicted.layer();
        Ok(Certified {
            ranking: rank(&smallest.explanation(), layer, mean.view(), ranking)?,
            times_as_long: smallest.times_as_long(explanation),
            stability: stability(explanation, ranking, &self.stability)?,
            explanation: smallest,
        })
    }
}

/// For each mistake of a class, the smallest change of its features that makes it right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertifiedExplanation {
    /// The class the samples belong to, and that the changes lead to.
    pub class: ClassId,
    /// The one class that is outdone, where it is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<ClassId>,
    /// Whether changed activations stay at or above 0.
    pub non_negative: bool,
    /// What was found for each sample; one for each row of `shifts`.
    pub certificates: Vec<Certificate>,
    /// The changes `w`, `[M, D]`; 0 where none was found. Not part of the JSON.
    #[serde(skip)]
    pub shifts: Array2<f32>,
}

/// How small the change of one sample's features can be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Certificate {
    /// Row of the sample in the table it came from.
    pub sample: usize,
    /// What the decision layer says of the sample as it is.
    pub predicted: ClassId,
    /// What is known.
    pub outcome: Outcome,
    /// Length `|w|_2` of the change found, which puts the class ahead; 0 of a mistake that the layer makes in
    /// single precision alone.
    pub length: Option<f64>,
    /// No shorter change puts the class ahead.
    pub at_least: f64,
    /// Rounds in which rivals were taken up.
    pub rounds: usize,
}

/// What is known of the smallest change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The change found is the smallest, to the [tolerance](CertifiedConfig::tolerance).
    Certified,
    /// What is proven stays further below the change found, or none was found that survives the
    /// rounding to single precision. So is a mistake by an exact tie, whose margin is a share of nothing.
    Open,
    /// No change up to the [longest](CertifiedConfig::longest) puts the class ahead, whatever the
    /// activations.
    Impossible,
}

/// The smallest change of features that makes each mistake of a class right.
///
/// The decision layer is linear, so that the features it gives a class are a convex region: the
/// intersection of a half space for each rival `k`, `(W_y - W_k)(f + w) + b_y - b_k >= 0`, and with a
/// [floor](CertifiedConfig::floor) of `f + w >= 0`. The smallest `w`, by its Euclidean length `|w|_2`,
/// leads to the nearest point of that region, and a solution of the dual problem proves that none is
/// shorter. Computed on the host in double precision; nothing depends on threads or order.
///
/// Beside the descent of an [`Explainer`](crate::Explainer), which stops on whatever side of the
/// region it first enters, this answers what the least is that has to be otherwise.
///
/// # Errors
///
/// [`Error::NoMistakes`] and [`Error::NoneTakenFor`] when there is nothing to explain; when the class
/// or the rival is out of range or the class has no samples, an option is out of range, an activation
/// is below a floor that was asked for, or the observer asks to stop.
pub fn certify(
    predicted: &Predicted<'_>,
    class: ClassId,
    config: &CertifiedConfig,
    observer: &mut dyn Observer,
) -> Result<CertifiedExplanation> {
    config.validate()?;
    let (table, layer) = (predicted.table(), predicted.layer());
    let mut samples = predicted.mistakes(class)?;
    let name = || table.class_names()[class.0].clone();
    if samples.is_empty() {
        let name = name();
        return Err(Error::NoMistakes { class, name });
    }
    if let Some(rival) = config.rival {
        layer.check_class(rival)?;
        samples.retain(|&sample| predicted.predictions()[sample] == rival);
        if samples.is_empty() {
            let name = name();
            return Err(Error::NoneTakenFor { class, name, rival });
        }
    }
    let non_negative = config.floor.holds_of(table)?;
    let rivals: Vec<usize> = match config.rival {
        Some(rival) => vec![rival.0],
        None => (0..layer.classes()).filter(|&k| k != class.0).collect(),
    };
    let search = Search {
        weight: layer.weight().mapv(f64::from),
        layer,
        class,
        rivals,
        non_negative,
        config,
    };
    let mut explanation = CertifiedExplanation {
        class,
        rival: config.rival,
        non_negative,
        certificates: Vec::with_capacity(samples.len()),
        shifts: Array2::zeros((samples.len(), layer.neurons())),
    };
    let total = samples.len();
    for some in samples.chunks(AT_A_TIME) {
        let features = table.activations().rows(some)?;
        let found: Vec<_> = (0..some.len())
            .into_par_iter()
            .map(|row| search.of(features.row(row)))
            .collect();
        for (&sample, (mut certificate, shift)) in some.iter().zip(found) {
            let row = explanation.certificates.len();
            explanation.shifts.row_mut(row).assign(&shift);
            certificate.sample = sample;
            certificate.predicted = predicted.predictions()[sample];
            explanation.certificates.push(certificate);
        }
        let done = explanation.certificates.len();
        let stage = STAGE;
        observer.proceed_unless_done(Progress { stage, done, total })?;
    }
    Ok(explanation)
}

/// What the searches of all samples share.
struct Search<'a> {
    /// `W`: `[K, D]`.
    weight: Array2<f64>,
    layer: &'a DecisionLayer,
    class: ClassId,
    rivals: Vec<usize>,
    non_negative: bool,
    config: &'a CertifiedConfig,
}

impl Search<'_> {
    /// The certificate of features `[D]`, their sample and prediction left open, and the change.
    fn of(&self, features: ArrayView1<'_, f32>) -> (Certificate, Array1<f32>) {
        let leads = self.leads(features.mapv(f64::from));
        let behind = self.rivals.iter().map(|&rival| leads[rival]);
        let behind = behind.fold(0.0, f64::max);
        let Found {
            shift,
            at_least,
            rounds,
        } = Nearest {
            weight: self.weight.view(),
            class: self.class.0,
            rivals: &self.rivals,
            leads,
            least: match self.non_negative {
                true => features.mapv(|value| -f64::from(value)),
                false => Array1::from_elem(features.len(), f64::NEG_INFINITY),
            },
            margin: self.config.margin * behind,
            longest: self.config.longest,
        }
        .find();
        let certificate = |outcome, length| Certificate {
            sample: 0,
            predicted: self.class,
            outcome,
            length,
            at_least,
            rounds,
        };
        let nothing = || Array1::zeros(features.len());
        let Some(shift) = shift else {
            return (certificate(Outcome::Impossible, None), nothing());
        };
        // All that is said holds of the change as it is handed over.
        let shift = shift.mapv(|value| value as f32);
        let moved = self.leads(features.mapv(f64::from) + shift.mapv(f64::from));
        if self.rivals.iter().any(|&rival| moved[rival] >= 0.0) {
            return (certificate(Outcome::Open, None), nothing());
        }
        let length = length(shift.view());
        let outcome = match length <= at_least * (1.0 + self.config.tolerance) {
            true => Outcome::Certified,
            false => Outcome::Open,
        };
        (certificate(outcome, Some(length)), shift)
    }

    /// By how much each class leads the class asked for: `[K]`.
    fn leads(&self, features: Array1<f64>) -> Array1<f64> {
        let logits = self.weight.dot(&features) + self.layer.bias().mapv(f64::from);
        let of_class = logits[self.class.0];
        logits - of_class
    }
}

impl CertifiedExplanation {
    /// The changes as an explanation that can be [ranked](crate::rank): a sample without a change is
    /// one that did not flip, and votes for nothing. With a [rival](Self::rival), those that lead it count as
    /// flipped, whatever the other classes do.
    pub fn explanation(&self) -> Explanation {
        let counterfactuals = self.certificates.iter().map(|certificate| Counterfactual {
            sample: certificate.sample,
            predicted: certificate.predicted,
            steps: certificate.rounds,
            flipped: certificate.length.is_some(),
        });
        Explanation {
            class: self.class,
            counterfactuals: counterfactuals.collect(),
            shifts: self.shifts.clone(),
        }
    }

    /// How many samples have an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        let outcomes = self.certificates.iter();
        outcomes.filter(|it| it.outcome == outcome).count()
    }

    /// As [`Certified::times_as_long`].
    fn times_as_long(&self, explanation: &Explanation) -> Option<f64> {
        let shifts = explanation.shifts.axis_iter(Axis(0));
        let lengths: BTreeMap<usize, f64> = explanation
            .counterfactuals
            .iter()
            .zip(shifts)
            .filter(|(counterfactual, _)| counterfactual.flipped)
            .map(|(counterfactual, shift)| (counterfactual.sample, length(shift)))
            .collect();
        let mut times: Vec<f64> = self
            .certificates
            .iter()
            .filter_map(|it| {
                Some(lengths.get(&it.sample)? / it.length.filter(|&length| length > 0.0)?)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let middle = |from_end: usize| times.get(times.len().checked_sub(from_end)? / 2);
        Some((middle(1)? + middle(0)?) / 2.0)
    }
}

/// `|w|_2`.
fn length(shift: ArrayView1<'_, f32>) -> f64 {
    shift
        .iter()
        .map(|&w| f64::from(w).powi(2))
        .sum::<f64>()
        .sqrt()
}
