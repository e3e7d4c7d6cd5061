//! What experiments come to in each of the modes, side by side.

use std::{fmt::Write as _, fs};

use neuroinspect_core::{Seed, io::write_atomically};
use serde::Deserialize;

use super::{
    ClaimVerdict, Experiment, Mode, ResultTable,
    markdown::{counted, shown_cell, verdict},
};
use crate::{Result, RunFolder};

/// The page's file.
pub(super) const FILE: &str = "modes.md";

/// Of the JSON of a result, what is compared.
#[derive(Deserialize)]
struct OfMode {
    source: Data,
    config: serde_json::Map<String, serde_json::Value>,
    seeds: Vec<Seed>,
    tables: Vec<ResultTable>,
    claims: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Data {
    data: String,
}

#[derive(Deserialize)]
struct Verdict {
    claim: String,
    verdict: ClaimVerdict,
}

/// Writes the page of the experiments whose results in several modes are in the folder, but for their mode run
/// alike; where there is no such experiment, removes the page of an earlier run.
pub(super) fn write(experiments: &[&Experiment], folder: &RunFolder) -> Result<()> {
    let sections: String = experiments
        .iter()
        .filter_map(|experiment| section(experiment, folder))
        .collect();
    if sections.is_empty() {
        return folder.remove(&[FILE]);
    }
    let page = format!(
        "# The paper, its code, and mended\n\nWritten by `neuroinspect repro`, of the results in the modes `paper`, \
         `code` and `fixed` that are in this folder: means over repetitions and 95 % intervals of them, shares in \
         percent. Numbers that are the same in all modes are left out.\n{sections}"
    );
    Ok(write_atomically(folder.join(FILE), |out| {
        out.write_all(page.as_bytes())
    })?)
}

/// What an experiment comes to in the modes that it was run in; `None` where those are fewer than two.
fn section(experiment: &Experiment, folder: &RunFolder) -> Option<String> {
    let read = Mode::ALL.map(|mode| Some((mode, OfMode::read(experiment, mode, folder)?)));
    let mut modes: Vec<_> = read.into_iter().flatten().collect();
    let config = modes.last()?.1.config.clone();
    modes.retain(|(_, of_mode)| of_mode.config == config);
    if modes.len() < 2 {
        return None;
    }
    let first = &modes.first()?.1;
    let mut text = format!(
        "\n## {}: {}\n\nOn {}; {}.\n",
        experiment.paper,
        experiment.title,
        first.source.data,
        counted(first.seeds.len(), "repetition"),
    );
    let names: Vec<_> = modes.iter().map(|(mode, _)| format!("`{mode}`")).collect();
    let names = names.join(" | ");
    let rule = vec!["---"; modes.len() + 2].join(" | ");
    for table in &first.tables {
        let _ = write!(text, "\n### {}\n\n", table.title);
        let lines = lines(table, &modes);
        if lines.is_empty() {
            text += "All numbers are the same.\n";
        } else {
            let _ = write!(text, "| row | number | {names} |\n| {rule} |\n{lines}");
        }
    }
    let rule = vec!["---"; modes.len() + 1].join(" | ");
    let _ = write!(
        text,
        "\n### The paper's claims\n\nThese data ...\n\n| claim | {names} |\n| {rule} |\n"
    );
    for Verdict { claim, .. } in &first.claims {
        let verdicts = modes.iter().map(|(_, of_mode)| {
            let mut claims = of_mode.claims.iter();
            let found = claims.find(|it| it.claim == *claim);
            found.map_or("-", |it| verdict(it.verdict))
        });
        let verdicts: Vec<_> = verdicts.collect();
        let _ = writeln!(text, "| {claim} | {} |", verdicts.join(" | "));
    }
    Some(text)
}

/// The lines of a table's numbers that are not the same in all modes.
fn lines(table: &ResultTable, modes: &[(Mode, OfMode)]) -> String {
    let mut text = String::new();
    for row in &table.rows {
        for column in &table.columns {
            let numbers = modes.iter().map(|(_, of_mode)| {
                let found = of_mode.number([&table.title, &row.name, &column.name]);
                found.unwrap_or_else(|| "-".to_owned())
            });
            let numbers: Vec<_> = numbers.collect();
            if numbers.iter().any(|number| *number != numbers[0]) {
                let numbers = numbers.join(" | ");
                let _ = writeln!(text, "| {} | {} | {numbers} |", row.name, column.name);
            }
        }
    }
    text
}

impl OfMode {
    /// The result that is in the folder, but for the mode in its options; `None` where there is none with all of its
    /// repetitions.
    fn read(experiment: &Experiment, mode: Mode, folder: &RunFolder) -> Option<Self> {
        let file = format!("{}.json", experiment.file_stem(mode));
        let text = fs::read(folder.join(file)).ok()?;
        let mut found: Self = serde_json::from_slice(&text).ok()?;
        found.config.remove("mode");
        // A run that was stopped has left fewer.
        let is_complete = *found.config.get("seeds")? == found.seeds.len();
        is_complete.then_some(found)
    }

    /// The number in a place, as it is shown.
    fn number(&self, [table, row, column]: [&str; 3]) -> Option<String> {
        let table = self.tables.iter().find(|it| it.title == table)?;
        let row = table.rows.iter().find(|it| it.name == row)?;
        let mut columns = table.columns.iter().zip(&row.cells);
        let (column, cell) = columns.find(|(it, _)| it.name == column)?;
        Some(shown_cell(&(*cell)?, column.unit, self.seeds.len()))
    }
}
