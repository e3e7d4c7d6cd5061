//! The options of a visualization.

use neuroinspect_core::Seed;
use serde::{Deserialize, Serialize};

use crate::{Augmentation, Error, Result};

/// How pictures are optimised; the defaults are the paper's.
///
/// ```
/// use neuroinspect_illusion::{Augmentation, IllusionConfig, Objective};
///
/// # fn main() -> neuroinspect_illusion::Result<()> {
/// let config = IllusionConfig::new()
///     .with_steps(300)
///     .with_objective(Objective::ClassConditional)
///     .with_augmentation(Augmentation::off());
/// config.validate()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IllusionConfig {
    /// Optimisation steps, at least 1. Default 450.
    pub steps: usize,
    /// Learning rate of AdamW at the first step. Default 9e-3.
    pub learning_rate: f64,
    /// AdamW's decay rates of the first and the second moment, in `[0, 1)`. Default (0.5, 0.99).
    pub betas: (f64, f64),
    /// AdamW's decoupled weight decay. Default 2e-4.
    pub weight_decay: f64,
    /// The learning rate is annealed along a cosine to this share of its initial value, in
    /// `[0, 1]`. Default 0.12.
    pub final_rate_factor: f64,
    /// Weight gamma of the class's logit beside the neuron's activation (Eq. 2). Default 0.5;
    /// the paper takes 0.45 for Food-101.
    pub class_gamma: f64,
    /// Added to the similarity (Eq. 4), so that an encoder that does not know the domain cannot
    /// silence the objective. Default 0.05.
    pub domain_eps: f64,
    /// What is maximised. Default [`Objective::Guided`].
    pub objective: Objective,
    /// Whether images of a batch pull on each other. Default [`Coupling::PerImage`].
    pub coupling: Coupling,
    /// Random geometry the networks see the picture through.
    pub augmentation: Augmentation,
    /// How often that geometry is drawn. Default [`TransformDraw::PerStep`].
    pub transform_draw: TransformDraw,
    /// Standard deviation of the smoothing offsets, one per image and channel, at the first step;
    /// it falls linearly to 0. Default 0.2; 0 switches smoothing off.
    pub smoothing: f64,
    /// Standard deviation of the initial spectrum. Default 0.001.
    pub init_std: f64,
    /// What becomes of the imaginary part of a given image's spectrum. Default
    /// [`ImaginaryPart::Keep`].
    pub imaginary_part: ImaginaryPart,
    /// Pairs optimised at once; memory grows with it, results do not depend on it (except under
    /// [`Coupling::WholeBatch`]). Default 8.
    pub batch_size: usize,
    /// Standardised activation below which the mask is `mask_reduction`. Default 0.5.
    pub mask_threshold: f64,
    /// What the mask is where the neuron is not active, in `[0, 1]`; 0 blanks. Default 0.5.
    pub mask_reduction: f64,
    /// Side of the pictures in pixels, even and at most 4096. Default: the classifier's input size. Each network
    /// sees the picture resized to its own input size.
    pub size: Option<usize>,
    /// Steps between two points of the trace, at least 1; each is one small read from the device.
    /// Default 10.
    pub trace_every: usize,
    /// Seed of the initial spectrum, the transforms and the smoothing. Default 0.
    pub seed: Seed,
}

/// What is maximised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Objective {
    /// CLIP-Illusion, `(s + eps) (a_n + gamma z_c)`; needs a [`Guide`](crate::Guide).
    Guided,
    /// The paper's "w/o CLIP", `a_n + gamma z_c`.
    ClassConditional,
    /// Feature visualization (FV), `a_n + logit_weight z_c`; weight 0 is the neuron alone.
    FeatureVisualization {
        /// Weight of the class's logit; 0.1 in the original.
        logit_weight: f64,
    },
}

/// How the losses of a batch are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Coupling {
    /// Each image has its own loss (Eq. 10). The sum over the batch is differentiated: an image's
    /// gradient, and what AdamW makes of it, is the same in every batch.
    PerImage,
    /// As the authors' code computes it: `-mean(s + eps) mean(a_n + gamma z_c)`, the means taken
    /// over the batch, so that an image's weight depends on its batch-mates. At batch size 1 the
    /// two agree.
    WholeBatch,
}

/// How often the random geometry is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TransformDraw {
    /// Once per step, for all images: keyed by (seed, step).
    PerStep,
    /// Once per step and pair: keyed by (seed, neuron, class, step).
    PerImage,
}

/// What becomes of the imaginary part of the spectrum of a given image
/// ([`Initial::Images`](crate::Initial::Images)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImaginaryPart {
    /// It is kept: the optimisation starts from the image.
    Keep,
    /// It is lost, as by the authors' code, which casts the complex spectrum to real numbers and
    /// optimises those: every picture is then its own reflection about its first pixel, rows and
    /// columns counted round the border.
    Drop,
}

impl Default for IllusionConfig {
    fn default() -> Self {
        Self {
            steps: 450,
            learning_rate: 9e-3,
            betas: (0.5, 0.99),
            weight_decay: 2e-4,
            final_rate_factor: 0.12,
            class_gamma: 0.5,
            domain_eps: 0.05,
            objective: Objective::Guided,
            coupling: Coupling::PerImage,
            augmentation: Augmentation::default(),
            transform_draw: TransformDraw::PerStep,
            smoothing: 0.2,
            init_std: 0.001,
            imaginary_part: ImaginaryPart::Keep,
            batch_size: 8,
            mask_threshold: 0.5,
            mask_reduction: 0.5,
            size: None,
            trace_every: 10,
            seed: Seed::default(),
        }
    }
}

