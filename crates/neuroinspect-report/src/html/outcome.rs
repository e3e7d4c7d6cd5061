//! Before and after the edit.

use maud::{Markup, html};
use neuroinspect_core::{ClassId, Metrics};

use super::parts::{Direction, change, count, percent, value};
use crate::{DebugSummary, Edit};

/// More classes than this are cut to those that changed most.
const CLASSES: usize = 40;

/// One accuracy, twice.
struct Row {
    name: String,
    note: Option<String>,
    before: Option<f64>,
    after: Option<f64>,
}

pub(super) fn section(summary: &DebugSummary) -> Markup {
    let Some(edit) = &summary.edit else {
        return html! {};
    };
    let (classes, left_out) = class_rows(summary, edit);
    let groups = group_rows(summary, edit);
    html! {
        section {
            h2 { "Before and after" }
            p class="about" {
                "The decision layer was trained for " (count(edit.epochs, "epoch")) " with the objective "
                "\u{201c}" (edit.objective) "\u{201d}"
                @if let Some(target) = edit.target { ", aimed at a ratio of " (value(target)) }
                "; the backbone is untouched. Accuracies on " (edit.evaluated_on)
                ", changes in percentage points."
            }
            (legend())
            div class="panel" { (table("Overall", &overall_rows(summary, edit))) }
            @if !groups.is_empty() { div class="panel" { (table("By group", &groups)) } }
            div class="panel" {
                (table("By class", &classes))
                @if left_out > 0 {
                    p class="more" {
                        "Those that changed most; " (left_out) " more changed no more than these."
                    }
                }
            }
        }
    }
}

fn overall_rows(summary: &DebugSummary, edit: &Edit) -> Vec<Row> {
    let (before, after) = (&edit.before, &edit.after);
    let class = |metrics: &Metrics| metrics.class_accuracy[summary.class.0];
    let worst = |metrics: &Metrics| summary.name(metrics.worst_class).to_owned();
    let mut rows = vec![
        Row {
            name: "Average".into(),
            note: None,
            before: Some(before.accuracy),
            after: Some(after.accuracy),
        },
        Row {
            name: format!("\u{201c}{}\u{201d}", summary.class_name),
            note: None,
            before: class(before),
            after: class(after),
        },
        Row {
            name: "Worst class".into(),
            note: Some(then(worst(before), worst(after))),
            before: Some(before.worst_class_accuracy),
            after: Some(after.worst_class_accuracy),
        },
    ];
    if before.worst_group_accuracy.is_some() {
        let worst = |metrics: &Metrics| {
            let group = metrics
                .worst_group
                .and_then(|group| summary.group_names.get(group));
            group.cloned().unwrap_or_default()
        };
        rows.push(Row {
            name: "Worst group".into(),
            note: Some(then(worst(before), worst(after))),
            before: before.worst_group_accuracy,
            after: after.worst_group_accuracy,
        });
    }
    rows
}

/// Rows of the classes that changed most, in the order of the classes, and how many are left out.
fn class_rows(summary: &DebugSummary, edit: &Edit) -> (Vec<Row>, usize) {
    let accuracy = |metrics: &Metrics, class: usize| metrics.class_accuracy[class];
    let size = |class: &usize| {
        let (before, after) = (
            accuracy(&edit.before, *class),
            accuracy(&edit.after, *class),
        );
        before
            .zip(after)
            .map_or(0.0, |(before, after)| (after - before).abs())
    };
    let mut classes: Vec<usize> = (0..summary.class_names.len()).collect();
    classes.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let left_out = classes.len().saturating_sub(CLASSES);
    classes.truncate(CLASSES);
    classes.sort_unstable();
    let row = |class| Row {
        name: summary.name(ClassId(class)).to_owned(),
        note: None,
        before: accuracy(&edit.before, class),
        after: accuracy(&edit.after, class),
    };
    (classes.into_iter().map(row).collect(), left_out)
}

fn group_rows(summary: &DebugSummary, edit: &Edit) -> Vec<Row> {
    let (Some(before), Some(after)) = (&edit.before.group_accuracy, &edit.after.group_accuracy)
    else {
        return Vec::new();
    };
    let names = summary.group_names.iter();
    let row = |((name, &before), &after): ((&String, &Option<f64>), &Option<f64>)| Row {
        name: name.clone(),
        note: None,
        before,
        after,
    };
    names.zip(before).zip(after).map(row).collect()
}

fn then(before: String, after: String) -> String {
    if before == after {
        return before;
    }
    format!("{before}, then {after}")
}

fn table(title: &str, rows: &[Row]) -> Markup {
    let cell = |accuracy: Option<f64>| accuracy.map_or("\u{2013}".to_owned(), percent);
    html! {
        table {
            caption { (title) }
            thead {
                tr {
                    th scope="col" { "" }
                    th scope="col" class="plot" { div { span { "0%" } span { "100%" } } }
                    th scope="col" class="number" { "before" }
                    th scope="col" class="number" { "after" }
                    th scope="col" class="number" { "change" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" {
                            (row.name)
                            @if let Some(note) = &row.note { small { (note) } }
                        }
                        td class="plot" { (dumbbell(row)) }
                        td class="number" { (cell(row.before)) }
                        td class="number" { b { (cell(row.after)) } }
                        td class="number" {
                            @if let (Some(before), Some(after)) = (row.before, row.after) {
                                (change(before, after))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Both accuracies on an axis from 0 to 1.
fn dumbbell(row: &Row) -> Markup {
    let (Some(before), Some(after)) = (row.before, row.after) else {
        return html! {};
    };
    let class = Direction::of(before, after).class();
    let (from, to) = (percent(before), percent(after));
    html! {
        svg class="dumbbell" width="100%" height="18" aria-hidden="true" {
            line class="axis" x1="0%" x2="100%" y1="9" y2="9" {}
            line class=(class) x1=(from) x2=(to) y1="9" y2="9" {}
            circle class="before" cx=(from) cy="9" r="4.5" {}
            circle class={ "after " (class) } cx=(to) cy="9" r="5" {}
        }
    }
}

fn legend() -> Markup {
    html! {
        p class="legend dumbbell" aria-hidden="true" {
            span { svg width="12" height="12" { circle class="before" cx="6" cy="6" r="4.5" {} } "before" }
            span { svg width="12" height="12" { circle class="after" cx="6" cy="6" r="5" {} } "after" }
        }
    }
}
