//! What every way to make a decision layer has in common.

use std::{collections::BTreeMap, fmt};

use burn::tensor::Device;
use neuroinspect_core::{ClassId, DecisionLayer, Groups, NeuronId, Observer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{DeviceTable, EpochRecord, Error, Result, TrainingConfig};

/// A way to make one decision layer out of another, from features.
///
/// The ratio edit is one, plain retraining another; every rival that works on the last layer can be
/// one. Methods that learn by batches share a loop, [`train`](crate::train), and differ in an
/// [`Loss`](crate::Loss) or a [`Sampling`](crate::Sampling); others do what they like with
/// the tables.
///
/// ```
/// use neuroinspect_core::{DecisionLayer, Observer};
/// use neuroinspect_editing::{
///     Citation, DecisionMethod, Fitted, MethodInput, MethodOptions, Result,
/// };
/// use serde::{Deserialize, Serialize};
///
/// /// The bias of every class raised by `-tau ln(prior)`.
/// #[derive(Debug, Serialize, Deserialize)]
/// struct LogitAdjustment { tau: f32 }
///
/// impl DecisionMethod for LogitAdjustment {
///     fn name(&self) -> &'static str { "logit_adjustment" }
///     fn citation(&self) -> Option<Citation> {
///         Some(Citation {
///             text: "Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021",
///             url: "https://arxiv.org/abs/2007.07314",
///         })
///     }
///     fn describe(&self) -> String { format!("adjusts logits by {} times the log prior", self.tau) }
///     fn fit(&self, input: &MethodInput<'_>, _: &mut dyn Observer) -> Result<Fitted> {
///         let train = input.train();
///         let mut bias = input.layer().bias().to_owned();
///         for (class, bias) in bias.iter_mut().enumerate() {
///             let count = train.labels().iter().filter(|label| label.0 == class).count();
///             *bias -= self.tau * (count.max(1) as f32 / train.len() as f32).ln();
///         }
///         Ok(Fitted::new(DecisionLayer::new(input.layer().weight().to_owned(), bias)?))
///     }
/// }
/// # let method: Box<dyn DecisionMethod> = Box::new(LogitAdjustment { tau: 1.0 });
/// # assert_eq!(method.options().unwrap()["tau"], 1.0);
/// ```
pub trait DecisionMethod: MethodOptions + fmt::Debug + Send + Sync {
    /// The name it is recorded under, in snake case; no two methods share one.
    fn name(&self) -> &'static str;

    /// Where it was published; `None` for what is nobody's.
    fn citation(&self) -> Option<Citation>;

    /// Which labels it learns from; by default those that its [training](Self::training) does.
    fn labels(&self) -> LabelsUsed {
        let training = self.training();
        training.map_or(LabelsUsed::Class, TrainingConfig::labels)
    }

    /// Whether the layer depends on the validation samples; by default it does. Where it does not, a
    /// [tuner](crate::Tuner) makes one layer in place of two.
    fn uses_validation(&self) -> bool {
        true
    }

    /// What it does, with its options but for those of its [training](Self::training), in a few words:
    /// a verb comes first.
    fn describe(&self) -> String;

    /// The neurons that it corrects; none where it corrects no neurons.
    fn neurons(&self) -> &[NeuronId] {
        &[]
    }

    /// The class it is to help; `None` where that is no single one: the
    /// [verdict](crate::Verdict) is then on the worst group, or class.
    fn class(&self) -> Option<ClassId> {
        None
    }

    /// How it trains. [Plain retraining](crate::Retrain) so is its control: what that gains too, the
    /// method cannot claim. `None` where it does not train by batches: the best that a verdict then
    /// says of a gain is that it was not compared with retraining.
    fn training(&self) -> Option<&TrainingConfig> {
        None
    }

    /// What its control learns from, where it [trains](Self::training); by default the training samples. A method
    /// that learns from the validation samples, too, names both: more samples are no merit of the method.
    fn control(&self) -> ControlBy {
        ControlBy::Training
    }

    /// Makes the layer.
    ///
    /// The observer hears of progress, and can stop the work.
    ///
    /// # Errors
    ///
    /// When an option is out of range, the input does not have what the method needs, training
    /// diverges, or the observer asks to stop.
    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted>;
}

/// The options of a method as they are recorded: what is needed to do the same again. Whatever is
/// `Serialize` has them.
pub trait MethodOptions {
    /// All of them, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] when they cannot be serialised, or are no struct.
    fn options(&self) -> Result<Map<String, Value>>;
}

impl<M: Serialize> MethodOptions for M {
    fn options(&self) -> Result<Map<String, Value>> {
        let reason = match serde_json::to_value(self) {
            Ok(Value::Object(options)) => return Ok(options),
            Ok(other) => format!("{other} is no object"),
            Err(error) => error.to_string(),
        };
        Err(Error::Options { reason })
    }
}

/// Which labels a method learns from, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LabelsUsed {
    /// None.
    None,
    /// Each sample's class.
    Class,
    /// Classes, and the groups of the validation samples.
    GroupsOfValidation,
    /// Classes, and the groups of the training samples.
    GroupsOfTraining,
}

