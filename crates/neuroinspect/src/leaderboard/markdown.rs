//! A comparison of methods as a page.

use std::fmt::Write as _;

use neuroinspect_core::Seed;
use neuroinspect_editing::LabelsUsed;

use super::{Estimate, Leaderboard, Row, Scores};

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
                let shares = [row.share_of_average, row.share_of_worst_group];
                let [average, worst] = shares.map(share);
                let rest = format!("{average} | {worst} | {:.1}", row.seconds);
                text += &line(&name(row), labels(row.labels), scores, &rest);
            }
        }
        for row in &self.rows {
            if let Some(failure) = &row.failure {
                let _ = write!(text, "\n`{}` is not there: {failure}.\n", row.method);
            }
        }
        text
    }
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
    let ceiling = match row.method == Leaderboard::CEILING {
        true => " (ceiling)",
        false => "",
    };
    match row.paper {
        Some(paper) => format!("[{}]({}){ceiling}", row.method, paper.url),
        None => format!("{}{ceiling}", row.method),
    }
}

fn labels(labels: Option<LabelsUsed>) -> &'static str {
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

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}
