//! Whether feature tables can be used together.

use crate::{Error, FeatureTable, Result};

impl FeatureTable {
    /// Checks that two tables can be used together: the same class names in the same order, and
    /// features by the same classifier. Mixed up, they would be used for one class under another's
    /// name, or with features that a decision layer has never seen the like of. The data sets may
    /// differ.
    ///
    /// # Errors
    ///
    /// [`Error::DifferentTables`] naming the first difference.
    pub fn check_alike(&self, other: &Self) -> Result<()> {
        check_same_classes(self.class_names(), other.class_names())?;
        let (one, two) = (self.provenance(), other.provenance());
        let named = |sha256: &Option<String>| sha256.clone().unwrap_or_else(|| "unknown".into());
        let (hash, other_hash) = (named(&one.weights_sha256), named(&two.weights_sha256));
        let input = |input| format!("{input:?}");
        let neurons = |table: &Self| table.neurons().to_string();
        same("model", one.model.clone(), two.model.clone())?;
        same("SHA-256 of the weights", hash, other_hash)?;
        same("model input", input(&one.input), input(&two.input))?;
        same("number of neurons", neurons(self), neurons(other))
    }
}

/// Checks that two lists of class names are the same, in the same order: what
/// [`FeatureTable::check_alike`] asks of tables can be asked of data sets before features are
/// computed from them.
///
/// # Errors
///
/// [`Error::DifferentTables`] naming the first difference.
pub fn check_same_classes(one: &[String], other: &[String]) -> Result<()> {
    let count = |names: &[String]| names.len().to_string();
    same("number of classes", count(one), count(other))?;
    for (class, (one, other)) in one.iter().zip(other).enumerate() {
        let what = format!("name of class {class}");
        same(&what, format!("'{one}'"), format!("'{other}'"))?;
    }
    Ok(())
}

fn same(what: &str, one: String, other: String) -> Result<()> {
    if one == other {
        return Ok(());
    }
    Err(Error::DifferentTables {
        what: what.to_owned(),
        one,
        other,
    })
}
