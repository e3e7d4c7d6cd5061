//! Options of training.

use std::f64::consts::PI;

use burn_optim::{
    AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig, decay::WeightDecayConfig,
    momentum::MomentumConfig,
};
use derive_setters::Setters;
use neuroinspect_core::{Error as CoreError, Seed, check_option};
use neuroinspect_editing::{Keep, MOST_EPOCHS};
use serde::{Deserialize, Serialize};

/// What of a network is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainedPart {
    /// All of it; batch normalisation goes by the statistics of the batch.
    #[default]
    Network,
    /// The decision layer alone, on features computed once; the backbone stays as it is to the last
    /// bit, the running statistics of its batch normalisations included.
    DecisionLayer,
}

/// How gradients become steps, as PyTorch's of the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the velocity that is kept; 0 for none.
        momentum: f64,
    },
    /// Adam (arXiv 1412.6980), weight decay added to the gradient.
    Adam,
    /// AdamW (arXiv 1711.05101), weight decay apart from the gradient.
    #[default]
    AdamW,
}

/// How the learning rate goes over all steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateSchedule {
    /// As it is.
    Constant,
    /// Up from 0 over the first steps, down along half a cosine over all:
    /// `rate min(1, u / warmup) (floor + (1 - floor) (0.5 + 0.5 cos(pi u)))` at the progress `u`, taken
    /// at the middle of each step.
    Cosine {
        /// Share of all steps over which the rate rises; 0 for no rise.
        warmup: f64,
        /// Share of the rate that is left at the end.
        floor: f64,
    },
}

/// How training images are changed each time they are seen, at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingAugmentation {
    /// Whether every other image is mirrored, left to right.
    pub flip: bool,
    /// By up to how many pixels images are shifted along each axis, black coming in; 0 for none. A
    /// random crop of the image in a black frame of that width.
    pub shift: usize,
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct TrainConfig {
    /// What of the network is trained; all of it.
    pub part: TrainedPart,
    /// How gradients become steps; AdamW.
    #[setters(skip)]
    pub optimizer: Optimizer,
    /// Learning rate; 1e-3.
    #[setters(skip)]
    pub learning_rate: f64,
    /// How the learning rate goes; a tenth of all steps up, and down to 0 along a cosine.
    #[setters(skip)]
    pub schedule: RateSchedule,
    /// Weight decay of all parameters; 0.
    #[setters(skip)]
    pub weight_decay: f64,
    /// Images a step; 64. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Passes over the training images; 20.
    pub epochs: usize,
    /// How training images are changed; not at all.
    pub augmentation: TrainingAugmentation,
    /// Which epoch's weights are kept, by validation images; the last.
    pub keep: Keep,
    /// Seed of the order and the changes of images; 0. The weights to start from are the model's.
    pub seed: Seed,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            part: TrainedPart::Network,
            optimizer: Optimizer::AdamW,
            learning_rate: 1e-3,
            schedule: RateSchedule::Cosine {
                warmup: 0.1,
                floor: 0.0,
            },
            weight_decay: 0.0,
            batch_size: 64,
            epochs: 20,
            augmentation: TrainingAugmentation::default(),
            keep: Keep::Last,
            seed: Seed(0),
        }
    }
}

impl TrainConfig {
    /// The paper's recipe for MetaShift: the decision layer of an ImageNet ResNet-18, Adam at 2e-3 down
    /// to 2e-4 along a cosine, 20 epochs in batches of 8, the most accurate epoch kept. The rate falls
    /// from step to step, the original's from epoch to epoch; and the original's batch normalisation
    /// drifts, though the decision layer alone is trained there, too.
    pub fn metashift() -> Self {
        Self {
            part: TrainedPart::DecisionLayer,
            optimizer: Optimizer::Adam,
            learning_rate: 2e-3,
            schedule: RateSchedule::Cosine {
                warmup: 0.0,
                floor: 0.1,
            },
            batch_size: 8,
            keep: Keep::Accuracy,
            ..Self::default()
        }
    }

