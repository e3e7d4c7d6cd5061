//! Samples on a device, in batches.

use std::{fmt, ops::Range, sync::OnceLock};

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Int, Tensor, TensorData, activation::softmax},
};
use ndarray::Array1;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, Groups, Metrics, NeuronId, read_back,
};
use serde::{Deserialize, Serialize};

use crate::{Result, Samples};

/// Where features are kept while a decision layer learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// All of them on the device: `4 N D` bytes there, and a batch is gathered there.
    #[default]
    Device,
    /// On the host, where their table is, or in its file: each batch goes to the device when its turn comes. For
    /// features that the device's memory does not hold; and, where the device is the CPU, for those
    /// that memory would not hold twice. The results are the same.
    Host,
}

impl Storage {
    /// On the device, unless they take more there than the [limit](neuroinspect_core::MemoryLimit) of a table that
    /// stays in its file, or 2 GiB: more is streamed from the host. So is a part of such a table from an eighth of that
    /// on: where the device is the CPU, its parts together would be the table once more.
    pub fn of(samples: &Samples) -> Self {
        let (table, limit) = (samples.table(), samples.memory_limit());
        let holds = |rows: usize| limit.holds(rows, table.neurons());
        let fits = match holds(table.len()) {
            true => holds(samples.len()),
            false => limit.holds_beside(samples.len(), table.neurons()),
        };
        match fits {
            true => Self::Device,
            false => Self::Host,
        }
    }
}

/// Samples of a feature table, ready to be computed with on a device.
pub struct DeviceTable {
    samples: Samples,
    labels: Vec<ClassId>,
    device: Device,
    /// `[N, D]`, where they are kept on the device.
    features: Option<Tensor<2>>,
    /// `labels`: `[N, 1]`.
    labels_on_device: Tensor<2, Int>,
    /// Every class once: `[1, K]`.
    every_class: Tensor<2, Int>,
    mean: OnceLock<Array1<f32>>,
}

/// Some samples on a device.
#[derive(Clone, Debug)]
pub struct SampleBatch {
    /// Their features: `[B, D]`.
    pub features: Tensor<2>,
    /// Their classes: `[B, 1]`.
    pub labels: Tensor<2, Int>,
    /// Which samples they are: `[B]`, indices into the table that the batch is of, which is the
    /// training table in [`Loss::evaluate`](crate::Loss::evaluate) and the validation table
    /// in [`Loss::penalty_sum`](crate::Loss::penalty_sum). With these a loss picks out
    /// of whatever else it keeps for each sample.
    pub samples: Tensor<1, Int>,
    pub(crate) every_class: Tensor<2, Int>,
}

/// A decision layer's tensors on a device.
#[derive(Clone, Debug)]
pub struct LayerTensors {
    /// `W`: `[K, D]`.
    pub weight: Tensor<2>,
    /// `b`: `[K]`.
    pub bias: Tensor<1>,
}

impl DeviceTable {
    /// Elements that a chunk's logits and its features have at most: large enough for matrix products to be quick,
    /// small enough to stay in a cache. Sums over chunks are the same wherever features are kept.
    const CHUNK: usize = 1 << 20;

    /// Samples on a device.
    ///
    /// # Errors
    ///
    /// When they are to be kept there and the table's file cannot be read.
    pub fn new(samples: impl Into<Samples>, device: &Device, storage: Storage) -> Result<Self> {
        let samples = samples.into();
        let labels = samples.labels();
        let ids = labels.iter().map(|label| label.0 as i64).collect();
        let ids = TensorData::new::<i64, _>(ids, [labels.len(), 1]);
        let classes = samples.table().classes() as i64;
        let mut table = Self {
            labels,
            device: device.clone(),
            features: None,
            labels_on_device: Tensor::from_data(ids, device),
            every_class: Tensor::<1, Int>::arange(0..classes, device).unsqueeze(),
            mean: OnceLock::new(),
            samples,
        };
        if storage == Storage::Device {
            table.features = Some(table.upload(0..table.len())?);
        }
        Ok(table)
    }

    /// The samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Number of samples `N`.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of classes `K`.
    pub fn classes(&self) -> usize {
        self.samples.table().classes()
    }

    /// The true class of each sample.
    pub fn labels(&self) -> &[ClassId] {
        &self.labels
    }

