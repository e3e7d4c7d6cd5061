//! Which concepts the explanations agree on: prec@K and concept score.

use std::cmp::Reverse;

use neuroinspect_core::{ClassId, Error as CoreError, check_option};
use serde::{Deserialize, Serialize};

use crate::{ConceptExplanation, Result};

/// The concepts that a class's mistakes lack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConceptRanking {
    /// The class.
    pub class: ClassId,
    /// The K of prec@K.
    pub top: usize,
    /// How many mistakes were explained.
    pub mistakes: usize,
    /// How many of them the weights turned right.
    pub flipped: usize,
    /// All concepts: highest prec@K first, then highest score, then as in the bank.
    pub concepts: Vec<RankedConcept>,
}

/// One line of a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RankedConcept {
    /// The concept.
    pub name: String,
    /// Share of the mistakes that have it among the K of their largest weights, in `[0, 1]`: the paper's
    /// prec@3 where K is 3.
    pub prec_at_k: f64,
    /// Mean of its weight over the mistakes: the paper's concept score.
    pub score: f64,
    /// Mean of its place among a mistake's weights, from 1.
    pub mean_rank: f64,
}

/// Ranks concepts by how many mistakes have them among their `top` largest weights.
///
/// NeuroInspect's paper calls the share of mistakes prec@3, and the mean weight concept score. Its program
/// takes both over all mistakes, CCE's over the first 50 that it meets; here it is over those explained. As
/// in both, equal weights go in the order of the bank, also those of 0 that were never moved.
///
/// # Errors
///
/// When there are no mistakes, `top` is 0, or the weights are missing, as in an explanation read from JSON.
pub fn rank_concepts(explanation: &ConceptExplanation, top: usize) -> Result<ConceptRanking> {
    check_option("top", top, top > 0, "at least 1")?;
    let ConceptExplanation {
        class,
        concepts,
        counterfactuals,
        weights,
    } = explanation;
    let mistakes = counterfactuals.len();
    if mistakes == 0 {
        return Err(CoreError::empty("mistakes to rank concepts by").into());
    }
    let expected = (mistakes, concepts.len());
    if weights.dim() != expected {
        let what = "[mistakes, concepts] of the weights, which an explanation's JSON leaves out";
        return Err(CoreError::shape(what, expected, weights.dim()).into());
    }
    let mut ranks = vec![0_usize; concepts.len()];
    let mut hits = vec![0_usize; concepts.len()];
    for row in weights.rows() {
        let mut order: Vec<usize> = (0..concepts.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
        for (rank, concept) in order.into_iter().enumerate() {
            ranks[concept] += rank + 1;
            hits[concept] += usize::from(rank < top);
        }
    }
    let share = |sum: usize| sum as f64 / mistakes as f64;
    let mut ranked: Vec<_> = (0..concepts.len())
        .map(|concept| {
            let weights = weights.column(concept);
            let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
            let line = RankedConcept {
                name: concepts[concept].clone(),
                prec_at_k: share(hits[concept]),
                score: sum / mistakes as f64,
                mean_rank: share(ranks[concept]),
            };
            (hits[concept], line)
        })
        .collect();
    ranked.sort_by(|(a_hits, a), (b_hits, b)| {
        Reverse(a_hits)
            .cmp(&Reverse(b_hits))
            .then(b.score.total_cmp(&a.score))
    });
    Ok(ConceptRanking {
        class: *class,
        top,
        mistakes,
        flipped: counterfactuals.iter().filter(|it| it.flipped).count(),
        concepts: ranked.into_iter().map(|(_, line)| line).collect(),
    })
}
