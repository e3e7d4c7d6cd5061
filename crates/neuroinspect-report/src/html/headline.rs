//! What was found and what the edit did, in words.

use neuroinspect_core::{ClassId, Metrics, NeuronId};

use super::parts::{Direction, count, gain, percent};
use crate::{DebugSummary, Edit};

/// More neurons than this are counted, not listed.
const LISTED: usize = 6;

/// The finding in one sentence.
pub(super) fn finding(summary: &DebugSummary) -> String {
    let name = &summary.class_name;
    let samples = count(summary.samples, "sample");
    if summary.mistakes == 0 {
        return format!(
            "The classifier makes no mistake on {samples} of \u{201c}{name}\u{201d}: there is \
             nothing to explain."
        );
    }
    let taken_for = summary.confusions.first().map_or(String::new(), |most| {
        let other = summary.name(most.class);
        format!(", most often taking them for \u{201c}{other}\u{201d}")
    });
    let ranking = &summary.ranking;
    let recur = match (ranking.insufficient.len(), ranking.excessive.len()) {
        (0, 0) => "no neuron recurs in what would set them right".to_owned(),
        (insufficient, excessive) => {
            let neurons = count(insufficient + excessive, "neuron");
            format!(
                "{neurons} would have to change again and again to set them right \
                 ({insufficient} insufficient, {excessive} excessive)"
            )
        }
    };
    format!(
        "The classifier gets {} of {samples} of \u{201c}{name}\u{201d} wrong{taken_for}; {recur}.",
        summary.mistakes
    )
}

/// What is less than this, a percentage point in tenths, is no gain over the control, and of one class
/// among many no loss that an edit is judged by.
const NOTABLE: i64 = 10;

/// Whether an edit did what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The class gained, more than by the control, and nothing else lost.
    Helped,
    /// The class gained, but it hardly gained more than by the control, nor did the worst group; or
    /// the control gained more.
    Retrained {
        /// Whether something else lost.
        mixed: bool,
    },
    /// The class gained at the expense of something else.
    Mixed,
    /// The class did not gain.
    Failed,
    /// The class has no samples in the data it was measured on.
    Unmeasured,
}

impl Verdict {
    /// The style sheet's class for it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Helped => "helped",
            Self::Retrained { .. } | Self::Mixed => "mixed",
            Self::Failed => "failed",
            Self::Unmeasured => "unmeasured",
        }
    }

    /// The verdict in a few words.
    pub(super) fn words(self, name: &str) -> String {
        match self {
            Self::Helped => format!("The edit helped \u{201c}{name}\u{201d}"),
            Self::Retrained { mixed } => format!(
                "The edit helped \u{201c}{name}\u{201d} hardly more, if at all, than plain retraining does{}",
                if mixed { ", at a cost" } else { "" }
            ),
            Self::Mixed => format!("The edit helped \u{201c}{name}\u{201d}, at a cost"),
            Self::Failed => format!("The edit did not help \u{201c}{name}\u{201d}"),
            Self::Unmeasured => format!("The edit was not measured on \u{201c}{name}\u{201d}"),
        }
    }
}

