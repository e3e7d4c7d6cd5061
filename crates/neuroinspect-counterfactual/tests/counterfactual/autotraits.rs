//! The crate's types can be sent to and shared with other threads.

use neuroinspect_counterfactual::{
    Certificate, Certified, CertifiedConfig, CertifiedExplanation, Confusion, Counterfactual,
    CounterfactualConfig, Error, Explainer, Explanation, Floor, NeuronStability, Outcome, Overlap,
    PenaltyScale, RankedNeuron, Ranking, RankingConfig, Stability, StabilityConfig, Votes,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<Certificate>();
    is_shareable::<Certified>();
    is_shareable::<CertifiedConfig>();
    is_shareable::<CertifiedExplanation>();
    is_shareable::<Floor>();
    is_shareable::<NeuronStability>();
    is_shareable::<Outcome>();
    is_shareable::<Stability>();
    is_shareable::<StabilityConfig>();
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