    /// The group of each sample, where there are groups.
    pub fn groups(&self) -> Option<&Groups> {
        self.samples.groups()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Mean activation of each neuron: `[D]`; computed once.
    ///
    /// # Errors
    ///
    /// When there are no samples, or the table's file cannot be read.
    pub fn mean_features(&self) -> Result<&Array1<f32>> {
        if let Some(mean) = self.mean.get() {
            return Ok(mean);
        }
        let mean = self.samples.mean_features()?;
        Ok(self.mean.get_or_init(|| mean))
    }

    /// The samples given by their indices, in that order.
    ///
    /// # Errors
    ///
    /// When the table stays in its file and they take more than may be in memory, or it cannot be read.
    ///
    /// # Panics
    ///
    /// When one is not below [`len`](Self::len).
    pub fn batch(&self, samples: &[usize]) -> Result<SampleBatch> {
        let indices = samples.iter().map(|&sample| sample as i64).collect();
        let data = TensorData::new::<i64, _>(indices, [samples.len()]);
        let indices = Tensor::<1, Int>::from_data(data, &self.device);
        Ok(SampleBatch {
            features: match &self.features {
                Some(all) => all.clone().select(0, indices.clone()),
                None => self.upload(samples.iter().copied())?,
            },
            labels: self.labels_on_device.clone().select(0, indices.clone()),
            samples: indices,
            every_class: self.every_class.clone(),
        })
    }

    /// All samples in order, in chunks that fit a cache; an error where the table's file cannot be read.
    pub fn chunks(&self) -> impl Iterator<Item = Result<SampleBatch>> {
        self.ranges().map(|range| self.chunk(range))
    }

    /// Activations of some neurons, `[C, S]` of each [chunk](Self::chunks); an error where the table's file cannot be
    /// read.
    ///
    /// # Panics
    ///
    /// When a neuron is not one of the table's.
    pub fn columns(&self, neurons: &[NeuronId]) -> impl Iterator<Item = Result<Tensor<2>>> {
        let all = self.features.as_ref();
        let all = all.map(|all| (all, indices(neurons, &self.device)));
        self.ranges().map(move |range| {
            if let Some((all, indices)) = &all {
                let chunk = (*all).clone().slice_dim(0, range);
                return Ok(chunk.select(1, indices.clone()));
            }
            let shape = [range.len(), neurons.len()];
            let samples: Vec<usize> = range.collect();
            let values = self.samples.columns(&samples, neurons)?;
            let data = TensorData::new::<f32, _>(values.into_iter().collect(), shape);
            Ok(Tensor::from_data(data, &self.device))
        })
    }

    /// Metrics of the classes of largest logit, out of the logits `[C, K]` of each
    /// [chunk](Self::chunks); read back at once. Of equal logits it is the device that takes one: the
    /// first on the CPU, as [`DecisionLayer::predict`] does.
    ///
    /// # Errors
    ///
    /// When the device does not give them back.
    pub(crate) fn metrics(
        &self,
        logits: impl Iterator<Item = Result<Tensor<2>>>,
    ) -> Result<Metrics> {
        let classes = logits.map(|logits| Ok(predictions(logits?)));
        let predictions = Tensor::cat(classes.collect::<Result<_>>()?, 0);
        self.metrics_of(&read_back(predictions, "predictions")?)
    }

    /// Metrics of predictions as they are read from the device.
    pub(crate) fn metrics_of(&self, predictions: &[f32]) -> Result<Metrics> {
        // Whole numbers up to 2^24 are exact in f32.
        let predictions = predictions.iter().map(|&class| ClassId(class as usize));
        let predictions: Vec<ClassId> = predictions.collect();
        let (labels, groups) = (&self.labels, self.groups());
        Ok(Metrics::new(labels, &predictions, self.classes(), groups)?)
    }

    /// How many samples each class has: `[K]`.
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        self.labels.iter().for_each(|label| counts[label.0] += 1);
        counts
    }

    /// A number for each sample, on the device: `[N, 1]`.
    pub(crate) fn column(&self, values: impl IntoIterator<Item = f64>) -> Tensor<2> {
        let values = values.into_iter().map(|value| value as f32);
        let data = TensorData::new::<f32, _>(values.collect(), [self.len(), 1]);
        Tensor::from_data(data, &self.device)
    }

    /// The class that a layer predicts for each sample.
    pub(crate) fn predicted(&self, layer: &DecisionLayer) -> Result<Vec<usize>> {
        let layer = LayerTensors::of(layer, &self.device);
        let chunks = self
            .chunks()
            .map(|batch| Ok(predictions(layer.logits(batch?.features))));
        let chunks = chunks.collect::<Result<_>>()?;
        let predictions = read_back(Tensor::cat(chunks, 0), "predictions")?;
        Ok(predictions
            .into_iter()
            .map(|class| class as usize)
            .collect())
    }

    /// Whether a layer gets each sample wrong.
    pub(crate) fn mistakes(&self, layer: &DecisionLayer) -> Result<Vec<bool>> {
        let predicted = self.predicted(layer)?;
        let pairs = predicted.iter().zip(&self.labels);
        Ok(pairs.map(|(&class, label)| class != label.0).collect())
    }

