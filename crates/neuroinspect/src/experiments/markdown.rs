//! An experiment's result as a page.

use std::fmt::Write as _;

use super::{
    Beside, Cell, Claim, ClaimTest, ClaimVerdict, Experiment, ExperimentResult, LedgerRow,
    MeasuredOn, ResultTable, Unit,
};
use crate::leaderboard::Estimate;

impl ExperimentResult {
    /// The page: how it was made, what came out, the paper's numbers and claims, and the ledger.
    ///
    /// `experiment` is the one that this is the result of.
    pub fn to_markdown(&self, experiment: &Experiment) -> String {
        let mut text = format!("# {}: {}\n\n", self.paper, self.title);
        if let Some(command) = &self.command {
            let _ = write!(text, "Made by\n\n```sh\n{command}\n```\n\n");
        }
        let seeds: Vec<_> = self.seeds.iter().map(|seed| seed.0.to_string()).collect();
        let on = match (self.source.published, &self.config.data) {
            (true, _) => "The published data",
            (false, Some(_)) => "Other data than the paper's",
            (false, None) => "A stand-in",
        };
        let _ = write!(
            text,
            "in {}, {:.0} s for {} (seeds {}), mode `{}`, on `{}`.\n\n## What it runs on\n\n{on}: {}.\n\n",
            match cfg!(debug_assertions) {
                true => "a development build",
                false => "a release build",
            },
            self.seconds,
            counted(self.seeds.len(), "repetition"),
            seeds.join(", "),
            self.config.mode,
            self.config.device,
            self.source.data,
        );
        for note in &self.source.notes {
            let _ = writeln!(text, "- {note}");
        }
        if self.config.data.is_none() {
            if !self.source.notes.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(
                text,
                "On published data: {} Without: {}",
                experiment.needs, experiment.stand_in
            );
        }
        let _ = write!(text, "\n## How\n\n{}\n\n## Result\n", experiment.protocol);
        text += "\nMeans over the repetitions and 95 % intervals of them, by Student's distribution; shares in \
                 percent.\n";
        text += match self.source.measured_on {
            MeasuredOn::Others => "",
            MeasuredOn::Halves => {
                "Repetitions halve the same samples to choose and to measure on: intervals are widened by the \
                 square root of one more than there are repetitions.\n"
            }
            MeasuredOn::Same => {
                "All repetitions are of the same samples and networks, so that intervals are of what is drawn alone: \
                 what is said of claims is said of these.\n"
            }
        };
        for table in &self.tables {
            let _ = write!(text, "\n### {}\n\n{}", table.title, numbers(table));
            for chart in self.charts.iter().filter(|it| it.table == table.title) {
                let _ = write!(
                    text,
                    "\n![{}, by row, with intervals]({})\n",
                    chart.column, chart.path
                );
            }
        }
        if !self.pictures.is_empty() {
            text += "\n## Pictures\n\nOf the first repetition.\n";
            for picture in &self.pictures {
                let _ = write!(text, "\n![{0}]({1})\n\n{0}.\n", picture.title, picture.path);
            }
        }
        if !self.claims.is_empty() {
            text += "\n## The paper's claims\n\n| claim | tested by | difference | these data |\n\
                     | --- | --- | --- | --- |\n";
            text.extend(self.claims.iter().map(claim_line));
        }
        if !self.beside.is_empty() {
            text += "\n## Beside the paper's numbers\n\n";
            if !self.source.published {
                text += "They are of other data and networks: the gaps say how far the stand-in is from the \
                         paper's setting, not how well it is reproduced.\n\n";
            }
            text += "| where | row | column | here | the paper | of | gap |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n";
            text.extend(self.beside.iter().map(beside_line));
        }
        text += &self.ledger_in_words(experiment);
        text
    }

    fn ledger_in_words(&self, experiment: &Experiment) -> String {
        let mut text = String::new();
        if !self.ledgers.is_empty() {
            let _ = write!(
                text,
                "\n## What each disagreement of paper and code is worth\n\nThe difference that one switch makes by \
                 itself, all others as mode `{}` has them.\n",
                self.config.mode
            );
        }
        for ledger in &self.ledgers {
            let headline = &ledger.headline;
            let _ = write!(
                text,
                "\nIn {}:\n\n| switch | here | flipped | difference | the disagreement |\n\
                 | --- | --- | --- | --- | --- |\n",
                headline.name
            );
            text.extend(
                ledger
                    .rows
                    .iter()
                    .map(|row| ledger_line(row, headline.unit)),
            );
        }
        if !experiment.not_switched.is_empty() {
            text += "\nDisagreements that are no switch here:\n\n";
            for reason in experiment.not_switched {
                let _ = writeln!(text, "- {reason}");
            }
        }
        text
    }
}