/// What the control of a method is, plain retraining with the same options, and what it learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlBy {
    /// Retraining on the training samples.
    Training,
    /// Retraining on the training samples and the validation samples.
    Both,
    /// The method itself, which is plain retraining.
    Itself,
}

/// Where a method was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Citation {
    /// Authors, title, venue and year.
    pub text: &'static str,
    /// Where it can be read.
    pub url: &'static str,
}

/// What a method works on.
#[derive(Clone, Copy, Debug)]
pub struct MethodInput<'a> {
    train: &'a DeviceTable,
    validation: &'a DeviceTable,
    layer: &'a DecisionLayer,
}

impl<'a> MethodInput<'a> {
    /// Tables, on one device, and the layer to begin with.
    ///
    /// # Errors
    ///
    /// When a table is empty or does not fit the layer; when the tables are of other classes, or by
    /// another classifier, than each other.
    pub fn new(
        train: &'a DeviceTable,
        validation: &'a DeviceTable,
        layer: &'a DecisionLayer,
    ) -> Result<Self> {
        for (table, name) in [(train, "training"), (validation, "validation")] {
            table.samples().table().check_layer(layer)?;
            if table.is_empty() {
                return Err(Error::EmptyTable { table: name });
            }
        }
        train
            .samples()
            .table()
            .check_alike(validation.samples().table())?;
        Ok(Self {
            train,
            validation,
            layer,
        })
    }

    /// The samples to learn from.
    pub fn train(&self) -> &'a DeviceTable {
        self.train
    }

    /// The samples to choose on: epochs, strengths. Never those that an edit is measured on.
    pub fn validation(&self) -> &'a DeviceTable {
        self.validation
    }

    /// The groups of the samples to learn from, for methods that use
    /// [them](LabelsUsed::GroupsOfTraining).
    ///
    /// # Errors
    ///
    /// [`Error::NoGroups`] when they have none.
    pub fn training_groups(&self) -> Result<&'a Groups> {
        let groups = self.train.groups();
        groups.ok_or(Error::NoGroups { table: "training" })
    }

    /// The groups of the samples to choose on, for methods that use
    /// [them](LabelsUsed::GroupsOfValidation).
    ///
    /// # Errors
    ///
    /// [`Error::NoGroups`] when they have none.
    pub fn validation_groups(&self) -> Result<&'a Groups> {
        let groups = self.validation.groups();
        groups.ok_or(Error::NoGroups {
            table: "validation",
        })
    }

    /// The same, beginning with another layer of the same shape.
    pub(crate) fn with_layer<'b>(&self, layer: &'b DecisionLayer) -> MethodInput<'b>
    where
        'a: 'b,
    {
        MethodInput { layer, ..*self }
    }

    /// The same, learning from another of its tables.
    pub(crate) fn with_train(&self, train: &'a DeviceTable) -> Self {
        Self { train, ..*self }
    }

    /// The layer to begin with.
    pub fn layer(&self) -> &'a DecisionLayer {
        self.layer
    }

    /// The device to compute on.
    pub fn device(&self) -> &'a Device {
        self.train.device()
    }
}

/// A decision layer made by a method, and how it came to be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fitted {
    /// The layer.
    pub layer: DecisionLayer,
    /// What happened in each epoch; empty where there are no epochs.
    pub epochs: Vec<EpochRecord>,
    /// The epoch whose layer this is, from 1.
    pub kept_epoch: Option<usize>,
    /// Whether training ended for want of a better validation accuracy.
    pub stopped_early: bool,
    /// Numbers that the method settled from the data, by name: an automatic target, a strength that
    /// validation chose.
    pub derived: BTreeMap<String, f64>,
}

impl Fitted {
    /// A layer that took no epochs, and nothing else to be said of.
    pub fn new(layer: DecisionLayer) -> Self {
        Self {
            layer,
            epochs: Vec::new(),
            kept_epoch: None,
            stopped_early: false,
            derived: BTreeMap::new(),
        }
    }

    /// Adds a number that the method settled from the data.
    pub fn with_derived(mut self, name: impl Into<String>, value: f64) -> Self {
        self.derived.insert(name.into(), value);
        self
    }
}
