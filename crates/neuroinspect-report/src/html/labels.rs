//! The words that go with a neuron.

use maud::{Markup, html};
use neuroinspect_core::NeuronId;

use super::parts::value;
use crate::Findings;

/// A neuron's words with their scores, the best first; nothing where there are none.
pub(super) fn labels(findings: &Findings, neuron: NeuronId) -> Markup {
    let of_neuron = findings.labels.iter().find(|it| it.unit == neuron.0);
    let words = of_neuron.and_then(|it| it.labels.split_first());
    html! {
        @if let Some((best, others)) = words {
            div {
                dt { "label" b { (best.word) } }
                dd {
                    small {
                        "score " (value(f64::from(best.score)))
                        @for other in others {
                            "; " (other.word) " " (value(f64::from(other.score)))
                        }
                    }
                }
            }
        }
    }
}
