//! Trying edits of the last layer: what silencing neurons would do, what a trained edit does, beside others.
//!
//! The address says what is asked, so that it can be sent, and going back undoes.

mod form;
mod kept;
mod more;

pub(super) use self::form::OFFERED;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    response::Html,
    routing::{get, post},
};
use maud::{Markup, PreEscaped, html};
use neuroinspect::{
    core::{Metrics, Observer, Progress},
    editing::{Comparison, Conclusion, EditResult, RatioEdit, percent},
    report::Accuracies,
};
use serde::Serialize;

use crate::{
    address::{Path, Query},
    jobs::Order,
    layout::{Page, page},
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
    trials::{Asked, Given, Trial, edits},
    words::counted,
    work::Work,
};

/// A training that takes longer, by the time of its epochs so far, is a job.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/mend", get(mend))
        .route("/mend/neurons", get(form::neurons))
        .route("/mend/preview", get(preview))
        .route("/mend/first", post(first))
        .route("/mend/try", post(attempt))
        .route("/mend/edit/{id}", get(edit))
        .route("/mend/edit/{id}/more", get(more::more))
        .route("/mend/edit/{id}/flips", get(more::flips))
        .route("/mend/edit/{id}/measured", get(measured))
        .route("/mend/edit/{id}/keep", post(kept::keep))
        .route("/mend/kept", get(kept::kept))
        .route("/mend/compare", get(kept::compare))
}

/// What an address asks; of a class that it does not name, the worst one.
fn asked(studio: &Studio, given: Given) -> Result<Asked, Refusal> {
    let session = studio.session()?;
    Ok(given.over(&session.editing, session.metrics.worst_class))
}

/// What is asked, once it is known that there is such a class, without what does not matter to the method.
fn settled(studio: &Studio, given: Given) -> Result<Asked, Refusal> {
    let asked = asked(studio, given)?;
    if let Some(class) = asked.class {
        studio.class(class)?;
    }
    Ok(asked.settled(&studio.opened.config.editing))
}

async fn mend(
    State(studio): State<App>,
    Query(given): Query<Given>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let asked = asked(&studio, given)?;
    if let Some(class) = asked.class {
        studio.class(class)?;
    }
    asked.check_method()?;
    let content = html! {
        p class="about" {
            "Tick the neurons that a class should rest on less. What silencing them would do is said at once, and soon \
             after what the edit does: the last layer trained anew, beside its control, plain retraining. The \
             model itself stays as it is: an edit that helps is taken along as a file. The address says all that \
             is set: it can be sent, and going back undoes."
        }
        div class="mend" {
            (form::form(&studio, session, &asked))
            div class="answers" {
                section id="preview" aria-labelledby="preview-title" {
                    h2 id="preview-title" { "If the neurons were silent" }
                    div id="preview-result" {}
                }
                section id="edit" aria-labelledby="edit-title" {
                    h2 id="edit-title" { "The edit" }
                    p id="edit-status" role="status" {}
                    div id="edit-result" {}
                }
                section id="kept" aria-labelledby="kept-title" {
                    h2 id="kept-title" { "Edits compared: worst against average" }
                    div id="kept-result" {}
                    div id="compare-result" {}
                }
                div id="more-result" {}
            }
        }
    };
    let of_page = Page {
        path: "/mend",
        title: "Mend",
        scripts: &["mend.js"],
    };
    Ok(page(&studio, &of_page, &content))
}

