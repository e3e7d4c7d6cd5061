//! Labels of units: which words go with the images that activate them.

mod score;
mod similarity;

use derive_setters::Setters;
use ndarray::{Array2, ArrayView1, ArrayView2};
use neuroinspect_core::{ActivationTable, Error as CoreError, Observer, Progress, check_option};
use serde::{Deserialize, Serialize};

pub use similarity::{RankReorder, Similarity, SoftWpmi, Wpmi};

use self::score::Scorer;
use crate::Result;

const STAGE: &str = "labelling";

/// Words, and what an image-text encoder makes of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    words: Vec<String>,
    /// Of length 1: `[V, E]`.
    embeddings: Array2<f32>,
}

impl Words {
    /// Words with their embeddings `[V, E]`, of any length.
    ///
    /// # Errors
    ///
    /// When there is no word or one is there twice, there is not one embedding for each, or an embedding is
    /// zero or not finite.
    pub fn new(words: Vec<String>, embeddings: Array2<f32>) -> Result<Self> {
        if words.is_empty() {
            return Err(CoreError::empty("words").into());
        }
        let mut sorted: Vec<&String> = words.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(CoreError::DuplicateName {
                what: "words",
                name: twice[0].clone(),
            }
            .into());
        }
        if embeddings.nrows() != words.len() {
            let what = "embeddings of words";
            return Err(CoreError::length(what, words.len(), embeddings.nrows()).into());
        }
        let embeddings = unit_rows(embeddings, &|row| {
            format!("the embedding of '{}'", words[row])
        })?;
        Ok(Self { words, embeddings })
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// What is labelled, by what.
#[derive(Clone, Copy, Debug)]
pub struct LabelRequest<'a> {
    /// What a layer of the classifier makes of the probing images: `[N, D]`.
    pub activations: &'a ActivationTable,
    /// What an image-text encoder makes of the same images, of any length: `[N, E]`.
    pub images: ArrayView2<'a, f32>,
    /// The words to choose from.
    pub words: &'a Words,
    /// Those of the words whose units are looked for.
    pub queries: &'a [String],
}

/// Options of [`label_units`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct LabelConfig {
    /// How a word's images are compared with a unit's; soft-WPMI.
    pub similarity: Similarity,
    /// Words a unit is given, the best first; 5.
    pub labels: usize,
    /// Images of highest activation that stand beside them; 5.
    pub images: usize,
    /// Units that a query lists; 10.
    pub units: usize,
    /// Words compared at a time; 512. The result does not depend on it but for rounding, and memory does: `8 (N + D)` bytes
    /// for each, with `N` images and `D` units.
    pub words_at_once: usize,
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self {
            similarity: Similarity::default(),
            labels: 5,
            images: 5,
            units: 10,
            words_at_once: 512,
        }
    }
}

impl LabelConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        self.similarity.validate()?;
        for (option, count) in [
            ("labels", self.labels),
            ("units", self.units),
            ("words_at_once", self.words_at_once),
        ] {
            check_option(option, count, count > 0, "at least 1")?;
        }
        Ok(())
    }
}

/// The labels of a layer's units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitLabels {
    /// The labels of each unit, in order.
    pub units: Vec<UnitLabel>,
    /// The units that go with each word asked for, in the order asked.
    pub queries: Vec<WordUnits>,
}

/// What a unit goes with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitLabel {
    /// The unit: a channel or neuron of the layer.
    pub unit: usize,
    /// The words that go with it best, the best first.
    pub labels: Vec<ScoredWord>,
    /// What the images are called that activate it most, the strongest first.
    pub top_images: Vec<String>,
}

/// A word with the score of its similarity to a unit. Scores of different similarities do not compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScoredWord {
    /// The word.
    pub word: String,
    /// Its score; higher is more alike.
    pub score: f32,
}

/// The units that go with a word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WordUnits {
    /// The word.
    pub word: String,
    /// The units whose score for it is highest, the highest first.
    pub units: Vec<ScoredUnit>,
}

/// A unit with its score for a word.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScoredUnit {
    /// The unit.
    pub unit: usize,
    /// Its score for the word.
    pub score: f32,
    /// How many of the words have a higher score for this unit: 0 for its label.
    pub words_above: usize,
}

