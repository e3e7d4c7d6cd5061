//! What the paper claims, and whether an experiment shows it.

use serde::{Deserialize, Serialize};

use super::{Source, Unit, measured::Column, result::Repeated};
use crate::leaderboard::Estimate;

/// The title of a table of means over other tables, which is no test of its own.
pub(super) const MEAN: &str = "mean of the scenarios";

/// A claim as a comparison of two rows of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClaimRule {
    /// The claim, in a sentence.
    claim: &'static str,
    /// The table that it is looked up in; `None`: each that has both rows, but for that of [means](MEAN).
    table: Option<&'static str>,
    /// The row that is claimed to be higher, and the one that it is higher than.
    rows: [&'static str; 2],
    /// The column compared.
    column: &'static str,
    /// By how much at least; below 0: no lower than by that.
    least: f64,
    /// What guessing comes to in the column.
    chance: Option<f64>,
}

/// A claim of the paper, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    /// The claim.
    pub claim: String,
    /// How it is tested.
    pub rule: String,
    /// The tables that have its rows, and what came out in each; none where no table has them in at least two
    /// repetitions.
    pub tests: Vec<ClaimTest>,
    /// What all tests say.
    pub verdict: ClaimVerdict,
}

/// A claim in one table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimTest {
    /// The table.
    pub table: String,
    /// The difference of the two rows, repetition by repetition.
    pub difference: Estimate,
    /// What the numbers are.
    pub unit: Unit,
    /// Where the 95 % interval of the difference is.
    pub verdict: ClaimVerdict,
    /// Why the numbers cannot test it, where they cannot.
    pub reason: Option<&'static str>,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// The interval is wholly above what is claimed, in every table that tests it.
    Supported,
    /// In some of these tables, and not in others.
    SupportedInPart,
    /// The interval is on neither side of what is claimed: in no table is it shown, though not everywhere is the
    /// opposite.
    Undecided,
    /// The interval is wholly below what is claimed, in every table that tests it.
    Contradicted,
    /// These data cannot say: the rows are not there, there is one repetition only, or what is measured cannot tell
    /// rows apart.
    NotTested,
}

impl ClaimRule {
    /// The first of two rows is higher than the second, in every table that has both.
    pub(super) const fn new(claim: &'static str, rows: [&'static str; 2], column: Column) -> Self {
        Self {
            claim,
            table: None,
            rows,
            column: column.name,
            least: 0.0,
            chance: None,
        }
    }

    /// By so much at least.
    pub(super) const fn by(self, least: f64) -> Self {
        Self { least, ..self }
    }

    /// In one table alone.
    pub(super) const fn within(self, table: &'static str) -> Self {
        Self {
            table: Some(table),
            ..self
        }
    }

    /// It cannot be tested by rows that are no better than guessing, which comes to `chance`.
    pub(super) const fn beyond(self, chance: f64) -> Self {
        Self {
            chance: Some(chance),
            ..self
        }
    }

    /// Tests the claim on the repetitions.
    pub(super) fn test(
        &self,
        tables: &[String],
        repetitions: &[Repeated],
        source: &Source,
    ) -> Claim {
        let tables = tables.iter().filter(|table| match self.table {
            Some(wanted) => *table == wanted,
            None => *table != MEAN,
        });
        let tests: Vec<_> = tables
            .filter_map(|table| self.test_in(table, repetitions, source))
            .collect();
        let [higher, than] = self.rows;
        let least = match self.least {
            0.0 => "0".to_owned(),
            least => least.to_string(),
        };
        Claim {
            claim: self.claim.to_owned(),
            rule: format!(
                "the 95 % interval of \"{higher}\" less \"{than}\" in \"{}\", paired by repetition, is above {least}",
                self.column
            ),
            verdict: ClaimVerdict::of_all(&tests),
            tests,
        }
    }

    fn test_in(&self, table: &str, repetitions: &[Repeated], source: &Source) -> Option<ClaimTest> {
        let of_row = |row| {
            repetitions
                .iter()
                .map(move |it| it.at(table, row, self.column))
        };
        let [higher, than] = self.rows.map(of_row);
        let pairs: Vec<_> = higher.zip(than).filter_map(|(a, b)| a.zip(b)).collect();
        let differences = pairs.iter().map(|(higher, than)| higher.value - than.value);
        let difference = source.estimate(&differences.collect::<Vec<_>>())?;
        let margin = difference.margin?;
        let rows = [
            pairs.iter().map(|(higher, _)| higher.value).collect(),
            pairs.iter().map(|(_, than)| than.value).collect(),
        ];
        let reason = self
            .saturated(table, repetitions)
            .or_else(|| self.at_chance(rows, source));
        let (lower, upper) = (difference.mean - margin, difference.mean + margin);
        Some(ClaimTest {
            table: table.to_owned(),
            difference,
            unit: pairs.first()?.0.unit,
            verdict: match reason {
                Some(_) => ClaimVerdict::NotTested,
                None if lower > self.least => ClaimVerdict::Supported,
                None if upper < self.least => ClaimVerdict::Contradicted,
                None => ClaimVerdict::Undecided,
            },
            reason,
        })
    }

    /// Whether all rows have one number, in all repetitions.
    fn saturated(&self, table: &str, repetitions: &[Repeated]) -> Option<&'static str> {
        let values = repetitions.iter().flat_map(|it| &it.values);
        let mut here = values.filter(|it| it.table == table && it.column == self.column);
        let first = here.next()?.value;
        here.all(|it| it.value == first)
            .then_some("every row has the same number in every repetition")
    }

    /// Whether the rows are too near to chance for the claim to come out either way.
    fn at_chance(&self, rows: [Vec<f64>; 2], source: &Source) -> Option<&'static str> {
        let chance = self.chance?;
        let above = |values: &[f64], line: f64| {
            let estimate = source.estimate(values);
            estimate.is_some_and(|it| it.margin.is_some_and(|margin| it.mean - margin > line))
        };
        let [higher, than] = rows;
        match self.least < 0.0 {
            true => (!above(&than, chance - self.least)).then_some(
                "the second row is so near to chance that none could be lower by as much as that",
            ),
            false => (!above(&higher, chance) && !above(&than, chance))
                .then_some("neither row is above chance"),
        }
    }
}

impl ClaimVerdict {
    /// What tests say together.
    fn of_all(tests: &[ClaimTest]) -> Self {
        let verdicts = tests.iter().map(|test| test.verdict);
        let tested: Vec<_> = verdicts.filter(|it| *it != Self::NotTested).collect();
        let all = |wanted| tested.iter().all(|verdict| *verdict == wanted);
        if tested.is_empty() {
            Self::NotTested
        } else if all(Self::Supported) {
            Self::Supported
        } else if tested.contains(&Self::Supported) {
            Self::SupportedInPart
        } else if all(Self::Contradicted) {
            Self::Contradicted
        } else {
            Self::Undecided
        }
    }
}
