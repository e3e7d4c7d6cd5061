//! The crate's types can be sent to and shared with other threads.

use neuroinspect_concepts::{
    ConceptBank, ConceptCounterfactual, ConceptCounterfactualConfig, ConceptExplainer,
    ConceptExplanation, ConceptRanking, ConceptRequest, ConceptVector, Error, LabelConfig,
    LabelRequest, LearningConfig, Tcav, TcavConfig, TcavRequest, UnitLabels, Words,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<ConceptBank>();
    is_shareable::<ConceptCounterfactual>();
    is_shareable::<ConceptCounterfactualConfig>();
    is_shareable::<ConceptExplainer<'static>>();
    is_shareable::<ConceptExplanation>();
    is_shareable::<ConceptRanking>();
    is_shareable::<ConceptRequest<'static>>();
    is_shareable::<ConceptVector>();
    is_shareable::<Error>();
    is_shareable::<LabelConfig>();
    is_shareable::<LabelRequest<'static>>();
    is_shareable::<LearningConfig>();
    is_shareable::<Tcav>();
    is_shareable::<TcavConfig>();
    is_shareable::<TcavRequest<'static>>();
    is_shareable::<UnitLabels>();
    is_shareable::<Words>();
}
