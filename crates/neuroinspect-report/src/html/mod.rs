//! The report as a page: one module per section.

mod card;
mod headline;
mod neurons;
mod outcome;
mod parts;
mod run;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use neuroinspect_core::Metrics;

use self::parts::{change, count, percent, thumbnail};
use crate::{DebugSummary, Report, Result};

const STYLE: &str = include_str!("style.css");
/// Says to the browser what the tests say to us: nothing is loaded, nothing runs.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/// How many mistakes are shown.
const MISTAKES: usize = 24;

/// The page of a report that has been found valid.
pub(crate) fn page(report: &Report) -> Result<Markup> {
    let summary = &report.summary;
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "neuroinspect: " (summary.class_name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(summary))
                main {
                    (mistakes(report)?)
                    (neurons::section(report)?)
                    (outcome::section(summary))
                    (run::section(summary)?)
                }
            }
        }
    })
}

fn header(summary: &DebugSummary) -> Markup {
    let name = &summary.class_name;
    html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (summary.run.model) " on " (summary.run.data) }
            h1 { "What goes wrong with \u{201c}" (name) "\u{201d}" }
            p class="lede" { (headline::finding(summary)) }
            @if let Some(edit) = &summary.edit {
                @let (verdict, sentence) = headline::outcome(summary, edit);
                p class={ "verdict " (verdict.class()) } {
                    strong { (verdict.words(name)) }
                    (sentence)
                }
            }
            (shortfall(summary))
            dl class="tiles" {
                @match &summary.edit {
                    Some(edit) => (tiles(summary, &edit.before, Some(&edit.after))),
                    None => (tiles(summary, &summary.metrics, None)),
                }
            }
            @if let Some(edit) = &summary.edit {
                p class="more" { "Before and after on " (edit.evaluated_on) "." }
            }
        }
    }
}

/// What is missing, and why: said before anything that might be read without it.
fn shortfall(summary: &DebugSummary) -> Markup {
    html! {
        @if summary.interrupted {
            p class="verdict failed" {
                strong { "Stopped before the end" }
                "What is not here was not come to."
            }
        }
        @for failure in &summary.failures {
            p class="verdict failed" {
                strong { "Failed: " (failure.stage) }
                (failure.reason)
            }
        }
    }
}

fn tiles(summary: &DebugSummary, before: &Metrics, after: Option<&Metrics>) -> Markup {
    let class = |metrics: &Metrics| metrics.class_accuracy[summary.class.0];
    let tile = |name: &str, accuracy: &dyn Fn(&Metrics) -> Option<f64>| {
        let Some(old) = accuracy(before) else {
            return html! {};
        };
        let new = after.and_then(accuracy);
        html! {
            div {
                dt { (name) }
                dd {
                    span class="value" { (percent(new.unwrap_or(old))) }
                    @if let Some(new) = new {
                        span class="from" { (change(old, new)) " from " (percent(old)) }
                    }
                }
            }
        }
    };
    html! {
        (tile(&format!("Accuracy of \u{201c}{}\u{201d}", summary.class_name), &class))
        (tile("Average accuracy", &|metrics| Some(metrics.accuracy)))
        (tile("Worst class", &|metrics| Some(metrics.worst_class_accuracy)))
        (tile("Worst group", &|metrics| metrics.worst_group_accuracy))
    }
}

fn mistakes(report: &Report) -> Result<Markup> {
    let summary = &report.summary;
    let shown: Vec<_> = report
        .mistakes
        .iter()
        .take(MISTAKES)
        .map(|sample| thumbnail(summary, sample))
        .collect::<Result<_>>()?;
    let more = summary.mistakes.saturating_sub(shown.len());
    Ok(html! {
        section {
            h2 { "The mistakes" }
            @if summary.mistakes == 0 {
                p class="about" { "There are none." }
            } @else {
                p class="about" {
                    (count(summary.mistakes, "sample")) " of \u{201c}" (summary.class_name)
                    "\u{201d} predicted as something else, of " (summary.samples) "."
                }
            }
            @if !summary.confusions.is_empty() {
                ul class="chips" {
                    @for confusion in &summary.confusions {
                        li { (summary.name(confusion.class)) " \u{d7}\u{202f}" (confusion.count) }
                    }
                }
            }
            @if !shown.is_empty() {
                ul class="thumbnails" {
                    @for thumbnail in &shown { li { (thumbnail) } }
                }
                @if more > 0 { p class="more" { "and " (more) " more" } }
            }
        }
    })
}