fn numbers(table: &ResultTable) -> String {
    let headings = table.columns.iter().map(|column| match column.unit {
        Unit::Seconds => format!("{} (s)", column.name),
        _ => column.name.clone(),
    });
    let has_labels = table.rows.iter().any(|row| row.labels.is_some());
    let labels = has_labels.then(|| "labels".to_owned());
    let first = std::iter::once(String::new()).chain(labels);
    let headings: Vec<_> = first.chain(headings).collect();
    let rule = vec!["---"; headings.len()].join(" | ");
    let mut text = format!("| {} |\n| {rule} |\n", headings.join(" | "));
    let most = table
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().flatten())
        .map(|cell| cell.repetitions)
        .max();
    for row in &table.rows {
        let cells = row.cells.iter().zip(&table.columns);
        let cells = cells.map(|(cell, column)| match cell {
            Some(cell) => shown_cell(cell, column.unit, most.unwrap_or_default()),
            None => "-".to_owned(),
        });
        let labels = has_labels.then(|| row.labels.clone().unwrap_or_else(|| "-".to_owned()));
        let first = std::iter::once(row.name.clone()).chain(labels);
        let cells: Vec<_> = first.chain(cells).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn claim_line(claim: &Claim) -> String {
    let several = claim.tests.len() > 1;
    let told = |test: &ClaimTest| match (several, test.reason) {
        (_, Some(reason)) => format!("{}: {reason}", verdict(test.verdict)),
        (true, None) => verdict(test.verdict).to_owned(),
        (false, None) => String::new(),
    };
    let tests = claim.tests.iter().map(|test| {
        let difference = shown_difference(&test.difference, test.unit);
        let of_table = if several {
            format!("{}: ", test.table)
        } else {
            String::new()
        };
        match told(test) {
            told if told.is_empty() => format!("{of_table}{difference}"),
            told => format!("{of_table}{difference} ({told})"),
        }
    });
    let tests: Vec<_> = tests.collect();
    format!(
        "| {} | {} | {} | {} |\n",
        claim.claim,
        claim.rule,
        match tests.is_empty() {
            true => "-".to_owned(),
            false => tests.join("; "),
        },
        in_all(claim)
    )
}

/// What these data do with a claim, and in how many tables where there are several.
fn in_all(claim: &Claim) -> String {
    let count = |wanted| {
        let tests = claim.tests.iter();
        tests.filter(|test| test.verdict == wanted).count()
    };
    let all = claim.tests.len();
    if all < 2 || claim.verdict == ClaimVerdict::NotTested {
        return verdict(claim.verdict).to_owned();
    }
    let of = |wanted| match count(wanted) {
        0 => None,
        some => Some(format!("{} in {some} of {all} tables", verdict(wanted))),
    };
    let found = [ClaimVerdict::Supported, ClaimVerdict::Contradicted]
        .into_iter()
        .filter_map(of);
    match found.collect::<Vec<_>>() {
        found if found.is_empty() => verdict(ClaimVerdict::Undecided).to_owned(),
        found => found.join(", "),
    }
}

pub(super) fn verdict(verdict: ClaimVerdict) -> &'static str {
    match verdict {
        ClaimVerdict::Supported => "support it",
        ClaimVerdict::SupportedInPart => "support it in part",
        ClaimVerdict::Undecided => "do not decide it",
        ClaimVerdict::Contradicted => "contradict it",
        ClaimVerdict::NotTested => "do not test it",
    }
}

fn beside_line(beside: &Beside) -> String {
    let Beside {
        table,
        row,
        column,
        unit,
        ours,
        of,
        paper,
        gap,
    } = beside;
    let plain = |value: f64| match unit {
        Unit::Share => format!("{:.1}", 100.0 * value),
        _ => format!("{value:.3}"),
    };
    let none = || "-".to_owned();
    let gap = gap.map_or_else(none, |gap| match gap < 0.0 {
        true => plain(gap),
        false => format!("+{}", plain(gap)),
    });
    let ours = ours.map_or_else(none, |ours| shown(&ours, *unit));
    let paper = plain(*paper);
    format!("| {table} | {row} | {column} | {ours} | {paper} | {of} | {gap} |\n")
}

fn ledger_line(row: &LedgerRow, unit: Unit) -> String {
    let LedgerRow {
        switch,
        disagreement,
        from,
        to,
        difference,
    } = row;
    let difference = shown_difference(difference, unit);
    format!("| `{switch}` | {from} | {to} | {difference} | {disagreement} |\n")
}

/// A number of a table; "0.726 ± 0.167 (of 4)" where it is a mean over other than the `usual` repetitions.
pub(super) fn shown_cell(cell: &Cell, unit: Unit, usual: usize) -> String {
    let shown = shown(&cell.estimate, unit);
    match cell.repetitions == usual {
        true => shown,
        false => format!("{shown} (of {})", cell.repetitions),
    }
}

/// "81.3 ± 0.5", of shares in percent.
fn shown(estimate: &Estimate, unit: Unit) -> String {
    let (scale, digits) = match unit {
        Unit::Share => (100.0, 1),
        Unit::Number => (1.0, 3),
        Unit::Seconds => (1.0, 2),
    };
    let mean = scale * estimate.mean;
    match estimate.margin {
        Some(margin) => format!("{mean:.digits$} ± {:.digits$}", scale * margin),
        None => format!("{mean:.digits$}"),
    }
}

/// "+1.3 ± 0.5": a difference of two numbers of one column.
fn shown_difference(difference: &Estimate, unit: Unit) -> String {
    let shown = shown(difference, unit);
    match difference.mean < 0.0 {
        true => shown,
        false => format!("+{shown}"),
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
