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
        let same = |what: &str, value: &dyn Fn(&Self) -> String| {
            let (one, two) = (value(self), value(other));
            match one == two {
                true => Ok(()),
                false => Err(Error::DifferentTables {
                    what: what.to_owned(),
                    one: self.in_its_data(&one),
                    other: other.in_its_data(&two),
                }),
            }
        };
        same("model", &|table| table.provenance().model.clone())?;
        same("SHA-256 of the weights", &|table| {
            let sha256 = table.provenance().weights_sha256.clone();
            sha256.unwrap_or_else(|| "unknown".into())
        })?;
        same("model input", &|table| {
            format!("{:?}", table.provenance().input)
        })?;
        same("layer", &|table| table.provenance().layer.clone())?;
        same("precision", &|table| {
            table.provenance().precision.to_string()
        })?;
        same("number of neurons", &|table| table.neurons().to_string())
    }

    /// A value with the data set it is of, where that is known.
    fn in_its_data(&self, value: &str) -> String {
        match &self.provenance().dataset {
            Some(dataset) => format!("{value} (on '{dataset}')"),
            None => value.to_owned(),
        }
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
