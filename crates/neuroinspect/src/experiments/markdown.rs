//! An experiment's result as a page.

use std::fmt::Write as _;

use super::{
    Beside, Cell, Claim, ClaimVerdict, Experiment, ExperimentResult, LedgerRow, ResultTable, Unit,
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
        let on = match self.source.published {
            true => "The published data",
            false => "A stand-in",
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
            let _ = write!(
                text,
                "\nOn published data: {} Without: {}\n",
                experiment.needs, experiment.stand_in
            );
        }
        let _ = write!(text, "\n## How\n\n{}\n\n## Result\n", experiment.protocol);
        text += "\nMeans over the repetitions and 95 % intervals of them, by Student's distribution; shares in \
                 percent.\n";
        for table in &self.tables {
            let _ = write!(text, "\n### {}\n\n{}", table.title, numbers(table));
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
            self.claims
                .iter()
                .for_each(|claim| text += &claim_line(claim));
        }
        if !self.beside.is_empty() {
            text += "\n## Beside the paper's numbers\n\n";
            if !self.source.published {
                text += "They are of other data and networks: the gaps say how far the stand-in is from the \
                         paper's setting, not how well it is reproduced.\n\n";
            }
            text += "| where | row | column | here | the paper | of | gap |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n";
            self.beside
                .iter()
                .for_each(|beside| text += &beside_line(beside));
        }
        text += &self.ledger_in_words(experiment);
        text
    }

    fn ledger_in_words(&self, experiment: &Experiment) -> String {
        let mut text = String::new();
        if let (Some(headline), false) = (&self.headline, self.ledger.is_empty()) {
            let _ = write!(
                text,
                "\n## What each disagreement of paper and code is worth\n\nThe difference that one switch makes by \
                 itself, all others as mode `{}` has them, in: {}.\n\n\
                 | switch | here | flipped | difference | the disagreement |\n\
                 | --- | --- | --- | --- | --- |\n",
                self.config.mode, headline.name
            );
            let lines = self
                .ledger
                .iter()
                .map(|row| ledger_line(row, headline.unit));
            text += &lines.collect::<String>();
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
    let headings: Vec<_> = std::iter::once(String::new()).chain(headings).collect();
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
            Some(Cell {
                estimate,
                repetitions,
            }) if Some(*repetitions) == most => shown(estimate, column.unit),
            // A mean over fewer repetitions says so.
            Some(cell) => {
                let shown = shown(&cell.estimate, column.unit);
                format!("{shown} (of {})", cell.repetitions)
            }
            None => "-".to_owned(),
        });
        let cells: Vec<_> = std::iter::once(row.name.clone()).chain(cells).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn claim_line(claim: &Claim) -> String {
    let several = claim.tests.len() > 1;
    let tests = claim.tests.iter().map(|test| {
        let difference = shown_difference(&test.difference, test.unit);
        match several {
            true => format!("{}: {difference} ({})", test.table, verdict(test.verdict)),
            false => difference,
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
        verdict(claim.verdict)
    )
}

fn verdict(verdict: ClaimVerdict) -> &'static str {
    match verdict {
        ClaimVerdict::Supported => "support it",
        ClaimVerdict::SupportedInPart => "support it in part",
        ClaimVerdict::NotSupported => "do not support it",
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
    let gap = match *gap < 0.0 {
        true => plain(*gap),
        false => format!("+{}", plain(*gap)),
    };
    let (ours, paper) = (shown(ours, *unit), plain(*paper));
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

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
