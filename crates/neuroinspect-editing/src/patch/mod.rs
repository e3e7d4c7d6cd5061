//! An edit on its own: what changed, what it applies to, and how it was made.

mod io;

use std::fmt;

use ndarray::{Array1, Array2, Axis};
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{EditConfig, EditScope, Error, Result};

/// A patch of a decision layer that can be applied, reverted, inspected and passed on in a file.
///
/// It holds the rows of `W` and `b` that differ, before and after, and the hashes of the whole
/// layer before and after: `8 R (D + 1)` bytes for `R` rows that differ. It applies to that layer alone, and reverting it brings back the exact
/// bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    recipe: Recipe,
    classes: usize,
    neurons: usize,
    sha256_before: String,
    sha256_after: String,
    /// Classes whose row differs, ascending.
    changed: Vec<ClassId>,
    before: Rows,
    after: Rows,
}

/// How an edit was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Name of the classifier.
    pub model: String,
    /// Version of neuroinspect.
    pub version: String,
    /// By which method, with which options.
    pub method: Method,
}

/// A way to make one decision layer out of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// [`edit`](crate::edit): the probability ratio of some neurons is pulled to a target.
    ProbabilityRatio {
        /// The neurons corrected.
        neurons: Vec<NeuronId>,
        /// Whose probability they were to stop deciding.
        scope: EditScope,
        /// The probability ratio `o` aimed at.
        target: f64,
        /// The epoch whose layer was kept, from 1.
        best_epoch: usize,
        /// The options, the seed among them.
        #[serde(deserialize_with = "recorded")]
        config: EditConfig,
    },
    /// One that this version of neuroinspect does not know, or not with these options. Its edits
    /// can be applied and reverted all the same.
    #[serde(skip)]
    Other {
        /// Its name.
        name: String,
        /// What is recorded of it.
        options: Map<String, Value>,
    },
}

/// The name under which [`Method::ProbabilityRatio`] is recorded.
const PROBABILITY_RATIO: &str = "probability_ratio";

/// The key of a recorded method's name, beside its options.
const NAME: &str = "name";

// The derived functions know all methods but `Other`.
impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Other { name, options } = self else {
            return Self::serialize(self, serializer);
        };
        let mut all = options.clone();
        all.insert(NAME.to_owned(), name.clone().into());
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut options = Map::deserialize(deserializer)?;
        match options.get(NAME).and_then(Value::as_str).map(str::to_owned) {
            None => Err(D::Error::missing_field(NAME)),
            Some(name) => {
                let known = Some(Value::Object(options.clone()))
                    .filter(|_| name == PROBABILITY_RATIO)
                    .and_then(|recorded| Self::deserialize(recorded).ok());
                options.remove(NAME);
                Ok(known.unwrap_or(Self::Other { name, options }))
            }
        }
    }
}

/// Options as they were recorded: today's default of a missing one need not be what was done.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EditConfig, D::Error> {
    let options = Value::deserialize(deserializer)?;
    let all = serde_json::to_value(EditConfig::default()).map_err(D::Error::custom)?;
    let mut all = all.as_object().into_iter().flat_map(Map::keys);
    if let Some(missing) = all.find(|&option| options.get(option).is_none()) {
        return Err(D::Error::custom(format!("option `{missing}` is missing")));
    }
    EditConfig::deserialize(options).map_err(D::Error::custom)
}

impl Recipe {
    /// A recipe of this version of neuroinspect for a decision layer of the classifier `model`.
    pub fn new(model: impl Into<String>, method: Method) -> Self {
        Self {
            model: model.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            method,
        }
    }
}

/// What was done, in a sentence for people.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProbabilityRatio {
                neurons,
                scope,
                target,
                best_epoch,
                config,
            } => {
                let names: Vec<String> = neurons.iter().map(ToString::to_string).collect();
                let scope = match scope {
                    EditScope::Class(class) => format!("class {class}"),
                    EditScope::AllClasses => "all classes".to_owned(),
                };
                write!(
                    f,
                    "corrects neurons {} for {scope}, aiming at a probability ratio of {target:.4} \
                     with seed {}; layer of epoch {best_epoch}",
                    names.join(", "),
                    config.seed.0
                )
            }
            Self::Other { name, .. } => {
                write!(f, "made by '{name}', a method this version does not know")
            }
        }
    }
}

/// Some rows of a decision layer.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    /// `[R, D]`
    weight: Array2<f32>,
    /// `[R]`
    bias: Array1<f32>,
}

impl Edit {
    /// The edit that leads from one decision layer to another, however that was made.
    ///
    /// # Errors
    ///
    /// When the layers differ in shape.
    pub fn between(before: &DecisionLayer, after: &DecisionLayer, recipe: Recipe) -> Result<Self> {
        if before.weight().dim() != after.weight().dim() {
            let what = "[classes, neurons] of the edited layer";
            let (expected, found) = (before.weight().dim(), after.weight().dim());
            return Err(neuroinspect_core::Error::shape(what, expected, found).into());
        }
        let changed: Vec<ClassId> = (0..before.classes())
            .map(ClassId)
            .filter(|&class| !row_bits(before, class).eq(row_bits(after, class)))
            .collect();
        Ok(Self {
            recipe,
            classes: before.classes(),
            neurons: before.neurons(),
            sha256_before: before.sha256(),
            sha256_after: after.sha256(),
            before: Rows::of(before, &changed),
            after: Rows::of(after, &changed),
            changed,
        })
    }