    /// Shows `see` each sample in order with the probabilities that each layer has for every class: `[L][K]`. Never
    /// more of them are held than those of a chunk.
    pub(crate) fn visit_probabilities<const L: usize>(
        &self,
        layers: [&DecisionLayer; L],
        mut see: impl FnMut(usize, [&[f32]; L]),
    ) -> Result<()> {
        let layers = layers.map(|layer| LayerTensors::of(layer, &self.device));
        for (batch, range) in self.chunks().zip(self.ranges()) {
            let features = batch?.features;
            let mut all: [Vec<f32>; L] = std::array::from_fn(|_| Vec::new());
            for (layer, of_layer) in layers.iter().zip(&mut all) {
                let p = softmax(layer.logits(features.clone()), 1);
                *of_layer = read_back(p, "probabilities")?;
                let (expected, found) = (range.len() * self.classes(), of_layer.len());
                if expected != found {
                    return Err(CoreError::length("probabilities", expected, found).into());
                }
            }
            for (place, sample) in range.enumerate() {
                let of_sample = place * self.classes()..(place + 1) * self.classes();
                see(sample, all.each_ref().map(|p| &p[of_sample.clone()]));
            }
        }
        Ok(())
    }

    /// The samples of each chunk.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (samples, rows) = (self.len(), self.chunk_len());
        (0..samples)
            .step_by(rows)
            .map(move |start| start..samples.min(start + rows))
    }

    /// Samples of a chunk.
    pub(crate) fn chunk_len(&self) -> usize {
        let width = self.classes().max(self.samples.table().neurons());
        (Self::CHUNK / width.max(1)).max(64)
    }

    fn chunk(&self, range: Range<usize>) -> Result<SampleBatch> {
        let indices = range.start as i64..range.end as i64;
        let labels = self.labels_on_device.clone();
        Ok(SampleBatch {
            features: match &self.features {
                Some(all) => all.clone().slice_dim(0, range.clone()),
                None => self.upload(range.clone())?,
            },
            labels: labels.slice_dim(0, range),
            samples: Tensor::arange(indices, &self.device),
            every_class: self.every_class.clone(),
        })
    }

    /// The features of samples, from the host.
    fn upload(&self, samples: impl Iterator<Item = usize>) -> Result<Tensor<2>> {
        let values = self.samples.features(&samples.collect::<Vec<_>>())?;
        let shape: [usize; 2] = values.dim().into();
        let values = TensorData::new(values.into_raw_vec_and_offset().0, shape);
        Ok(Tensor::from_data(values, &self.device))
    }
}

impl fmt::Debug for DeviceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceTable")
            .field("samples", &self.len())
            .field("device", &self.device)
            .field("on_device", &self.features.is_some())
            .finish_non_exhaustive()
    }
}

impl SampleBatch {
    /// 1 where the class is the label, else 0: `[B, K]`.
    pub fn one_hot(&self) -> Tensor<2> {
        let shape = [self.labels.dims()[0], self.every_class.dims()[1]];
        let labels = self.labels.clone().expand(shape);
        labels.equal(self.every_class.clone().expand(shape)).float()
    }

    /// Number of samples `B`.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl LayerTensors {
    /// A layer's tensors on a device.
    pub fn of(layer: &DecisionLayer, device: &Device) -> Self {
        Self {
            weight: layer.weight_on(device),
            bias: layer.bias_on(device),
        }
    }

    /// The logits `W f + b` of features `[B, D]`: `[B, K]`.
    pub fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        features.matmul(self.weight.clone().transpose()) + self.bias.clone().unsqueeze()
    }

    /// The layer, read back.
    ///
    /// # Errors
    ///
    /// When a value is not finite, or the device does not give it back.
    pub fn read_back(&self) -> Result<DecisionLayer> {
        Ok(DecisionLayer::from_linear(&Linear {
            weight: Param::from_tensor(self.weight.clone().transpose()),
            bias: Some(Param::from_tensor(self.bias.clone())),
        })?)
    }

    /// 1 when all values are finite, else 0: `[1]`.
    pub(crate) fn is_finite(&self) -> Tensor<1> {
        let weight = self.weight.clone().is_finite().all().float();
        weight * self.bias.clone().is_finite().all().float()
    }
}

/// The class of largest logit: `[B, K]` to `[B]`, as floats to be read back with others.
pub(crate) fn predictions(logits: Tensor<2>) -> Tensor<1> {
    logits.argmax(1).squeeze_dim::<1>(1).float()
}

/// Neurons as indices on a device: `[S]`.
pub(crate) fn indices(neurons: &[NeuronId], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = neurons.iter().map(|neuron| neuron.0 as i64).collect();
    Tensor::from_data(TensorData::new(indices, [neurons.len()]), device)
}
