//! The scores of words for units, some words at a time.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use neuroinspect_core::check_option;
use rayon::prelude::*;

use super::{RankReorder, Similarity, SoftWpmi, Words, Wpmi, strongest};
use crate::Result;

/// Keeps logarithms of probabilities finite; the program's.
const MIN_PROBABILITY: f64 = 1e-7;
/// Least norm of the cubed similarity; the program's.
const MIN_CUBED_NORM: f32 = 1e-3;
/// Least mean similarity that rank reorder is scaled by.
const MIN_MEAN: f64 = 1e-3;
/// Words whose similarities are looked at together while the softmax over all of them is summed.
const WORDS_AT_ONCE: usize = 512;

/// Units and images, made ready for any word.
pub(super) struct Scorer<'a> {
    /// Of length 1: `[N, E]`.
    images: Array2<f32>,
    words: &'a Words,
    units: Units<'a>,
}

/// What of the units' activations a similarity looks at.
enum Units<'a> {
    /// Columns of length 1, or 0: `[N, D]`.
    Cosine(Array2<f32>),
    /// As `Cosine`, centred and cubed.
    Cubed(Array2<f32>),
    Reordered(&'a RankReorder, Vec<Ordered>),
    Informed(Information),
}

/// The images that activate a unit most.
struct Ordered {
    images: Vec<usize>,
    /// Its activations on them, the highest first.
    activations: Vec<f64>,
    /// The mean difference of a random order.
    baseline: f64,
}

struct Information {
    /// Of each unit, the strongest first.
    images: Vec<Vec<usize>>,
    /// The probability that an image is among them; none where it is certain.
    probabilities: Option<Vec<f64>>,
    a: f64,
    lambda: f64,
    /// The logarithm of the sum over all words of `exp(a P)`: `[N]`.
    log_sums: Array1<f64>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        similarity: &'a Similarity,
        activations: ArrayView2<'_, f32>,
        images: Array2<f32>,
        words: &'a Words,
    ) -> Result<Self> {
        let count = activations.nrows();
        let of_units = |top: usize| -> Vec<Vec<usize>> {
            let units: Vec<ArrayView1<'_, f32>> = activations.columns().into_iter().collect();
            units
                .into_par_iter()
                .map(|unit| strongest(unit, top))
                .collect()
        };
        let informed = |top: usize, a, lambda, probabilities| {
            let expected = "at most as many as there are images";
            check_option("top_images", top, top <= count, expected)?;
            Ok::<_, crate::Error>(Units::Informed(Information {
                images: of_units(top),
                probabilities,
                a,
                lambda,
                log_sums: log_sums(&images, words, a),
            }))
        };
        let units = match similarity {
            Similarity::CosSimilarity => {
                Units::Cosine(unit_columns(activations.to_owned(), f32::MIN_POSITIVE))
            }
            Similarity::CosSimilarityCubed => Units::Cubed(cubed(activations.to_owned())),
            Similarity::RankReorder(options) => {
                let top = (count as f64 * options.top_share) as usize;
                let expected = "a share that makes at least two images";
                check_option("top_share", options.top_share, top > 1, expected)?;
                let units: Vec<_> = of_units(top).into_iter().enumerate().collect();
                let ordered =
                    |(unit, images)| Ordered::new(images, activations.column(unit), options.p);
                let units = units.into_par_iter().map(ordered);
                Units::Reordered(options, units.collect())
            }
            Similarity::Wpmi(Wpmi {
                top_images,
                a,
                lambda,
            }) => informed(*top_images, *a, *lambda, None)?,
            Similarity::SoftWpmi(SoftWpmi {
                top_images,
                a,
                lambda,
                p_start,
                p_end,
            }) => {
                let probability =
                    |place| p_start - place as f64 / *top_images as f64 * (p_start - p_end);
                let probabilities = (0..*top_images).map(probability).collect();
                informed(*top_images, *a, *lambda, Some(probabilities))?
            }
        };
        Ok(Self {
            images,
            words,
            units,
        })
    }

    /// The scores of some words, by their indices: `[D, B]`.
    pub(super) fn scores(&self, words: &[usize]) -> Array2<f32> {
        let seen = similarities(&self.images, self.words, words);
        match &self.units {
            Units::Cosine(units) => product(units, &unit_columns(seen, f32::MIN_POSITIVE)),
            Units::Cubed(units) => product(units, &cubed(seen)),
            Units::Reordered(options, units) => by_unit(units, words.len(), |unit, scores| {
                for (score, word) in scores.iter_mut().zip(seen.columns()) {
                    *score = unit.score(word, options) as f32;
                }
            }),
            Units::Informed(information) => information.scores(&seen),
        }
    }
}

/// The scores of each unit, `[D, B]`, by a function that fills its row.
fn by_unit<U: Sync>(
    units: &[U],
    words: usize,
    fill: impl Fn(&U, &mut [f32]) + Sync,
) -> Array2<f32> {
    let mut scores = Array2::zeros((units.len(), words));
    if let Some(scores) = scores.as_slice_mut().filter(|_| words > 0) {
        let rows = scores.par_chunks_mut(words).zip(units);
        rows.for_each(|(row, unit)| fill(unit, row));
    }
    scores
}

