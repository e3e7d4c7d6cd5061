//! What the paper claims, and whether an experiment shows it.

use serde::Serialize;

use super::{Unit, measured::Measurement, result::Repeated};
use crate::leaderboard::Estimate;

/// A claim as a comparison of two rows of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimRule {
    /// The claim, in a sentence.
    pub(crate) claim: &'static str,
    /// The table that it is looked up in; `None`: each that has both rows.
    pub(crate) table: Option<&'static str>,
    /// The row that is claimed to be higher, and the one that it is higher than.
    pub(crate) rows: [&'static str; 2],
    /// The column compared.
    pub(crate) column: &'static str,
    /// By how much at least; below 0: no lower than by that.
    pub(crate) by: f64,
}

/// A claim of the paper, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The claim.
    pub claim: String,
    /// How it is tested.
    pub rule: String,
    /// In which tables it was tested, and what came out; none where it could not be.
    pub tests: Vec<ClaimTest>,
    /// What all tests say.
    pub verdict: ClaimVerdict,
}

/// A claim tested in one table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimTest {
    /// The table.
    pub table: String,
    /// The difference of the two rows, repetition by repetition.
    pub difference: Estimate,
    /// What the numbers are.
    pub unit: Unit,
    /// Whether its 95 % interval is above what is claimed.
    pub verdict: ClaimVerdict,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// In every table.
    Supported,
    /// In some tables, and not in others.
    SupportedInPart,
    /// In none.
    NotSupported,
    /// These data cannot say: the rows are not there, or there is one repetition only.
    NotTested,
}

impl ClaimRule {
    /// Tests the claim on the repetitions.
    pub(super) fn test(&self, tables: &[String], repetitions: &[Repeated]) -> Claim {
        let tables = tables.iter().filter(|table| match self.table {
            Some(wanted) => *table == wanted,
            None => true,
        });
        let tests: Vec<_> = tables
            .filter_map(|table| self.test_in(table, repetitions))
            .collect();
        let supported = tests
            .iter()
            .filter(|test| test.verdict == ClaimVerdict::Supported)
            .count();
        let [higher, than] = self.rows;
        let least = match self.by {
            0.0 => "0".to_owned(),
            by => by.to_string(),
        };
        Claim {
            claim: self.claim.to_owned(),
            rule: format!(
                "the 95 % interval of \"{higher}\" less \"{than}\" in \"{}\", paired by repetition, is above {least}",
                self.column
            ),
            verdict: match (supported, tests.len()) {
                (_, 0) => ClaimVerdict::NotTested,
                (0, _) => ClaimVerdict::NotSupported,
                (some, all) if some == all => ClaimVerdict::Supported,
                _ => ClaimVerdict::SupportedInPart,
            },
            tests,
        }
    }

    fn test_in(&self, table: &str, repetitions: &[Repeated]) -> Option<ClaimTest> {
        let mut unit = Unit::Number;
        let differences = repetitions.iter().filter_map(|repetition| {
            let [higher, than] = self.rows.map(|row| {
                let is_it = |it: &&Measurement| {
                    it.table == table && it.row == row && it.column == self.column
                };
                repetition.values.iter().find(is_it)
            });
            let (higher, than) = (higher?, than?);
            unit = higher.unit;
            Some(higher.value - than.value)
        });
        let difference = Estimate::of_any(&differences.collect::<Vec<_>>())?;
        let lower = difference.mean - difference.margin?;
        Some(ClaimTest {
            table: table.to_owned(),
            difference,
            unit,
            verdict: match lower > self.by {
                true => ClaimVerdict::Supported,
                false => ClaimVerdict::NotSupported,
            },
        })
    }
}
