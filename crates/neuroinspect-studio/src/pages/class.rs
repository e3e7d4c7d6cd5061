//! A class: its images, what they are taken for, and the neurons behind its mistakes.

use axum::{
    Router,
    extract::State,
    response::{Html, Redirect},
    routing::get,
};
use maud::{Markup, html};
use neuroinspect::{
    NeuronChoice,
    core::{NeuronId, share_interval},
    counterfactual::{RankedNeuron, Ranking},
    editing::percent,
};

use super::{
    images::{Filter, grid},
    mend::OFFERED,
};
use crate::{
    address::{Path, Query},
    charts::bar,
    layout::{Page, page},
    refusal::Refusal,
    studio::{App, Studio, apart},
    words::counted,
};

/// Neurons of each list that are shown.
const LISTED: usize = 20;
/// Neurons that a mend begins with, as `debug` takes them.
pub(super) const TICKED: usize = 5;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/class", get(worst))
        .route("/class/{class}", get(class))
        .route("/class/{class}/ranking", get(ranking))
}

/// The class to begin with.
async fn worst(State(studio): State<App>) -> Result<Redirect, Refusal> {
    let class = studio.session()?.metrics.worst_class;
    Ok(Redirect::to(&format!("/class/{class}")))
}

async fn class(
    State(studio): State<App>,
    Path(class): Path<usize>,
    Query(mut filter): Query<Filter>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let (class, name) = studio.class(class)?;
    let rows = session.table.samples_of(class).unwrap_or_default();
    let mistakes = rows
        .iter()
        .filter(|&&row| session.predictions[row] != class)
        .count();
    if filter.predicted.is_none() && filter.only.is_none() && mistakes > 0 {
        filter.only = Some("mistakes".to_owned());
    }
    let content = html! {
        nav class="siblings" aria-label="Classes" {
            // Not as it was before another class was gone to.
            form method="get" id="class-choice" autocomplete="off" {
                label {
                    "Class "
                    select id="class-select" {
                        @for (index, other) in studio.opened.class_names().iter().enumerate() {
                            option value={ "/class/" (index) } selected[index == class.0] { (other) }
                        }
                    }
                }
            }
        }
        p class="lede" {
            (mistakes) " of " (counted(rows.len(), "image")) " of \u{201c}" (name) "\u{201d} " @if mistakes == 1 { "is" } @else { "are" } " taken for something else."
        }
        section aria-labelledby="neurons-title" {
            h2 id="neurons-title" { "Neurons behind the mistakes" }
            div id="ranking" data-fragment={ "/class/" (class) "/ranking" } {
                p class="soft" role="status" { "Looking for what would make the mistakes right \u{2026}" }
            }
        }
        section aria-labelledby="images-title" {
            h2 id="images-title" { "Images" }
            (grid(&studio, session, &filter, Some(class)))
        }
    };
    let of_page = Page {
        path: &format!("/class/{class}"),
        title: &format!("What goes wrong with \u{201c}{name}\u{201d}"),
        scripts: &["grid.js"],
    };
    Ok(page(&studio, &of_page, &content))
}

async fn ranking(
    State(studio): State<App>,
    Path(class): Path<usize>,
) -> Result<Html<String>, Refusal> {
    let (class, _) = studio.class(class)?;
    let ranked = apart(&studio, move |studio| {
        let ranked = studio.session()?.ranked(&studio.opened, class);
        ranked.map_err(Refusal::Bad)
    })
    .await?;
    Ok(Html(lists(&studio, &ranked.ranking).into_string()))
}

fn lists(studio: &Studio, ranking: &Ranking) -> Markup {
    let listed = ranking.first(OFFERED);
    let first = &listed[..listed.len().min(TICKED)];
    // Those that the options edit come first.
    let [all, some] = [("all", &listed[..]), ("the first", first)];
    let (usual, other) = match studio.opened.config.neurons {
        NeuronChoice::Listed => (all, some),
        _ => (some, all),
    };
    let named = |neurons: &[NeuronId]| {
        let names: Vec<_> = neurons.iter().map(ToString::to_string).collect();
        names.join(",")
    };
    let mend =
        |neurons: &[NeuronId]| format!("/mend?class={}&neurons={}", ranking.class, named(neurons));
    html! {
        p class="about" {
            "For each mistake (" (ranking.mistakes) " in all), a small change of the neurons\u{2019} activations is looked for \
             that makes it right. The " (ranking.top) " neurons that change most are blamed for the mistake: they were too weak in it, \
             or too strong. The bar is the share of mistakes that a neuron is blamed for, the line its 95 % interval. \
             Importance above 1: the neuron speaks for \u{201c}" (studio.class_name(ranking.class)) "\u{201d}; below 1: \
             against it. (It is the probability of the class at mean activations, divided by the same with the neuron at 0.)"
            @if ranking.unflipped > 0 { " " (counted(ranking.unflipped, "mistake")) " could not be made right." }
        }
        div class="columns" {
            (list(ranking, "Too weak", "insufficient", &ranking.insufficient))
            (list(ranking, "Too strong", "excessive", &ranking.excessive))
        }
        @if !first.is_empty() {
            p class="next" {
                a class="button primary" href=(mend(usual.1)) { "Mend with " (usual.0) " " (usual.1.len()) }
                @if listed.len() > first.len() {
                    " " a class="button" href=(mend(other.1)) { "or with " (other.0) " " (other.1.len()) }
                }
                " " span class="soft" { "an edit that rests less on them, and what it costs" }
            }
        }
    }
}

fn list(ranking: &Ranking, title: &str, kind: &str, neurons: &[RankedNeuron]) -> Markup {
    html! {
        table class="ranking" {
            caption { (title) " " span class="soft" { "(" (kind) ")" } }
            thead {
                tr {
                    th scope="col" { "neuron" }
                    th scope="col" class="plot" { span class="hidden" { "as a bar" } }
                    th scope="col" class="number" { "mistakes" }
                    th scope="col" class="number" { "importance" }
                }
            }
            tbody {
                @for ranked in neurons.iter().take(LISTED) {
                    @let interval = share_interval(ranked.votes, ranking.mistakes);
                    tr {
                        th scope="row" { a href={ "/neuron/" (ranked.neuron) "?class=" (ranking.class) } { (ranked.neuron) } }
                        td class="plot" { (bar(ranked.prec_at_k, interval, kind)) }
                        td class="number" {
                            (percent(ranked.prec_at_k))
                            small { " " (percent(interval[0])) "\u{2013}" (percent(interval[1])) }
                        }
                        td class="number" { (format!("{:.3}", ranked.importance)) }
                    }
                }
            }
        }
    }
}
