//! The neurons behind the mistakes: a card for each one shown, tables of all.

use maud::{Markup, html};
use neuroinspect_counterfactual::RankedNeuron;
use neuroinspect_editing::percent;

use super::{
    card::card,
    certified,
    parts::{bar, count, value},
};
use crate::{Findings, Report, Result};

/// Which list of the ranking a neuron stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    Insufficient,
    Excessive,
}

impl Blame {
    /// The word for it, and the style sheet's class.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Excessive => "excessive",
        }
    }
}

pub(super) fn section(report: &Report<'_>) -> Result<Markup> {
    let findings = report.findings;
    let cards: Vec<_> = report
        .images
        .neurons
        .iter()
        .map(|images| card(findings, images))
        .collect::<Result<_>>()?;
    let ranking = &findings.ranking;
    let ranked = ranking.insufficient.len() + ranking.excessive.len();
    let scored = findings.pictures.iter();
    let relevance = scored.filter_map(|picture| picture.core_relevance).count() > 0;
    Ok(html! {
        section {
            h2 { "The neurons behind them" }
            p class="about" {
                "For each mistake, the smallest change of its features that sets it right. A neuron \
                 is insufficient when it should have been more active, and excessive when it should \
                 have been less; prec@" (ranking.top) " is the share of mistakes in whose "
                (count(ranking.top, "largest change")) " it stands."
                @if ranking.unflipped > 0 {
                    " No change was found for " (count(ranking.unflipped, "mistake")) "."
                }
            }
            @for card in &cards { (card) }
            @if relevance {
                p class="note" {
                    "Core relevance says how well a masked picture still resembles its class, \
                     against the classes most like it; a low one hints that the feature is not core \
                     to the class. The hint serves fine-grained classes, and misleads where feature \
                     and class belong together by nature, as water and waterbirds do."
                }
            }
            @if ranked > 0 {
                details open[cards.is_empty()] {
                    summary { "All " (count(ranked, "ranked neuron")) }
                    div class="pair" {
                        (table(findings, Blame::Insufficient, &ranking.insufficient))
                        (table(findings, Blame::Excessive, &ranking.excessive))
                    }
                }
            }
            @if let Some(certified) = &findings.certified {
                (certified::details(certified, &findings.class_names))
            }
        }
    })
}

fn table(findings: &Findings, blame: Blame, neurons: &[RankedNeuron]) -> Markup {
    let edited = findings.edit.as_ref().map_or(&[][..], |edit| &edit.neurons);
    html! {
        @if !neurons.is_empty() {
            table {
                caption class=(blame.word()) { (blame.word()) }
                thead {
                    tr {
                        th scope="col" { "neuron" }
                        th scope="col" class="plot" { "" }
                        th scope="col" class="number" { "prec@" (findings.ranking.top) }
                        th scope="col" class="number" { "importance" }
                    }
                }
                tbody {
                    @for ranked in neurons {
                        tr {
                            th scope="row" {
                                (ranked.neuron)
                                @if edited.contains(&ranked.neuron) { " " span class="soft" { "edited" } }
                            }
                            td class="plot" { (bar(ranked.prec_at_k, blame.word())) }
                            td class="number" { (percent(ranked.prec_at_k)) }
                            td class="number" { (value(ranked.importance)) }
                        }
                    }
                }
            }
        }
    }
}
