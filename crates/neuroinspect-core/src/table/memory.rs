//! How much of a table may be in memory.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// How many bytes the values of one table may take in memory; 2 GiB by default.
///
/// A table whose values take more stays in its file, and its rows are read when they are asked for. What is computed
/// from it is the same, bit for bit.
///
/// ```
/// use neuroinspect_core::MemoryLimit;
///
/// let limit: MemoryLimit = "1.5GiB".parse()?;
/// assert_eq!(limit.bytes(), 3 << 29);
/// assert_eq!(limit.to_string(), "1.5 GiB");
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryLimit(u64);

/// The units of sizes, the largest first.
const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

impl MemoryLimit {
    /// So many bytes.
    pub const fn of_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whether `[rows, width]` values of 32 bits take no more.
    pub fn holds(self, rows: usize, width: usize) -> bool {
        bytes_of(rows, width) <= self.0
    }

    /// Whether they take no more than an eighth: what may be in memory beside the rest.
    pub fn holds_beside(self, rows: usize, width: usize) -> bool {
        bytes_of(rows, width) <= self.0 / 8
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self(2 << 30)
    }
}

/// Bytes of `[rows, width]` values of 32 bits.
pub(super) fn bytes_of(rows: usize, width: usize) -> u64 {
    let values = (rows as u64).saturating_mul(width as u64);
    values.saturating_mul(size_of::<f32>() as u64)
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.into_iter().find(|&(_, bytes)| self.0 >= bytes) {
            None => write!(f, "{} bytes", self.0),
            Some((unit, bytes)) => {
                let number = format!("{:.2}", self.0 as f64 / bytes as f64);
                let number = number.trim_end_matches('0').trim_end_matches('.');
                write!(f, "{number} {unit}")
            }
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = Error;

    /// A number and a unit, `KiB`, `MiB`, `GiB` or `TiB`, of which the first letter is enough; bytes without one.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::InvalidOption {
            option: "memory",
            value: text.to_owned(),
            expected: "a number of bytes, or of KiB, MiB, GiB or TiB, as in 512MiB or 4G",
        };
        let end = text.find(|it: char| !it.is_ascii_digit() && it != '.');
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let unit = unit.trim();
        let known = |&(name, _): &(&str, u64)| {
            name.eq_ignore_ascii_case(unit)
                || name.as_bytes()[..1].eq_ignore_ascii_case(unit.as_bytes())
        };
        let unit = match unit {
            "" | "B" => 1,
            _ => UNITS.into_iter().find(known).ok_or_else(refuse)?.1,
        };
        let number: f64 = number.parse().map_err(|_| refuse())?;
        Ok(Self((number * unit as f64) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("0", 0, "0 bytes"),
            ("1023", 1023, "1023 bytes"),
            ("7B", 7, "7 bytes"),
            ("1K", 1 << 10, "1 KiB"),
            ("512 MiB", 512 << 20, "512 MiB"),
            ("2g", 2 << 30, "2 GiB"),
            ("2.25GiB", 9 << 28, "2.25 GiB"),
            ("3TiB", 3 << 40, "3 TiB"),
        ] {
            let limit: MemoryLimit = text.parse().unwrap();
            assert_eq!(limit.bytes(), bytes, "{text}");
            assert_eq!(limit.to_string(), written);
        }
        for text in ["", "GiB", "2GB", "two", "-1", "1.2.3K", "1 giant"] {
            let error = text.parse::<MemoryLimit>().unwrap_err().to_string();
            assert!(error.contains("as in 512MiB or 4G"), "{text}: {error}");
        }
    }

    #[test]
    fn a_limit_holds_what_takes_as_much_and_not_a_byte_more() {
        let limit = MemoryLimit::of_bytes(96);
        assert!(limit.holds(6, 4) && !limit.holds(5, 5));
        assert!(limit.holds_beside(3, 1) && !limit.holds_beside(2, 2));
        assert!(!MemoryLimit::of_bytes(u64::MAX - 1).holds(usize::MAX, usize::MAX));
    }
}
