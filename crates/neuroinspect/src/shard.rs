//! Which part of a work that several processes share one of them does.

use std::{fmt, str::FromStr};

use serde::Serialize;

use crate::{Error, Result};

/// A part of an atlas, or of the features of a data set, by its number, counted from 0, and how many there are: `2/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Part `index` of `count`.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] where there is no such part.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        match index < count {
            true => Ok(Self { index, count }),
            false => Err(Error::Shard {
                text: format!("{index}/{count}"),
            }),
        }
    }

    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// The number that a scheduler has given this process, and of how many where it says so: of a Slurm
    /// array (`SLURM_ARRAY_TASK_ID` and `SLURM_ARRAY_TASK_COUNT`) or of an indexed job of Kubernetes
    /// (`JOB_COMPLETION_INDEX`). The count is that of the jobs submitted now, so that the one that was planned
    /// comes before it.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] for a variable that holds no number.
    pub fn of_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<(usize, Option<usize>)>> {
        let number = |name: &str| {
            let text = variable(name).filter(|text| !text.is_empty());
            let parsed = text.map(|text| {
                let refuse = |_| Error::Shard {
                    text: format!("{name}={text}"),
                };
                text.parse::<usize>().map_err(refuse)
            });
            parsed.transpose()
        };
        if let Some(index) = number("SLURM_ARRAY_TASK_ID")? {
            return Ok(Some((index, number("SLURM_ARRAY_TASK_COUNT")?)));
        }
        Ok(number("JOB_COMPLETION_INDEX")?.map(|index| (index, None)))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::Shard {
            text: text.to_owned(),
        };
        let (index, count) = text.split_once('/').ok_or_else(refuse)?;
        let number = |text: &str| text.trim().parse().map_err(|_| refuse());
        Self::new(number(index)?, number(count)?).map_err(|_| refuse())
    }
}

/// Numbers in rising order as the schedulers of arrays take them: `0,2-5,9`.
pub fn array_expression(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run[0].to_string(),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parts_of_a_whole() {
        let shard: Shard = "2/8".parse().unwrap();
        assert_eq!((shard.index(), shard.count()), (2, 8));
        assert_eq!(shard.to_string(), "2/8");
        for text in ["8/8", "0/0", "2", "a/8", "-1/8", "1/2/3", ""] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn schedulers_number_their_jobs() {
        let of = |variables: &'static [(&str, &str)]| {
            Shard::of_environment(move |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let slurm: &[_] = &[
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(of(slurm).unwrap(), Some((3, Some(4))));
        let kubernetes: &[_] = &[("JOB_COMPLETION_INDEX", "5")];
        assert_eq!(of(kubernetes).unwrap(), Some((5, None)));
        assert_eq!(of(&[]).unwrap(), None);
        let error = of(&[("SLURM_ARRAY_TASK_ID", "x")]).unwrap_err();
        assert!(
            error.to_string().contains("SLURM_ARRAY_TASK_ID=x"),
            "{error}"
        );
    }

    #[test]
    fn arrays_are_written_in_runs() {
        for (numbers, expected) in [
            (&[][..], ""),
            (&[4], "4"),
            (&[0, 1], "0-1"),
            (&[0, 2, 3, 4, 9], "0,2-4,9"),
        ] {
            assert_eq!(array_expression(numbers), expected);
        }
    }
}
