//! Before and after the edit.

use maud::{Markup, html};
use neuroinspect_core::{ClassId, Metrics};

use neuroinspect_editing::{Change, EditResult, percent};

use super::parts::{change, count, style, value};
use crate::Findings;

/// More classes than this are cut to those that changed most.
const CLASSES: usize = 40;

/// One accuracy, twice.
struct Row {
    name: String,
    note: Option<String>,
    before: Option<f64>,
    after: Option<f64>,
    /// The control, which is shown where there is one.
    control: Option<f64>,
}

impl Row {
    /// A row of what `accuracy` reads off the metrics.
    fn new(name: String, edit: &EditResult, accuracy: impl Fn(&Metrics) -> Option<f64>) -> Self {
        Self {
            name,
            note: None,
            before: accuracy(&edit.comparison.before),
            after: accuracy(&edit.comparison.after),
            control: edit.control_metrics().and_then(accuracy),
        }
    }

    fn with_note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

pub(super) fn section(findings: &Findings) -> Markup {
    let Some(edit) = &findings.edit else {
        return html! {};
    };
    let (classes, left_out) = class_rows(findings, edit);
    let groups = group_rows(findings, edit);
    html! {
        section {
            h2 { "Before and after" }
            p class="about" {
                "The decision layer was trained for " (count(edit.epochs.len(), "epoch")) " by the method "
                "\u{201c}" (edit.method.name.replace('_', " ")) "\u{201d}"
                @if let Some(target) = edit.derived("target") { ", aimed at a ratio of " (value(target)) }
                "; the backbone is untouched. Accuracies on " (edit.measured_on())
                ", changes in percentage points."
                @if edit.control_metrics().is_some() {
                    " \u{201c}Control\u{201d} is plain retraining with the same options: what it \
                     reaches too, training alone would have brought."
                }
            }
            (legend())
            div class="panel" { (table("Overall", &overall_rows(findings, edit))) }
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

fn overall_rows(findings: &Findings, edit: &EditResult) -> Vec<Row> {
    let (before, after) = (&edit.comparison.before, &edit.comparison.after);
    let class = findings.class.0;
    let worst = |metrics: &Metrics| findings.name_of(metrics.worst_class).to_owned();
    let mut rows = vec![
        Row::new("Average".into(), edit, |metrics| Some(metrics.accuracy)),
        Row::new(
            format!("\u{201c}{}\u{201d}", findings.class_name()),
            edit,
            |metrics| metrics.class_accuracy[class],
        ),
        Row::new("Worst class".into(), edit, |metrics| {
            Some(metrics.worst_class_accuracy)
        })
        .with_note(then(worst(before), worst(after))),
    ];
    if before.worst_group_accuracy.is_some() {
        let worst = |metrics: &Metrics| {
            let group = metrics
                .worst_group
                .and_then(|group| findings.group_names.get(group));
            group.cloned().unwrap_or_default()
        };
        rows.push(
            Row::new("Worst group".into(), edit, |metrics| {
                metrics.worst_group_accuracy
            })
            .with_note(then(worst(before), worst(after))),
        );
    }
    rows
}

/// Rows of the classes that changed most, in the order of the classes, and how many are left out.
fn class_rows(findings: &Findings, edit: &EditResult) -> (Vec<Row>, usize) {
    let size = |row: &Row| {
        let ends = row.before.zip(row.after);
        ends.map_or(0.0, |(before, after)| (after - before).abs())
    };
    let row = |class: usize| {
        let name = findings.name_of(ClassId(class)).to_owned();
        Row::new(name, edit, |metrics| metrics.class_accuracy[class])
    };
    let mut rows: Vec<(usize, Row)> = (0..findings.class_names.len())
        .map(row)
        .enumerate()
        .collect();
    rows.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
    let left_out = rows.len().saturating_sub(CLASSES);
    rows.truncate(CLASSES);
    rows.sort_unstable_by_key(|&(class, _)| class);
    (rows.into_iter().map(|(_, row)| row).collect(), left_out)
}

fn group_rows(findings: &Findings, edit: &EditResult) -> Vec<Row> {
    if edit.comparison.before.group_accuracy.is_none() {
        return Vec::new();
    }
    let row = |(group, name): (usize, &String)| {
        Row::new(name.clone(), edit, |metrics| {
            let accuracy = metrics.group_accuracy.as_ref()?;
            accuracy.get(group).copied().flatten()
        })
    };
    findings.group_names.iter().enumerate().map(row).collect()
}

fn then(before: String, after: String) -> String {
    if before == after {
        return before;
    }
    format!("{before}, then {after}")
}

fn table(title: &str, rows: &[Row]) -> Markup {
    let controlled = rows.iter().any(|row| row.control.is_some());
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
                    @if controlled { th scope="col" class="number control" { "control" } }
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
                        @if controlled { td class="number control" { (cell(row.control)) } }
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
    let class = style(Change { before, after }.trend());
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
