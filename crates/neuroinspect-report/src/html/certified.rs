//! How sure the ranking is: the smallest changes beside it, and mistakes drawn again.

use maud::{Markup, html};
use neuroinspect_counterfactual::{Certified, NeuronStability, Outcome, RankedNeuron};
use neuroinspect_editing::percent;

use super::{
    neurons::Blame,
    parts::{count, value},
};

/// What the smallest changes and the stability say, to be unfolded.
pub(super) fn details(certified: &Certified, class_names: &[String]) -> Markup {
    let Certified {
        explanation,
        ranking,
        times_as_long,
        stability,
    } = certified;
    let changes = explanation.certificates.len();
    let rival = explanation.rival.and_then(|rival| class_names.get(rival.0));
    html! {
        details {
            summary { "How sure that is" }
            p class="about" {
                "The changes above are found by descent, which stops where it enters the class. The \
                 smallest changes"
                @if let Some(rival) = rival { " that outdo \u{201c}" (rival) "\u{201d} alone" }
                " were computed, too: " (explanation.count(Outcome::Certified)) " of "
                (count(changes, "mistake")) " have one that is proven to be the smallest"
                @if explanation.non_negative { ", activations kept at or above 0" }
                @let impossible = explanation.count(Outcome::Impossible);
                @if impossible > 0 { ", and for " (impossible) " there is none up to the longest looked for" }
                "."
                @if let Some(times) = times_as_long {
                    " In the median, the descent\u{2019}s are " (value(*times)) " times as long."
                }
                " Drawn with replacement " (stability.resamples) " times, the mistakes give "
                (percent(stability.same_first)) " of the same first " (stability.first) " neurons."
            }
            div class="pair" {
                (table(Blame::Insufficient, ranking.top, &stability.insufficient, &ranking.insufficient))
                (table(Blame::Excessive, ranking.top, &stability.excessive, &ranking.excessive))
            }
            p class="note" {
                "\u{201c}95% of draws\u{201d} is where prec@" (ranking.top) " lies in so many of them: how \
                 far other mistakes of the same kind would say the same, not whether a neuron is to blame."
            }
        }
    }
}

/// The neurons in the ranking's order; nothing of a list that has none.
fn table(
    blame: Blame,
    top: usize,
    neurons: &[NeuronStability],
    smallest: &[RankedNeuron],
) -> Markup {
    let of_smallest = |neuron: &NeuronStability| {
        let ranked = smallest
            .iter()
            .find(|ranked| ranked.neuron == neuron.neuron);
        ranked.map_or("\u{2013}".to_owned(), |ranked| percent(ranked.prec_at_k))
    };
    html! {
        @if !neurons.is_empty() {
            table {
                caption class=(blame.word()) { (blame.word()) }
                thead {
                    tr {
                        th scope="col" { "neuron" }
                        th scope="col" class="number" { "95% of draws" }
                        th scope="col" class="number" { "among the first" }
                        th scope="col" class="number" { "prec@" (top) ", smallest changes" }
                    }
                }
                tbody {
                    @for neuron in neurons {
                        tr {
                            th scope="row" { (neuron.neuron) }
                            td class="number" {
                                (percent(neuron.prec_at_k[0])) " to " (percent(neuron.prec_at_k[1]))
                            }
                            td class="number" { (percent(neuron.in_first)) }
                            td class="number" { (of_smallest(neuron)) }
                        }
                    }
                }
            }
        }
    }
}
