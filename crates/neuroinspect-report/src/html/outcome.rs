//! Before and after the edit.

use maud::{Markup, html};
use neuroinspect_core::{ClassId, Metrics};

use neuroinspect_editing::{Change, Comparison, percent};

use super::parts::{change, count, style, value};
use crate::Findings;

/// More classes than this are cut to those that changed most.
const CLASSES: usize = 40;

/// Accuracies before and after a change of the decision layer, to be shown as tables.
#[derive(Clone, Copy, Debug)]
pub struct Accuracies<'a> {
    /// The class that the change is for, if it is one.
    pub class: Option<ClassId>,
    /// Names of the `K` classes.
    pub class_names: &'a [String],
    /// Names of the groups, where the samples have groups.
    pub group_names: &'a [String],
    /// Before and after.
    pub comparison: &'a Comparison,
    /// The control, where there is one.
    pub control: Option<&'a Metrics>,
}

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
    fn with_note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

pub(super) fn section(findings: &Findings) -> Markup {
    let Some(edit) = &findings.edit else {
        return html! {};
    };
    let accuracies = Accuracies {
        class: Some(findings.class),
        class_names: &findings.class_names,
        group_names: &findings.group_names,
        comparison: &edit.comparison,
        control: edit.control_metrics(),
    };
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
            (accuracies.tables())
        }
    }
}

impl Accuracies<'_> {
    /// Overall, by group and by class, as HTML for a page with the styles of [`STYLE`](crate::STYLE).
    pub fn html(&self) -> String {
        self.tables().into_string()
    }

    fn tables(&self) -> Markup {
        let (classes, left_out) = self.class_rows();
        let groups = self.group_rows();
        html! {
            (legend())
            div class="panel" { (table("Overall", &self.overall_rows())) }
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

    /// A row of what `accuracy` reads off the metrics.
    fn row(&self, name: String, accuracy: impl Fn(&Metrics) -> Option<f64>) -> Row {
        Row {
            name,
            note: None,
            before: accuracy(&self.comparison.before),
            after: accuracy(&self.comparison.after),
            control: self.control.and_then(accuracy),
        }
    }

    fn class_name(&self, class: ClassId) -> String {
        self.class_names.get(class.0).cloned().unwrap_or_default()
    }

    fn overall_rows(&self) -> Vec<Row> {
        let (before, after) = (&self.comparison.before, &self.comparison.after);
        let worst = |metrics: &Metrics| self.class_name(metrics.worst_class);
        let mut rows = vec![self.row("Average".into(), |metrics| Some(metrics.accuracy))];
        if let Some(class) = self.class {
            let name = format!("\u{201c}{}\u{201d}", self.class_name(class));
            rows.push(self.row(name, |metrics| {
                metrics.class_accuracy.get(class.0).copied().flatten()
            }));
        }
        rows.push(
            self.row("Worst class".into(), |metrics| {
                Some(metrics.worst_class_accuracy)
            })
            .with_note(then(worst(before), worst(after))),
        );
        if before.worst_group_accuracy.is_some() {
            let worst = |metrics: &Metrics| {
                let group = metrics
                    .worst_group
                    .and_then(|group| self.group_names.get(group));
                group.cloned().unwrap_or_default()
            };
            rows.push(
                self.row("Worst group".into(), |metrics| metrics.worst_group_accuracy)
                    .with_note(then(worst(before), worst(after))),
            );
        }
        rows
    }

    /// Rows of the classes that changed most, in the order of the classes, and how many are left out.
    fn class_rows(&self) -> (Vec<Row>, usize) {
        let size = |row: &Row| {
            let ends = row.before.zip(row.after);
            ends.map_or(0.0, |(before, after)| (after - before).abs())
        };
        let row = |class: usize| {
            self.row(self.class_name(ClassId(class)), |metrics| {
                metrics.class_accuracy.get(class).copied().flatten()
            })
        };
        let mut rows: Vec<(usize, Row)> =
            (0..self.class_names.len()).map(row).enumerate().collect();
        rows.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
        let left_out = rows.len().saturating_sub(CLASSES);
        rows.truncate(CLASSES);
        rows.sort_unstable_by_key(|&(class, _)| class);
        (rows.into_iter().map(|(_, row)| row).collect(), left_out)
    }

    fn group_rows(&self) -> Vec<Row> {
        if self.comparison.before.group_accuracy.is_none() {
            return Vec::new();
        }
        let row = |(group, name): (usize, &String)| {
            self.row(name.clone(), |metrics| {
                let accuracy = metrics.group_accuracy.as_ref()?;
                accuracy.get(group).copied().flatten()
            })
        };
        self.group_names.iter().enumerate().map(row).collect()
    }
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