    /// The edited layer, from the layer the edit was made for.
    ///
    /// A layer that is edited already comes back as it is: applying twice is applying once.
    ///
    /// # Errors
    ///
    /// [`Error::OtherLayer`] when the edit is for another layer, [`Error::Damaged`] when its values
    /// do not lead to the layer it promises.
    pub fn apply(&self, layer: &DecisionLayer) -> Result<DecisionLayer> {
        self.replace(layer, &self.after, &self.sha256_after)
    }

    /// The layer as it was before the edit, bit by bit, from the edited one.
    ///
    /// A layer that is not edited yet comes back as it is.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn revert(&self, layer: &DecisionLayer) -> Result<DecisionLayer> {
        self.replace(layer, &self.before, &self.sha256_before)
    }

    fn replace(&self, layer: &DecisionLayer, rows: &Rows, promised: &str) -> Result<DecisionLayer> {
        let found = layer.sha256();
        let of_hash = found == self.sha256_before || found == self.sha256_after;
        // A file may promise the hashes of this layer and hold rows of another.
        let (classes, neurons) = (layer.classes(), layer.neurons());
        if !of_hash || self.shape() != [classes, neurons] {
            return Err(Error::OtherLayer {
                model: self.recipe.model.clone(),
                classes: self.classes,
                neurons: self.neurons,
                before: self.sha256_before.clone(),
                after: self.sha256_after.clone(),
                found: format!("{found} ({classes} classes, {neurons} neurons)"),
            });
        }
        let mut weight = layer.weight().to_owned();
        let mut bias = layer.bias().to_owned();
        for (row, class) in self.changed.iter().enumerate() {
            weight.row_mut(class.0).assign(&rows.weight.row(row));
            bias[class.0] = rows.bias[row];
        }
        let replaced = DecisionLayer::new(weight, bias)?;
        let found = replaced.sha256();
        if found != promised {
            let promised = promised.to_owned();
            return Err(Error::Damaged { promised, found });
        }
        Ok(replaced)
    }

    /// How it was made.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Number of classes `K` and neurons `D` of the layer it applies to.
    pub fn shape(&self) -> [usize; 2] {
        [self.classes, self.neurons]
    }

    /// [Hash](DecisionLayer::sha256) of the layer it applies to.
    pub fn sha256_before(&self) -> &str {
        &self.sha256_before
    }

    /// [Hash](DecisionLayer::sha256) of the edited layer.
    pub fn sha256_after(&self) -> &str {
        &self.sha256_after
    }

    /// The classes whose row of the layer it changes, ascending.
    pub fn changed_classes(&self) -> &[ClassId] {
        &self.changed
    }

    /// The largest change of a weight, and of a bias.
    pub fn largest_change(&self) -> (f32, f32) {
        let largest = |values: &mut dyn Iterator<Item = (&f32, &f32)>| {
            values.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()))
        };
        (
            largest(&mut self.before.weight.iter().zip(&self.after.weight)),
            largest(&mut self.before.bias.iter().zip(&self.after.bias)),
        )
    }
}

/// A summary of a few lines, for people.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipe {
            model,
            version,
            method,
        } = &self.recipe;
        let (weight, bias) = self.largest_change();
        let (changed, classes) = (self.changed.len(), self.classes);
        writeln!(
            f,
            "edit of the decision layer of '{model}' ({classes} classes, {} neurons)",
            self.neurons
        )?;
        writeln!(f, "{method}")?;
        writeln!(
            f,
            "changes {changed} of {classes} rows, a weight by at most {weight:.3e}, a bias by at \
             most {bias:.3e}"
        )?;
        writeln!(f, "made by neuroinspect {version}")?;
        writeln!(f, "before {}", self.sha256_before)?;
        write!(f, "after  {}", self.sha256_after)
    }
}

impl Rows {
    fn of(layer: &DecisionLayer, classes: &[ClassId]) -> Self {
        let rows: Vec<usize> = classes.iter().map(|class| class.0).collect();
        Self {
            weight: layer.weight().select(Axis(0), &rows),
            bias: layer.bias().select(Axis(0), &rows),
        }
    }
}

/// The bits of one row of `W` and `b`: a `-0.0` in place of a `0.0` is a change too.
fn row_bits(layer: &DecisionLayer, class: ClassId) -> impl Iterator<Item = u32> {
    let row = layer.weight().row(class.0).to_vec();
    let bias = layer.bias()[class.0];
    row.into_iter().chain([bias]).map(f32::to_bits)
}