/// Labels all units of a layer by the images that activate them (CLIP-Dissect, Oikarinen and Weng 2023), and
/// finds units by word.
///
/// The cosine similarities of images and words, `P` `[N, V]`, say in which images a word is seen; a
/// [`Similarity`] compares each of its columns with each unit's activations.
///
/// `P` is never held whole: words are taken [some at a time](LabelConfig::words_at_once).
///
/// # Errors
///
/// When there are not the same images in both tables, widths do not fit, an embedding is zero or not finite,
/// the similarity looks at more images than there are, a query is not among the words, an option is out of
/// range or the observer asks to stop.
pub fn label_units(
    request: &LabelRequest<'_>,
    config: &LabelConfig,
    observer: &mut dyn Observer,
) -> Result<UnitLabels> {
    config.validate()?;
    let LabelRequest {
        activations,
        images,
        words,
        queries,
    } = *request;
    let expected = (activations.len(), words.embeddings.ncols());
    if images.dim() != expected || images.is_empty() {
        let what = "[images, width] of the image embeddings";
        return Err(CoreError::shape(what, expected, images.dim()).into());
    }
    let images = unit_rows(images.to_owned(), &|row| {
        format!("the embedding of '{}'", activations.sample_ids()[row])
    })?;
    let asked = queries.iter().map(|query| word_index(words, query));
    let asked: Vec<usize> = asked.collect::<Result<_>>()?;

    let units = activations.width();
    let values = activations.values()?;
    let scorer = Scorer::new(&config.similarity, values.view(), images, words)?;
    let of_queries = scorer.scores(&asked);
    let mut words_above = Array2::<usize>::zeros(of_queries.dim());
    let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::new(); units];
    let indices: Vec<usize> = (0..words.words.len()).collect();
    let mut done = 0;
    for block in indices.chunks(config.words_at_once) {
        let scores = scorer.scores(block);
        for (unit, best) in best.iter_mut().enumerate() {
            let scores = scores.row(unit);
            for (query, &asked) in asked.iter().enumerate() {
                let limit = of_queries[[unit, query]];
                // Not itself: in another block it may be rounded otherwise.
                let above = |(score, word): &(&f32, &usize)| **score > limit && **word != asked;
                words_above[[unit, query]] += scores.iter().zip(block).filter(above).count();
            }
            best.extend(scores.iter().copied().zip(block.iter().copied()));
            best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            best.truncate(config.labels);
        }
        done += block.len();
        observer.proceed_unless_done(Progress {
            stage: STAGE,
            done,
            total: indices.len(),
        })?;
    }
    let of_query = |(query, word): (usize, &String)| {
        let scores = of_queries.column(query);
        let scored = |unit: usize| ScoredUnit {
            unit,
            score: scores[unit],
            words_above: words_above[[unit, query]],
        };
        let units = strongest(scores, config.units).into_iter().map(scored);
        WordUnits {
            word: word.clone(),
            units: units.collect(),
        }
    };
    let labelled = best.into_iter().enumerate().map(|(unit, best)| UnitLabel {
        unit,
        labels: (best.into_iter())
            .map(|(score, word)| ScoredWord {
                word: words.words[word].clone(),
                score,
            })
            .collect(),
        top_images: strongest(values.column(unit), config.images)
            .into_iter()
            .map(|sample| activations.sample_ids()[sample].clone())
            .collect(),
    });
    Ok(UnitLabels {
        units: labelled.collect(),
        queries: queries.iter().enumerate().map(of_query).collect(),
    })
}

/// The index of a word.
fn word_index(words: &Words, query: &str) -> Result<usize> {
    let index = words.words.iter().position(|word| word == query);
    index.ok_or_else(|| {
        let expected = format!("'{query}' among them");
        let found = format!("{} others", words.words.len());
        CoreError::shape("words", expected, found).into()
    })
}

/// The indices of the `count` highest values, the highest first and the earlier first among equals.
fn strongest(values: ArrayView1<'_, f32>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(count);
    order
}

/// The rows at length 1; `what` names one that has no direction.
fn unit_rows(mut rows: Array2<f32>, what: &dyn Fn(usize) -> String) -> Result<Array2<f32>> {
    for (index, mut row) in rows.rows_mut().into_iter().enumerate() {
        let norm = row.dot(&row).sqrt();
        if norm == 0.0 || !norm.is_finite() {
            let found = if norm == 0.0 { "zero" } else { "not finite" };
            return Err(CoreError::shape(what(index), "a direction", found).into());
        }
        row /= norm;
    }
    Ok(rows)
}
