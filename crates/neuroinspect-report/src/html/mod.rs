//! The report as a page: one module per section.

mod atlas;
mod card;
mod certified;
mod chart;
mod check;
mod frontier;
mod headline;
mod labels;
mod neurons;
mod outcome;
mod parts;
mod run;
mod suspects;
mod units;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use neuroinspect_core::Metrics;
use neuroinspect_editing::{MendResult, percent};

pub(crate) use self::atlas::page as atlas_page;
pub use self::chart::{IntervalChart, IntervalRow};
pub(crate) use self::check::{junit, page as check_page};
pub use self::outcome::Accuracies;
use self::parts::{change, count, thumbnail};
use crate::{Findings, RealImages, Report, Result, Run, StageFailure, UnitReport};

/// Colours, in light and dark.
const COLOURS: &str = include_str!("colours.css");
/// Drawings, be they in a page or by themselves.
const DRAWING: &str = include_str!("drawing.css");
/// What the pages of this crate look like, in light and dark.
pub const STYLE: &str = concat!(
    include_str!("colours.css"),
    include_str!("style.css"),
    include_str!("drawing.css")
);
/// Says to the browser what the tests say to us: nothing is loaded, nothing runs.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The page of a report that has been found valid.
pub(crate) fn page(report: &Report<'_>) -> Result<Markup> {
    let findings = report.findings;
    let edit = findings.edit.as_ref();
    let edited = run::Edited {
        file: findings.edit_file.as_ref(),
        layer_sha256: edit.map(|edit| edit.layer_sha256.as_str()),
    };
    let body = html! {
        (header(report))
        main {
            (mistakes(report)?)
            (neurons::section(report)?)
            (units::sections(&findings.units, &findings.class_names)?)
            (outcome::section(findings))
            @if let Some(recommendation) = &findings.recommendation {
                (frontier::section(recommendation, &findings.class_names))
                (suspects::section(recommendation, &findings.context_effects))
            }
            @if let Some(reason) = &findings.recommendation_left_out {
                section {
                    h2 { "What else would help" }
                    p class="about" { "Not looked for: " (reason) "." }
                }
            }
            (run::section(&findings.run, &edited)?)
        }
    };
    Ok(document(findings.class_name(), &body))
}

/// The page of a recommendation that stands by itself.
pub(crate) fn recommendation(result: &MendResult, class_names: &[String], run: &Run) -> Markup {
    let body = html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (run.model) " on " (run.data) }
            h1 { "Which mend helps" }
            p class="lede" { (frontier::lead(result)) }
        }
        main {
            (frontier::section(result, class_names))
            (suspects::section(result, &[]))
        }
    };
    document("which mend helps", &body)
}

/// The drawing of a recommendation's frontier as a file of its own.
pub(crate) fn recommendation_drawing(result: &MendResult, class_names: &[String]) -> Markup {
    frontier::by_itself(result, class_names)
}

/// The page of units of layers.
pub(crate) fn unit_page(report: &UnitReport) -> Result<Markup> {
    let UnitReport {
        units,
        class_names,
        interrupted,
        failures,
        run,
    } = report;
    let body = html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (run.model) " on " (run.data) }
            h1 { "What units of " (run.model) " respond to" }
            @let unfinished = interrupted.then(|| "Not all units are here.".to_owned());
            (missing(unfinished, run, failures.iter()))
        }
        main {
            (units::sections(units, class_names)?)
            (run::section(run, &run::Edited::default())?)
        }
    };
    Ok(document(&run.model, &body))
}

/// A page that loads nothing from anywhere.
fn document(title: &str, body: &Markup) -> Markup {
    document_under(POLICY, "", title, body)
}

/// A page that loads what a policy allows, with a style beside that of all pages.
fn document_under(policy: &str, style: &str, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { "neuroinspect: " (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { (body) }
        }
    }
}

fn header(report: &Report<'_>) -> Markup {
    let findings = report.findings;
    let name = findings.class_name();
    let run = &findings.run;
    html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (run.model) " on " (run.data) }
            h1 { "What goes wrong with \u{201c}" (name) "\u{201d}" }
            p class="lede" { (headline::finding(findings)) }
            @if let Some(edit) = &findings.edit {
                p class={ "verdict " (headline::style(edit.verdict.conclusion)) } {
                    strong { (edit.verdict.headline(&findings.class_names)) }
                    (edit.verdict.sentence(&edit.neurons, &findings.class_names))
                }
            }
            (shortfall(report))
            dl class="tiles" {
                @match &findings.edit {
                    Some(edit) => {
                        (tiles(findings, &edit.comparison.before, Some(&edit.comparison.after)))
                    }
                    None => (tiles(findings, &findings.metrics, None)),
                }
            }
            @if let Some(edit) = &findings.edit {
                p class="more" { "Before and after on " (edit.measured_on()) "." }
            }
        }
    }
}

/// What is missing, and why: said before anything that might be read without it.
fn shortfall(report: &Report<'_>) -> Markup {
    let findings = report.findings;
    let failures = findings.failures.iter().chain(&report.images.failures);
    let (made, planned) = (findings.pictures.len(), findings.pairs.len());
    let unfinished = findings
        .interrupted
        .then(|| format!("{made} of {} are here.", count(planned, "picture")));
    missing(unfinished, &findings.run, failures)
}

fn missing<'a>(
    unfinished: Option<String>,
    run: &Run,
    failures: impl Iterator<Item = &'a StageFailure>,
) -> Markup {
    html! {
        @if let Some(unfinished) = unfinished {
            p class="verdict failed" {
                strong { "Not finished" }
                (unfinished) " What is missing is not made yet."
                @if let Some(command) = &run.command {
                    " If no program is at it, the same command goes on: " code { (command) }
                }
            }
        }
        @for failure in failures {
            p class="verdict failed" {
                strong { "Failed: " (failure.stage) }
                (failure.reason)
            }
        }
    }
}

fn tiles(findings: &Findings, before: &Metrics, after: Option<&Metrics>) -> Markup {
    let class = |metrics: &Metrics| metrics.class_accuracy[findings.class.0];
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
        (tile(&format!("Accuracy of \u{201c}{}\u{201d}", findings.class_name()), &class))
        (tile("Average accuracy", &|metrics| Some(metrics.accuracy)))
        (tile("Worst class", &|metrics| Some(metrics.worst_class_accuracy)))
        (tile("Worst group", &|metrics| metrics.worst_group_accuracy))
    }
}

fn mistakes(report: &Report<'_>) -> Result<Markup> {
    let findings = report.findings;
    let (mistakes, confusions) = (findings.mistakes(), findings.explanation.confusions());
    let shown: Vec<_> = report
        .images
        .mistakes
        .iter()
        .take(RealImages::MISTAKES_SHOWN)
        .map(|sample| thumbnail(findings, sample))
        .collect::<Result<_>>()?;
    let more = mistakes.saturating_sub(shown.len());
    Ok(html! {
        section {
            h2 { "The mistakes" }
            @if mistakes == 0 {
                p class="about" { "There are none." }
            } @else {
                p class="about" {
                    (count(mistakes, "sample")) " of \u{201c}" (findings.class_name())
                    "\u{201d} predicted as something else, of " (findings.samples) "."
                }
            }
            @if !confusions.is_empty() {
                ul class="chips" {
                    @for confusion in &confusions {
                        li { (findings.name_of(confusion.class)) " \u{d7}\u{202f}" (confusion.count) }
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
