//! The crate's types can be sent to and shared with other threads.

use neuroinspect_counterfactual::{
    Confusion, Counterfactual, CounterfactualConfig, Error, Explainer, Explanation, Overlap,
    PenaltyScale, RankedNeuron, Ranking, RankingConfig, Votes,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<Confusion>();
    is_shareable::<CounterfactualConfig>();
    is_shareable::<Explainer>();
    is_shareable::<Error>();
    is_shareable::<Explanation>();
    is_shareable::<Counterfactual>();
    is_shareable::<Overlap>();
    is_shareable::<PenaltyScale>();
    is_shareable::<RankedNeuron>();
    is_shareable::<Ranking>();
    is_shareable::<RankingConfig>();
    is_shareable::<Votes>();
}
