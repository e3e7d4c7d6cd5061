//! Whether tables can be used together.

use crate::{ActivationTable, Error, FeatureTable, Result};

impl ActivationTable {
    /// Checks that two tables can be used together: activations of one layer by one classifier.
    /// Mixed up, what was learnt from the one would be used on activations that it has never seen
    /// the like of. The data sets may differ.
    ///
    /// # Errors
    ///
    /// [`Error::DifferentTables`] naming the first difference.
    pub fn check_alike(&self, other: &Self) -> Result<()> {
        let shown = |table: &Self, value: Option<String>| {
            table.in_its_data(value.as_deref().unwrap_or("unknown"))
        };
        let mut differences = self.provenance().differences(other.provenance());
        if let Some(it) = differences.next() {
            return same(it.what, shown(self, it.one), shown(other, it.other), false);
        }
        let (one, two) = (self.width(), other.width());
        let in_data = |table: &Self, width: usize| table.in_its_data(&width.to_string());
        let (shown, other) = (in_data(self, one), in_data(other, two));
        same("number of neurons", shown, other, one == two)
    }

    /// A value with the data set it is of, where that is known.
    fn in_its_data(&self, value: &str) -> String {
        match &self.provenance().dataset {
            Some(dataset) => format!("{value} (on '{dataset}')"),
            None => value.to_owned(),
        }
    }
}

impl FeatureTable {
    /// Checks that two tables can be used together: the same class names in the same order, without
    /// which they would be used for one class under another's name, and
    /// [activations](ActivationTable::check_alike) of one layer by one classifier. The data sets may
    /// differ.
    ///
    /// # Errors
    ///
    /// [`Error::DifferentTables`] naming the first difference.
    pub fn check_alike(&self, other: &Self) -> Result<()> {
        check_same_classes(self.class_names(), other.class_names())?;
        self.activations().check_alike(other.activations())
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
    let (count, counts) = (one.len(), other.len());
    let what = "number of classes";
    same(what, count.to_string(), counts.to_string(), count == counts)?;
    for (class, (one, other)) in one.iter().zip(other).enumerate() {
        let what = format!("name of class {class}");
        let is_same = one == other;
        same(&what, format!("'{one}'"), format!("'{other}'"), is_same)?;
    }
    Ok(())
}

fn same(what: &str, one: String, other: String, is_same: bool) -> Result<()> {
    if is_same {
        return Ok(());
    }
    Err(Error::DifferentTables {
        what: what.to_owned(),
        one,
        other,
    })
}
