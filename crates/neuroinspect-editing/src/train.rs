//! Training a decision layer on a feature table.

use std::{cmp::Ordering, collections::HashSet};

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Int, Tensor, TensorData},
};
use ndarray::Axis;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error::Cancelled, FeatureTable, Metrics, NeuronId, Observer, Progress,
    host,
};
use neuroinspect_counterfactual::importances;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{
    EditConfig, EditScope, Error, Keep, Method, Recipe, Result, Target, Ties,
    loss::{EPSILON, Loss, Penalty},
    optimizer::Adam,
};

const STAGE: &str = "editing";

/// An edited decision layer, and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edited {
    /// The layer; written to a file by way of [`Edit`](crate::Edit).
    #[serde(skip)]
    pub layer: DecisionLayer,
    /// Name of the classifier it belongs to.
    pub model: String,
    /// The neurons corrected.
    pub neurons: Vec<NeuronId>,
    /// Whose probability they were to stop deciding.
    pub scope: EditScope,
    /// The probability ratio `o` aimed at.
    pub target: f64,
    /// The epoch whose layer this is, from 1.
    pub best_epoch: usize,
    /// What happened in each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Whether training ended for want of a better validation accuracy.
    pub stopped_early: bool,
    /// The options.
    pub config: EditConfig,
}

/// What happened in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean over its batches of the loss, Eq. 8.
    pub loss: f64,
    /// Mean over its batches of `|r - o|`, not weighted. Each batch's is taken before the step it
    /// leads to, of a layer on the way to the epoch's.
    pub ratio_penalty: f64,
    /// `|r - o|` of the layer after it, not weighted, with the whole validation table as one batch:
    /// [`Ties`](crate::Ties) are decided by it. Under [`RatioNorm::L2`](crate::RatioNorm::L2) it
    /// grows with the square root of the table.
    pub validation_ratio_penalty: f64,
    /// Validation accuracy after it, in `[0, 1]`.
    pub validation_accuracy: f64,
    /// Validation accuracy of the worst class after it, in `[0, 1]`.
    pub validation_worst_class: f64,
}

