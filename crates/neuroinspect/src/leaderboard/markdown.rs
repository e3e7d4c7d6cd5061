//! A comparison of methods as a page.

use std::{collections::BTreeMap, fmt::Write as _};

use neuroinspect_core::Seed;
use neuroinspect_editing::LabelsUsed;
use serde_json::{Map, Value};

use super::{Estimate, Leaderboard, OfClass, Row, Scores, Variant};

impl Leaderboard {
    /// A section of Markdown: what was compared, a table, and why methods are missing from it.
    pub fn to_markdown(&self) -> String {
        let [train, validation, measured] = self.samples;
        let seeds: Vec<_> = self
            .seeds
            .iter()
            .map(|Seed(seed)| seed.to_string())
            .collect();
        let mut classes = self.classes.clone();
        classes.sort();
        classes.dedup();
        if classes.len() > 1 {
            for class in &mut classes {
                let times = self.classes.iter().filter(|it| *it == class).count();
                *class = format!("{class} ({times} of {})", self.classes.len());
            }
        }
        let mut text = format!(
            "## {}\n\n{train} samples to learn from, {validation} to choose on, {measured} measured on; \
             to be helped: {}; seeds {}.\n\n",
            self.setting,
            classes.join(", "),
            seeds.join(", "),
        );
        text += "| method | labels | average | train-weighted | class | worst class | worst group \
                 | gap closed, average | gap closed, worst group | seconds |\n\
                 | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        text += &line("as it stands", "-", &self.before, "- | - | -");
        for row in &self.rows {
            if let Some(scores) = &row.scores {
                let (shares, on_both) = (row.shares, row.shares_on_both);
                let average = share(shares.average, on_both.average);
                let worst = share(shares.worst_group, on_both.worst_group);
                let rest = format!("{average} | {worst} | {:.1}", row.seconds);
                text += &line(&name(row), labels_in_words(row.labels), scores, &rest);
            }
        }
        let settled: Vec<_> = self.rows.iter().filter_map(settled).collect();
        if !settled.is_empty() {
            let _ = write!(
                text,
                "\nSettled on the samples to choose on:\n\n{}",
                settled.concat()
            );
        }
        if !self.each_class.is_empty() {
            text += &self.of_each_class();
        }
        for row in &self.rows {
            if let Some(failure) = &row.failure {
                let _ = write!(text, "\n{} is not there: {failure}.\n", code(row));
            }
        }
        text
    }

    /// What `auto` does for each class.
    fn of_each_class(&self) -> String {
        let mut text = "\n`auto` asked for each class in turn, accuracies of the class:\n\n\
                        | class | as it stands | by `auto` | difference | recommended |\n\
                        | --- | --- | --- | --- | --- |\n"
            .to_owned();
        for of_class in &self.each_class {
            let OfClass {
                class,
                before,
                after,
                difference,
                recommended,
            } = of_class;
            let _ = writeln!(
                text,
                "| {class} | {:.1} | {:.1} | {} | {recommended} of {} |",
                100.0 * before,
                100.0 * after,
                percent(difference),
                self.seeds.len()
            );
        }
        text
    }
}

impl Row {
    /// The method and how it is used, as a page has it: "auto (all classes)".
    pub(crate) fn title(&self) -> String {
        with_remarks(self, self.method.clone())
    }
}

/// The options that were chosen for a method, or else what it settled itself, and in how many repetitions:
/// "- `afr`: gamma 10, lambda 0 (2 of 5); gamma 20, lambda 0 (3 of 5)".
fn settled(row: &Row) -> Option<String> {
    let in_words: Vec<String> = match row.options.iter().any(|options| !options.is_empty()) {
        true => row.options.iter().map(options_in_words).collect(),
        false => row.derived.iter().map(derived_in_words).collect(),
    };
    let mut different = in_words.clone();
    different.sort();
    different.dedup();
    let times = |words: &String| match different.len() {
        1 => words.clone(),
        _ => {
            let times = in_words.iter().filter(|it| *it == words).count();
            format!("{words} ({times} of {})", in_words.len())
        }
    };
    let all: Vec<_> = different.iter().map(times).collect();
    let said = row.failure.is_none() && different.iter().any(|words| !words.is_empty());
    (said && row.variant != Variant::BothTables)
        .then(|| format!("- {}: {}\n", code(row), all.join("; ")))
}

fn options_in_words(options: &Map<String, Value>) -> String {
    let words = options.iter().map(|(name, value)| match value {
        // Of options within options the outer name says nothing.
        Value::Object(inner) => options_in_words(inner),
        Value::String(value) => format!("{name} {value}"),
        value => format!("{name} {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn derived_in_words(derived: &BTreeMap<String, f64>) -> String {
    let words = derived
        .iter()
        .map(|(name, value)| format!("{name} {value}"));
    words.collect::<Vec<_>>().join(", ")
}

fn line(method: &str, labels: &str, scores: &Scores, rest: &str) -> String {
    let Scores {
        average,
        train_weighted,
        class,
        worst_class,
        worst_group,
    } = scores;
    let columns = [
        Some(average),
        train_weighted.as_ref(),
        Some(class),
        Some(worst_class),
        worst_group.as_ref(),
    ];
    let columns = columns.map(|column| column.map_or_else(|| "-".to_owned(), percent));
    format!(
        "| {method} | {labels} | {} | {rest} |\n",
        columns.join(" | ")
    )
}

fn name(row: &Row) -> String {
    match row.paper {
        Some(paper) => with_remarks(row, format!("[{}]({})", row.method, paper.url)),
        None => row.title(),
    }
}

fn code(row: &Row) -> String {
    with_remarks(row, format!("`{}`", row.method))
}

fn with_remarks(row: &Row, method: String) -> String {
    let mut remarks = Vec::new();
    if row.method == Leaderboard::CEILING {
        remarks.push("ceiling");
    }
    remarks.extend(match row.variant {
        Variant::Usual => None,
        Variant::BothTables => Some("on both tables"),
        Variant::AllClasses => Some("all classes"),
        Variant::AsDemo => Some("as in the demo"),
    });
    match remarks.is_empty() {
        true => method,
        false => format!("{method} ({})", remarks.join(", ")),
    }
}

pub(crate) fn labels_in_words(labels: Option<LabelsUsed>) -> &'static str {
    match labels {
        None | Some(LabelsUsed::None) => "none",
        Some(LabelsUsed::Class) => "class",
        Some(LabelsUsed::GroupsOfValidation) => "group (validation)",
        Some(LabelsUsed::GroupsOfTraining) => "group (training)",
    }
}

fn percent(estimate: &Estimate) -> String {
    let mean = 100.0 * estimate.mean;
    match estimate.margin {
        Some(margin) => format!("{mean:.1} ± {:.1}", 100.0 * margin),
        None => format!("{mean:.1}"),
    }
}

/// "104 % (77 %)": of the gap to the ceiling, and to that on both tables.
fn share(share: Option<f64>, on_both: Option<f64>) -> String {
    let [share, on_both] = [share, on_both].map(|share| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
    });
    match &*on_both {
        "-" => share,
        _ => format!("{share} ({on_both})"),
    }
}
