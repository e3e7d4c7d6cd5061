//! One repetition's samples, with the class to be helped and the neurons that are suspected.

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Metrics, NeuronId, Observer};
use neuroinspect_editing::{
    Chosen, Con, DecisionMethod, DeviceTable, EditConfig, EditScope, HeldOut, MethodInput,
    RatioEdit, Retrain, Storage, TrainingConfig,
};

use super::Switches;
use crate::{
    Result,
    leaderboard::{Repetition, Suspicion, table_of},
};

/// The row of [plain retraining](Case::control).
pub(super) const CONTROL: &str = "plain retraining";

/// What is claimed of NeuroInspect beside it.
pub(super) const BEYOND_CONTROL: &str =
    "NeuroInspect is ahead of plain retraining with the same options (not tested in the paper)";

/// A repetition, its tables on the device.
pub(super) struct Case {
    pub(super) repetition: Repetition,
    /// The class to be helped.
    pub(super) class: ClassId,
    train: DeviceTable,
    validation: DeviceTable,
    /// The validation samples as a table.
    chosen_on: FeatureTable,
}

impl Case {
    /// The class to be helped is `class`, or that which is worst on the validation samples.
    pub(super) fn new(
        repetition: Repetition,
        class: Option<ClassId>,
        device: &Device,
    ) -> Result<Self> {
        let table = |samples: &neuroinspect_editing::Samples| {
            DeviceTable::new(samples.clone(), device, Storage::of(samples))
        };
        let data = &repetition.data;
        let chosen_on = table_of(data.validation())?;
        Ok(Self {
            train: table(data.train()),
            validation: table(data.validation()),
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

    /// The paper's method, for the class or for all classes; `None` where no neuron is suspected.
    pub(super) fn ours(
        &self,
        neurons: &[NeuronId],
        scope: EditScope,
        config: &EditConfig,
    ) -> Option<RatioEdit> {
        let config = EditConfig {
            training: self.seeded(&config.training),
            ..config.clone()
        };
        (!neurons.is_empty()).then(|| RatioEdit::new(neurons.to_vec(), scope).with_config(config))
    }

    /// The paper's baseline, trained alike; `None` where no neuron is suspected.
    pub(super) fn con(
        &self,
        neurons: &[NeuronId],
        lambda3: f64,
        training: &TrainingConfig,
    ) -> Option<Con> {
        (!neurons.is_empty()).then(|| Con {
            class: self.class,
            neurons: neurons.to_vec(),
            lambda3,
            training: self.seeded(training),
        })
    }

    /// What NeuroInspect's training gains without its penalty.
    pub(super) fn control(&self, training: &TrainingConfig) -> Retrain {
        Retrain::new(self.seeded(training))
    }

    /// The same training, with the seed of the repetition.
    pub(super) fn seeded(&self, training: &TrainingConfig) -> TrainingConfig {
        training.clone().with_seed(self.repetition.seed)
    }

    /// The layer that a method makes.
    pub(super) fn choose(
        &self,
        method: &dyn DecisionMethod,
        observer: &mut dyn Observer,
    ) -> Result<Chosen> {
        let input = MethodInput::new(&self.train, &self.validation, &self.repetition.layer)?;
        Ok(Chosen::by(method, &input, observer)?)
    }

    /// What the layer as it stands is worth on the samples measured on.
    pub(super) fn before(&self) -> Result<Metrics> {
        let table = table_of(self.repetition.data.evaluation())?;
        Ok(table.predicted_by(&self.repetition.layer)?.metrics()?)
    }

    /// What layers are worth on the samples measured on, once all of them are chosen.
    pub(super) fn measure(self, chosen: &[Chosen]) -> Result<Vec<Metrics>> {
        let held_out = HeldOut::new(self.repetition.data.evaluation().clone());
        let measured = held_out.measure(chosen, self.train.device())?;
        Ok(measured.into_iter().map(|it| it.metrics).collect())
    }

    /// The accuracy of the class to be helped.
    pub(super) fn of_class(class: ClassId, metrics: &Metrics) -> Option<f64> {
        metrics.class_accuracy.get(class.0).copied().flatten()
    }
}

/// A decision layer of these samples' classes, trained from zeros.
pub(super) fn trained_layer(
    [train, validation]: [&FeatureTable; 2],
    training: TrainingConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<DecisionLayer> {
    let (classes, neurons) = (train.classes(), train.neurons());
    let zeros = DecisionLayer::new(Array2::zeros((classes, neurons)), Array1::zeros(classes))?;
    let [train, validation] =
        [train, validation].map(|table| DeviceTable::new(table.clone(), device, Storage::Device));
    let input = MethodInput::new(&train, &validation, &zeros)?;
    Ok(Retrain::new(training).fit(&input, observer)?.layer)
}