/// Trains a decision layer until the chosen neurons no longer decide.
///
/// Only `W` and `b` learn, by Adam, on features that are as they are in the table. The whole
/// training table is put on the device: `4 N D` bytes. `layer` itself is
/// no candidate for the layer kept, however accurate: the validation table usually has the same
/// false correlation as the training table, and by its accuracy no edit would ever be chosen.
/// Among epochs of equal accuracy [`Ties`](crate::Ties) decides.
///
/// The observer hears of epochs, and can stop the work between two of them.
///
/// # Errors
///
/// When there are no neurons, or one is out of range or named twice; when the class is out of range
/// or has no training samples; when a table is empty or does not fit the layer; when the tables are
/// of other classes, or by another classifier, than each other; when an option is out of range,
/// training diverges, or the observer asks to stop.
#[expect(
    clippy::too_many_arguments,
    reason = "two tables, and the same order as `explain`"
)]
pub fn edit(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
    neurons: &[NeuronId],
    scope: EditScope,
    config: &EditConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Edited> {
    config.validate()?;
    check_tables(train, validation, layer)?;
    check_neurons(neurons, layer)?;
    if let EditScope::Class(class) = scope {
        layer.check_class(class)?;
        if train.samples_of(class)?.is_empty() {
            let name = train.class_names()[class.0].clone();
            return Err(neuroinspect_core::Error::EmptyClass { class, name }.into());
        }
    }
    let target = target_ratio(validation, layer, neurons, scope, config.target)?;

    let loss = Loss::new(neurons, scope, target, config, device);
    let penalty = Penalty::new(neurons, scope, target, config);
    let mut training = Training::new(train, layer, loss, config, device);
    // The last epoch's layer is only the last one asked for when all epochs are run.
    let patience = config.patience.filter(|_| config.keep != Keep::Last);
    let mut epochs: Vec<EpochRecord> = Vec::new();
    let mut kept = layer.clone();
    let mut best_epoch = 0;
    let mut most_accurate = (0, f64::NEG_INFINITY);
    let mut stopped_early = false;
    for epoch in 1..=config.epochs {
        let (loss, ratio_penalty) = training.epoch(epoch)?;
        let edited = training.layer(epoch)?;
        let logits = edited.logits(validation.features())?;
        let predictions = DecisionLayer::classes_of(logits.view());
        let metrics = Metrics::new(validation.labels(), &predictions, layer.classes(), None)?;
        let record = EpochRecord {
            epoch,
            loss,
            ratio_penalty,
            validation_ratio_penalty: penalty.of(&edited, validation.features(), logits.view()),
            validation_accuracy: metrics.accuracy,
            validation_worst_class: metrics.worst_class_accuracy,
        };
        epochs.push(record);
        if best_epoch == 0 || record.is_better_than(&epochs[best_epoch - 1], config) {
            best_epoch = epoch;
            kept = edited;
        }
        if metrics.accuracy > most_accurate.1 {
            most_accurate = (epoch, metrics.accuracy);
        }
        let progress = Progress {
            stage: STAGE,
            done: epoch,
            total: config.epochs,
        };
        if observer.update(progress).is_break() {
            return Err(Cancelled { stage: STAGE }.into());
        }
        let waited = epoch - most_accurate.0;
        if epoch < config.epochs && patience.is_some_and(|patience| waited >= patience) {
            stopped_early = true;
            break;
        }
    }
    Ok(Edited {
        layer: kept,
        model: train.provenance().model.clone(),
        neurons: neurons.to_vec(),
        scope,
        target,
        best_epoch,
        epochs,
        stopped_early,
        config: config.clone(),
    })
}

impl Edited {
    /// How it was made, for its [`Edit`](crate::Edit).
    pub fn recipe(&self) -> Recipe {
        let method = Method::ProbabilityRatio {
            neurons: self.neurons.clone(),
            scope: self.scope,
            target: self.target,
            best_epoch: self.best_epoch,
            config: self.config.clone(),
        };
        Recipe::new(&self.model, method)
    }
}

impl EpochRecord {
    /// Than an earlier one.
    fn is_better_than(&self, other: &Self, config: &EditConfig) -> bool {
        let merit = |record: &Self| match config.keep {
            Keep::Accuracy => record.validation_accuracy,
            Keep::WorstClass => record.validation_worst_class,
            Keep::Last => record.epoch as f64,
        };
        match merit(self).total_cmp(&merit(other)) {
            Ordering::Greater => true,
            Ordering::Equal => match config.ties {
                // Without the ratio in the loss it must not choose the layer either.
                Ties::SmallerPenalty => {
                    config.lambda3 > 0.0
                        && self.validation_ratio_penalty < other.validation_ratio_penalty
                }
                Ties::Later => true,
            },
            Ordering::Less => false,
        }
    }
}

/// A decision layer in training. The whole table lies on the device: `N (D + 1)` numbers.
struct Training<'a> {
    /// `W`: `[K, D]`.
    weight: Adam<2>,
    /// `b`: `[K]`.
    bias: Adam<1>,
    /// `[N, D]`.
    features: Tensor<2>,
    /// The class of each sample: `[N, 1]`.
    labels: Tensor<2, Int>,
    /// Every class once: `[1, K]`.
    classes: Tensor<2, Int>,
    loss: Loss,
    config: &'a EditConfig,
    device: &'a Device,
}

impl<'a> Training<'a> {
    fn new(
        train: &FeatureTable,
        layer: &DecisionLayer,
        loss: Loss,
        config: &'a EditConfig,
        device: &'a Device,
    ) -> Self {
        let features = train.features().iter().copied().collect();
        let labels: Vec<i64> = train.labels().iter().map(|label| label.0 as i64).collect();
        let (samples, neurons) = (train.len(), train.neurons());
        Self {
            weight: Adam::new(layer.weight_on(device)),
            bias: Adam::new(layer.bias_on(device)),
            features: Tensor::from_data(
                TensorData::new::<f32, _>(features, [samples, neurons]),
                device,
            ),
            labels: Tensor::from_data(TensorData::new(labels, [samples, 1]), device),
            classes: Tensor::<1, Int>::arange(0..layer.classes() as i64, device).unsqueeze(),
            loss,
            config,
            device,
        }
    }

