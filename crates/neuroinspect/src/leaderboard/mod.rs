//! All methods to make a decision layer, on the same samples, side by side.

mod each_class;
#[cfg(feature = "datasets")]
mod images;
mod markdown;
mod rows;
mod score;
mod tables;

use burn::tensor::Device;
use derive_setters::Setters;
use neuroinspect_core::{
    ClassId, DecisionLayer, DeviceName, Error as CoreError, NeuronId, Observer, Predicted, Seed,
    io::sha256_of_bytes,
};
use neuroinspect_counterfactual::{CounterfactualConfig, Explainer, RankingConfig, rank};
use neuroinspect_editing::{
    Concept, DeviceTable, EditData, GroupBalanced, HeldOut, METHODS, MethodArguments, MethodInput,
    MethodOptions, Samples, Storage, TrainingConfig, Tuner, grid_of,
};
use serde::Serialize;
use serde_json::Map;

#[cfg(feature = "datasets")]
pub use self::images::{ImageSetting, NetworkFile};
pub use self::{
    each_class::OfClass,
    rows::{Row, Shares, Variant},
    score::{Estimate, Scores},
};

#[cfg(feature = "demo")]
pub(crate) use self::rows::editing_of_all_listed;
pub(crate) use self::tables::table_of;
use self::{
    each_class::Counts,
    rows::{Inputs, Mends, Runs},
    score::Measured,
};
#[cfg(feature = "experiments")]
pub(crate) use self::{markdown::labels_in_words, score::train_weighted};
use crate::{Result, run_folder::program_state};

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
#[derive(Clone, Debug, PartialEq, Serialize, Setters)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[setters(prefix = "with_")]
pub struct LeaderboardConfig {
    /// The methods, by [name](METHODS); all of them.
    pub methods: Vec<String>,
    /// The class to be helped; `None`: the one that is worst on the validation samples.
    #[setters(strip_option)]
    pub class: Option<ClassId>,
    /// How many neurons are suspected, the first of the ranking of the class's mistakes among the
    /// validation samples; 5.
    pub neurons: usize,
    /// Whether all options stay at each method's defaults; no: a [`Tuner`] chooses those of its
    /// [grid](neuroinspect_editing::grid_of) on the validation samples, the others stay.
    pub defaults: bool,
    /// Whether `auto`, where it is among the methods, is asked for each class in turn, too; no.
    pub each_class: bool,
    /// What may mislead, for methods that have to be told; none, without which [DISC](neuroinspect_editing::Disc)
    /// has a reason in place of scores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<Concept>,
}

impl Default for LeaderboardConfig {
    fn default() -> Self {
        Self {
            methods: METHODS.iter().map(|&name| name.to_owned()).collect(),
            class: None,
            neurons: 5,
            defaults: false,
            each_class: false,
            concepts: Vec::new(),
        }
    }
}

impl LeaderboardConfig {
    /// Checks the methods' names.
    ///
    /// # Errors
    ///
    /// When there is no method of a name.
    pub fn validate(&self) -> Result<()> {
        for name in &self.methods {
            grid_of(name)?;
        }
        Ok(())
    }
}

/// What each method came to on one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// What `auto` does for each class that it is asked for; empty unless it
    /// [was](LeaderboardConfig::each_class).
    pub each_class: Vec<OfClass>,
}

impl Leaderboard {
    /// The method that closes all of the gap: what a decision layer comes to that knows the groups of
    /// the training samples.
    pub const CEILING: &'static str = GroupBalanced::NAME;

    /// What decides all of a comparison but the seconds, this build of the program included; `None` when
    /// that cannot be told. A comparison of the same fingerprint need not be made again.
    ///
    /// # Errors
    ///
    /// When the options cannot be serialised.
    pub fn fingerprint(
        setting: &str,
        repetitions: &[Repetition],
        config: &LeaderboardConfig,
        device: DeviceName,
    ) -> Result<Option<String>> {
        let Some(program) = program_state() else {
            return Ok(None);
        };
        let config = MethodOptions::options(config)?;
        let mut parts = vec![
            program,
            setting.to_owned(),
            device.to_string(),
            format!("{config:?}"),
        ];
        for repetition in repetitions {
            parts.push(repetition.sha256()?);
        }
        Ok(Some(sha256_of_bytes(parts.join("\0").as_bytes())))
    }

