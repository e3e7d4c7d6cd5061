//! Methods over the repetitions, and the rows that they come to.

use std::{collections::BTreeMap, time::Instant};

use neuroinspect_core::{ClassId, NeuronId, Observer, is_cancellation, with_causes};
use neuroinspect_editing::{
    Chosen, Citation, DecisionMethod, EditConfig, EditScope, GroupBalanced, Keep, LabelsUsed,
    LogitAdjustment, Mend, MethodArguments, MethodInput, RatioEdit, RatioForm, RatioNorm, Retrain,
    Schedule, TrainingConfig, Tuner, method_named,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Scores, score::Measured};
use crate::Result;

/// A method, and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// Its [name](neuroinspect_editing::METHODS).
    pub method: String,
    /// How it is used.
    pub variant: Variant,
    /// The labels it learns from; `None` where it could not be made.
    pub labels: Option<LabelsUsed>,
    /// Where it was published.
    pub paper: Option<Citation>,
    /// What its layers are worth; `None` where it failed.
    pub scores: Option<Scores>,
    /// Of the gap between the layer as it stands and the [ceiling](GroupBalanced), the shares that it
    /// closes.
    pub shares: Shares,
    /// The same of the gap to the ceiling that learns from the validation samples, too.
    pub shares_on_both: Shares,
    /// Seconds that a layer takes on average, the choice of options included and measuring left out.
    pub seconds: f64,
    /// The options that were chosen, laid over the defaults, one for each repetition.
    pub options: Vec<Map<String, Value>>,
    /// [Numbers](neuroinspect_editing::Fitted::derived) that the method settled from the samples, for each
    /// repetition.
    pub derived: Vec<BTreeMap<String, f64>>,
    /// Why there are no scores.
    pub failure: Option<String>,
}

/// How a method is used in a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// On the tables that it takes, for the class to be helped and its suspected neurons.
    #[default]
    Usual,
    /// Learning from the validation samples beside the training samples, as `auto` does, with the options
    /// that were chosen for the usual one.
    BothTables,
    /// For no class more than for another.
    AllClasses,
    /// As the demo edits: all neurons that the ranking lists, each with a ratio of its own.
    AsDemo,
}

/// Shares of a gap that a method closes; `None` where there is hardly a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shares {
    /// In the average.
    pub average: Option<f64>,
    /// In the worst group.
    pub worst_group: Option<f64>,
}

/// The smallest gap, two points, of which shares are given. Of a smaller one they would be noise: in the
/// worst of many small groups a single sample makes as much.
const SMALLEST_GAP: f64 = 0.02;

impl Shares {
    pub(super) fn of(scores: Option<&Scores>, before: &Scores, ceiling: Option<&Scores>) -> Self {
        let share = |value: &dyn Fn(&Scores) -> Option<f64>| {
            let before = value(before)?;
            let gap = value(ceiling?)? - before;
            // Of a gap that is none, nothing is closed.
            (gap >= SMALLEST_GAP).then_some((value(scores?)? - before) / gap)
        };
        Self {
            average: share(&|scores| Some(scores.average.mean)),
            worst_group: share(&|scores| Some(scores.worst_group?.mean)),
        }
    }
}

/// The demo's options of the ratio edit.
pub(crate) fn editing_of_all_listed() -> EditConfig {
    let training = TrainingConfig::default()
        .with_learning_rate(2e-3)
        .with_keep(Keep::Last)
        .with_schedule(Schedule::Warmup)
        .with_epochs(20, None);
    EditConfig::default()
        .with_ratio(RatioForm::PerNeuron, RatioNorm::L2)
        .with_lambda3(1.0)
        .with_training(training)
}

/// What the methods of a repetition work on.
pub(super) struct Inputs<'a> {
    pub(super) usual: MethodInput<'a>,
    /// Learning from the validation samples, too.
    pub(super) on_both: MethodInput<'a>,
    pub(super) arguments: MethodArguments,
    /// Where `auto` is among the methods.
    pub(super) mends: Option<Mends>,
    /// All neurons that the ranking lists.
    pub(super) listed: Vec<NeuronId>,
    pub(super) tuner: Option<Tuner<'a>>,
}

/// What `auto` makes: for the class to be helped, for all classes, and then for each class in turn. Its
/// candidates are the same for all of them, and are fitted once.
pub(super) struct Mends {
    chosen: std::result::Result<Vec<Chosen>, String>,
    seconds: f64,
}

