//! All methods to make a decision layer, on the same samples, side by side.

mod markdown;
mod score;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use burn::tensor::Device;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, Metrics, NeuronId, Observer, Seed,
    is_cancellation,
};
use neuroinspect_counterfactual::{Explainer, RankingConfig, rank};
use neuroinspect_editing::{
    Chosen, Citation, DeviceTable, EditData, GroupBalanced, HeldOut, LabelsUsed, METHODS,
    MethodArguments, MethodInput, Samples, Storage, TrainingConfig, Tuner, method_named,
};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::score::{Estimate, Scores};

use self::score::Measured;
use crate::Result;

/// One repetition of a setting: samples, the layer to begin with, and the seed of what methods draw.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// What is learnt from, chosen on and measured on.
    pub data: EditData,
    /// The layer as it stands.
    pub layer: DecisionLayer,
    /// The seed of the methods.
    pub seed: Seed,
}

/// What a comparison of methods goes by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaderboardConfig {
    /// The methods, by [name](METHODS); all of them.
    pub methods: Vec<String>,
    /// The class to be helped; `None`: the one that is worst on the validation samples.
    pub class: Option<ClassId>,
    /// How many neurons are suspected, the first of the ranking of the class's mistakes among the
    /// validation samples; 5.
    pub neurons: usize,
    /// Whether all options stay at each method's defaults; no: a [`Tuner`] chooses those of its
    /// [grid](neuroinspect_editing::grid_of) on the validation samples, the others stay.
    pub defaults: bool,
}

impl Default for LeaderboardConfig {
    fn default() -> Self {
        Self {
            methods: METHODS.iter().map(|&name| name.to_owned()).collect(),
            class: None,
            neurons: 5,
            defaults: false,
        }
    }
}

/// What each method came to on one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leaderboard {
    /// What the samples are.
    pub setting: String,
    /// The classes to be helped, one for each repetition.
    pub classes: Vec<String>,
    /// Samples learnt from, chosen on and measured on, in the first repetition.
    pub samples: [usize; 3],
    /// The seeds of the repetitions.
    pub seeds: Vec<Seed>,
    /// What the layer as it stands is worth.
    pub before: Scores,
    /// A row for each method.
    pub rows: Vec<Row>,
}

/// A method, and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its [name](METHODS).
    pub method: String,
    /// The labels it learns from; `None` where it could not be made.
    pub labels: Option<LabelsUsed>,
    /// Where it was published.
    pub paper: Option<Citation>,
    /// What its layers are worth; `None` where it failed.
    pub scores: Option<Scores>,
    /// Of the gap between the layer as it stands and the [ceiling](GroupBalanced), the share that it
    /// closes in the average.
    pub share_of_average: Option<f64>,
    /// The same in the worst group.
    pub share_of_worst_group: Option<f64>,
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

impl Leaderboard {
    /// The method that closes all of the gap: what a decision layer comes to that knows the groups of
    /// the training samples.
    pub const CEILING: &'static str = GroupBalanced::NAME;

    /// Makes a layer by every method in every repetition, and measures it.
    ///
    /// Nothing is chosen on the samples measured on: the class, the neurons and the options come from the
    /// validation samples, and every method has made its layer before one is [measured](HeldOut). A method
    /// that fails in one repetition, for want of groups, say, has a reason in place of scores.
    ///
    /// # Errors
    ///
    /// When there are no repetitions, a layer does not fit its samples, the device fails, or the
    /// observer asks to stop.
    pub fn compare(
        setting: impl Into<String>,
        repetitions: &[Repetition],
        config: &LeaderboardConfig,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let Some(first) = repetitions.first() else {
            return Err(CoreError::empty("repetitions to compare methods on").into());
        };
        let samples = [
            first.data.train(),
            first.data.validation(),
            first.data.evaluation(),
        ];
        let mut runs: Vec<Runs> = config.methods.iter().map(|name| Runs::of(name)).collect();
        let mut before = Vec::new();
        let mut classes = Vec::new();
        for repetition in repetitions {
            let Repetition { data, layer, seed } = repetition;
            let validation = table_of(data.validation())?;
            let class = match config.class {
                Some(class) => class,
                None => validation.predicted_by(layer)?.metrics()?.worst_class,
            };
            class
                .check(validation.classes())
                .map_err(crate::Error::Core)?;
            classes.push(validation.class_names()[class.0].clone());
            let suspects = suspects(&validation, layer, class, config.neurons, device, observer)?;
            let arguments = MethodArguments {
                class: Some(class),
                neurons: suspects,
                training: TrainingConfig::default().with_seed(*seed),
            };
            before.push(Measured::new(&as_it_stands(data, layer)?, data, class)?);
            // Every layer is there before one is measured.
            let table =
                |samples: &Samples| DeviceTable::new(samples.clone(), device, Storage::of(samples));
            let (train, validation) = (table(data.train()), table(data.validation()));
            let input = MethodInput::new(&train, &validation, layer)?;
            let tuner = match config.defaults {
                true => None,
                false => Some(Tuner::new(&input, *seed)?),
            };
            let mut chosen = Vec::new();
            for run in &mut runs {
                chosen.extend(run.choose(&input, &arguments, tuner.as_ref(), observer)?);
            }
            let metrics = HeldOut::new(data.evaluation().clone()).measure(&chosen, device)?;
            let running = runs.iter_mut().filter(|run| run.failure.is_none());
            for (run, metrics) in running.zip(&metrics) {
                run.measured.push(Measured::new(metrics, data, class)?);
            }
        }
        let before = Scores::of(&before);
        let ceiling = runs.iter().find(|run| run.method == Self::CEILING);
        let ceiling = ceiling.and_then(Runs::scores);
        let rows = runs.iter().map(|run| run.row(&before, ceiling.as_ref()));
        Ok(Self {
            setting: setting.into(),
            classes,
            samples: samples.map(Samples::len),
            seeds: repetitions
                .iter()
                .map(|repetition| repetition.seed)
                .collect(),
            rows: rows.collect(),
            before,
        })
    }
}

