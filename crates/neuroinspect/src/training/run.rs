//! The steps.

use burn::{
    module::Module,
    nn::loss::CrossEntropyLossConfig,
    tensor::{Int, Tensor, TensorData},
};
use burn_optim::{GradientsParams, ModuleOptimizer};
use neuroinspect_core::{
    Error as CoreError, Metrics, Observer, Progress, is_cancellation, read_back,
};
use neuroinspect_editing::Keep;
use rand::seq::SliceRandom;

use super::{
    Epoch, TrainConfig, Trained,
    learner::{Batch, Learner},
    state::{Standing, StateFolder, numbered},
};
use crate::{Error, Result};

const STAGE: &str = "training";
/// Steps after which a training is kept within an epoch.
const STEPS_KEPT: usize = 500;

/// Who hears of a training.
pub(super) struct Heard<'a> {
    pub(super) on_epoch: &'a mut dyn FnMut(&Epoch),
    pub(super) observer: &'a mut dyn Observer,
}

/// What a training came to, for whatever was trained.
pub(super) struct Outcome<M> {
    pub(super) model: M,
    epochs: Vec<Epoch>,
    kept: usize,
    resumed_at: Option<usize>,
}

impl<M> Outcome<M> {
    pub(super) fn map(
        self,
        model: impl FnOnce(M) -> neuroinspect_models::GraphClassifier,
    ) -> Trained {
        Trained {
            model: model(self.model),
            epochs: self.epochs,
            kept: self.kept,
            resumed_at: self.resumed_at,
        }
    }
}

/// A training's steps.
pub(super) struct Loop<'a, L> {
    learner: &'a L,
    config: &'a TrainConfig,
    samples: usize,
    folder: Option<StateFolder>,
}

impl<'a, L: Learner> Loop<'a, L> {
    pub(super) fn new(
        learner: &'a L,
        config: &'a TrainConfig,
        samples: usize,
        folder: Option<StateFolder>,
    ) -> Self {
        Self {
            learner,
            config,
            samples,
            folder,
        }
    }

    pub(super) fn run(self, model: L::Model, heard: Heard<'_>) -> Result<Outcome<L::Model>> {
        let Heard { on_epoch, observer } = heard;
        let config = self.config;
        let per_epoch = self.samples.div_ceil(config.batch_size);
        let total = per_epoch * config.epochs;

        let mut model = numbered(model);
        let mut optimizer = config.optimizer();
        let mut standing = Standing::default();
        let (mut kept, mut resumed_at) = (None, None);
        if let Some(folder) = &self.folder
            && let Some(found) = folder.load(&model, config)
        {
            (standing, model, kept) = (found.standing, found.model, found.kept);
            optimizer = found.optimizer;
            resumed_at = Some(standing.step);
            standing.epochs.iter().for_each(&mut *on_epoch);
        }

        while standing.epochs.len() < config.epochs {
            let epoch = standing.epochs.len() + 1;
            let order = self.order(epoch);
            let done = (standing.step - (epoch - 1) * per_epoch) * config.batch_size;
            let mut sum = None;
            let mut see = |batch: Batch<L::Inputs>| -> Result<()> {
                let samples = batch.labels.len() as f64;
                let logits = self.learner.logits(&model, batch.inputs)?;
                let device = logits.device();
                let labels = batch.labels.iter().map(|&label| label as i32);
                let labels = TensorData::from(labels.collect::<Vec<_>>().as_slice());
                let labels = Tensor::<1, Int>::from_data(labels, &device);
                let cross_entropy = CrossEntropyLossConfig::new().init(&device);
                let loss = cross_entropy.forward(logits, labels);
                // Summed where it is: to read it would wait for the device at every step.
                let so_far = sum.take().unwrap_or_else(|| {
                    Tensor::<1>::from_data([standing.loss], &device.without_autodiff())
                });
                sum = Some(so_far + loss.clone().without_autodiff() * samples);
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                let rate = config.rate(standing.step, total);
                model = optimizer.step(rate, model.clone(), gradients);
                standing.step += 1;
                let stopped = observer.update(Progress {
                    stage: STAGE,
                    done: standing.step,
                    total,
                });
                let within = standing.step % per_epoch;
                if stopped.is_break() || (within > 0 && within.is_multiple_of(STEPS_KEPT)) {
                    standing.loss = read(&sum, epoch)?.unwrap_or(standing.loss);
                    self.keep(&model, &optimizer, &standing)?;
                }
                match stopped.is_break() {
                    true => Err(CoreError::cancelled(STAGE).into()),
                    false => Ok(()),
                }
            };
            let rest = order.get(done..).unwrap_or_default();
            self.learner.show(rest, epoch, &mut see)?;
            standing.loss = read(&sum, epoch)?.unwrap_or(standing.loss);

            let validation = match self.learner.validate(&model, observer) {
                Err(error) if is_cancellation(&error) => {
                    self.keep(&model, &optimizer, &standing)?;
                    return Err(error);
                }
                validation => validation?,
            };
            let best = standing.kept.map(|(best, _)| &standing.epochs[best - 1]);
            if best.is_none_or(|best| better(config.keep, &validation, &best.validation)) {
                standing.kept = Some((epoch, standing.step));
                kept = (config.keep != Keep::Last).then(|| model.valid());
            }
            standing.epochs.push(Epoch {
                epoch,
                loss: f64::from(standing.loss) / self.samples as f64,
                validation,
            });
            standing.loss = 0.0;
            self.keep(&model, &optimizer, &standing)?;
            standing.epochs.last().into_iter().for_each(&mut *on_epoch);
        }
        Ok(Outcome {
            model: kept.unwrap_or(model),
            kept: standing.kept.map_or(config.epochs, |(epoch, _)| epoch),
            epochs: standing.epochs,
            resumed_at,
        })
    }

    /// The samples in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.samples).collect();
        let mut rng = self.config.seed.rng("training order", &[epoch as u64]);
        order.shuffle(&mut rng);
        order
    }

    fn keep(
        &self,
        model: &L::Model,
        optimizer: &ModuleOptimizer,
        standing: &Standing,
    ) -> Result<()> {
        match &self.folder {
            Some(folder) => folder.save(model, optimizer, standing),
            None => Ok(()),
        }
    }
}

/// The sum of losses, where there is one.
fn read(sum: &Option<Tensor<1>>, epoch: usize) -> Result<Option<f32>> {
    let Some(sum) = sum else {
        return Ok(None);
    };
    let values = read_back(sum.clone(), "the loss")?;
    match values[..] {
        [sum] if sum.is_finite() => Ok(Some(sum)),
        _ => Err(Error::TrainingDiverged { epoch }),
    }
}

/// Whether an epoch is to be kept in the place of the best before it.
fn better(keep: Keep, new: &Metrics, best: &Metrics) -> bool {
    let worst_group = |metrics: &Metrics| metrics.worst_group_accuracy;
    match keep {
        Keep::Accuracy => new.accuracy > best.accuracy,
        Keep::WorstClass => new.worst_class_accuracy > best.worst_class_accuracy,
        Keep::WorstGroup => worst_group(new) > worst_group(best),
        _ => true,
    }
}