impl Mends {
    pub(super) fn new(
        class: ClassId,
        each: &[ClassId],
        training: &TrainingConfig,
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let start = Instant::now();
        let mend = Mend::default().with_training(training.clone());
        let each = each.iter().copied().map(Some);
        let classes: Vec<_> = [Some(class), None].into_iter().chain(each).collect();
        Ok(Self {
            chosen: or_failure(Chosen::by_mend(&mend, &classes, input, observer))?,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Those for each class in turn.
    pub(super) fn of_classes(&self) -> &[Chosen] {
        self.chosen.as_ref().map_or(&[], |chosen| &chosen[2..])
    }
}

/// What a method makes, or why it failed. A cancellation ends the comparison.
fn or_failure<T>(made: neuroinspect_editing::Result<T>) -> Result<std::result::Result<T, String>> {
    match made {
        Err(error) if is_cancellation(&error) => Err(error.into()),
        made => Ok(made.map_err(|error| with_causes(&error))),
    }
}

/// A method over the repetitions.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) method: String,
    pub(super) variant: Variant,
    pub(super) measured: Vec<Measured>,
    pub(super) failure: Option<String>,
    labels: Option<LabelsUsed>,
    paper: Option<Citation>,
    seconds: f64,
    options: Vec<Map<String, Value>>,
    derived: Vec<BTreeMap<String, f64>>,
}

impl Runs {
    /// Those of methods by their names: of some in more than one variant, the usual one first.
    pub(super) fn of(methods: &[String]) -> Vec<Self> {
        let variants = |name: &str| -> &'static [Variant] {
            match name {
                Retrain::NAME | LogitAdjustment::NAME | GroupBalanced::NAME => {
                    &[Variant::Usual, Variant::BothTables]
                }
                Mend::NAME => &[Variant::Usual, Variant::AllClasses],
                RatioEdit::NAME => &[Variant::Usual, Variant::AsDemo],
                _ => &[Variant::Usual],
            }
        };
        let of = |name: &String| {
            let runs = variants(name).iter().map(|&variant| Self {
                method: name.clone(),
                variant,
                ..Self::default()
            });
            runs.collect::<Vec<_>>()
        };
        methods.iter().flat_map(of).collect()
    }

    /// The method's layer; none where it failed, in this repetition or before. `usual` are the options of
    /// the usual variant.
    pub(super) fn choose(
        &mut self,
        inputs: &Inputs<'_>,
        usual: &Map<String, Value>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Chosen>> {
        if self.failure.is_some() {
            return Ok(None);
        }
        let start = Instant::now();
        let chosen = match &inputs.mends {
            Some(mends) if self.is_mend() => {
                self.seconds += mends.seconds;
                self.mended(mends)
            }
            _ => {
                let chosen = self.fit(inputs, usual, observer);
                self.seconds += start.elapsed().as_secs_f64();
                or_failure(chosen)?
            }
        };
        Ok(chosen.map_err(|failure| self.failure = Some(failure)).ok())
    }

    pub(super) fn is_mend(&self) -> bool {
        self.method == Mend::NAME
    }

    fn mended(&mut self, mends: &Mends) -> std::result::Result<Chosen, String> {
        let mend = Mend::default();
        (self.labels, self.paper) = (Some(mend.labels()), mend.citation());
        let all = mends.chosen.as_ref().map_err(String::clone)?;
        let chosen = all[usize::from(self.variant == Variant::AllClasses)].clone();
        self.options.push(Map::new());
        self.derived.push(chosen.method().derived.clone());
        Ok(chosen)
    }

    fn fit(
        &mut self,
        inputs: &Inputs<'_>,
        usual: &Map<String, Value>,
        observer: &mut dyn Observer,
    ) -> neuroinspect_editing::Result<Chosen> {
        let arguments = &inputs.arguments;
        let mut options = Map::new();
        let method: Box<dyn DecisionMethod> = match self.variant {
            Variant::Usual => {
                if let Some(tuner) = &inputs.tuner {
                    options = tuner.choose(&self.method, arguments, observer)?.options;
                }
                method_named(&self.method, arguments, &options)?
            }
            Variant::BothTables | Variant::AllClasses => {
                options.clone_from(usual);
                method_named(&self.method, arguments, &options)?
            }
            Variant::AsDemo => {
                let mut config = editing_of_all_listed();
                config.training.seed = arguments.training.seed;
                let scope = EditScope::of(arguments.class);
                Box::new(RatioEdit::new(inputs.listed.clone(), scope).with_config(config))
            }
        };
        let input = match self.variant {
            Variant::BothTables => &inputs.on_both,
            _ => &inputs.usual,
        };
        (self.labels, self.paper) = (Some(method.labels()), method.citation());
        let chosen = Chosen::by(method.as_ref(), input, observer)?;
        self.options.push(options);
        self.derived.push(chosen.method().derived.clone());
        Ok(chosen)
    }

    /// The options of the repetition that was run last; the defaults where it failed.
    pub(super) fn last_options(&self) -> Map<String, Value> {
        match self.failure {
            None => self.options.last().cloned().unwrap_or_default(),
            Some(_) => Map::new(),
        }
    }

    pub(super) fn scores(&self) -> Option<Scores> {
        (self.failure.is_none() && !self.measured.is_empty()).then(|| Scores::of(&self.measured))
    }

    pub(super) fn row(&self, before: &Scores, [ceiling, on_both]: [Option<&Scores>; 2]) -> Row {
        let scores = self.scores();
        Row {
            method: self.method.clone(),
            variant: self.variant,
            labels: self.labels,
            paper: self.paper,
            shares: Shares::of(scores.as_ref(), before, ceiling),
            shares_on_both: Shares::of(scores.as_ref(), before, on_both),
            seconds: self.seconds / self.measured.len().max(1) as f64,
            options: self.options.clone(),
            derived: self.derived.clone(),
            failure: self.failure.clone(),
            scores,
        }
    }
}

#[cfg(test)]
mod tests {
    use neuroinspect_core::Error as CoreError;
    use neuroinspect_editing::Error;

    use super::*;

    #[test]
    fn a_failure_has_its_cause() {
        let (what, value) = ("weight of class 1".to_owned(), f32::NAN);
        let source = CoreError::NotFinite { what, value };
        let failure = or_failure(Err::<(), _>(Error::Diverged { epoch: 3, source }));
        let failure = failure.unwrap().unwrap_err();
        assert!(failure.contains("epoch 3"), "{failure}");
        assert!(failure.contains("weight of class 1"), "{failure}");
        assert!(or_failure(Err::<(), _>(CoreError::cancelled("editing").into())).is_err());
    }
}
