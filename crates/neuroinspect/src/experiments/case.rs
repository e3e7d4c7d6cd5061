//! One repetition's samples, with the class to be helped and the neurons that are suspected.

use std::collections::BTreeMap;

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Metrics, NeuronId, Observer, Seed};
use neuroinspect_editing::{
    Chosen, Con, DecisionMethod, DeviceTable, EditConfig, EditData, EditScope, HeldOut, LabelsUsed,
    MethodInput, RatioEdit, Retrain, Samples, Storage, TrainingConfig,
};

use super::Switches;
use crate::{
    Result,
    leaderboard::{Repetition, Suspicion, table_of},
};

/// The row of the layer as it stands.
pub(super) const ORIGINAL: &str = "original";
/// The row of the paper's method.
pub(super) const OURS: &str = "NeuroInspect";
/// The row of [plain retraining](Case::control).
pub(super) const CONTROL: &str = "plain retraining";
/// The row of the paper's baseline.
pub(super) const CON: &str = "CON";

/// What is claimed of NeuroInspect beside it.
pub(super) const BEYOND_CONTROL: &str =
    "NeuroInspect is ahead of plain retraining with the same options (not tested in the paper)";

/// A method of a row; `None`: the layer stays as it stands.
pub(super) type Method = Option<Box<dyn DecisionMethod>>;

/// A repetition of one of an experiment's settings.
#[derive(Clone)]
pub(super) struct Begun {
    /// The setting.
    pub(super) title: String,
    /// What tells its samples, and the layer to begin with, from others of the same seed.
    pub(super) key: String,
    pub(super) repetition: Repetition,
}

impl Begun {
    /// With a layer that is given, the same for all repetitions.
    pub(super) fn given(title: &str, repetition: Repetition) -> Self {
        Self {
            title: title.to_owned(),
            key: title.to_owned(),
            repetition,
        }
    }
}

/// A repetition, its tables on the device.
pub(super) struct Case {
    key: String,
    pub(super) repetition: Repetition,
    /// The class to be helped.
    pub(super) class: ClassId,
    train: DeviceTable,
    validation: DeviceTable,
    /// The validation samples as a table.
    chosen_on: FeatureTable,
}

/// What a row's method made.
pub(super) struct Compared {
    pub(super) row: &'static str,
    pub(super) layer: DecisionLayer,
    pub(super) metrics: Metrics,
    /// The labels that it learns from.
    pub(super) labels: Option<LabelsUsed>,
}

/// The layers of one seed that were made, each by the samples and the method that made it: flipping a switch often
/// asks for the same again.
#[derive(Default)]
pub(super) struct Layers {
    seed: Seed,
    /// Those to begin with, by the [key](Begun::key).
    begun: BTreeMap<String, DecisionLayer>,
    made: BTreeMap<(String, String), Chosen>,
}

impl Layers {
    /// A setting with a layer that is trained on it from zeros. `training` has the seed of the repetition, and what
    /// tells the samples from others of that seed is in the title.
    pub(super) fn begin(
        &mut self,
        title: &str,
        data: EditData,
        training: TrainingConfig,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Begun> {
        let seed = training.seed;
        self.forget_others(seed);
        let key = format!("{title}: {training:?}");
        let layer = match self.begun.get(&key) {
            Some(known) => known.clone(),
            None => trained_layer(&data, training, device, observer)?,
        };
        self.begun.insert(key.clone(), layer.clone());
        Ok(Begun {
            title: title.to_owned(),
            key,
            repetition: Repetition { data, layer, seed },
        })
    }

    fn forget_others(&mut self, seed: Seed) {
        if self.seed != seed {
            *self = Self {
                seed,
                ..Self::default()
            };
        }
    }
}

impl Case {
    /// The class to be helped is `class`, or that which is worst on the validation samples.
    pub(super) fn new(
        Begun {
            key, repetition, ..
        }: Begun,
        class: Option<ClassId>,
        device: &Device,
    ) -> Result<Self> {
        let table =
            |samples: &Samples| DeviceTable::new(samples.clone(), device, Storage::of(samples));
        let data = &repetition.data;
        let chosen_on = table_of(data.validation())?;
        Ok(Self {
            key,
            train: table(data.train())?,
            validation: table(data.validation())?,
            class: match class {
                Some(class) => class,
                None => {
                    let predicted = chosen_on.predicted_by(&repetition.layer)?;
                    predicted.metrics()?.worst_class
                }
            },
            chosen_on,
            repetition,
        })
    }