impl IllusionConfig {
    /// The paper's options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The authors' code where it departs from the paper: images of a batch are coupled, and a
    /// given image loses the imaginary part of its spectrum.
    ///
    /// Three of its ways are not followed. Starting from an image, it keeps the spectrum's
    /// `S / 2 + 1` columns, of which the last, the Nyquist column, is lost here; and it takes the
    /// image as normalised with ImageNet's mean and standard deviation, and undoes that first,
    /// where [`Initial::Images`](crate::Initial::Images) are pixels in `[0, 1]`. And at step `t` of
    /// `T` its smoothing is `(T - 2 - t) / T` of its first size, the last step's wrapping round,
    /// where it is `(T - t) / T` here.
    pub fn original() -> Self {
        Self::default()
            .with_coupling(Coupling::WholeBatch)
            .with_imaginary_part(ImaginaryPart::Drop)
    }

    /// The feature visualization the paper compares with: `a_n + 0.1 z_c`, resized by factors in
    /// `[0.7, 1.2]`.
    pub fn feature_visualization() -> Self {
        Self::default()
            .with_objective(Objective::FeatureVisualization { logit_weight: 0.1 })
            .with_augmentation(Augmentation {
                scale: (0.7, 1.2),
                ..Augmentation::default()
            })
    }

    /// Sets the number of steps.
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Sets the initial learning rate.
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        self.learning_rate = learning_rate;
        self
    }

    /// Sets AdamW's decay rates.
    pub fn with_betas(mut self, first: f64, second: f64) -> Self {
        self.betas = (first, second);
        self
    }

    /// Sets AdamW's weight decay.
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Sets the share of the learning rate left at the end.
    pub fn with_final_rate_factor(mut self, factor: f64) -> Self {
        self.final_rate_factor = factor;
        self
    }

    /// Sets the weight gamma of the class's logit.
    pub fn with_class_gamma(mut self, gamma: f64) -> Self {
        self.class_gamma = gamma;
        self
    }

    /// Sets eps, added to the similarity.
    pub fn with_domain_eps(mut self, eps: f64) -> Self {
        self.domain_eps = eps;
        self
    }

    /// Sets what is maximised.
    pub fn with_objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// Sets how the losses of a batch are joined.
    pub fn with_coupling(mut self, coupling: Coupling) -> Self {
        self.coupling = coupling;
        self
    }

    /// Sets the random geometry.
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = augmentation;
        self
    }

    /// Sets how often the random geometry is drawn.
    pub fn with_transform_draw(mut self, draw: TransformDraw) -> Self {
        self.transform_draw = draw;
        self
    }

    /// Sets the standard deviation of the smoothing offsets.
    pub fn with_smoothing(mut self, std: f64) -> Self {
        self.smoothing = std;
        self
    }

    /// Sets the standard deviation of the initial spectrum.
    pub fn with_init_std(mut self, std: f64) -> Self {
        self.init_std = std;
        self
    }

    /// Sets what becomes of the imaginary part of a given image's spectrum.
    pub fn with_imaginary_part(mut self, imaginary_part: ImaginaryPart) -> Self {
        self.imaginary_part = imaginary_part;
        self
    }

    /// Sets the number of pairs optimised at once.
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the mask's threshold and what the mask is below it.
    pub fn with_mask(mut self, threshold: f64, reduction: f64) -> Self {
        self.mask_threshold = threshold;
        self.mask_reduction = reduction;
        self
    }

    /// Sets the side of the pictures.
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = Some(size);
        self
    }

    /// Sets the steps between two points of the trace.
    pub fn with_trace_every(mut self, steps: usize) -> Self {
        self.trace_every = steps;
        self
    }

    /// Sets the seed.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("steps", self.steps),
            ("batch_size", self.batch_size),
            ("trace_every", self.trace_every),
        ];
        for (option, value) in counts {
            if value == 0 {
                return Err(Error::option(option, value, "at least 1"));
            }
        }
        if let Some(size) = self.size {
            crate::spectrum::check_size(size)?;
        }
        let positive = self.learning_rate.is_finite() && self.learning_rate > 0.0;
        if !positive {
            return Err(Error::option(
                "learning_rate",
                self.learning_rate,
                "a number above 0",
            ));
        }
        let not_negative = [
            ("weight_decay", self.weight_decay),
            ("class_gamma", self.class_gamma),
            ("domain_eps", self.domain_eps),
            ("smoothing", self.smoothing),
            ("init_std", self.init_std),
        ];
        for (option, value) in not_negative {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::option(option, value, "a number of at least 0"));
            }
        }
        for (option, value) in [
            ("final_rate_factor", self.final_rate_factor),
            ("mask_reduction", self.mask_reduction),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::option(option, value, "a number from 0 to 1"));
            }
        }
        for beta in [self.betas.0, self.betas.1] {
            // AdamW computes with them in single precision.
            if !(0.0..1.0).contains(&(beta as f32)) {
                return Err(Error::option(
                    "betas",
                    self.betas,
                    "two numbers from 0 to below 1",
                ));
            }
        }
        if !self.mask_threshold.is_finite() {
            return Err(Error::option(
                "mask_threshold",
                self.mask_threshold,
                "a finite number",
            ));
        }
        if let Objective::FeatureVisualization { logit_weight } = self.objective
            && !(logit_weight.is_finite() && logit_weight >= 0.0)
        {
            return Err(Error::option(
                "logit_weight",
                logit_weight,
                "a number of at least 0",
            ));
        }
        self.augmentation.validate()
    }
}
