//! The neurons that mistakes are blamed on, each with the reasons there are.

use maud::{Markup, html};
use neuroinspect_editing::{MendResult, Suspect, percent};

use super::parts::value;
use crate::ContextEffect;

/// How many are shown; the JSON has more.
const SHOWN: usize = 10;

/// A reason to suspect a neuron.
struct Reason {
    name: &'static str,
    of: fn(&Suspect) -> Option<String>,
}

const REASONS: [Reason; 6] = [
    Reason {
        name: "share of what is lacking",
        of: |suspect| Some(percent(suspect.share_of_deficit)),
    },
    Reason {
        name: "contrast of right and wrong",
        of: |suspect| Some(value(suspect.contrast)),
    },
    Reason {
        name: "probability ratio",
        of: |suspect| suspect.importance.map(value),
    },
    Reason {
        name: "counterfactuals that change it",
        of: |suspect| suspect.prec_at_k.map(percent),
    },
    Reason {
        name: "core relevance",
        of: |suspect| suspect.core_relevance.map(|score| value(score.into())),
    },
    Reason {
        name: "outside of the object",
        of: |suspect| suspect.outside_object.map(percent),
    },
];

/// The section of the suspects; nothing where there are none.
pub(super) fn section(result: &MendResult, context_effects: &[ContextEffect]) -> Markup {
    let suspects = &result.suspects[..result.suspects.len().min(SHOWN)];
    if suspects.is_empty() {
        return html! {};
    }
    let is_known = |reason: &&Reason| suspects.iter().any(|it| (reason.of)(it).is_some());
    let reasons: Vec<_> = REASONS.iter().filter(is_known).collect();
    let context = context_effects.first().map(|effect| &effect.context);
    html! {
        section {
            h2 { "Which neurons are suspected" }
            p class="about" {
                "Those whose activation mistakes lack most of, by what it is worth for the class. What is lacking is \
                 counted over all mistakes; the contrast says by how many standard deviations a neuron is more active \
                 in right samples."
            }
            table {
                thead {
                    tr {
                        th scope="col" { "neuron" }
                        @for reason in &reasons { th scope="col" class="number" { (reason.name) } }
                        @if let Some(context) = context {
                            th scope="col" class="number" { "answer to " (context) }
                        }
                    }
                }
                tbody {
                    @for suspect in suspects {
                        tr {
                            th scope="row" { (suspect.neuron) }
                            @for reason in &reasons {
                                td class="number" {
                                    ((reason.of)(suspect).unwrap_or_else(|| "\u{2013}".to_owned()))
                                }
                            }
                            @if context.is_some() {
                                td class="number" {
                                    @match context_effects.get(suspect.neuron.0) {
                                        Some(effect) => (value(effect.effect.into())),
                                        None => "\u{2013}",
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
