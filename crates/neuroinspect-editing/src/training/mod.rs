//! Training a decision layer by batches: the loop that methods share.

mod config;
mod loss;
mod optimizer;
mod sampling;

use std::{cmp::Ordering, collections::BTreeMap};

use burn::tensor::Tensor;
use neuroinspect_core::{
    Error as CoreError, Metrics, Observer, Progress, among_workers, read_back,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::loss::{CrossEntropyTerms, LEAST_PROBABILITY, probabilities};
pub use self::{
    config::{Keep, MOST_EPOCHS, Schedule, Ties, TrainingConfig},
    loss::{CrossEntropy, Loss, LossAndGradient},
    sampling::{Sampling, Shuffled, Weighted},
};

use self::optimizer::Adam;
use crate::{
    Error, Fitted, LayerTensors, MethodInput, Result,
    data::{DeviceTable, predictions},
};

/// What happened in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean over its batches of the loss, penalty and all.
    pub loss: f64,
    /// Mean over its batches of the penalty, not weighted; for the ratio edit `|r - o|`. Each
    /// batch's is taken before the step it leads to, of a layer on the way to the epoch's. 0 where
    /// there is no penalty.
    pub penalty: f64,
    /// The penalty of the layer after it, not weighted, with the whole validation table as one
    /// batch: [`Ties`] are decided by it. That of the ratio edit, by its
    /// [Euclidean norm](crate::RatioNorm::L2), grows with the square root of the table.
    pub validation_penalty: f64,
    /// Validation accuracy after it, in `[0, 1]`.
    pub validation_accuracy: f64,
    /// Validation accuracy of the worst class after it, in `[0, 1]`.
    pub validation_worst_class: f64,
    /// Validation accuracy of the worst group after it, in `[0, 1]`; `None` where there are no
    /// groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_worst_group: Option<f64>,
}

/// A training by batches: what of it is a method's own, and what all share.
#[allow(missing_debug_implementations, reason = "losses need not have it")]
pub struct LayerTraining<'a> {
    /// What to learn from, and the layer to begin with.
    pub input: &'a MethodInput<'a>,
    /// The loss.
    pub loss: &'a mut dyn Loss,
    /// The samples of each epoch.
    pub sampling: &'a dyn Sampling,
    /// Optimiser, schedule, epochs, and which of them is kept.
    pub config: &'a TrainingConfig,
    /// What the observer is told is going on: "editing".
    pub stage: &'static str,
}

/// Trains a decision layer: `W` and `b`, and nothing else, by Adam on features that stay as they
/// are.
///
/// Nothing is read from the device within an epoch, and once at its end: losses, and the predictions
/// on the validation table. The layer to begin with is no candidate for the one kept, however
/// accurate: the validation samples usually have the same false correlation as the training samples,
/// and by its accuracy no edit would ever be chosen. Among equals [`Ties`] decides.
///
/// The observer hears of epochs, and can stop the work between two of them; after the last there is
/// nothing left to stop.
///
/// # Errors
///
/// When an option is out of range, an epoch's samples are none or out of range, training diverges, or
/// the observer asks to stop; [`Error::NoGroups`] under [`Keep::WorstGroup`] where the validation
/// samples have no groups.
pub fn train(training: LayerTraining<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
    let LayerTraining {
        input,
        loss,
        sampling,
        config,
        stage,
    } = training;
    config.validate()?;
    if config.keep == Keep::WorstGroup {
        input.validation_groups()?;
    }
    // The last epoch's layer is only the last one asked for when all epochs are run.
    let patience = config.patience.filter(|_| config.keep != Keep::Last);
    let mut run = Run::new(input, loss, sampling, config);
    let mut epochs: Vec<EpochRecord> = Vec::new();
    let mut kept: Option<(EpochRecord, LayerTensors)> = None;
    let mut most_accurate = (0, f64::NEG_INFINITY);
    let mut stopped_early = false;
    for epoch in 1..=config.epochs {
        let record = run.epoch(epoch)?;
        epochs.push(record);
        let better = kept
            .as_ref()
            .is_none_or(|(best, _)| run.is_better(&record, best));
        if epoch > config.skipped_epochs && better {
            kept = Some((record, run.layer.clone()));
        }
        if record.validation_accuracy > most_accurate.1 {
            most_accurate = (epoch, record.validation_accuracy);
        }
        let waited = epoch - most_accurate.0;
        let impatient = patience.is_some_and(|patience| waited >= patience);
        stopped_early = epoch < config.epochs && kept.is_some() && impatient;
        let progress = Progress {
            stage,
            done: epoch,
            total: config.epochs,
        };
        if stopped_early || epoch == config.epochs {
            // There is nothing left to stop.
            let _ = observer.update(progress);
            break;
        }
        observer.proceed(progress)?;
    }
    // `validate` has seen to it that not all epochs are skipped.
    let (record, layer) = kept.ok_or_else(|| CoreError::empty("epochs to keep"))?;
    Ok(Fitted {
        layer: layer.read_back()?,
        epochs,
        kept_epoch: Some(record.epoch),
        stopped_early,
        derived: BTreeMap::new(),
    })
}