/// What the edit did, in one sentence that hides no loss.
pub(super) fn outcome(summary: &DebugSummary, edit: &Edit) -> (Verdict, String) {
    let (before, after) = (&edit.before, &edit.after);
    let mut others = vec![("the average".to_owned(), before.accuracy, after.accuracy)];
    if (before.worst_class, after.worst_class) != (summary.class, summary.class) {
        let (before, after) = (before.worst_class_accuracy, after.worst_class_accuracy);
        others.push(("the worst class".to_owned(), before, after));
    }
    if let (Some(before), Some(after)) = (before.worst_group_accuracy, after.worst_group_accuracy) {
        others.push(("the worst group".to_owned(), before, after));
    }
    let mut losses = others
        .iter()
        .any(|&(_, before, after)| Direction::of(before, after) == Direction::Down);
    if let Some((class, before, after)) = largest_loss(summary, edit) {
        losses |= gain(after, before) >= NOTABLE;
        let name = summary.name(class);
        others.push((
            format!("of the other classes \u{201c}{name}\u{201d}"),
            before,
            after,
        ));
    }
    let mut clauses: Vec<_> = others
        .iter()
        .map(|(what, before, after)| clause(what, *before, *after))
        .collect();

    let neurons = neurons(&edit.neurons);
    let of_class = |metrics: &Metrics| metrics.class_accuracy[summary.class.0];
    let control = edit.control.as_ref().and_then(of_class);
    let (verdict, effect) = match (of_class(before), of_class(after)) {
        (Some(before), Some(after)) => {
            let direction = Direction::of(before, after);
            let beyond = |control: Option<f64>, after: Option<f64>| {
                let ends = control.zip(after);
                ends.is_some_and(|(control, after)| gain(control, after) >= NOTABLE)
            };
            let retrained = edit.control.as_ref().is_some_and(|plain| {
                let class = of_class(plain);
                let behind = class.is_some_and(|plain| gain(after, plain) >= NOTABLE);
                let groups = (plain.worst_group_accuracy, edit.after.worst_group_accuracy);
                behind || !beyond(class, Some(after)) && !beyond(groups.0, groups.1)
            });
            let verdict = match direction {
                Direction::Up if retrained => Verdict::Retrained { mixed: losses },
                Direction::Up if losses => Verdict::Mixed,
                Direction::Up => Verdict::Helped,
                Direction::Down | Direction::Level => Verdict::Failed,
            };
            let (from, to) = (percent(before), percent(after));
            let effect = match direction {
                Direction::Up => format!("raised its accuracy from {from} to {to}"),
                Direction::Down => format!("lowered its accuracy from {from} to {to}"),
                Direction::Level => format!("left its accuracy at {to}"),
            };
            (verdict, effect)
        }
        _ => {
            let data = &edit.evaluated_on;
            let effect = format!("has no effect on it to report, {data} being without samples");
            (Verdict::Unmeasured, effect)
        }
    };
    if let Some(control) = control {
        let control = percent(control);
        clauses.push(format!(
            "the same training without the {} brings \u{201c}{}\u{201d} to {control}",
            edit.objective, summary.class_name
        ));
    }
    let sentence = format!("Editing {neurons} {effect}; {}.", clauses.join(", "));
    (verdict, sentence)
}

/// The class that lost most of those that lost visibly, but for the class debugged, with its
/// accuracy before and after.
fn largest_loss(summary: &DebugSummary, edit: &Edit) -> Option<(ClassId, f64, f64)> {
    let accuracies = edit
        .before
        .class_accuracy
        .iter()
        .zip(&edit.after.class_accuracy);
    accuracies
        .enumerate()
        .filter_map(|(class, (before, after))| Some((ClassId(class), (*before)?, (*after)?)))
        .filter(|&(class, before, after)| {
            class != summary.class && Direction::of(before, after) == Direction::Down
        })
        .max_by(|a, b| {
            let shown = gain(a.2, a.1).cmp(&gain(b.2, b.1));
            shown.then((a.1 - a.2).total_cmp(&(b.1 - b.2)))
        })
}

fn clause(what: &str, before: f64, after: f64) -> String {
    let (from, to) = (percent(before), percent(after));
    match Direction::of(before, after) {
        Direction::Up => format!("{what} rose from {from} to {to}"),
        Direction::Down => format!("{what} fell from {from} to {to}"),
        Direction::Level => format!("{what} stayed at {to}"),
    }
}

fn neurons(neurons: &[NeuronId]) -> String {
    match neurons {
        [] => "no neuron".to_owned(),
        [one] => format!("neuron {one}"),
        [first @ .., last] if neurons.len() <= LISTED => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("neurons {} and {last}", first.join(", "))
        }
        many => count(many.len(), "neuron"),
    }
}