/// The cosine similarities of all images and some words: `[N, B]`.
fn similarities(images: &Array2<f32>, words: &Words, indices: &[usize]) -> Array2<f32> {
    let texts = words.embeddings.select(Axis(0), indices);
    let mut seen = Array2::zeros((images.nrows(), indices.len()));
    seen.axis_chunks_iter_mut(Axis(0), 256)
        .into_par_iter()
        .zip(images.axis_chunks_iter(Axis(0), 256))
        .for_each(|(mut seen, images)| seen.assign(&images.dot(&texts.t())));
    seen
}

/// `[N, D]` and `[N, B]` to `[D, B]`.
fn product(units: &Array2<f32>, words: &Array2<f32>) -> Array2<f32> {
    let mut scores = Array2::zeros((units.ncols(), words.ncols()));
    scores
        .axis_chunks_iter_mut(Axis(0), 64)
        .into_par_iter()
        .zip(units.axis_chunks_iter(Axis(1), 64))
        .for_each(|(mut scores, units)| scores.assign(&units.t().dot(words)));
    scores
}

/// The columns over their norms, which count as `least` where they are less.
fn unit_columns(mut columns: Array2<f32>, least: f32) -> Array2<f32> {
    let norms = columns
        .axis_iter(Axis(1))
        .map(|column| column.dot(&column).sqrt().max(least));
    let norms: Array1<f32> = norms.collect();
    columns /= &norms;
    columns
}

/// The columns less their means, cubed, and over their norms.
fn cubed(mut columns: Array2<f32>) -> Array2<f32> {
    if let Some(means) = columns.mean_axis(Axis(0)) {
        columns -= &means;
    }
    columns.mapv_inplace(|value| value * value * value);
    unit_columns(columns, MIN_CUBED_NORM)
}

/// The logarithm of the sum over all words of `exp(a P)`, for each image.
fn log_sums(images: &Array2<f32>, words: &Words, a: f64) -> Array1<f64> {
    let indices: Vec<usize> = (0..words.words.len()).collect();
    let mut sums = Array1::<f64>::zeros(images.nrows());
    for block in indices.chunks(WORDS_AT_ONCE) {
        let seen = similarities(images, words, block);
        for (sum, row) in sums.iter_mut().zip(seen.rows()) {
            // A cosine is at most 1: less `a`, nothing overflows.
            let terms = row
                .iter()
                .map(|&cosine| (a * (f64::from(cosine) - 1.0)).exp());
            *sum += terms.sum::<f64>();
        }
    }
    sums.mapv(|sum| a + sum.ln())
}

impl Information {
    fn scores(&self, seen: &Array2<f32>) -> Array2<f32> {
        // The softmax over all words.
        let mut shares = seen.mapv(|cosine| self.a * f64::from(cosine));
        for (mut row, log_sum) in shares.rows_mut().into_iter().zip(&self.log_sums) {
            row.mapv_inplace(|value| (value - log_sum).exp());
        }
        let words = seen.ncols();
        let mut scores = by_unit(&self.images, words, |images, scores| {
            let mut sums = vec![0.0_f64; words];
            for (place, &image) in images.iter().enumerate() {
                let probability = self.probabilities.as_ref().map(|it| it[place]);
                for (sum, &share) in sums.iter_mut().zip(shares.row(image)) {
                    let likely = match probability {
                        Some(probability) => 1.0 + probability * (share - 1.0),
                        None => share,
                    };
                    *sum += (likely + MIN_PROBABILITY).ln();
                }
            }
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score = sum as f32;
            }
        });
        for mut column in scores.columns_mut() {
            let most = column.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f64 = column.iter().map(|&it| f64::from(it - most).exp()).sum();
            let common = f64::from(most) + (sum / column.len() as f64).ln();
            column.mapv_inplace(|score| (f64::from(score) - self.lambda * common) as f32);
        }
        scores
    }
}

impl Ordered {
    fn new(images: Vec<usize>, unit: ArrayView1<'_, f32>, p: f64) -> Self {
        let activations: Vec<f64> = images.iter().map(|&it| f64::from(unit[it])).collect();
        let differences = activations
            .iter()
            .flat_map(|a| activations.iter().map(move |b| (a - b).abs().powf(p)));
        let count = activations.len() as f64;
        Self {
            baseline: differences.sum::<f64>() / (count * count),
            images,
            activations,
        }
    }

    /// 0 for a unit that is the same on all its images.
    fn score(&self, word: ArrayView1<'_, f32>, options: &RankReorder) -> f64 {
        let seen: Vec<f32> = self.images.iter().map(|&image| word[image]).collect();
        let mean = seen.iter().map(|&it| f64::from(it)).sum::<f64>() / seen.len() as f64;
        // The word's images from the one where it is least seen.
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by(|&a, &b| seen[a].total_cmp(&seen[b]).then(a.cmp(&b)));
        // The image at each place from below takes the activation at that place.
        let ascending = self.activations.iter().rev();
        let differences = order.iter().zip(ascending).map(|(&image, activation)| {
            (self.activations[image] - activation).abs().powf(options.p)
        });
        let difference = differences.sum::<f64>() / seen.len() as f64;
        match self.baseline > 0.0 {
            true => -(difference / self.baseline) / mean.max(MIN_MEAN).powf(options.scale_p),
            false => 0.0,
        }
    }
}
