//! The page of a check, and its JUnit XML.

use maud::{Markup, PreEscaped, html};
use neuroinspect_editing::percent;

use super::{
    document,
    parts::{count, value},
};
use crate::{ChangeOf, CheckReport, NeuronChange};

/// The page.
pub(crate) fn page(report: &CheckReport) -> Markup {
    let failed = report.checks.iter().filter(|check| !check.passed).count();
    let lede = match (report.checks.len(), failed) {
        (0, _) => "Nothing was asked for: a check for later ones to be compared with.".to_owned(),
        (all, 0) => format!("Passed: {}.", count(all, "check")),
        (all, _) => format!("Failed: {failed} of {}.", count(all, "check")),
    };
    let run = &report.run;
    let body = html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (run.model) " on " (run.data) }
            h1 { "Check of " (run.model) }
            p class="lede" { (lede) }
        }
        main {
            @if !report.checks.is_empty() {
                section {
                    h2 { "What was asked for" }
                    div class="panel" { (checks(report)) }
                }
            }
            @if !report.changes.is_empty() {
                section {
                    h2 { "Neurons that changed" }
                    p class="about" {
                        "Against the earlier check: shares of mistakes whose 95% intervals over draws of \
                         the mistakes do not meet, and importances that changed by more than is allowed. \
                         Neurons go by their number: where the networks were trained apart, numbers do not \
                         mean the same."
                    }
                    div class="panel" { (changes(report)) }
                }
            }
            section {
                h2 { "Accuracy" }
                p class="about" { "On " (count(report.metrics.samples, "sample")) "." }
                div class="panel" { (accuracies(report)) }
            }
        }
    };
    document(&format!("check of {}", run.model), &body)
}

fn checks(report: &CheckReport) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "check" }
                    th scope="col" { "" }
                    th scope="col" { "found" }
                }
            }
            tbody {
                @for check in &report.checks {
                    tr {
                        th scope="row" { (check.name) }
                        td {
                            @if check.passed { span class="up" { "passed" } } @else {
                                span class="down" { "failed" }
                            }
                        }
                        td { (check.found) }
                    }
                }
            }
        }
    }
}

fn changes(report: &CheckReport) -> Markup {
    let number = |change: &NeuronChange, number: Option<f64>| match (change.of, number) {
        (_, None) => "not listed".to_owned(),
        (ChangeOf::Importance, Some(number)) => value(number),
        (ChangeOf::Insufficient | ChangeOf::Excessive, Some(number)) => percent(number),
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "class" }
                    th scope="col" class="number" { "neuron" }
                    th scope="col" { "what" }
                    th scope="col" class="number" { "before" }
                    th scope="col" class="number" { "now" }
                }
            }
            tbody {
                @for change in &report.changes {
                    tr {
                        th scope="row" { (report.class_names[change.class.0]) }
                        td class="number" { (change.neuron) }
                        td { (change.of.words()) }
                        td class="number" { (number(change, change.before)) }
                        td class="number" {
                            span class=[change.grew.then_some("down")] { (number(change, change.after)) }
                        }
                    }
                }
            }
        }
    }
}

fn accuracies(report: &CheckReport) -> Markup {
    let metrics = &report.metrics;
    let row = |name: &str, accuracy: Option<f64>| {
        html! {
            tr {
                th scope="row" { (name) }
                td class="number" { (accuracy.map_or("\u{2013}".to_owned(), percent)) }
            }
        }
    };
    let groups = metrics.group_accuracy.iter().flatten();
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "" }
                    th scope="col" class="number" { "accuracy" }
                }
            }
            tbody {
                (row("Average", Some(metrics.accuracy)))
                @for (name, accuracy) in report.group_names.iter().zip(groups) {
                    (row(&format!("group {name}"), *accuracy))
                }
                @for (name, accuracy) in report.class_names.iter().zip(&metrics.class_accuracy) {
                    (row(name, *accuracy))
                }
            }
        }
    }
}

/// One suite with a test case for each check.
pub(crate) fn junit(report: &CheckReport) -> Markup {
    let failures = report.checks.iter().filter(|check| !check.passed).count();
    let tests = report.checks.len();
    html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites tests=(tests) failures=(failures) {
            testsuite name=(format!("neuroinspect check of {}", report.run.model))
                tests=(tests) failures=(failures) errors="0" skipped="0" {
                @for check in &report.checks {
                    testcase classname="neuroinspect.check" name=(check.name) {
                        @if check.passed { system-out { (check.found) } } @else {
                            failure message=(check.found) type="check" { (check.found) }
                        }
                    }
                }
            }
        }
        "\n"
    }
}
