//! What an experiment comes to over its repetitions.

use std::collections::BTreeMap;

use neuroinspect_core::Seed;
use neuroinspect_report::{IntervalChart, IntervalRow, Schema};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Column, Experiment, ExperimentConfig, Headline, Published, Source, Switch, Switches,
    Unit, measured::Measurement,
};
use crate::leaderboard::Estimate;

/// One repetition, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Repeated {
    pub(super) seed: Seed,
    pub(super) values: Vec<Measurement>,
    /// The labels that rows learn from, by row.
    pub(super) labels: BTreeMap<String, String>,
    /// `None` where there are some that were not written, as of all repetitions but the first.
    pub(super) pictures: Option<Vec<ExperimentPicture>>,
    /// For each headline: its number with the mode's own switches, and then with one of them flipped, by its name.
    pub(super) ledgers: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) seconds: f64,
}

/// How the names of the paper's own methods begin: what the others are compared with.
const OURS: [&str; 2] = ["NeuroInspect", "CLIP-Illusion"];

/// The key of a headline's number where nothing is flipped.
pub(super) const UNFLIPPED: &str = "";

impl Repeated {
    /// The number in a place.
    pub(super) fn at(&self, table: &str, row: &str, column: &str) -> Option<&Measurement> {
        let is_it = |it: &&Measurement| it.table == table && it.row == row && it.column == column;
        self.values.iter().find(is_it)
    }
}

/// What an experiment came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentResult {
    /// The experiment's [name](Experiment::name).
    pub experiment: String,
    /// Its title.
    pub title: String,
    /// What of the paper it is.
    pub paper: String,
    /// What it ran on.
    pub source: Source,
    /// What it was run with.
    pub config: ExperimentConfig,
    /// How the mode's switches stood.
    pub switches: Switches,
    /// The seeds of the repetitions that there are.
    pub seeds: Vec<Seed>,
    /// The numbers.
    pub tables: Vec<ResultTable>,
    /// The paper's numbers beside them.
    pub beside: Vec<Beside>,
    /// The paper's claims.
    pub claims: Vec<Claim>,
    /// What each disagreement of paper and code is worth, number by number.
    pub ledgers: Vec<Ledger>,
    /// Pictures, of the first repetition.
    pub pictures: Vec<ExperimentPicture>,
    /// Drawings of what the experiment is about, one for each table that has it.
    pub charts: Vec<Chart>,
    /// The command line that made it, where there was one.
    pub command: Option<String>,
    /// Seconds that the repetitions took, together.
    pub seconds: f64,
}

/// A table of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultTable {
    /// What its samples, or its settings, are.
    pub title: String,
    /// Its columns.
    pub columns: Vec<ResultColumn>,
    /// Its rows.
    pub rows: Vec<ResultRow>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultColumn {
    /// Its heading.
    pub name: String,
    /// What its numbers are.
    pub unit: Unit,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultRow {
    /// Its heading.
    pub name: String,
    /// The labels that it learns from, where that is told.
    pub labels: Option<String>,
    /// A number for each column; `None` where there is none.
    pub cells: Vec<Option<Cell>>,
}

/// A number over the repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// Its mean and 95 % interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// In how many repetitions it is there.
    pub repetitions: usize,
}

/// A number of the paper's, and ours in the same place, where there is one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Beside {
    /// Our table.
    pub table: String,
    /// The row.
    pub row: String,
    /// The column.
    pub column: String,
    /// What the numbers are.
    pub unit: Unit,
    /// Our number.
    pub ours: Option<Estimate>,
    /// What the paper's is of.
    pub of: &'static str,
    /// The paper's.
    pub paper: f64,
    /// Ours less the paper's.
    pub gap: Option<f64>,
}

/// What each disagreement of paper and code is worth in one number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ledger {
    /// The number.
    pub headline: ResultColumn,
    /// A row for each disagreement.
    pub rows: Vec<LedgerRow>,
}

/// What a disagreement of paper and code is worth: the headline with one switch flipped, less that without.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerRow {
    /// The switch.
    pub switch: &'static str,
    /// The disagreement.
    pub disagreement: &'static str,
    /// How it stands in this mode.
    pub from: String,
    /// How it is flipped.
    pub to: String,
    /// The difference, repetition by repetition.
    pub difference: Estimate,
}

/// A column of a table as a drawing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Chart {
    /// The table's title.
    pub table: String,
    /// The column.
    pub column: String,
    /// Its file, an SVG within the folder of the results.
    pub path: String,
    #[serde(skip)]
    pub(super) svg: String,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentPicture {
    /// What it shows.
    pub title: String,
    /// Its file, within the folder of the results.
    pub path: String,
}

impl ExperimentResult {
    /// Its JSON.
    pub const SCHEMA: Schema = Schema::new("neuroinspect.experiment", 2);

