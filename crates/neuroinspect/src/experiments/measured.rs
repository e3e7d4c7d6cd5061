//! What one repetition of an experiment comes to.

use std::collections::BTreeMap;

use image::RgbImage;
use serde::{Deserialize, Serialize};

/// A column of an experiment's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its heading.
    pub(crate) name: &'static str,
    /// What its numbers are.
    pub(crate) unit: Unit,
}

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Shares from 0 to 1, or differences of them; shown in percent.
    Share,
    /// Plain numbers.
    Number,
    /// Seconds.
    Seconds,
}

/// One number, in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measurement {
    pub(super) table: String,
    pub(super) row: String,
    pub(super) column: String,
    pub(super) unit: Unit,
    pub(super) value: f64,
}

/// All that one repetition comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(super) values: Vec<Measurement>,
    /// The labels that rows learn from, by row.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) pictures: Vec<NewPicture>,
}

/// A picture of a repetition, not written yet.
#[derive(Clone, Debug)]
pub(super) struct NewPicture {
    pub(super) title: String,
    pub(super) file: String,
    pub(super) image: RgbImage,
}

impl Measured {
    /// Notes a number. Tables, rows and columns come in the order in which they are first noted; what is not
    /// there, or is no number, leaves its place empty.
    pub(crate) fn put(
        &mut self,
        [table, row]: [&str; 2],
        column: Column,
        value: impl Into<Option<f64>>,
    ) {
        let Some(value) = value.into().filter(|value| value.is_finite()) else {
            return;
        };
        self.values.push(Measurement {
            table: table.to_owned(),
            row: row.to_owned(),
            column: column.name.to_owned(),
            unit: column.unit,
            value: rounded(value),
        });
    }

    /// Notes which labels a row learns from.
    pub(super) fn label(&mut self, row: &str, labels: &str) {
        self.labels.insert(row.to_owned(), labels.to_owned());
    }

    /// Adds a picture; `file` is the name of its PNG, without a folder. Those of the first repetition are shown.
    pub(crate) fn add_picture(
        &mut self,
        title: impl Into<String>,
        file: impl Into<String>,
        image: RgbImage,
    ) {
        self.pictures.push(NewPicture {
            title: title.into(),
            file: file.into(),
            image,
        });
    }
}

/// To nine digits after the point: read from a file again it is the very same number, which `serde_json` does
/// not see to for all digits.
pub(super) fn rounded(value: f64) -> f64 {
    const DIGITS: f64 = 1e9;
    (value * DIGITS).round() / DIGITS
}
