//! The least that an accuracy may be, as a command line says it.

use std::{fmt, str::FromStr};

use neuroinspect_core::class_by_name_or_index;
use neuroinspect_editing::percent;
use neuroinspect_report::{Check, CheckReport};

use crate::{Error, Result};

/// The least that an accuracy may be.
///
/// ```
/// use neuroinspect::check::{Limit, Measure};
///
/// let limit: Limit = "class.heron=0.7".parse()?;
/// assert_eq!(limit.of, Measure::Class("heron".into()));
/// assert_eq!(limit.least, 0.7);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Which accuracy.
    pub of: Measure,
    /// Its least value, from 0 to 1.
    pub least: f64,
}

/// An accuracy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// Over all samples: `average`.
    Average,
    /// Of the class that has the least: `worst_class`.
    WorstClass,
    /// Of the group that has the least: `worst_group`.
    WorstGroup,
    /// Of a class, by name or index: `class.NAME`.
    Class(String),
    /// Of a group, by name: `group.NAME`.
    Group(String),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (of, least) = (text.rsplit_once('='))
            .ok_or("expected an accuracy, '=' and its least value, such as worst_class=0.7")?;
        let of = match of.split_once('.') {
            Some(("class", name)) if !name.is_empty() => Measure::Class(name.to_owned()),
            Some(("group", name)) if !name.is_empty() => Measure::Group(name.to_owned()),
            _ => match of {
                "average" => Measure::Average,
                "worst_class" => Measure::WorstClass,
                "worst_group" => Measure::WorstGroup,
                _ => {
                    return Err(format!(
                        "'{of}' is no accuracy: expected average, worst_class, worst_group, class.NAME or \
                         group.NAME"
                    ));
                }
            },
        };
        match least.parse() {
            Ok(least) if (0.0..=1.0).contains(&least) => Ok(Self { of, least }),
            _ => Err(format!(
                "'{least}' is no share: expected a number from 0 to 1"
            )),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Average => f.write_str("average"),
            Self::WorstClass => f.write_str("worst_class"),
            Self::WorstGroup => f.write_str("worst_group"),
            Self::Class(name) => write!(f, "class.{name}"),
            Self::Group(name) => write!(f, "group.{name}"),
        }
    }
}

impl Measure {
    /// Refuses a class that there is not.
    pub(super) fn check_class(&self, class_names: &[String]) -> Result<()> {
        if let Self::Class(name) = self {
            class_by_name_or_index(class_names, name)?;
        }
        Ok(())
    }
}

impl Limit {
    /// Looks at a report's accuracies.
    pub(super) fn check(&self, report: &CheckReport) -> Result<Check> {
        let metrics = &report.metrics;
        let refuse = |reason: String| Error::Limit {
            limit: self.of.to_string(),
            reason,
        };
        let of_groups = metrics.group_accuracy.as_ref();
        let no_groups =
            || refuse("the samples have no groups; give them some, or leave it out".into());
        let (accuracy, whose) = match &self.of {
            Measure::Average => (Some(metrics.accuracy), String::new()),
            Measure::WorstClass => {
                let name = &report.class_names[metrics.worst_class.0];
                (Some(metrics.worst_class_accuracy), format!(" ({name})"))
            }
            Measure::WorstGroup => {
                let (group, accuracy) = (metrics.worst_group.zip(metrics.worst_group_accuracy))
                    .ok_or_else(no_groups)?;
                (Some(accuracy), format!(" ({})", report.group_names[group]))
            }
            Measure::Class(name) => {
                let class = class_by_name_or_index(&report.class_names, name)?;
                (metrics.class_accuracy[class.0], String::new())
            }
            Measure::Group(name) => {
                let groups = of_groups.ok_or_else(no_groups)?;
                let group = report.group_names.iter().position(|it| it == name);
                let group = group.ok_or_else(|| {
                    refuse(format!(
                        "there are the groups {}",
                        report.group_names.join(", ")
                    ))
                })?;
                (groups[group], String::new())
            }
        };
        Ok(Check {
            name: format!("{} at least {}", self.of, percent(self.least)),
            passed: accuracy.is_some_and(|accuracy| accuracy >= self.least),
            found: match accuracy {
                Some(accuracy) => percent(accuracy) + &whose,
                None => "there are no samples of it".to_owned(),
            },
        })
    }
}
