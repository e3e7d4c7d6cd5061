//! Trying edits of the last layer: what silencing neurons would do, what a trained edit does, beside others.
//!
//! The address says what is asked, so that it can be sent, and going back undoes.

mod form;
mod kept;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::Html,
    routing::{get, post},
};
use maud::{Markup, PreEscaped, html};
use neuroinspect::{
    core::{Metrics, Progress},
    editing::EditResult,
    report::Accuracies,
};
use serde::{Deserialize, Serialize};

use crate::{
    layout::{Page, page},
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
    trials::{Asked, Trial, edits},
};

/// Images that turned over, of either kind, that are shown.
const FLIPS_SHOWN: usize = 24;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/mend", get(mend))
        .route("/mend/neurons", get(form::neurons))
        .route("/mend/preview", get(preview))
        .route("/mend/try", post(attempt))
        .route("/mend/edit/{id}", get(edit))
        .route("/mend/edit/{id}/flips", get(flips))
        .route("/mend/edit/{id}/measured", get(measured))
        .route("/mend/edit/{id}/keep", post(kept::keep))
        .route("/mend/kept", get(kept::kept))
        .route("/mend/compare", get(kept::compare))
}

/// What is asked, once it is known that there is such a class, without what does not matter to the method.
fn settled(studio: &Studio, asked: Asked) -> Result<Asked, Refusal> {
    if let Some(class) = asked.class {
        studio.class(class)?;
    }
    Ok(asked.settled(&studio.opened.config.editing))
}

async fn mend(
    State(studio): State<App>,
    Query(given): Query<Given>,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    // Of an address that says nothing but class and neurons, the rest is as the studio was opened with.
    let asked = match given.method {
        Some(_) => asked,
        None => Asked {
            class: asked.class.or(Some(session.metrics.worst_class.0)),
            neurons: asked.neurons,
            ..Asked::of_config(&studio.opened.config.editing)
        },
    };
    let content = html! {
        p class="about" {
            "Tick the neurons that a class should rest on less. At once stands here what silencing them would do, and \
             soon after what the edit does: the last layer trained anew, beside its control, plain retraining. The \
             address says all that is set: it can be sent, and going back undoes."
        }
        div class="mend" {
            (form::form(&studio, session, &asked))
            div class="answers" {
                section id="edit" aria-labelledby="edit-title" {
                    h2 id="edit-title" { "The edit" }
                    p id="edit-status" role="status" {}
                    div id="edit-result" {}
                }
                section id="preview" aria-labelledby="preview-title" {
                    h2 id="preview-title" { "If the neurons were silent" }
                    div id="preview-result" {}
                }
            }
        }
        section id="kept" aria-labelledby="kept-title" {
            h2 id="kept-title" { "Worst against average" }
            div id="kept-result" {}
            div id="compare-result" {}
        }
    };
    let of_page = Page {
        path: "/mend",
        title: "Mend",
        scripts: &["mend.js"],
    };
    Ok(page(&studio, &of_page, &content))
}

/// What an address gives at all.
#[derive(Debug, Deserialize)]
struct Given {
    method: Option<String>,
}

/// What silencing the neurons would do.
async fn preview(
    State(studio): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Refusal> {
    if asked.neurons.is_empty() {
        return Ok(Html(
            "<p class=\"soft\">No neuron is ticked.</p>".to_owned(),
        ));
    }
    let asked = settled(&studio, asked)?;
    apart(&studio, move |studio| {
        let session = studio.session()?;
        let preview = edits(session)?.preview(&asked.neurons())?;
        let accuracies = Accuracies {
            class: asked.class(),
            class_names: studio.opened.class_names(),
            group_names: session.group_names(),
            comparison: &preview.comparison,
            control: None,
        };
        let content = html! {
            p class="about" {
                "Activations of " (preview.neurons.len()) " neurons at 0, the layer as it is. What accuracy remains of a \
                 class says how much it rests on them."
            }
            (PreEscaped(accuracies.html()))
        };
        Ok(Html(content.into_string()))
    })
    .await
}

/// What a script hears of an edit.
#[derive(Serialize)]
struct Answer {
    id: String,
    average: f64,
    worst: f64,
}

/// Stops the work when the request is given up: the page asks for something else by now.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn attempt(
    State(studio): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, Refusal> {
    let asked = settled(&studio, asked)?;
    let stop = Arc::new(AtomicBool::new(false));
    let _given_up = StopOnDrop(Arc::clone(&stop));
    let trial = apart(&studio, move |studio| {
        let mut observer = |_: Progress<'_>| match stop.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let base = &studio.opened.config.editing;
        let session = studio.session()?;
        studio.trials.attempt(session, asked, base, &mut observer)
    })
    .await?;
    Ok(Json(Answer {
        id: trial.name.clone(),
        average: trial.after().accuracy,
        worst: worst(trial.after()),
    }))
}

/// Accuracy of the worst group, or class where there are no groups.
fn worst(metrics: &Metrics) -> f64 {
    metrics
        .worst_group_accuracy
        .unwrap_or(metrics.worst_class_accuracy)
}

async fn edit(State(studio): State<App>, Path(id): Path<String>) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let trial = studio.trials.get(studio.session()?, &id)?;
    let (result, names) = (&trial.result, studio.opened.class_names());
    let content = html! {
        p class="verdict" {
            strong id="headline" { (result.verdict.headline(names)) }
            (result.verdict.sentence(&result.neurons, names))
        }
        div id="measured" data-fragment={ "/mend/edit/" (id) "/measured" } {
            p class="soft" { "Measured on " (result.comparison.before.samples) " samples." }
        }
        (tables(&studio, session, &trial))
        section aria-labelledby="flips-title" {
            h3 id="flips-title" { "What turns over" }
            div id="flips" data-fragment={ "/mend/edit/" (id) "/flips" } {
                p class="soft" role="status" { "Looking \u{2026}" }
            }
        }
        section aria-labelledby="export-title" {
            h3 id="export-title" { "Take it along" }
            ul class="exports" {
                li { a href={ "/export/" (id) "/edit" } download { "Edit file" } ", for " code { "neuroinspect apply" } }
                @if trial.asked.class.is_some() {
                    li { a href={ "/export/" (id) "/report" } download { "Report" } ", one page that loads nothing" }
                } @else {
                    li class="soft" { "A report is about a class: choose one above." }
                }
            }
            p { "The same by command line:" }
            pre tabindex="0" { code { (trial.asked.command(&studio.opened)) } }
            p { "Applied to the weights:" }
            pre tabindex="0" { code { (super::export::apply_command(&studio, &id)) } }
        }
        p class="buttons" {
            button type="button" id="keep" data-id=(id) aria-pressed=(trial.is_kept()) {
                @if trial.is_kept() { "Kept" } @else { "Keep to compare" }
            }
        }
    };
    Ok(Html(content.into_string()))
}