/// What silencing the neurons would do.
async fn preview(
    State(studio): State<App>,
    Query(given): Query<Given>,
) -> Result<Html<String>, Refusal> {
    let asked = settled(&studio, given)?;
    if asked.neurons.is_empty() {
        return Ok(Html(
            "<p class=\"soft\">No neuron is ticked.</p>".to_owned(),
        ));
    }
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
        let Comparison { before, after, .. } = &preview.comparison;
        let change = |name: &str, of: &dyn Fn(&Metrics) -> Option<f64>| {
            let (before, after) = (of(before)?, of(after)?);
            Some(format!("{name} {} \u{2192} {}", percent(before), percent(after)))
        };
        let class = asked.class().map(|class| {
            let name = format!("\u{201c}{}\u{201d}", studio.class_name(class));
            change(&name, &|it| it.class_accuracy[class.0])
        });
        let changes = [
            class.flatten(),
            change("average", &|it| Some(it.accuracy)),
            change("worst class", &|it| Some(it.worst_class_accuracy)),
            change("worst group", &|it| it.worst_group_accuracy),
        ];
        let changes: Vec<_> = changes.into_iter().flatten().collect();
        let content = html! {
            p { (changes.join(", ")) "." }
            p class="soft" { "Their activations are set to 0, and nothing is trained. An edit that is trained has other numbers." }
            details {
                summary { "By class and group" }
                p class="about" {
                    "Activations of " (counted(preview.neurons.len(), "neuron")) " at 0, the layer as it is. What accuracy remains of \
                     a class says how much it rests on them."
                }
                (PreEscaped(accuracies.html()))
            }
        };
        Ok(Html(content.into_string()))
    })
    .await
}

/// What a script is told of an edit: its name, or the job that trains it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Id(String),
    Job(u64),
}

/// Stops the work when the request is given up: the page asks for something else by now.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a script is told of a first answer: its name, where there is one.
#[derive(Serialize)]
struct First {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// Trains on a part of the samples what takes longer on all of them: a page shows it until the edit itself is there.
async fn first(
    State(studio): State<App>,
    Query(given): Query<Given>,
) -> Result<Json<First>, Refusal> {
    let asked = settled(&studio, given)?;
    let given_up = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(Arc::clone(&given_up));
    apart(&studio, move |studio| {
        let mut go_on = |_: Progress<'_>| match given_up.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let id = studio.first(asked, &mut go_on)?;
        let id = id.map(|trial| trial.name.clone());
        Ok(Json(First { id }))
    })
    .await
}

/// Trains at once what is soon trained, and has a job do what is not.
async fn attempt(
    State(studio): State<App>,
    Query(given): Query<Given>,
) -> Result<Json<Answer>, Refusal> {
    let asked = settled(&studio, given)?;
    let given_up = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(Arc::clone(&given_up));
    apart(&studio, move |studio| {
        let mut watch = Watch {
            given_up: &given_up,
            last: Instant::now(),
            stage: (String::new(), Instant::now()),
            too_long: false,
        };
        match studio.attempt(asked.clone(), &mut watch) {
            Ok(trial) => Ok(Json(Answer::Id(trial.name.clone()))),
            // Nobody is told of a job that a page which has gone away would have.
            Err(Refusal::Stopped) if watch.too_long && !given_up.load(Ordering::SeqCst) => {
                let order = Order {
                    title: title(studio, &asked),
                    page: format!("/mend?{}", asked.query()),
                    work: Work::Edit(Box::new(asked)),
                };
                let queued = studio.jobs.queue(order);
                let job = queued.map_err(|error| Refusal::failed(&error))?;
                Ok(Json(Answer::Job(job.id)))
            }
            Err(refused) => Err(refused),
        }
    })
    .await
}

/// What the list of jobs calls an edit.
fn title(studio: &Studio, asked: &Asked) -> String {
    let method = asked.method.replace('_', " ");
    let neurons = match asked.neurons.len() {
        0 => String::new(),
        count => format!(" of {}", counted(count, "neuron")),
    };
    let class = asked.class().map(|class| studio.class_name(class));
    let class = class.map_or_else(String::new, |class| format!(" for {class}"));
    format!("{method}{neurons}{class}")
}

/// Stops a training that nobody waits for, or that is better done in the background.
struct Watch<'a> {
    given_up: &'a AtomicBool,
    /// When it was last told of progress.
    last: Instant,
    /// What is being done, and since when.
    stage: (String, Instant),
    too_long: bool,
}