    /// The first `count` neurons of the ranking of the class's mistakes among the validation samples.
    pub(super) fn neurons(
        &self,
        count: usize,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Vec<NeuronId>> {
        let suspicion = Suspicion {
            counterfactual: switches.counterfactual(),
            ranking: switches.ranking(),
        };
        let predicted = self.chosen_on.predicted_by(&self.repetition.layer)?;
        let device = self.train.device();
        let mut neurons = suspicion.neurons(&predicted, self.class, device, observer)?;
        neurons.truncate(count);
        Ok(neurons)
    }

    /// The paper's method, for the class or for all classes; nothing is done where no neuron is suspected.
    pub(super) fn ours(
        &self,
        neurons: &[NeuronId],
        scope: EditScope,
        config: &EditConfig,
    ) -> Method {
        let config = EditConfig {
            training: self.seeded(&config.training),
            ..config.clone()
        };
        let ours = || RatioEdit::new(neurons.to_vec(), scope).with_config(config);
        (!neurons.is_empty()).then(|| Box::new(ours()) as _)
    }

    /// The paper's baseline, trained alike; nothing is done where no neuron is suspected.
    pub(super) fn con(
        &self,
        neurons: &[NeuronId],
        lambda3: f64,
        training: &TrainingConfig,
    ) -> Method {
        let con = || Con {
            class: self.class,
            neurons: neurons.to_vec(),
            lambda3,
            training: self.seeded(training),
        };
        (!neurons.is_empty()).then(|| Box::new(con()) as _)
    }

    /// What NeuroInspect's training gains without its penalty.
    pub(super) fn control(&self, training: &TrainingConfig) -> Method {
        Some(Box::new(Retrain::new(self.seeded(training))))
    }

    /// The same training, with the seed of the repetition.
    pub(super) fn seeded(&self, training: &TrainingConfig) -> TrainingConfig {
        training.clone().with_seed(self.repetition.seed)
    }

    /// What the rows' methods make, and what that is worth on the samples measured on, once all of it is made.
    pub(super) fn compare(
        &self,
        rows: Vec<(&'static str, Method)>,
        layers: &mut Layers,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Compared>> {
        let mut made = Vec::with_capacity(rows.len());
        for (_, method) in &rows {
            if let Some(method) = method {
                made.push(self.choose(method.as_ref(), layers, observer)?);
            }
        }
        let evaluation = self.repetition.data.evaluation();
        let before = table_of(evaluation)?;
        let before = before.predicted_by(&self.repetition.layer)?.metrics()?;
        let measured = HeldOut::new(evaluation.clone()).measure(&made, self.train.device())?;
        let mut made = made.into_iter().zip(measured);
        let compared = rows.into_iter().map(|(row, method)| {
            let labels = method.as_ref().map(|method| method.labels());
            let made = method.and_then(|_| made.next());
            let (layer, metrics) = match made {
                Some((chosen, measured)) => (chosen.layer().clone(), measured.metrics),
                None => (self.repetition.layer.clone(), before.clone()),
            };
            Compared {
                row,
                layer,
                metrics,
                labels,
            }
        });
        Ok(compared.collect())
    }

    /// The layer that a method makes, or has made.
    fn choose(
        &self,
        method: &dyn DecisionMethod,
        layers: &mut Layers,
        observer: &mut dyn Observer,
    ) -> Result<Chosen> {
        layers.forget_others(self.repetition.seed);
        // All of a method's options and neurons are in its debug form.
        let key = (self.key.clone(), format!("{method:?}"));
        if let Some(chosen) = layers.made.get(&key) {
            return Ok(chosen.clone());
        }
        let input = MethodInput::new(&self.train, &self.validation, &self.repetition.layer)?;
        let chosen = Chosen::by(method, &input, observer)?;
        layers.made.insert(key, chosen.clone());
        Ok(chosen)
    }
}

impl Compared {
    /// The accuracy of a class.
    pub(super) fn of_class(&self, class: ClassId) -> Option<f64> {
        self.metrics.class_accuracy.get(class.0).copied().flatten()
    }
}

/// A decision layer of these samples' classes, trained from zeros.
fn trained_layer(
    data: &EditData,
    training: TrainingConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<DecisionLayer> {
    let table = data.train().table();
    let (classes, neurons) = (table.classes(), table.neurons());
    let zeros = DecisionLayer::new(Array2::zeros((classes, neurons)), Array1::zeros(classes))?;
    let table = |samples: &Samples| DeviceTable::new(samples.clone(), device, Storage::Device);
    let (train, validation) = (table(data.train())?, table(data.validation())?);
    let input = MethodInput::new(&train, &validation, &zeros)?;
    Ok(Retrain::new(training).fit(&input, observer)?.layer)
}
