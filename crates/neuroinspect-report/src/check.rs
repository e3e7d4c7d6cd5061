//! What a check of a classifier found: limits, and what is otherwise than in an earlier check.

use std::path::Path;

use neuroinspect_core::{ClassId, Metrics, NeuronId, io::write_atomically};
use neuroinspect_counterfactual::{Ranking, Stability};
use serde::{Deserialize, Serialize};

use crate::{Result, Run, Schema, html, write_json};

/// What a classifier was checked for, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// Each thing looked at, in order.
    pub checks: Vec<Check>,
    /// Accuracy on average, per class, and per group where the samples have groups.
    pub metrics: Metrics,
    /// Names of the `K` classes.
    pub class_names: Vec<String>,
    /// Names of the groups, where the samples have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_names: Vec<String>,
    /// How many neurons the decision layer reads.
    pub neurons: usize,
    /// What the mistakes and the probability of a class rest on, for each class looked at.
    pub classes: Vec<ClassCheck>,
    /// What is otherwise than in the earlier check, where there is one.
    pub changes: Vec<NeuronChange>,
    /// How it was made.
    pub run: Run,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What is asked for, such as `worst_group at least 80.0%`.
    pub name: String,
    /// Whether it is so.
    pub passed: bool,
    /// What was found.
    pub found: String,
}

/// What a class's mistakes and probability rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClassCheck {
    /// The class.
    pub class: ClassId,
    /// The neurons behind its mistakes; none where it has no mistakes.
    pub ranking: Option<Ranking>,
    /// What becomes of the ranking where the mistakes are drawn again.
    pub stability: Option<Stability>,
    /// The neurons that its probability rests on most, either way, the most first.
    pub relies_on: Vec<Reliance>,
}

/// How much of a class's probability rests on a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reliance {
    /// The neuron.
    pub neuron: NeuronId,
    /// Its importance: the probability of the class at mean activations, over the same with the neuron
    /// at 0.
    pub importance: f64,
}

/// A neuron that is otherwise than in the earlier check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeuronChange {
    /// For which class.
    pub class: ClassId,
    /// The neuron.
    pub neuron: NeuronId,
    /// What of it.
    pub of: ChangeOf,
    /// What it was; none for a neuron that was not listed.
    pub before: Option<f64>,
    /// What it is; none for a neuron that is not listed any more.
    pub after: Option<f64>,
    /// Whether mistakes or probability rest on it more than before.
    pub grew: bool,
}

/// What of a neuron is otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeOf {
    /// Its prec@K as insufficient.
    Insufficient,
    /// Its prec@K as excessive.
    Excessive,
    /// Its importance.
    Importance,
}

impl ChangeOf {
    /// As people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Insufficient => "share of mistakes in which it is too weak",
            Self::Excessive => "share of mistakes in which it is too strong",
            Self::Importance => "importance",
        }
    }
}

impl CheckReport {
    /// Name of the file of the results themselves.
    pub const JSON_FILE: &str = "check.json";
    /// Name of the file of the page for people.
    pub const HTML_FILE: &str = "check.html";

    /// Whether all is as it is to be.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// Writes the page and, last, the JSON into a folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When it is not [valid](Self::validate), or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        let folder = folder.as_ref();
        let page = html::check_page(self).into_string();
        write_atomically(folder.join(Self::HTML_FILE), |out| {
            out.write_all(page.as_bytes())
        })?;
        write_json(folder.join(Self::JSON_FILE), Schema::CHECK, self)
    }

    /// Writes the checks as JUnit's XML, which systems for continuous integration show: one suite, a
    /// test case each.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_junit(&self, path: impl AsRef<Path>) -> Result<()> {
        let xml = html::junit(self).into_string();
        // XML 1.0 has no place for control characters, escaped or not.
        let allowed = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        let xml: String = xml.chars().filter(allowed).collect();
        Ok(write_atomically(path, |out| out.write_all(xml.as_bytes()))?)
    }
}
