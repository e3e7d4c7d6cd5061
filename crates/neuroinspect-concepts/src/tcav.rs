//! TCAV: whether a concept sways a class, against what random images do.

use derive_setters::Setters;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, Observer, Progress, check_option,
};
use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

use crate::{
    Error, LearningConfig, Result,
    learn::{ConceptRequest, check_side, direction, drawn},
};

const STAGE: &str = "testing concepts";

/// What is tested.
#[derive(Clone, Copy, Debug)]
pub struct TcavRequest<'a> {
    /// The decision layer.
    pub layer: &'a DecisionLayer,
    /// The class that concepts may sway.
    pub class: ClassId,
    /// Features of images of the class: `[M, D]`.
    pub samples: ArrayView2<'a, f32>,
    /// The concepts by name, each with features of images that show it: `[P, D]`.
    pub concepts: &'a [(String, ArrayView2<'a, f32>)],
    /// Features of any images, which random concepts and what is not a concept are drawn from: `[R, D]`.
    pub random: ArrayView2<'a, f32>,
}

/// Options of [`tcav`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct TcavConfig {
    /// How often each concept is learned, against other random images, and how many random concepts there
    /// are; 30. Scores of random concepts are anywhere from 0 to 1, so that a few tell nothing apart.
    pub runs: usize,
    /// The chance of calling a concept significant that is not, over all concepts tested; 0.05.
    pub significance: f64,
    /// How concepts are learned. Of its [`samples`](LearningConfig::samples) no more are taken than half of the
    /// random images.
    pub learning: LearningConfig,
}

impl Default for TcavConfig {
    fn default() -> Self {
        Self {
            runs: 30,
            significance: 0.05,
            learning: LearningConfig::default(),
        }
    }
}

impl TcavConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        // Of fewer there is no variance.
        check_option("runs", self.runs, self.runs > 1, "at least 2")?;
        let significance = self.significance;
        let allowed = significance > 0.0 && significance < 1.0;
        let expected = "a number above 0 and below 1";
        check_option("significance", significance, allowed, expected)?;
        self.learning.validate()
    }
}

/// What of some concepts sways a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tcav {
    /// The class.
    pub class: ClassId,
    /// How many images of it were looked at.
    pub samples: usize,
    /// The p-value below which a concept is significant: the significance over the number of concepts
    /// tested (Bonferroni).
    pub threshold: f64,
    /// The concepts, in the order given.
    pub concepts: Vec<ConceptInfluence>,
    /// The scores of random concepts.
    pub random_scores: Vec<f64>,
}

/// How a concept sways a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConceptInfluence {
    /// The concept.
    pub name: String,
    /// Mean of the scores: the share of the class's images that more of the concept would make more
    /// probably the class. Near 1 it speaks for the class, near 0 against it.
    pub score: f64,
    /// The score of each run.
    pub scores: Vec<f64>,
    /// Of Welch's t-test of these scores against those of random concepts, two-sided: how likely they would
    /// differ so much if the concept were random.
    pub p_value: f64,
    /// Whether the p-value is below the [threshold](Tcav::threshold).
    pub significant: bool,
}

