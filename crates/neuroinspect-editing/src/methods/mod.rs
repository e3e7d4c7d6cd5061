//! The methods that this crate has, by name: the paper's own and its rivals, each on cached features.
//!
//! What of a paper concerns the whole network is adapted to its last layer: each method's
//! documentation says what was taken, and from where.

mod afr;
mod class_bias;
mod class_weighting;
mod contributions;
mod dfr;
mod disc;
mod focal;
mod group_balanced;
mod group_dro;
mod jtt;
mod logistic;
mod logit_adjustment;
mod neuron_tune;
mod random_neurons;
mod ratio;
mod retrain;
mod selection;
mod silence;
mod single_weight;

use neuroinspect_core::{ClassId, NeuronId, check_option};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{
    afr::Afr,
    class_bias::ClassBias,
    class_weighting::ClassWeighting,
    contributions::Con,
    dfr::Dfr,
    disc::{Concept, Disc},
    focal::Focal,
    group_balanced::GroupBalanced,
    group_dro::GroupDro,
    jtt::Jtt,
    logit_adjustment::{AdjustmentForm, LogitAdjustment},
    neuron_tune::NeuronTune,
    random_neurons::RandomNeurons,
    ratio::{EditConfig, EditScope, RatioEdit, RatioForm, RatioNorm, Target, check_neurons},
    retrain::Retrain,
    selection::SelectiveFinetuning,
    silence::Silence,
    single_weight::SingleWeight,
};

use crate::{DecisionMethod, Error, Keep, Mend, MethodRecord, Result, TrainingConfig};

/// What observers are told is going on, whichever method it is.
const STAGE: &str = "editing";

/// What a method may be told of what it is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MethodArguments {
    /// The class to be helped, if it is one.
    pub class: Option<ClassId>,
    /// The neurons to be corrected; none where none are suspected.
    pub neurons: Vec<NeuronId>,
    /// How to train.
    pub training: TrainingConfig,
    /// What may mislead; none where no concepts are known.
    pub concepts: Vec<Concept>,
}

/// Checks that no epoch is chosen by the validation samples, where those are learnt from.
fn check_keep(training: &TrainingConfig) -> Result<()> {
    let keep = training.keep;
    let expected = "last, as the validation samples are learnt from";
    let given = format!("{keep:?}");
    Ok(check_option(
        "training.keep",
        given,
        keep == Keep::Last,
        expected,
    )?)
}

/// A method that can be made of [`MethodArguments`], all other options at their defaults.
pub(crate) trait FromArguments:
    DecisionMethod + Serialize + DeserializeOwned + Sized
{
    fn from_arguments(arguments: &MethodArguments) -> Result<Self>;

    /// The options worth trying, as [`grid_of`] has them; none where the method chooses for itself, or has
    /// nothing to choose.
    fn grid() -> Value {
        Value::Null
    }
}

impl MethodArguments {
    fn class(&self, method: &'static str) -> Result<ClassId> {
        let what = "the class to be helped";
        self.class.ok_or(Error::Missing { method, what })
    }

    fn neurons(&self, method: &'static str) -> Result<Vec<NeuronId>> {
        let what = "the neurons to be corrected, which a ranking names (`explain` of the program)";
        match self.neurons.is_empty() {
            true => Err(Error::Missing { method, what }),
            false => Ok(self.neurons.clone()),
        }
    }
}

macro_rules! methods {
    ($($method:ident),* $(,)?) => {
        /// The names of all methods of this crate.
        pub const METHODS: &[&str] = &[$($method::NAME),*];

        /// What the method of a [name](METHODS) does, in a sentence for whoever chooses among them.
        ///
        /// # Errors
        ///
        /// When there is no method of that name.
        ///
        /// ```
        /// let about = neuroinspect_editing::about_method("silence")?;
        /// assert_eq!(about, "Sets the neurons to zero and retrains without them.");
        /// # Ok::<(), neuroinspect_editing::Error>(())
        /// ```
        pub fn about_method(name: &str) -> Result<&'static str> {
            match name {
                $($method::NAME => Ok($method::ABOUT),)*
                _ => Err(unknown(name)),
            }
        }

        /// The method of a [name](METHODS), made of `arguments`; `options` are laid over its defaults,
        /// those of [`DecisionMethod::options`](crate::MethodOptions::options), object by object.
        ///
        /// # Errors
        ///
        /// When there is no method of that name, it lacks an argument, or an option is unknown to it
        /// or of another type.
        ///
        /// ```
        /// use neuroinspect_editing::{MethodArguments, method_named};
        ///
        /// let mut options = serde_json::Map::new();
        /// options.insert("factor".into(), 20.0.into());
        /// let method = method_named("jtt", &MethodArguments::default(), &options)?;
        /// assert_eq!(method.options()?["factor"], 20.0);
        /// # Ok::<(), neuroinspect_editing::Error>(())
        /// ```
        pub fn method_named(
            name: &str,
            arguments: &MethodArguments,
            options: &Map<String, Value>,
        ) -> Result<Box<dyn DecisionMethod>> {
            match name {
                $($method::NAME => Ok(Box::new(configured::<$method>(arguments, options)?)),)*
                _ => Err(unknown(name)),
            }
        }

        /// The options of a method that are worth trying: in place of each a list of values, the default
        /// first. Empty for a method that chooses for itself, or has nothing to choose.
        ///
        /// # Errors
        ///
        /// When there is no method of that name.
        pub fn grid_of(name: &str) -> Result<Map<String, Value>> {
            let grid = match name {
                $($method::NAME => $method::grid(),)*
                _ => return Err(unknown(name)),
            };
            Ok(grid.as_object().cloned().unwrap_or_default())
        }

        /// The method of a record, where it is one of this crate's with exactly these options.
        pub(crate) fn known(record: &MethodRecord) -> Option<Box<dyn DecisionMethod>> {
            match &*record.name {
                $($method::NAME => Some(Box::new(record.parse::<$method>()?)),)*
                _ => None,
            }
        }
    };
}

methods!(
    RatioEdit,
    Retrain,
    ClassBias,
    LogitAdjustment,
    ClassWeighting,
    Focal,
    Con,
    Silence,
    SingleWeight,
    RandomNeurons,
    NeuronTune,
    Jtt,
    Afr,
    SelectiveFinetuning,
    Disc,
    Dfr,
    GroupDro,
    GroupBalanced,
    Mend,
);

fn unknown(name: &str) -> Error {
    Error::UnknownMethod {
        name: name.to_owned(),
        known: METHODS.join(", "),
    }
}

fn configured<M: FromArguments>(
    arguments: &MethodArguments,
    options: &Map<String, Value>,
) -> Result<M> {
    let mut all = Value::Object(M::from_arguments(arguments)?.options()?);
    overlay(&mut all, Value::Object(options.clone()));
    M::deserialize(all).map_err(|error| Error::Options {
        reason: error.to_string(),
    })
}

/// Lays values over others, object by object.
fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                overlay(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests;