    /// Passes over the table once, in the order of the epoch (from 1), and returns the batches'
    /// mean loss and mean ratio penalty. The device is read once, at the end.
    fn epoch(&mut self, epoch: usize) -> Result<(f64, f64)> {
        let config = self.config;
        let mut order: Vec<i64> = (0..self.features.dims()[0] as i64).collect();
        order.shuffle(&mut config.seed.rng("editing order", &[epoch as u64]));

        let batches = order.chunks(config.batch_size);
        let steps = batches.len();
        let mut sums = Tensor::<1>::zeros([2], self.device);
        for (step, batch) in batches.enumerate() {
            let rows = TensorData::new(batch.to_vec(), [batch.len()]);
            let rows = Tensor::<1, Int>::from_data(rows, self.device);
            let features = self.features.clone().select(0, rows.clone());
            let labels = self.one_hot(rows);
            let (weight, bias) = (self.weight.parameter(), self.bias.parameter());
            let result = self.loss.evaluate(weight, bias, features, labels);
            let rate = config.schedule.rate(
                config.learning_rate,
                (epoch - 1) * steps + step,
                steps,
                config.epochs,
            );
            self.weight.step(result.weight, rate, config.weight_decay);
            self.bias.step(result.bias, rate, config.weight_decay);
            sums = sums + Tensor::cat(vec![result.cross_entropy, result.penalty], 0);
        }
        let sums = host(sums, "the loss of an epoch")?;
        let mean = |sum: f32| f64::from(sum) / steps as f64;
        let (cross_entropy, penalty) = (mean(sums[0]), mean(sums[1]));
        // A penalty beyond f32 times a weight of 0 would be no number.
        let weighted = if config.lambda3 > 0.0 {
            config.lambda3 * penalty
        } else {
            0.0
        };
        Ok((cross_entropy + weighted, penalty))
    }

    /// 1 where the class is the label of the row, else 0: `[B, K]`.
    fn one_hot(&self, rows: Tensor<1, Int>) -> Tensor<2> {
        let shape = [rows.dims()[0], self.classes.dims()[1]];
        let labels = self.labels.clone().select(0, rows).expand(shape);
        labels.equal(self.classes.clone().expand(shape)).float()
    }

    /// The layer as it is after an epoch, read back.
    fn layer(&self, epoch: usize) -> Result<DecisionLayer> {
        let linear = Linear {
            weight: Param::from_tensor(self.weight.parameter().clone().transpose()),
            bias: Some(Param::from_tensor(self.bias.parameter().clone())),
        };
        DecisionLayer::from_linear(&linear).map_err(|error| match error {
            source @ neuroinspect_core::Error::NotFinite { .. } => {
                Error::Diverged { epoch, source }
            }
            other => other.into(),
        })
    }
}

/// The ratio to aim at; see [`Target`].
fn target_ratio(
    validation: &FeatureTable,
    layer: &DecisionLayer,
    neurons: &[NeuronId],
    scope: EditScope,
    target: Target,
) -> Result<f64> {
    if let Target::Fixed(ratio) = target {
        return Ok(ratio);
    }
    let mean = validation.mean_features()?;
    let classes: Vec<ClassId> = match scope {
        EditScope::Class(class) => vec![class],
        EditScope::AllClasses => (0..layer.classes()).map(ClassId).collect(),
    };
    let importances = importances(layer, mean.view(), &classes, neurons)?;
    // Importances have no epsilon: the target must not be beyond what a ratio with it can be.
    let importances = importances.mapv(|importance| importance.min(EPSILON.recip()));
    let means = importances.sum_axis(Axis(0)) / classes.len() as f64;
    let least = means.fold(f64::INFINITY, |least, &mean| least.min(mean));
    Ok((1.0 + (least - 1.0) / 3.0).max(1.0))
}

fn check_tables(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
) -> Result<()> {
    for (table, name) in [(train, "training"), (validation, "validation")] {
        table.check_layer(layer)?;
        if table.is_empty() {
            return Err(Error::EmptyTable { table: name });
        }
    }
    // Sizes alone do not tell one classifier's features, or one order of classes, from another's.
    Ok(train.check_alike(validation)?)
}

fn check_neurons(neurons: &[NeuronId], layer: &DecisionLayer) -> Result<()> {
    if neurons.is_empty() {
        return Err(Error::NoNeurons);
    }
    let mut seen = HashSet::new();
    for &neuron in neurons {
        layer.check_neuron(neuron)?;
        if !seen.insert(neuron) {
            return Err(Error::DuplicateNeuron { neuron });
        }
    }
    Ok(())
}