fn tables(studio: &Studio, session: &Session, trial: &Trial) -> Markup {
    let accuracies = Accuracies {
        class: trial.asked.class(),
        class_names: studio.opened.class_names(),
        group_names: session.group_names(),
        comparison: &trial.result.comparison,
        control: trial.result.control_metrics(),
    };
    PreEscaped(accuracies.html())
}

/// What an edit is measured on, as an honest reader needs to know it.
async fn measured(
    State(studio): State<App>,
    Path(id): Path<String>,
) -> Result<Html<String>, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    let sentence = apart(&studio, move |studio| {
        Ok(measured_result(studio, &trial)?.measured_on())
    })
    .await?;
    let content = html! {
        p class="soft" { "Measured on " (sentence) "." @if let Some(note) = looked_at(&studio) { " " (note) } }
    };
    Ok(Html(content.into_string()))
}

/// The result of an edit that says how many of the samples it is measured on chose its neurons.
pub(super) fn measured_result(studio: &Studio, trial: &Trial) -> Result<EditResult, Refusal> {
    let session = studio.session()?;
    let result = trial.result.clone();
    let (class, neurons) = (trial.asked.class(), &result.neurons);
    Ok(EditResult {
        chosen_from: session.chosen_from(&studio.opened, class, neurons),
        ..result
    })
}

/// That several edits were looked at on the same samples, where they were: the best of many seems better than it is.
pub(super) fn looked_at(studio: &Studio) -> Option<String> {
    let count = studio.trials.looked_at();
    (count > 1).then(|| {
        format!(
            "It is one of {count} edits that were looked at on these samples, and the best of them seems better there than \
             it is: before you rely on it, measure it on others."
        )
    })
}

/// The images measured on that are right now and were not, and the other way round.
async fn flips(State(studio): State<App>, Path(id): Path<String>) -> Result<Html<String>, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    apart(&studio, move |studio| {
        let session = studio.session()?;
        let layer = trial.layer(&session.layer)?;
        let predicted = session.table.predicted_by(&layer)?;
        let after = predicted.predictions();
        let (labels, before) = (session.table.labels(), &session.predictions);
        let measured = edits(session)?.data().evaluation();
        let rows: Vec<usize> = (0..measured.len()).map(|sample| measured.row(sample)).collect();
        let turned = |to_right: bool| {
            rows.iter().copied().filter(move |&row| {
                let [was, is] = [before[row], after[row]].map(|it| it == labels[row]);
                was != is && is == to_right
            })
        };
        let list = |title: &str, rows: Vec<usize>| {
            html! {
                h4 { (title) ": " (rows.len()) }
                ul class="thumbnails" {
                    @for &row in rows.iter().take(FLIPS_SHOWN) {
                        @let [label, was, is] = [labels[row], before[row], after[row]].map(|it| studio.class_name(it));
                        li {
                            a href={ "/image/" (row) } {
                                img src={ "/thumbnail/" (row) "?" (session.key) } loading="lazy" width="96" height="96"
                                    alt={ "Image " (row) ", of " (label) ": " (was) " before, " (is) " after" };
                            }
                            span { (was) " \u{2192} " (is) }
                        }
                    }
                }
                @if rows.len() > FLIPS_SHOWN { p class="more" { "and " (rows.len() - FLIPS_SHOWN) " more" } }
            }
        };
        let content = html! {
            (list("Now right", turned(true).collect()))
            (list("Now wrong", turned(false).collect()))
        };
        Ok(Html(content.into_string()))
    })
    .await
}
