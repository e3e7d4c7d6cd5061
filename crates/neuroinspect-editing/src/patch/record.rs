//! A method as it was used.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{DecisionMethod, Fitted, Result};

/// A method as it was used once: its name, its options, and what it settled from the data.
///
/// Methods that this version of neuroinspect does not know, or not with these options, are recorded
/// all the same: their patches can be applied, reverted and passed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MethodRecord {
    /// The method's [name](DecisionMethod::name).
    pub name: String,
    /// All of its options.
    pub options: Map<String, Value>,
    /// Numbers it settled from the data, by name.
    pub derived: BTreeMap<String, f64>,
    /// The epoch whose layer was kept, from 1; `None` where there are no epochs.
    pub kept_epoch: Option<usize>,
}

impl MethodRecord {
    /// What a method has made, and with which options.
    ///
    /// # Errors
    ///
    /// As [`MethodOptions::options`](crate::MethodOptions::options).
    pub fn new(method: &dyn DecisionMethod, fitted: &Fitted) -> Result<Self> {
        Ok(Self {
            name: method.name().to_owned(),
            options: method.options()?,
            derived: fitted.derived.clone(),
            kept_epoch: fitted.kept_epoch,
        })
    }

    /// The method, where this version knows it with exactly these options: to do the same again.
    pub fn known(&self) -> Option<Box<dyn DecisionMethod>> {
        crate::methods::known(self)
    }

    /// The options as those of a certain method. `None` where one is unknown to it, or one of its own
    /// is missing: today's default need not be what was done.
    pub fn parse<M: Serialize + DeserializeOwned>(&self) -> Option<M> {
        let options = Value::Object(self.options.clone());
        let method = M::deserialize(&options).ok()?;
        (serde_json::to_value(&method).ok()? == options).then_some(method)
    }
}

/// What was done, in a sentence for people.
impl fmt::Display for MethodRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(method) => {
                f.write_str(&method.describe())?;
                if let Some(training) = method.training() {
                    write!(f, ", with seed {}", training.seed.0)?;
                }
            }
            None => write!(
                f,
                "made by '{}', a method or options this version does not know",
                self.name
            )?,
        }
        for (name, value) in &self.derived {
            write!(f, "; {name} {value:.4}")?;
        }
        match self.kept_epoch {
            Some(epoch) => write!(f, "; layer of epoch {epoch}"),
            None => Ok(()),
        }
    }
}