/// Products of features and weights in a turn of a training: of small layers many batches, as handing a turn over takes as
/// long as some of them.
const TURN: usize = 1 << 22;

/// A training that is going on.
struct Run<'a> {
    table: &'a DeviceTable,
    validation: &'a DeviceTable,
    loss: &'a mut dyn Loss,
    sampling: &'a dyn Sampling,
    config: &'a TrainingConfig,
    layer: LayerTensors,
    weight: Adam<2>,
    bias: Adam<1>,
}

impl<'a> Run<'a> {
    fn new(
        input: &MethodInput<'a>,
        loss: &'a mut dyn Loss,
        sampling: &'a dyn Sampling,
        config: &'a TrainingConfig,
    ) -> Self {
        let layer = LayerTensors::of(input.layer(), input.device());
        Self {
            table: input.train(),
            validation: input.validation(),
            loss,
            sampling,
            config,
            weight: Adam::new(),
            bias: Adam::new(),
            layer,
        }
    }

    /// Passes over an epoch's samples, in the order of the epoch (from 1), looks at the validation
    /// samples, and reads the device once.
    fn epoch(&mut self, epoch: usize) -> Result<EpochRecord> {
        let config = self.config;
        let order = self.sampling.order(config.seed, epoch);
        self.check(&order)?;
        let steps = order.len().div_ceil(config.batch_size);
        let device = self.table.device();
        let mut sums = Tensor::<1>::zeros([2], device);
        let mut step = (epoch - 1) * steps;
        let of_turn = config.batch_size.saturating_mul(self.batches_of_a_turn());
        for turn in order.chunks(of_turn) {
            sums = among_workers(device, || -> Result<_> {
                for samples in turn.chunks(config.batch_size) {
                    sums = sums + self.step(samples, step, steps)?;
                    step += 1;
                }
                Ok(sums)
            })?;
        }
        let (mut all, has_penalty) = among_workers(device, || self.validate())?;
        all.splice(0..0, [sums, self.layer.is_finite()]);
        let values = read_back(Tensor::cat(all, 0), "the results of an epoch")?;
        let (&[loss, penalty, finite], validation) = values
            .split_first_chunk()
            .ok_or_else(|| CoreError::length("results of an epoch", 3, values.len()))?;
        if finite == 0.0 {
            return Err(self.diverged(epoch));
        }
        let (sum, predictions) = validation.split_at(usize::from(has_penalty));
        let samples = self.validation.len();
        let metrics = self.validation.metrics_of(predictions)?;
        let Metrics {
            accuracy,
            worst_class_accuracy,
            worst_group_accuracy,
            ..
        } = metrics;
        Ok(EpochRecord {
            epoch,
            loss: f64::from(loss) / steps as f64,
            penalty: f64::from(penalty) / steps as f64,
            validation_penalty: sum
                .first()
                .map_or(0.0, |&sum| self.loss.penalty_of(f64::from(sum), samples)),
            validation_accuracy: accuracy,
            validation_worst_class: worst_class_accuracy,
            validation_worst_group: worst_group_accuracy,
        })
    }