/// A method over the repetitions.
struct Runs {
    method: String,
    labels: Option<LabelsUsed>,
    paper: Option<Citation>,
    measured: Vec<Measured>,
    seconds: f64,
    options: Vec<Map<String, Value>>,
    derived: Vec<BTreeMap<String, f64>>,
    failure: Option<String>,
}

impl Runs {
    fn of(name: &str) -> Self {
        Self {
            method: name.to_owned(),
            labels: None,
            paper: None,
            measured: Vec::new(),
            seconds: 0.0,
            options: Vec::new(),
            derived: Vec::new(),
            failure: None,
        }
    }

    /// The method's layer; none where it failed, in this repetition or before.
    fn choose(
        &mut self,
        input: &MethodInput<'_>,
        arguments: &MethodArguments,
        tuner: Option<&Tuner<'_>>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Chosen>> {
        if self.failure.is_some() {
            return Ok(None);
        }
        let start = Instant::now();
        let mut choose = || -> Result<Chosen, neuroinspect_editing::Error> {
            let options = match tuner {
                Some(tuner) => tuner.choose(&self.method, arguments, observer)?.options,
                None => Map::new(),
            };
            let method = method_named(&self.method, arguments, &options)?;
            (self.labels, self.paper) = (Some(method.labels()), method.citation());
            let chosen = Chosen::by(method.as_ref(), input, observer)?;
            self.options.push(options);
            self.derived.push(chosen.method().derived.clone());
            Ok(chosen)
        };
        let chosen = choose();
        self.seconds += start.elapsed().as_secs_f64();
        match chosen {
            Ok(chosen) => Ok(Some(chosen)),
            Err(error) if is_cancellation(&error) => Err(error.into()),
            Err(error) => {
                self.failure = Some(error.to_string());
                Ok(None)
            }
        }
    }

    fn scores(&self) -> Option<Scores> {
        (self.failure.is_none() && !self.measured.is_empty()).then(|| Scores::of(&self.measured))
    }

    fn row(&self, before: &Scores, ceiling: Option<&Scores>) -> Row {
        let scores = self.scores();
        let share = |value: &dyn Fn(&Scores) -> Option<f64>| {
            let before = value(before)?;
            let gap = value(ceiling?)? - before;
            // Of a gap that is none, nothing is closed.
            (gap >= SMALLEST_GAP).then_some((value(scores.as_ref()?)? - before) / gap)
        };
        Row {
            share_of_average: share(&|scores| Some(scores.average.mean)),
            share_of_worst_group: share(&|scores| Some(scores.worst_group?.mean)),
            method: self.method.clone(),
            labels: self.labels,
            paper: self.paper,
            seconds: self.seconds / self.measured.len().max(1) as f64,
            options: self.options.clone(),
            derived: self.derived.clone(),
            failure: self.failure.clone(),
            scores,
        }
    }
}

/// The smallest gap, two points, of which shares are given. Of a smaller one they would be noise: in the
/// worst of many small groups a single sample makes as much.
const SMALLEST_GAP: f64 = 0.02;

/// Metrics of the layer as it stands.
fn as_it_stands(data: &EditData, layer: &DecisionLayer) -> Result<Metrics> {
    let table = table_of(data.evaluation())?;
    Ok(table.predicted_by(layer)?.metrics()?)
}

/// Samples as a table of their own.
fn table_of(samples: &Samples) -> Result<Arc<FeatureTable>> {
    let rows: Vec<_> = (0..samples.len())
        .map(|sample| samples.row(sample))
        .collect();
    Ok(Arc::new(samples.table().select(&rows)?))
}

/// The neurons that the ranking of a class's mistakes puts first; none without mistakes.
fn suspects(
    table: &FeatureTable,
    layer: &DecisionLayer,
    class: ClassId,
    count: usize,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Vec<NeuronId>> {
    let predicted = table.predicted_by(layer)?;
    if table.samples_of(class)?.is_empty() || predicted.mistakes(class)?.is_empty() {
        return Ok(Vec::new());
    }
    let explanation = Explainer::new(device).explain(&predicted, class, observer)?;
    let mean = table.mean_features()?;
    let ranking = rank(&explanation, layer, mean.view(), &RankingConfig::default())?;
    Ok(ranking.first(count))
}

#[cfg(test)]
mod tests;
