//! What of an edit takes a moment more, and what is taken along.

use axum::{extract::State, response::Html};
use maud::html;
use neuroinspect::core::ClassId;

use crate::{
    address::Path,
    pages::export::apply_command,
    refusal::Refusal,
    studio::{App, apart},
    trials::edits,
};

/// Images that turned over, of either kind, that are shown.
const FLIPS_SHOWN: usize = 24;

/// What stands below the chart: the images that turn over, and what is taken along.
pub(super) async fn more(
    State(studio): State<App>,
    Path(id): Path<String>,
) -> Result<Html<String>, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    let content = html! {
        section aria-labelledby="flips-title" {
            h2 id="flips-title" { "What turns over" }
            div id="flips" data-fragment={ "/mend/edit/" (id) "/flips" } {
                p class="soft" role="status" { "Looking \u{2026}" }
            }
        }
        section id="export" aria-labelledby="export-title" {
            h2 id="export-title" { "Take it along" }
            @if trial.part.is_some() {
                p class="soft" { "As soon as the edit is trained on all samples." }
            } @else {
                ul class="exports" {
                    li { a href={ "/export/" (id) "/edit" } download { "Edit file" } ", which " code { "neuroinspect apply" } " puts into the weights: see below" }
                    @if trial.asked.class.is_some() {
                        li { a href={ "/export/" (id) "/report" } download { "Report" } ", one page to be sent, with the mistakes, the neurons and this edit" }
                    } @else {
                        li class="soft" { "A report is about a class: choose one above." }
                    }
                }
                p { "The same by command line:" }
                pre tabindex="0" { code { (trial.asked.command(&studio.opened)) } }
                p {
                    "Applied to the weights, which makes " code { "mended/edited.safetensors" } ": download the edit file to where the studio was started, and there"
                }
                pre tabindex="0" { code { (apply_command(&studio, &id)) } }
            }
        }
    };
    Ok(Html(content.into_string()))
}

/// The images measured on that are right now and were not, and the other way round.
pub(super) async fn flips(
    State(studio): State<App>,
    Path(id): Path<String>,
) -> Result<Html<String>, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    apart(&studio, move |studio| {
        let session = studio.session()?;
        let layer = trial.layer(&session.layer)?;
        let edits = edits(session)?;
        let after = edits.predict(&layer)?;
        let (measured, labels) = (edits.data().evaluation(), session.table.labels());
        // Row of the table, and what it was and is taken for.
        let taken: Vec<(usize, [ClassId; 2])> = after
            .into_iter()
            .enumerate()
            .map(|(sample, after)| {
                let row = measured.row(sample);
                (row, [session.predictions[row], after])
            })
            .collect();
        let turned = |to_right: bool| {
            taken.iter().filter(move |(row, taken)| {
                let [was, is] = taken.map(|class| class == labels[*row]);
                was != is && is == to_right
            })
        };
        let list = |title: &str, rows: Vec<&(usize, [ClassId; 2])>| {
            html! {
                h3 { (title) ": " (rows.len()) }
                ul class="thumbnails" {
                    @for &&(row, [was, is]) in rows.iter().take(FLIPS_SHOWN) {
                        @let [label, was, is] = [labels[row], was, is].map(|it| studio.class_name(it));
                        li {
                            a href={ "/image/" (row) } {
                                img src={ "/thumbnail/" (row) "?" (session.key) } loading="lazy" width="96" height="96"
                                    alt={ "Image " (row) ", of " (label) ": " (was) " before, " (is) " after" };
                            }
                            span { "was " (was) ", now " (is) }
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
