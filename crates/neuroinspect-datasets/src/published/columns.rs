//! Tables in CSV whose columns go by name.

use std::fmt::Display;

use csv::{ReaderBuilder, StringRecord};

use super::files::Text;
use crate::{Error, Result};

/// The rows of a CSV text.
pub(super) struct Columns<'a> {
    text: &'a Text,
    names: StringRecord,
    reader: csv::Reader<&'a [u8]>,
}

/// A row, and the line that it begins in.
pub(super) struct Row<'a> {
    text: &'a Text,
    record: StringRecord,
    pub(super) line: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn of(text: &'a Text) -> Result<Self> {
        let mut reader = ReaderBuilder::new().from_reader(text.text.as_bytes());
        let names = reader.headers().map_err(|error| unreadable(text, &error))?;
        Ok(Self {
            text,
            names: names.clone(),
            reader,
        })
    }

    /// The number of a column.
    pub(super) fn find(&self, name: &str) -> Result<usize> {
        let found = self.names.iter().position(|known| known.trim() == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.names.iter().collect();
            let reason = format!(
                "there is no column '{name}'; there are: {}",
                known.join(", ")
            );
            self.text.wrong(1, reason)
        })
    }

    /// The rows, in their order.
    pub(super) fn rows(self) -> impl Iterator<Item = Result<Row<'a>>> {
        let text = self.text;
        self.reader.into_records().map(move |record| {
            let record = record.map_err(|error| unreadable(text, &error))?;
            let line = record.position().map_or(0, |at| at.line() as usize);
            Ok(Row { text, record, line })
        })
    }
}

impl Row<'_> {
    /// What stands in a column.
    pub(super) fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    /// A number below `count`, in a column of the name `name`.
    pub(super) fn index(&self, column: usize, name: &str, count: usize) -> Result<usize> {
        let text = self.text(column);
        let index = text.parse().ok().filter(|&index| index < count);
        index.ok_or_else(|| {
            let last = count.saturating_sub(1);
            self.wrong(format!(
                "{name} is '{text}'; expected a number from 0 to {last}"
            ))
        })
    }

    /// The error that this row is not what it should be.
    pub(super) fn wrong(&self, reason: impl Display) -> Error {
        self.text.wrong(self.line, reason)
    }
}

fn unreadable(text: &Text, error: &csv::Error) -> Error {
    match error.position() {
        Some(at) => text.wrong(at.line() as usize, error),
        None => text.not_expected(error.to_string()),
    }
}