    /// Makes a layer by every method in every repetition, and measures it. Some methods come in several
    /// [variants](Variant).
    ///
    /// Nothing is chosen on the samples measured on: the class, the neurons and the options come from the
    /// validation samples, and every method has made its layer before one is [measured](HeldOut). A method
    /// that fails in one repetition, for want of groups, say, has a reason in place of scores.
    ///
    /// # Errors
    ///
    /// When there are no repetitions, a method is unknown, a layer does not fit its samples, the class has none
    /// among those measured on, the device fails, or the observer asks to stop.
    pub fn compare(
        setting: impl Into<String>,
        repetitions: &[Repetition],
        config: &LeaderboardConfig,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        config.validate()?;
        let Some(first) = repetitions.first() else {
            return Err(CoreError::empty("repetitions to compare methods on").into());
        };
        let samples = [
            first.data.train(),
            first.data.validation(),
            first.data.evaluation(),
        ];
        let mut runs = Runs::of(&config.methods);
        let mut before = Vec::new();
        let mut classes = Vec::new();
        let mut counts: Vec<Vec<Counts>> = Vec::new();
        for repetition in repetitions {
            let Repetition { data, layer, seed } = repetition;
            let chosen_on = table_of(data.validation())?;
            let predicted = chosen_on.predicted_by(layer)?;
            let class = match config.class {
                Some(class) => class,
                None => predicted.metrics()?.worst_class,
            };
            class.check(chosen_on.classes())?;
            classes.push(chosen_on.class_names()[class.0].clone());
            let listed = Suspicion::default().neurons(&predicted, class, device, observer)?;
            let evaluation = table_of(data.evaluation())?;
            let as_it_stands = evaluation.predicted_by(layer)?;
            before.push(Measured::new(&as_it_stands.metrics()?, data, class)?);
            let table = |samples: Samples| {
                let storage = Storage::of(&samples);
                DeviceTable::new(samples, device, storage)
            };
            let (train, validation) = (
                table(data.train().clone())?,
                table(data.validation().clone())?,
            );
            let both = match runs.iter().any(|run| run.variant == Variant::BothTables) {
                true => Some(table(data.train().joined(data.validation())?)?),
                false => None,
            };
            let usual = MethodInput::new(&train, &validation, layer)?;
            let all = match config.each_class {
                true => (0..layer.classes()).map(ClassId).collect(),
                false => Vec::new(),
            };
            let training = TrainingConfig::default().with_seed(*seed);
            let mends = match runs.iter().any(Runs::is_mend) {
                true => Some(Mends::new(class, &all, &training, &usual, observer)?),
                false => None,
            };
            let inputs = Inputs {
                on_both: MethodInput::new(both.as_ref().unwrap_or(&train), &validation, layer)?,
                arguments: MethodArguments {
                    class: Some(class),
                    neurons: listed[..config.neurons.min(listed.len())].to_vec(),
                    training,
                    concepts: config.concepts.clone(),
                },
                mends,
                listed,
                tuner: match config.defaults {
                    true => None,
                    false => Some(Tuner::new(&usual, *seed)?),
                },
                usual,
            };
            // Every layer is there before one is measured.
            let mut chosen = Vec::new();
            let mut options = Map::new();
            for run in &mut runs {
                chosen.extend(run.choose(&inputs, &options, observer)?);
                if run.variant == Variant::Usual {
                    options = run.last_options();
                }
            }
            let methods = chosen.len();
            let of_classes = inputs.mends.as_ref().map_or(&[][..], Mends::of_classes);
            chosen.extend_from_slice(of_classes);
            let measured = HeldOut::new(data.evaluation().clone()).measure(&chosen, device)?;
            let (of_methods, of_each_class) = measured.split_at(methods);
            let running = runs.iter_mut().filter(|run| run.failure.is_none());
            for (run, measured) in running.zip(of_methods) {
                run.measured
                    .push(Measured::new(&measured.metrics, data, class)?);
            }
            let each = of_each_class.iter().zip(of_classes).enumerate();
            let each = each.map(|(class, (after, chosen))| {
                let predictions = [as_it_stands.predictions(), &after.predictions];
                let is_recommended = chosen.layer() != layer;
                Counts::new(
                    ClassId(class),
                    evaluation.labels(),
                    predictions,
                    is_recommended,
                )
            });
            counts.push(each.collect());
        }
        let before = Scores::of(&before);
        let ceilings = [Variant::Usual, Variant::BothTables].map(|variant| {
            let mut runs = runs.iter();
            let ceiling = runs.find(|run| (&*run.method, run.variant) == (Self::CEILING, variant));
            ceiling.and_then(Runs::scores)
        });
        let ceilings = ceilings.each_ref().map(Option::as_ref);
        let rows = runs.iter().map(|run| run.row(&before, ceilings));
        Ok(Self {
            setting: setting.into(),
            classes,
            samples: samples.map(Samples::len),
            seeds: repetitions
                .iter()
                .map(|repetition| repetition.seed)
                .collect(),
            rows: rows.collect(),
            each_class: OfClass::all(first.data.train().table().class_names(), &counts),
            before,
        })
    }
}

/// How neurons come to be suspected: by the votes of a class's mistakes.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    pub(crate) counterfactual: CounterfactualConfig,
    pub(crate) ranking: RankingConfig,
}

impl Suspicion {
    /// The neurons that the ranking of a class's mistakes lists, the first ones first; none without mistakes.
    pub(crate) fn neurons(
        &self,
        predicted: &Predicted<'_>,
        class: ClassId,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Vec<NeuronId>> {
        let table = predicted.table();
        if !predicted.has_mistakes(class)? {
            return Ok(Vec::new());
        }
        let explanation = Explainer::new(device)
            .with_config(self.counterfactual.clone())
            .explain(predicted, class, observer)?;
        let mean = table.mean_features()?;
        let ranking = rank(&explanation, predicted.layer(), mean.view(), &self.ranking)?;
        Ok(ranking.first(usize::MAX))
    }
}

#[cfg(test)]
mod tests;
