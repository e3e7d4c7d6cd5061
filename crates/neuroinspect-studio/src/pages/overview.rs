//! How accurate the classifier is, by class and group, and what it takes for what.

use axum::{Router, extract::State, response::Html, routing::get};
use maud::{Markup, html};
use neuroinspect::{core::share_interval, editing::percent};

use crate::{
    charts::bar,
    layout::{Page, page},
    refusal::Refusal,
    session::Session,
    studio::{App, Studio},
};

/// Confusions listed.
const LISTED: usize = 12;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/", get(overview))
}

async fn overview(State(studio): State<App>) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let of_page = Page {
        path: "/",
        title: "Overview",
        scripts: &[],
    };
    Ok(page(&studio, &of_page, &content(&studio, session)))
}

fn content(studio: &Studio, session: &Session) -> Markup {
    let (table, metrics) = (&session.table, &session.metrics);
    let names = table.class_names();
    let confusions = &session.confusions;
    let right: usize = (0..names.len())
        .map(|class| confusions.of(class, class))
        .sum();
    let worst_group = metrics
        .worst_group
        .and_then(|group| session.group_names().get(group));
    html! {
        dl class="tiles" {
            (tile("Average accuracy", metrics.accuracy, &format!("{right} of {} images", metrics.samples)))
            (tile("Worst class", metrics.worst_class_accuracy, studio.class_name(metrics.worst_class)))
            @if let (Some(accuracy), Some(name)) = (metrics.worst_group_accuracy, worst_group) {
                (tile("Worst group", accuracy, name))
            }
        }
        @if table.split().is_some() {
            p class="about" { "Of all images, those of the part to learn from included." }
        }
        @if right < metrics.samples {
            p class="next" {
                a class="button primary" href={ "/class/" (metrics.worst_class) } {
                    "What goes wrong with \u{201c}" (studio.class_name(metrics.worst_class)) "\u{201d}"
                }
                " " span class="soft" { "its mistakes, and the neurons behind them" }
            }
        }
        section {
            h2 { "By class" }
            p class="about" {
                "Share of each class\u{2019}s images that are right; the line is its 95 % interval. A class leads to its \
                 mistakes and the neurons behind them."
            }
            (shares("class", names.iter().enumerate().map(|(class, name)| Share {
                name,
                address: format!("/class/{class}"),
                right: confusions.of(class, class),
                samples: confusions.samples(class),
            })))
        }
        @if let Some(groups) = session.groups() {
            @let counts = group_counts(session);
            section {
                h2 { "By group" }
                p class="about" {
                    "The same for parts of the images that the data set tells apart. A group leads to its images."
                }
                (shares("group", groups.names().iter().zip(&counts).enumerate().map(|(group, (name, count))| Share {
                    name,
                    address: format!("/images?group={group}"),
                    right: count[0],
                    samples: count[1],
                })))
            }
        }
        section {
            h2 { "What is taken for what" }
            @match confusions.matrix(names) {
                Some(matrix) => (matrix),
                None => {
                    p class="about" { "Of " (names.len()) " classes, the pairs that most images fall in." }
                }
            }
            h3 { "Most frequent" }
            ol class="confusion-list" {
                @for (label, prediction, count) in confusions.largest(LISTED) {
                    li {
                        a href={ "/images?label=" (label) "&predicted=" (prediction) } {
                            (names[label]) " taken for " (names[prediction])
                        }
                        " " span class="soft" { (count) " of " (confusions.samples(label)) }
                    }
                }
            }
        }
    }
}

fn tile(name: &str, accuracy: f64, note: &str) -> Markup {
    html! {
        div {
            dt { (name) }
            dd {
                span class="value" { (percent(accuracy)) }
                span class="from" { (note) }
            }
        }
    }
}

/// Right ones and all of each group.
fn group_counts(session: &Session) -> Vec<[usize; 2]> {
    let mut counts = vec![[0, 0]; session.group_names().len()];
    if let Some(groups) = session.groups() {
        let labels = session.table.labels().iter().zip(&session.predictions);
        for (&group, (label, prediction)) in groups.of_sample().iter().zip(labels) {
            counts[group][0] += usize::from(label == prediction);
            counts[group][1] += 1;
        }
    }
    counts
}

/// What of some samples is right.
struct Share<'a> {
    name: &'a str,
    address: String,
    right: usize,
    samples: usize,
}

fn shares<'a>(of: &str, rows: impl Iterator<Item = Share<'a>>) -> Markup {
    html! {
        table class="shares" {
            thead {
                tr {
                    th scope="col" { (of) }
                    th scope="col" class="plot" { span class="hidden" { "as a bar" } }
                    th scope="col" class="number" { "accuracy" }
                    th scope="col" class="number" { "right" }
                    th scope="col" class="number" { "images" }
                }
            }
            tbody {
                @for row in rows {
                    @let share = row.right as f64 / row.samples.max(1) as f64;
                    tr {
                        th scope="row" { a href=(row.address) { (row.name) } }
                        td class="plot" {
                            @if row.samples > 0 {
                                (bar(share, share_interval(row.right, row.samples), "accuracy"))
                            }
                        }
                        td class="number" { @if row.samples > 0 { (percent(share)) } @else { "\u{2013}" } }
                        td class="number" { (row.right) }
                        td class="number" { (row.samples) }
                    }
                }
            }
        }
    }
}