    /// The results of the repetitions that there are.
    pub(super) fn of(
        experiment: &Experiment,
        config: &ExperimentConfig,
        source: Source,
        repetitions: &[Repeated],
    ) -> Self {
        let tables = tables(repetitions, &source);
        let published = (experiment.published)();
        let titles: Vec<String> = tables.iter().map(|table| table.title.clone()).collect();
        let claims = experiment.claims.iter();
        Self {
            experiment: experiment.name.to_owned(),
            title: experiment.title.to_owned(),
            paper: experiment.paper.to_owned(),
            config: config.clone(),
            switches: config.mode.switches(),
            seeds: repetitions.iter().map(|it| it.seed).collect(),
            beside: tables
                .iter()
                .flat_map(|table| beside(table, &published, &source))
                .collect(),
            claims: claims
                .map(|rule| rule.test(&titles, repetitions, &source))
                .collect(),
            ledgers: experiment
                .headlines
                .iter()
                .filter_map(|headline| ledger(headline, config, repetitions, &source))
                .collect(),
            pictures: repetitions
                .first()
                .and_then(|first| first.pictures.clone())
                .unwrap_or_default(),
            charts: experiment.drawn.map_or_else(Vec::new, |column| {
                charts(&tables, column, &experiment.file_stem(config.mode))
            }),
            command: None,
            seconds: repetitions.iter().map(|it| it.seconds).sum(),
            tables,
            source,
        }
    }
}

/// A drawing of a column for each table that has it in more than one row.
fn charts(tables: &[ResultTable], column: Column, stem: &str) -> Vec<Chart> {
    let chart = |(number, table): (usize, &ResultTable)| {
        let place = table.columns.iter().position(|it| it.name == column.name)?;
        let row = |row: &ResultRow| {
            let estimate = row.cells[place]?.estimate;
            Some(IntervalRow {
                name: row.name.clone(),
                mean: estimate.mean,
                half_width: estimate.margin,
                marked: OURS.iter().any(|ours| row.name.starts_with(ours)),
            })
        };
        let rows: Vec<_> = table.rows.iter().filter_map(row).collect();
        let chart = IntervalChart {
            title: column.name.to_owned(),
            shares: column.unit == Unit::Share,
            rows,
        };
        (chart.rows.len() > 1).then(|| Chart {
            table: table.title.clone(),
            column: column.name.to_owned(),
            path: format!("{stem}/chart-{}.svg", number + 1),
            svg: chart.to_svg(),
        })
    };
    tables.iter().enumerate().filter_map(chart).collect()
}

/// The tables of all measurements, everything in the order in which it is first there.
fn tables(repetitions: &[Repeated], source: &Source) -> Vec<ResultTable> {
    let all = || repetitions.iter().flat_map(|it| &it.values);
    let titles = in_order(all().map(|it| &it.table));
    let table = |title: &String| {
        let of_table = || all().filter(move |it| it.table == *title);
        let columns = in_order(of_table().map(|it| (&it.column, it.unit)));
        let rows = in_order(of_table().map(|it| &it.row));
        let cell = |row: &String, column: &String| {
            let values = of_table().filter(|it| it.row == *row && it.column == *column);
            let values: Vec<f64> = values.map(|it| it.value).collect();
            Some(Cell {
                estimate: source.estimate(&values)?,
                repetitions: values.len(),
            })
        };
        let row = |name: &&String| ResultRow {
            name: (*name).clone(),
            labels: repetitions
                .iter()
                .find_map(|it| it.labels.get(*name))
                .cloned(),
            cells: columns
                .iter()
                .map(|(column, _)| cell(name, column))
                .collect(),
        };
        ResultTable {
            title: title.clone(),
            rows: rows.iter().map(row).collect(),
            columns: columns
                .iter()
                .map(|&(name, unit)| ResultColumn {
                    name: name.clone(),
                    unit,
                })
                .collect(),
        }
    };
    titles.into_iter().map(table).collect()
}

/// Each once, in the order in which it first comes.
fn in_order<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// The paper's numbers that have a place in a table, be it empty.
fn beside(table: &ResultTable, published: &[Published], source: &Source) -> Vec<Beside> {
    let of_these = |number: &&Published| {
        let is_here = number.table.is_none_or(|wanted| wanted == table.title);
        is_here
            && source
                .paper
                .is_none_or(|paper| number.of.starts_with(paper))
    };
    let in_table = |number: &Published| {
        let mut columns = table.columns.iter().enumerate();
        let (column, of_column) = columns.find(|(_, it)| it.name == number.column)?;
        let row = table.rows.iter().find(|it| it.name == number.row);
        let ours = row
            .and_then(|row| row.cells[column])
            .map(|cell| cell.estimate);
        Some(Beside {
            table: table.title.clone(),
            row: number.row.to_owned(),
            column: number.column.to_owned(),
            unit: of_column.unit,
            ours,
            of: number.of,
            paper: number.value,
            gap: ours.map(|ours| ours.mean - number.value),
        })
    };
    published
        .iter()
        .filter(of_these)
        .filter_map(in_table)
        .collect()
}

/// The differences that flipping one switch makes in a number; `None` where it is not there.
fn ledger(
    headline: &Headline,
    config: &ExperimentConfig,
    repetitions: &[Repeated],
    source: &Source,
) -> Option<Ledger> {
    let Column { name, unit } = headline.column;
    let own = config.mode.switches();
    let row = |(switch, flipped): (Switch, Switches)| {
        let differences = repetitions.iter().filter_map(|repetition| {
            let ledger = repetition.ledgers.get(name)?;
            Some(ledger.get(switch.name())? - ledger.get(UNFLIPPED)?)
        });
        Some(LedgerRow {
            switch: switch.name(),
            disagreement: switch.disagreement(),
            from: own.value(switch),
            to: flipped.value(switch),
            difference: source.estimate(&differences.collect::<Vec<_>>())?,
        })
    };
    let rows: Vec<_> = headline.flips(config.mode).filter_map(row).collect();
    (!rows.is_empty()).then(|| Ledger {
        headline: ResultColumn {
            name: name.to_owned(),
            unit,
        },
        rows,
    })
}
