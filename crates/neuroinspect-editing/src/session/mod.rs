//! Editing over and over on the same samples.

mod beside;
mod control;
mod result;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{ClassId, DecisionLayer, Metrics, NeuronId, Observer, Seed};
use serde::{Deserialize, Serialize};

pub use self::result::{EditResult, Edited};

use self::control::Controls;
use crate::{
    ChosenOn, Comparison, Control, ControlBy, DecisionMethod, DeviceTable, EditData, Fitted,
    LayerPatch, LayerTensors, Mend, MendResult, MethodInput, MethodRecord, Result, SampleBatch,
    Samples, Storage, Subject, Verdict, data::indices, methods::check_neurons,
};

/// Samples and a decision layer on a device, to try one edit after another.
///
/// Features, labels and the logits of the samples measured on, `4 E K` bytes, stay on the device unless they are
/// [large](Storage::of), so that a question costs what is new in it: [`preview`](Self::preview) one small product,
/// [`edit`](Self::edit) the training. The control of a training is trained once. Sessions can be
/// shared between threads.
pub struct EditSession {
    data: EditData,
    layer: DecisionLayer,
    train: DeviceTable,
    validation: DeviceTable,
    evaluation: Arc<DeviceTable>,
    /// The layer's logits of each chunk of `evaluation`, `[C, K]`; `None` where they would take more than may be beside
    /// the table: then they are computed when they are asked for.
    logits: Option<Vec<Tensor<2>>>,
    before: Metrics,
    also_trained_on: OnceLock<usize>,
    controls: Controls,
    /// Where features are kept, where that was said.
    storage: Option<Storage>,
}

/// What silencing neurons would do: their activations set to 0, the layer left as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The neurons.
    pub neurons: Vec<NeuronId>,
    /// Metrics with and without them.
    pub comparison: Comparison,
    /// How long it took.
    pub milliseconds: f64,
}

impl EditSession {
    /// Puts samples and layer on a device, features included unless they are
    /// [large](Storage::of).
    ///
    /// # Errors
    ///
    /// When the layer does not fit the samples, or the device fails.
    pub fn new(data: EditData, layer: &DecisionLayer, device: &Device) -> Result<Self> {
        Self::stored(data, layer, device, None)
    }

