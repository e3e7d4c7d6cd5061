//! How an edited layer was made.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error as _};
use serde_json::{Map, Value};

use crate::{DecisionMethod, Fitted, RatioEdit, Result, Retrain};

/// How an edited layer was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditRecord {
    /// Name of the classifier.
    pub model: String,
    /// Version of neuroinspect.
    pub version: String,
    /// By which method, with which options.
    pub method: MethodRecord,
}

/// A method as it was used once: its name, its options, and what it settled from the data.
///
/// Methods that this version of neuroinspect does not know, or not with these options, are recorded
/// all the same: their patches can be applied, reverted and passed on.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// The fields of a record in files of version 2.
#[derive(Deserialize)]
struct Fields {
    name: String,
    options: Map<String, Value>,
    derived: BTreeMap<String, f64>,
    kept_epoch: Option<usize>,
}

impl EditRecord {
    /// A recipe of this version of neuroinspect for a decision layer of the classifier `model`.
    pub fn new(model: impl Into<String>, method: MethodRecord) -> Self {
        Self {
            model: model.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            method,
        }
    }

    /// The recipe of what a method has made.
    ///
    /// # Errors
    ///
    /// As [`DecisionMethod::options`].
    pub fn of(
        model: impl Into<String>,
        method: &dyn DecisionMethod,
        fitted: &Fitted,
    ) -> Result<Self> {
        let method = MethodRecord {
            name: method.name().to_owned(),
            options: method.options()?,
            derived: fitted.derived.clone(),
            kept_epoch: fitted.kept_epoch,
        };
        Ok(Self::new(model, method))
    }
}

impl MethodRecord {
    /// The method, where this version knows it with exactly these options: to do the same again.
    pub fn known(&self) -> Option<Box<dyn DecisionMethod>> {
        match &*self.name {
            RatioEdit::NAME => Some(Box::new(self.parse::<RatioEdit>()?)),
            Retrain::NAME => Some(Box::new(self.parse::<Retrain>()?)),
            _ => None,
        }
    }

    /// The options as those of a certain method. `None` where one is unknown to it, or one of its own
    /// is missing: today's default need not be what was done.
    pub fn parse<M: Serialize + DeserializeOwned>(&self) -> Option<M> {
        let options = Value::Object(self.options.clone());
        let method = M::deserialize(&options).ok()?;
        (serde_json::to_value(&method).ok()? == options).then_some(method)
    }

    /// A record of version 1, where options, target and epoch stood side by side, and those of
    /// training among those of the edit.
    fn of_version_1(name: String, options: Map<String, Value>) -> Self {
        let plain = Self {
            name,
            options,
            derived: BTreeMap::new(),
            kept_epoch: None,
        };
        let translated = plain.translated();
        translated.unwrap_or(plain)
    }

    /// What version 1 recorded of a ratio edit, as it is recorded today; `None` where something is
    /// missing or unknown.
    fn translated(&self) -> Option<Self> {
        const OF_THE_EDIT: [&str; 4] = ["target", "ratio_form", "ratio_norm", "lambda3"];
        let mut options = self.options.clone();
        let target = options.remove("target")?.as_f64()?;
        let kept_epoch = usize::try_from(options.remove("best_epoch")?.as_u64()?).ok()?;
        let config = options.get_mut("config")?.as_object_mut()?;
        let (edit, mut training): (Map<_, _>, Map<_, _>) = std::mem::take(config)
            .into_iter()
            .partition(|(option, _)| OF_THE_EDIT.contains(&&**option));
        // Version 1 knew of no skipped epochs.
        training.insert("skipped_epochs".to_owned(), 0.into());
        config.extend(edit);
        config.insert("training".to_owned(), training.into());
        let record = Self {
            name: self.name.clone(),
            options,
            derived: BTreeMap::from([(RatioEdit::TARGET.to_owned(), target)]),
            kept_epoch: Some(kept_epoch),
        };
        (record.name == RatioEdit::NAME && record.known().is_some()).then_some(record)
    }
}

impl<'de> Deserialize<'de> for MethodRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAME: &str = "name";
        let mut all = Map::deserialize(deserializer)?;
        if all.contains_key("options") {
            let fields = Fields::deserialize(Value::Object(all)).map_err(D::Error::custom)?;
            let Fields {
                name,
                options,
                derived,
                kept_epoch,
            } = fields;
            return Ok(Self {
                name,
                options,
                derived,
                kept_epoch,
            });
        }
        match all.remove(NAME) {
            Some(Value::String(name)) => Ok(Self::of_version_1(name, all)),
            _ => Err(D::Error::missing_field(NAME)),
        }
    }
}

/// What was done, in a sentence for people.
impl fmt::Display for MethodRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.known() {
            Some(method) => f.write_str(&method.describe())?,
            None if [RatioEdit::NAME, Retrain::NAME].contains(&&**name) => {
                write!(
                    f,
                    "made by '{name}', with options this version does not know"
                )?;
            }
            None => write!(f, "made by '{name}', a method this version does not know")?,
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