/// Tests which concepts sway a class (Kim et al. 2018).
///
/// With `v` the vector of a concept, the score is the share of the class's images whose log-probability of
/// the class rises along `v`: `sum_j p_j (W_c - W_j) . v > 0`. The paper takes the logit, whose slope at a
/// linear decision layer would be the same for all images and the score 0 or 1; its program takes the
/// cross-entropy, as here.
///
/// A concept is learned in every run against other random images, and as many random concepts of random
/// images against other random ones. Scores are compared by Welch's t-test; the program takes Student's,
/// which differs from it in the degrees of freedom alone and calls more concepts significant. p-values are
/// compared with the significance over the number of concepts (Bonferroni).
///
/// # Errors
///
/// [`Error::TooFew`] when there are no images of a concept or of the class, or fewer than four random ones;
/// [`Error::NotSeparated`] when a concept looks like random images; when the class is out of range, shapes do
/// not fit, a feature is not finite, an option is out of range or the observer asks to stop.
pub fn tcav(
    request: &TcavRequest<'_>,
    config: &TcavConfig,
    observer: &mut dyn Observer,
) -> Result<Tcav> {
    config.validate()?;
    let TcavRequest {
        layer,
        class,
        samples,
        concepts,
        random,
    } = *request;
    layer.check_class(class)?;
    if concepts.is_empty() {
        return Err(CoreError::empty("concepts to test").into());
    }
    let neurons = layer.neurons();
    check_side("the class", "samples", samples, neurons)?;
    check_side("random", "samples", random, neurons)?;
    if random.nrows() < 4 {
        return Err(Error::TooFew {
            concept: "random".to_owned(),
            what: "samples",
            needed: 4,
            found: random.nrows(),
        });
    }
    for (name, positives) in concepts {
        check_side(name, "positive samples", *positives, neurons)?;
    }
    let slopes = Slopes::new(layer, class, samples)?;
    let count = config.learning.samples.min(random.nrows() / 2);
    let total = config.runs * (concepts.len() + 1);
    let mut done = 0;
    // None stands for a concept of random images.
    let mut scores_of = |name: &str, positives: Option<ArrayView2<'_, f32>>| -> Result<Vec<f64>> {
        let mut scores = Vec::with_capacity(config.runs);
        for run in 0..config.runs as u64 {
            let purpose = if positives.is_some() {
                name
            } else {
                "random concept"
            };
            let mut rng = config.learning.seed.rng(purpose, &[run]);
            let random_rows = drawn(random.nrows(), 2 * count, &mut rng);
            let (negatives, others) = random_rows.split_at(count);
            let positives = match positives {
                Some(all) => {
                    let rows = drawn(all.nrows(), config.learning.samples, &mut rng);
                    all.select(Axis(0), &rows)
                }
                None => random.select(Axis(0), others),
            };
            let negatives = random.select(Axis(0), negatives);
            let request = ConceptRequest {
                name,
                positives: positives.view(),
                negatives: negatives.view(),
            };
            let progress = |done| Progress {
                stage: STAGE,
                done,
                total,
            };
            // Within a concept there is nothing to show.
            let mut within = |_: Progress<'_>| observer.update(progress(done));
            let direction = direction(&request, &config.learning, &mut within)?;
            scores.push(slopes.share_rising(&direction));
            done += 1;
            observer.proceed_unless_done(progress(done))?;
        }
        Ok(scores)
    };
    let random_scores = scores_of("random", None)?;
    let threshold = config.significance / concepts.len() as f64;
    let mut influences = Vec::with_capacity(concepts.len());
    for (name, positives) in concepts {
        let scores = scores_of(name, Some(*positives))?;
        let p_value = welch(&scores, &random_scores);
        influences.push(ConceptInfluence {
            name: name.clone(),
            score: mean(&scores),
            scores,
            p_value,
            significant: p_value < threshold,
        });
    }
    Ok(Tcav {
        class,
        samples: samples.nrows(),
        threshold,
        concepts: influences,
        random_scores,
    })
}

/// What the slope of the class's log-probability is made of.
struct Slopes {
    /// `W_c - W_j` for each class: `[K, D]`.
    differences: Array2<f64>,
    /// `p_j` of each image: `[M, K]`.
    probabilities: Array2<f64>,
}

impl Slopes {
    fn new(layer: &DecisionLayer, class: ClassId, samples: ArrayView2<'_, f32>) -> Result<Self> {
        let weight = layer.weight().mapv(f64::from);
        let of_class = weight.row(class.0).to_owned();
        let mut probabilities = layer.logits(samples)?.mapv(f64::from);
        for mut row in probabilities.rows_mut() {
            let largest = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            row.mapv_inplace(|logit| (logit - largest).exp());
            let sum = row.sum();
            row /= sum;
        }
        Ok(Self {
            differences: &of_class - &weight,
            probabilities,
        })
    }

    /// The share of images whose log-probability rises along a direction `[D]`.
    fn share_rising(&self, direction: &Array1<f64>) -> f64 {
        let slopes = self.probabilities.dot(&self.differences.dot(direction));
        let rising = slopes.iter().filter(|&&slope| slope > 0.0).count();
        rising as f64 / slopes.len() as f64
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The two-sided p-value of Welch's t-test that two samples have one mean.
///
/// Where neither varies there is no t: 1 where all values are the same, and else 0.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    /// The variance of the mean.
    fn error(values: &[f64]) -> f64 {
        let (mean, count) = (mean(values), values.len() as f64);
        let squares = values.iter().map(|value| (value - mean).powi(2));
        squares.sum::<f64>() / (count - 1.0) / count
    }
    let difference = mean(one) - mean(other);
    let (a, b) = (error(one), error(other));
    if a + b == 0.0 {
        return if difference == 0.0 { 1.0 } else { 0.0 };
    }
    let t_squared = difference.powi(2) / (a + b);
    let part = |error: f64, count: usize| error * error / (count as f64 - 1.0);
    let freedom = (a + b).powi(2) / (part(a, one.len()) + part(b, other.len()));
    // The tails of Student's t: the regularized incomplete beta function, whose arguments are in range.
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t_squared)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use neuroinspect_testing::assert_close;

    use super::*;

    /// `scipy.stats.ttest_ind(a, b, equal_var=False).pvalue`, by tools/golden_concepts.py.
    #[test]
    fn p_values_are_those_of_scipy() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/concepts.json")).unwrap();
        for case in golden["welch"].as_array().unwrap() {
            let numbers =
                |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).unwrap() };
            let expected = case["p_value"].as_f64().unwrap();
            // Both are double precision; the continued fraction ends at about 1e-12.
            assert_close(welch(&numbers("a"), &numbers("b")), expected, 1e-9, 1e-14);
        }
    }

    #[test]
    fn values_that_do_not_vary_are_the_same_or_are_not() {
        assert_eq!(welch(&[1.0, 1.0], &[1.0, 1.0, 1.0]), 1.0);
        assert_eq!(welch(&[1.0, 1.0], &[0.5, 0.5]), 0.0);
    }
}