    /// [`new`](Self::new), with features kept where `storage` says.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_storage(
        data: EditData,
        layer: &DecisionLayer,
        device: &Device,
        storage: Storage,
    ) -> Result<Self> {
        Self::stored(data, layer, device, Some(storage))
    }

    fn stored(
        data: EditData,
        layer: &DecisionLayer,
        device: &Device,
        storage: Option<Storage>,
    ) -> Result<Self> {
        data.train().table().check_layer(layer)?;
        let table = |samples: &Samples| {
            let storage = storage.unwrap_or_else(|| Storage::of(samples));
            DeviceTable::new(samples.clone(), device, storage)
        };
        let evaluation = table(data.evaluation())?;
        let tensors = LayerTensors::of(layer, device);
        let limit = data.evaluation().memory_limit();
        let (before, logits) = match limit.holds_beside(evaluation.len(), evaluation.classes()) {
            true => {
                let logits: Vec<_> = logits(&evaluation, &tensors).collect::<Result<_>>()?;
                let before = evaluation.metrics(logits.iter().cloned().map(Ok))?;
                (before, Some(logits))
            }
            false => (evaluation.metrics(logits(&evaluation, &tensors))?, None),
        };
        Ok(Self {
            before,
            train: table(data.train())?,
            validation: table(data.validation())?,
            layer: layer.clone(),
            evaluation: Arc::new(evaluation),
            logits,
            also_trained_on: OnceLock::new(),
            controls: Controls::default(),
            storage,
            data,
        })
    }

    /// A session that learns from a part of the samples and validates on a part, as [`EditData::part`] has them, and measures
    /// on the same as this one, which it shares: for a first answer where training on all takes long. Its controls
    /// learn from the part, too.
    ///
    /// # Errors
    ///
    /// As [`EditData::part`].
    pub fn part(&self, share: f64, seed: Seed) -> Result<Self> {
        let data = self.data.part(share, seed)?;
        let table = |samples: &Samples| {
            let storage = self.storage_of(samples);
            DeviceTable::new(samples.clone(), self.train.device(), storage)
        };
        Ok(Self {
            layer: self.layer.clone(),
            train: table(data.train())?,
            validation: table(data.validation())?,
            evaluation: Arc::clone(&self.evaluation),
            logits: self.logits.clone(),
            before: self.before.clone(),
            also_trained_on: OnceLock::new(),
            controls: Controls::default(),
            storage: self.storage,
            data,
        })
    }

    /// Where features of some of the samples are kept.
    fn storage_of(&self, samples: &Samples) -> Storage {
        self.storage.unwrap_or_else(|| Storage::of(samples))
    }

    /// The samples.
    pub fn data(&self) -> &EditData {
        &self.data
    }

    /// The layer to be edited.
    pub fn layer(&self) -> &DecisionLayer {
        &self.layer
    }

    /// Metrics of that layer.
    pub fn before(&self) -> &Metrics {
        &self.before
    }

    /// What methods work on.
    ///
    /// # Errors
    ///
    /// As [`MethodInput::new`].
    pub fn input(&self) -> Result<MethodInput<'_>> {
        MethodInput::new(&self.train, &self.validation, &self.layer)
    }

    /// Metrics of another layer on the same samples.
    ///
    /// # Errors
    ///
    /// When the layer does not fit the samples, or the device fails.
    pub fn measure(&self, layer: &DecisionLayer) -> Result<Metrics> {
        self.evaluation.samples().table().check_layer(layer)?;
        let layer = LayerTensors::of(layer, self.evaluation.device());
        self.evaluation.metrics(logits(&self.evaluation, &layer))
    }

    /// The class that another layer predicts for each of the samples measured on.
    ///
    /// # Errors
    ///
    /// When the layer does not fit the samples, or the device fails.
    pub fn predict(&self, layer: &DecisionLayer) -> Result<Vec<ClassId>> {
        self.evaluation.samples().table().check_layer(layer)?;
        let predicted = self.evaluation.predicted(layer)?;
        Ok(predicted.into_iter().map(ClassId).collect())
    }

    /// What silencing neurons would do, from the logits alone: `z - F_S W_S^T`.
    ///
    /// # Errors
    ///
    /// When there are no neurons, one is out of range or named twice, or the device fails.
    pub fn preview(&self, neurons: &[NeuronId]) -> Result<Preview> {
        let start = Instant::now();
        check_neurons(neurons, &self.layer)?;
        let device = self.evaluation.device();
        let shape = [neurons.len(), self.layer.classes()];
        let weight = neurons
            .iter()
            .flat_map(|neuron| self.layer.weight().column(neuron.0).to_vec());
        let weight = Tensor::<2>::from_data(TensorData::new(weight.collect(), shape), device);
        let silenced =
            |logits: Tensor<2>, columns: Tensor<2>| logits - columns.matmul(weight.clone());
        let after = match &self.logits {
            Some(logits) => {
                let chunks = logits.iter().zip(self.evaluation.columns(neurons));
                self.evaluation.metrics(
                    chunks.map(|(logits, columns)| Ok(silenced(logits.clone(), columns?))),
                )?
            }
            None => {
                let layer = LayerTensors::of(&self.layer, device);
                let of_neurons = indices(neurons, device);
                self.evaluation
                    .metrics(self.evaluation.chunks().map(|batch| {
                        let features = batch?.features;
                        let columns = features.clone().select(1, of_neurons.clone());
                        Ok(silenced(layer.logits(features), columns))
                    }))?
            }
        };
        Ok(Preview {
            neurons: neurons.to_vec(),
            comparison: self.compared_to(after),
            milliseconds: start.elapsed().as_secs_f64() * 1e3,
        })
    }

    /// Makes a layer by a method, measures it, and trains the method's control where this session
    /// has not done so.
    ///
    /// The edit stands whatever becomes of the control. The observer must not call this session.
    ///
    /// # Errors
    ///
    /// As [`DecisionMethod::fit`], also when the observer asks to stop before the edit is done.
    pub fn edit(&self, method: &dyn DecisionMethod, observer: &mut dyn Observer) -> Result<Edited> {
        let (fitted, control) = self.fit(method, observer)?;
        self.edited(method, fitted, control, observer)
    }

    /// Chooses a mend and makes it, measures it, and says what it was chosen among. Its control, plain
    /// retraining, learns from the validation samples as well, as the mend does.
    ///
    /// # Errors
    ///
    /// As [`Mend::mend`].
    pub fn mend(&self, mend: &Mend, observer: &mut dyn Observer) -> Result<(Edited, MendResult)> {
        let mended = mend.mend(&self.input()?, observer)?;
        let result = mended.result.clone();
        let edited = self.edited(mend, mended.into_fitted(), None, observer)?;
        Ok((edited, result))
    }

    /// What [`Mend`] recommends by the training samples and those that it is to be
    /// [chosen on](EditData::chosen_on). Where these are the samples measured on, no sample is left that was not
    /// chosen on, and what is said to be gained rests on cross-fitting alone.
    ///
    /// # Errors
    ///
    /// As [`Mend::mend`].
    pub fn recommend(&self, mend: &Mend, observer: &mut dyn Observer) -> Result<MendResult> {
        let (chosen_on, _) = self.data.chosen_on();
        let table = match chosen_on {
            ChosenOn::Evaluation => &self.evaluation,
            ChosenOn::Validation => &self.validation,
        };
        let input = MethodInput::new(&self.train, table, &self.layer)?;
        let result = mend.mend(&input, observer)?.result;
        Ok(MendResult {
            chosen_on,
            ..result
        })
    }

    /// What a method has made, measured; its control trained, unless it was beside it.
    fn edited(
        &self,
        method: &dyn DecisionMethod,
        fitted: Fitted,
        control: Option<Control>,
        observer: &mut dyn Observer,
    ) -> Result<Edited> {
        let comparison = self.compared_to(self.measure(&fitted.layer)?);
        let record = MethodRecord::new(method, &fitted)?;
        let layers = [&self.layer, &fitted.layer];
        let patch = LayerPatch::between(self.model(), layers, record.clone())?;
        let control = control.or_else(|| {
            Some(match (method.training()?, method.control()) {
                (_, ControlBy::Itself) => Control::Measured(comparison.after.clone()),
                (training, by) => self.retrained(by, training, observer),
            })
        });
        let Fitted {
            layer,
            epochs,
            stopped_early,
            ..
        } = fitted;
        let subject = Subject::new(method.class(), &self.before);
        let verdict = Verdict::new(subject, &comparison, control.as_ref());
        let result = EditResult {
            neurons: method.neurons().to_vec(),
            method: record,
            layer_sha256: patch.sha256_after().to_owned(),
            epochs,
            stopped_early,
            comparison,
            control,
            also_trained_on: self.also_trained_on()?,
            chosen_from: 0,
            verdict,
        };
        Ok(Edited {
            layer,
            patch,
            result,
        })
    }

    /// How many of the samples measured on are also trained on; counted once.
    fn also_trained_on(&self) -> Result<usize> {
        if let Some(&count) = self.also_trained_on.get() {
            return Ok(count);
        }
        let count = self.data.also_trained_on()?;
        Ok(*self.also_trained_on.get_or_init(|| count))
    }

    fn compared_to(&self, after: Metrics) -> Comparison {
        let before = self.before.clone();
        Comparison { before, after }
    }

    /// Name of the classifier.
    fn model(&self) -> &str {
        &self.data.train().table().provenance().model
    }
}

impl fmt::Debug for EditSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditSession")
            .field("train", &self.train)
            .field("validation", &self.validation)
            .field("evaluation", &self.evaluation)
            .finish_non_exhaustive()
    }
}

/// The logits of each chunk of a table.
fn logits(table: &DeviceTable, layer: &LayerTensors) -> impl Iterator<Item = Result<Tensor<2>>> {
    let of_chunk =
        move |batch: Result<SampleBatch>| -> Result<_> { Ok(layer.logits(batch?.features)) };
    table.chunks().map(of_chunk)
}