impl Observer for Watch<'_> {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        if self.stage.0 != progress.stage {
            self.stage = (progress.stage.to_owned(), self.last);
        }
        self.last = Instant::now();
        let left = progress.total.saturating_sub(progress.done);
        let [done, left] =
            [progress.done.max(1), left].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        self.too_long = (self.stage.1.elapsed() / done).saturating_mul(left) > AT_ONCE;
        match self.too_long || self.given_up.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
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
        (next(result, trial.asked.method(&session.editing).is_ok_and(|it| !it.neurons().is_empty())))
        div id="measured" data-fragment={ "/mend/edit/" (id) "/measured" } {
            p class="soft" { "Measured on " (result.comparison.before.samples) " samples." }
        }
        @if let Some(part) = trial.part {
            p class="part" role="note" {
                strong { "A first answer, trained on " (part) " samples" } ", and so is its control. The edit itself, trained on \
                 all of them, takes its place when it is there, and can then be kept and taken along."
            }
        } @else {
            p class="buttons" {
                button type="button" id="keep" data-id=(id) aria-pressed=(trial.is_kept()) {
                    @if trial.is_kept() { "Kept" } @else { "Keep to compare" }
                }
                a class="button" href="#export" { "Take it along" }
            }
        }
        (epochs_note(&studio, session, &trial))
        @if let Some(reason) = trial.failed_control() {
            p class="failure" role="note" {
                "Plain retraining, which the edit is held against, failed: " (reason) ". Ask again for both."
            }
        }
        (tables(&studio, session, &trial))
    };
    Ok(Html(content.into_string()))
}

/// That an edit was trained for fewer epochs than the studio was opened with, and how to have them all.
fn epochs_note(studio: &Studio, session: &Session, trial: &Trial) -> Markup {
    let editing = &studio.opened.config.editing;
    let (all, asked) = (editing.training.epochs, trial.asked.epochs);
    let trains = || {
        let method = trial.asked.method(editing);
        method.is_ok_and(|method| method.training().is_some())
    };
    let by_size = asked < all && asked == session.editing.training.epochs;
    html! {
        @if trial.part.is_none() && by_size && trains() {
            p class="soft" id="epochs-note" {
                "Trained for " (counted(asked, "epoch")) ", as many as take some seconds. The number changes the result: "
                button type="button" class="small" id="all-epochs" data-epochs=(all) { "train for all " (all) " epochs" }
            }
        }
    }
}

/// What to try after an edit that is not worth its cost, by a method that edits neurons or by another.
fn next(result: &EditResult, edits_neurons: bool) -> Markup {
    let is_poor = match result.verdict.conclusion {
        Conclusion::NoMoreThanRetraining
        | Conclusion::NoMoreThanRetrainingAtACost
        | Conclusion::MoreHarmThanGood
        | Conclusion::Failed => true,
        Conclusion::Helped
        | Conclusion::HelpedAtACost
        | Conclusion::Uncompared
        | Conclusion::UncomparedAtACost
        | Conclusion::Unmeasured => false,
    };
    html! {
        @if is_poor {
            p id="next" class="soft" {
                "To try next: "
                @if edits_neurons { "all neurons that are listed, or others; " }
                @if result.method.name == RatioEdit::NAME { "six strengths; " }
                "another method. By the command line, "
                code { "neuroinspect mend" } " chooses among several mends by itself, on images that it does not measure on."
            }
        }
    }
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
    let session = studio.session()?;
    let trial = studio.trials.get(session, &id)?;
    let sentence = apart(&studio, move |studio| {
        Ok(measured_result(studio, &trial)?.measured_on())
    })
    .await?;
    let note = looked_at(studio.trials.looked_at(session));
    let content = html! {
        p class="soft" { "Measured on " (sentence) "." @if let Some(note) = note { " " (note) } }
    };
    Ok(Html(content.into_string()))
}

/// The result of an edit that says how many of the samples it is measured on chose its neurons.
pub(super) fn measured_result(studio: &Studio, trial: &Trial) -> Result<EditResult, Refusal> {
    let session = studio.session()?;
    let result = trial.result.clone();
    let (class, neurons) = (trial.asked.class(), &result.neurons);
    Ok(EditResult {
        chosen_from: session.chosen_from(&studio.opened, class, neurons)?,
        ..result
    })
}

/// That several edits were looked at on the same samples, where they were: the best of many seems better than it is.
fn looked_at(count: usize) -> Option<String> {
    (count > 1).then(|| {
        format!(
            "It is one of {count} edits that were looked at on these samples, and the best of them seems better there than \
             it is: before you rely on it, measure it on others."
        )
    })
}
