//! Which neurons caused a classifier's mistakes: counterfactual explanation and ranking.

mod config;
mod descent;
mod error;
mod explain;
mod importance;
mod rank;

pub use config::{CounterfactualConfig, Overlap, PenaltyScale, RankingConfig, Votes};
pub use error::{Error, Result};
pub use explain::{Explanation, Outcome, explain, explain_features};
pub use importance::importance;
pub use rank::{RankedNeuron, Ranking, rank};
