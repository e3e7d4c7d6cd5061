//! How a checkpoint and a module fit together.

use std::{collections::BTreeMap, fmt};

use neuroinspect_core::nearest_name;
use serde::{Deserialize, Serialize};

use super::names::{is_counter, unprefixed};

/// Tensors named in a message before "and n more".
const SHOWN: usize = 8;

/// What of a checkpoint went into a module, tensor by tensor; names as in PyTorch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Loaded.
    pub applied: Vec<String>,
    /// Parameters of the module that the checkpoint does not have.
    pub missing: Vec<String>,
    /// Tensors of the checkpoint that the module does not have; and what was saved beside the
    /// weights and is named as a parameter of the module is, by its name in the file, as which of
    /// the two is meant cannot be told.
    pub unused: Vec<String>,
    /// In both, but of different shape; not loaded.
    pub mismatched: Vec<Mismatch>,
    /// What of the file is not taken for weights, by the names in the file: the step counters of
    /// batch normalisation and, where the weights were saved under a key such as `state_dict`, what
    /// was saved beside them.
    #[serde(default)]
    pub set_aside: Vec<String>,
    /// For a missing name the unused one most like it, where one is.
    pub hints: BTreeMap<String, String>,
}

/// A tensor of another shape than its parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Name of both.
    pub name: String,
    /// Shape of the module's parameter.
    pub expected: Vec<usize>,
    /// Shape of the checkpoint's tensor.
    pub found: Vec<usize>,
}

impl LoadReport {
    /// Compares the shapes a module expects with those a checkpoint has, besides what it sets
    /// aside.
    pub(super) fn new(
        expected: &BTreeMap<String, Vec<usize>>,
        found: &BTreeMap<String, Vec<usize>>,
        set_aside: &[String],
    ) -> Self {
        let mut report = Self::default();
        for (name, shape) in expected {
            match found.get(name) {
                None => report.missing.push(name.clone()),
                // Burn has no scalars: a parameter of rank 0 is one of shape [1].
                Some(other) if other == shape || (other.is_empty() && *shape == [1]) => {
                    report.applied.push(name.clone());
                }
                Some(other) => report.mismatched.push(Mismatch {
                    name: name.clone(),
                    expected: shape.clone(),
                    found: other.clone(),
                }),
            }
        }
        let unused = found.keys().filter(|name| !expected.contains_key(*name));
        report.unused = unused.cloned().collect();
        // Quadratic: for messages about a few names, not for two different networks.
        for name in report.missing.iter().take(SHOWN) {
            let unused = report.unused.iter().map(String::as_str);
            if let Some(nearest) = nearest_name(name, unused) {
                report.hints.insert(name.clone(), nearest.to_owned());
            }
        }
        let is_parameter =
            |name: &String| expected.contains_key(name) || expected.contains_key(unprefixed(name));
        let (ambiguous, no_weights): (Vec<_>, Vec<_>) =
            set_aside.iter().cloned().partition(is_parameter);
        report.unused.extend(ambiguous);
        report.set_aside = no_weights;
        report
    }

    /// Whether every tensor found its parameter and every parameter its tensor.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.applied.len() + self.missing.len() + self.mismatched.len();
        write!(f, "{} of {expected} tensors loaded", self.applied.len())?;
        let missing = self.missing.iter().map(|name| match self.hints.get(name) {
            Some(hint) => format!("{name} (is it '{hint}'?)"),
            None => name.clone(),
        });
        list(f, "missing", missing)?;
        let mismatched = self.mismatched.iter().map(|it| {
            format!(
                "{} (expected {:?}, found {:?})",
                it.name, it.expected, it.found
            )
        });
        list(f, "of another shape", mismatched)?;
        list(f, "unused", self.unused.iter().cloned())?;
        // That counters are no weights is no news.
        let beside = self.set_aside.iter().filter(|name| !is_counter(name));
        let beside: Vec<String> = beside.cloned().collect();
        list(f, "set aside", beside.into_iter())
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    items: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let count = items.len();
    if count == 0 {
        return Ok(());
    }
    let shown: Vec<_> = items.take(SHOWN).collect();
    write!(f, "\n  {count} {what}: {}", shown.join(", "))?;
    match count - shown.len() {
        0 => Ok(()),
        more => write!(f, ", and {more} more"),
    }
}
