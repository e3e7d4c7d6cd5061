//! Edits that are kept: drawn as the worst against the average, listed, and two of them side by side.

use std::sync::Arc;

use axum::{Json, extract::State, response::Html};
use maud::html;
use neuroinspect::{core::Metrics, editing::percent};
use serde::Deserialize;

use super::{tables, title, worst};
use crate::{
    address::{Path, Query},
    charts::{Point, scatter},
    refusal::Refusal,
    studio::{App, apart},
    trials::{Trial, edits},
};

#[derive(Debug, Deserialize)]
pub(super) struct Keep {
    keep: bool,
}

pub(super) async fn keep(
    State(studio): State<App>,
    Path(id): Path<String>,
    Json(Keep { keep }): Json<Keep>,
) -> Result<(), Refusal> {
    let work = Arc::clone(&studio);
    apart(&work, move |studio| {
        studio.trials.keep(studio.session()?, &id, keep)
    })
    .await?;
    // Other tabs show the kept ones, too.
    studio.jobs.announce("edits");
    Ok(())
}

/// Which edits are drawn.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Drawn {
    /// The one that is looked at, by its name.
    now: Option<String>,
    /// The same at other strengths: `4,5,6`.
    sweep: String,
}

/// The frontier: the worst group or class against the average, for the layer as it is, the control, what is looked
/// at, and what was kept.
pub(super) async fn kept(
    State(studio): State<App>,
    Query(drawn): Query<Drawn>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let before = edits(session)?.before();
    let point = |metrics: &Metrics, name: String, kind: &'static str| Point {
        at: [metrics.accuracy, worst(metrics)],
        name,
        kind,
    };
    let mut points = vec![point(before, "as it is".to_owned(), "before")];
    let sweep = drawn.sweep.split(',');
    let sweep: Vec<Arc<Trial>> = sweep
        .filter_map(|id| studio.trials.get(session, id).ok())
        .collect();
    for trial in &sweep {
        let name = format!("\u{3bb} {}", trial.asked.lambda);
        points.push(point(trial.after(), name, "sweep"));
    }
    let kept = studio.trials.kept(session);
    let now = drawn.now.as_deref();
    for trial in kept.iter().filter(|it| Some(it.name.as_str()) != now) {
        points.push(point(trial.after(), trial.title(), "kept"));
    }
    let now = now.and_then(|id| studio.trials.get(session, id).ok());
    if let Some(trial) = &now {
        if let Some(control) = trial.result.control_metrics() {
            points.push(point(control, "control".to_owned(), "control"));
        }
        let name = match trial.part {
            Some(part) => format!("this edit, on {part} samples"),
            None => "this edit".to_owned(),
        };
        points.push(point(trial.after(), name, "now"));
    }
    let upright = match before.worst_group_accuracy {
        Some(_) => "accuracy of the worst group",
        None => "accuracy of the worst class",
    };
    let content = html! {
        // One point by itself compares nothing.
        @if points.len() > 1 { (scatter(&points, ["average accuracy", upright])) }
        @if kept.is_empty() {
            p class="soft" { "Edits that you keep stand here side by side: \u{201c}Keep to compare\u{201d} adds the one above." }
        } @else {
            form id="compare" {
                table {
                    caption { "Kept edits" }
                    thead {
                        tr {
                            th scope="col" { "edit" } th scope="col" { "compare" }
                            th scope="col" class="number" { "average" } th scope="col" class="number" { "worst" }
                            th scope="col" { span class="hidden" { "no longer" } }
                        }
                    }
                    tbody {
                        @for trial in &kept {
                            tr {
                                th scope="row" {
                                    a href={ "/mend?" (trial.asked.query()) } { (trial.title()) }
                                    small { (title(&studio, &trial.asked)) }
                                }
                                td {
                                    @for (side, title) in [("a", "left"), ("b", "right")] {
                                        label { input type="radio" name=(side) value=(trial.name); " " (title) " " }
                                    }
                                }
                                td class="number" { (percent(trial.after().accuracy)) }
                                td class="number" { (percent(worst(trial.after()))) }
                                td { button type="button" class="forget" data-id=(trial.name)
                                        aria-label={ "Keep " (trial.title()) " no longer" } { "Remove" } }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(Html(content.into_string()))
}

/// Two edits side by side.
#[derive(Debug, Deserialize)]
pub(super) struct Pair {
    a: String,
    b: String,
}

pub(super) async fn compare(
    State(studio): State<App>,
    Query(Pair { a, b }): Query<Pair>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let [a, b] = [
        studio.trials.get(session, &a)?,
        studio.trials.get(session, &b)?,
    ];
    let content = html! {
        h3 { "Side by side" }
        div class="columns" {
            @for trial in [&a, &b] {
                div {
                    h4 { (trial.title()) }
                    p class="soft" { (title(&studio, &trial.asked)) }
                    (tables(&studio, session, trial))
                }
            }
        }
    };
    Ok(Html(content.into_string()))
}