    /// Takes a step, counted from 0 over all epochs, of `steps` an epoch: the batch's loss and penalty, `[2]`.
    fn step(&mut self, samples: &[usize], step: usize, steps: usize) -> Result<Tensor<1>> {
        let config = self.config;
        let batch = self.table.batch(samples)?;
        let result = self.loss.evaluate(&self.layer, &batch);
        let rate = config
            .schedule
            .rate(config.learning_rate, step, steps, config.epochs);
        let decay = config.weight_decay;
        let LayerTensors { weight, bias } = &mut self.layer;
        self.weight.step(weight, result.weight, rate, decay)?;
        self.bias.step(bias, result.bias, rate, decay)?;
        Ok(Tensor::cat(vec![result.loss, result.penalty], 0))
    }

    /// How many batches a worker takes before other work may have its turn.
    fn batches_of_a_turn(&self) -> usize {
        let [classes, neurons] = self.layer.weight.dims();
        let of_batch = self.config.batch_size.saturating_mul(classes * neurons);
        (TURN / of_batch.max(1)).max(1)
    }

    /// The sum that makes the penalty, where there is one, and then the predictions.
    fn validate(&mut self) -> Result<(Vec<Tensor<1>>, bool)> {
        let mut sum: Option<Tensor<1>> = None;
        let mut all = Vec::new();
        for batch in self.validation.chunks() {
            let batch = batch?;
            let logits = self.layer.logits(batch.features.clone());
            let added = self.loss.penalty_sum(&self.layer, &batch, &logits);
            sum = match (sum, added) {
                (Some(sum), Some(added)) => Some(sum + added),
                (sum, added) => sum.or(added),
            };
            all.push(predictions(logits));
        }
        let has_penalty = sum.is_some();
        all.splice(0..0, sum);
        Ok((all, has_penalty))
    }

    /// Checks the samples of an epoch.
    fn check(&self, order: &[usize]) -> Result<()> {
        if order.is_empty() {
            return Err(CoreError::empty("samples in an epoch").into());
        }
        let length = self.table.len();
        match order.iter().find(|&&sample| sample >= length) {
            None => Ok(()),
            Some(&index) => Err(CoreError::OutOfRange {
                what: "sample of an epoch".to_owned(),
                index,
                length,
            }
            .into()),
        }
    }

    /// Why training cannot go on, out of the layer's values.
    fn diverged(&self, epoch: usize) -> Error {
        match self.layer.read_back() {
            Err(Error::Core(source)) => Error::Diverged { epoch, source },
            Err(other) => other,
            Ok(_) => Error::Diverged {
                epoch,
                source: CoreError::empty("finite values in the decision layer"),
            },
        }
    }

    /// Whether a later epoch is better than an earlier one.
    fn is_better(&self, later: &EpochRecord, earlier: &EpochRecord) -> bool {
        let merit = |record: &EpochRecord| match self.config.keep {
            Keep::Accuracy => record.validation_accuracy,
            Keep::WorstClass => record.validation_worst_class,
            Keep::WorstGroup => record.validation_worst_group.unwrap_or(0.0),
            Keep::Last => record.epoch as f64,
        };
        match merit(later).total_cmp(&merit(earlier)) {
            Ordering::Greater => true,
            Ordering::Equal => match self.config.ties {
                // Without the penalty in the loss it must not choose the layer either.
                Ties::SmallerPenalty => {
                    self.loss.penalty_weight() > 0.0
                        && later.validation_penalty < earlier.validation_penalty
                }
                Ties::Later => true,
            },
            Ordering::Less => false,
        }
    }
}