    /// The paper's recipe for Waterbirds: all of an ImageNet ResNet-50, Adam at 1e-4 throughout, weight
    /// decay 1e-4, 50 epochs in batches of 32, the most accurate epoch kept.
    pub fn waterbirds() -> Self {
        Self {
            optimizer: Optimizer::Adam,
            learning_rate: 1e-4,
            schedule: RateSchedule::Constant,
            weight_decay: 1e-4,
            batch_size: 32,
            epochs: 50,
            keep: Keep::Accuracy,
            ..Self::default()
        }
    }

    /// The paper's recipe for Flowers-102 and Food-101: that of [`metashift`](Self::metashift) in
    /// batches of 128, for a ResNet-50.
    pub fn fine_grained() -> Self {
        Self {
            batch_size: 128,
            ..Self::metashift()
        }
    }

    /// Sets how gradients become steps, and the weight decay.
    pub fn with_optimizer(mut self, optimizer: Optimizer, weight_decay: f64) -> Self {
        self.optimizer = optimizer;
        self.weight_decay = weight_decay;
        self
    }

    /// Sets the learning rate and how it goes.
    pub fn with_learning_rate(mut self, rate: f64, schedule: RateSchedule) -> Self {
        self.learning_rate = rate;
        self.schedule = schedule;
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption) naming the option.
    pub fn validate(&self) -> crate::Result<()> {
        let rate = self.learning_rate;
        let allowed = rate > 0.0 && rate.is_finite();
        check_option("learning_rate", rate, allowed, "a number above 0")?;
        let decay = self.weight_decay;
        let allowed = decay >= 0.0 && decay.is_finite();
        check_option("weight_decay", decay, allowed, "0 or a positive number")?;
        let count = "at least 1";
        check_option("batch_size", self.batch_size, self.batch_size > 0, count)?;
        let allowed = (1..=MOST_EPOCHS).contains(&self.epochs);
        check_option("epochs", self.epochs, allowed, "from 1 to 1000000")?;
        if let Optimizer::Sgd { momentum } = self.optimizer {
            let allowed = (0.0..1.0).contains(&momentum);
            check_option("momentum", momentum, allowed, "from 0, below 1")?;
        }
        if let RateSchedule::Cosine { warmup, floor } = self.schedule {
            for (option, share) in [("warmup", warmup), ("floor", floor)] {
                let allowed = (0.0..=1.0).contains(&share);
                check_option(option, share, allowed, "a share from 0 to 1")?;
            }
        }
        let changed = self.augmentation != TrainingAugmentation::default();
        if changed && self.part == TrainedPart::DecisionLayer {
            return Err(CoreError::InvalidOption {
                option: "augmentation",
                value: format!("{:?}", self.augmentation),
                expected: "none: a decision layer is trained on features computed once",
            }
            .into());
        }
        Ok(())
    }

    pub(super) fn optimizer(&self) -> ModuleOptimizer {
        let decay = self.weight_decay as f32;
        let penalty = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
        match self.optimizer {
            Optimizer::Sgd { momentum } => {
                let momentum = MomentumConfig::new()
                    .with_momentum(momentum)
                    .with_dampening(0.0);
                let config = SgdConfig::new().with_momentum(Some(momentum));
                config.with_weight_decay(penalty).init()
            }
            Optimizer::Adam => {
                let config = AdamConfig::new().with_epsilon(1e-8);
                config.with_weight_decay(penalty).init()
            }
            Optimizer::AdamW => {
                let config = AdamWConfig::new().with_epsilon(1e-8);
                config.with_weight_decay(decay).init()
            }
        }
    }

    /// The learning rate of a step, counted from 0, of `steps`.
    pub(super) fn rate(&self, step: usize, steps: usize) -> f64 {
        let RateSchedule::Cosine { warmup, floor } = self.schedule else {
            return self.learning_rate;
        };
        let progress = (step as f64 + 0.5) / steps as f64;
        let rise = match warmup > 0.0 {
            true => (progress / warmup).min(1.0),
            false => 1.0,
        };
        let fall = floor + (1.0 - floor) * (0.5 + 0.5 * (PI * progress).cos());
        self.learning_rate * rise * fall
    }
}
