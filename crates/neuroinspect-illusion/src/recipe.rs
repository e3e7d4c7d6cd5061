//! What decides a picture.

use derive_setters::Setters;
use neuroinspect_core::{Precision, Seed, Unit, check_option, io::sha256_of_bytes};
use serde::{Deserialize, Serialize};

use crate::{Augmentation, ImageParameter, Magnitudes, Objective, Pair, Result};

/// What decides a picture, together with the networks and the pair; the defaults are the paper's.
/// How it is computed is [`Execution`](crate::Execution)'s matter.
///
/// ```
/// use neuroinspect_illusion::{Augmentation, Objective, Recipe};
///
/// # fn main() -> neuroinspect_illusion::Result<()> {
/// let recipe = Recipe::default()
///     .with_steps(300)
///     .with_objective(Objective::without_clip(0.5))
///     .with_augmentation(Augmentation::off());
/// recipe.validate()?;
/// assert_ne!(recipe.sha256()?, Recipe::default().sha256()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", strip_option)]
pub struct Recipe {
    /// What is maximised. Default [`Objective::clip_illusion`] with the paper's weights.
    pub objective: Objective,
    /// Whether images of a batch pull on each other. Default [`Coupling::PerImage`].
    pub coupling: Coupling,
    /// Optimisation steps, at least 1. Default 450.
    pub steps: usize,
    /// Learning rate of AdamW at the first step. Default 9e-3.
    pub learning_rate: f64,
    /// AdamW's decay rates of the first and the second moment, in `[0, 1)`. Default (0.5, 0.99).
    #[setters(skip)]
    pub betas: (f64, f64),
    /// AdamW's decoupled weight decay. Default 2e-4.
    pub weight_decay: f64,
    /// The learning rate is annealed along a cosine to this share of its initial value, in
    /// `[0, 1]`. Default 0.12.
    pub final_rate_factor: f64,
    /// Random geometry the networks see the picture through.
    pub augmentation: Augmentation,
    /// How often that geometry is drawn. Default [`TransformDraw::PerStep`].
    pub transform_draw: TransformDraw,
    /// Standard deviation of the smoothing offsets, one per image and channel, at the first step;
    /// it falls linearly to 0. Default 0.2; 0 switches smoothing off.
    pub smoothing: f64,
    /// What is optimised in place of the pixels. Default [`ImageParameter::Spectrum`].
    pub parameter: ImageParameter,
    /// Standard deviation of the noise that the parameter starts from. Default: what its kind of
    /// [`parameter`](Self::parameter) starts from: 0.001, and 10 for phases.
    pub init_std: Option<f64>,
    /// What becomes of the imaginary part of a given image's spectrum. Default
    /// [`ImaginaryPart::Keep`].
    pub imaginary_part: ImaginaryPart,
    /// Standardised activation below which the mask is `mask_reduction`. Default 0.5.
    #[setters(skip)]
    pub mask_threshold: f64,
    /// What the mask is where the neuron is not active, in `[0, 1]`; 0 blanks. Default 0.5.
    #[setters(skip)]
    pub mask_reduction: f64,
    /// Side of the pictures in pixels, even and at most 4096. Default: the classifier's input size.
    /// Each network sees the picture resized to its own input size.
    pub size: Option<usize>,
    /// Number format the networks compute in; the picture and its optimiser are 32-bit floats in
    /// any case. Default [`Precision::F32`].
    pub precision: Precision,
    /// Seed of the initial noise, the transforms and the smoothing. Default 0.
    pub seed: Seed,
}

/// Part of each hash; raised when the same recipe comes to make another picture.
const VERSION: u32 = 2;

/// How the losses of a batch are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Coupling {
    /// Each image has its own loss (Eq. 10). The sum over the batch is differentiated: an image's
    /// gradient, and what AdamW makes of it, is the same in every batch.
    PerImage,
    /// As the authors' code computes it: `-mean(s + eps) mean(a_n + gamma z_c)`, so that an image's
    /// weight depends on its batch-mates: each factor of the objective's outermost product is
    /// averaged over the batch. At batch size 1 the two agree.
    WholeBatch,
}

/// How often the random geometry is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TransformDraw {
    /// Once per step, for all images: keyed by (seed, step).
    PerStep,
    /// Once per step and pair: keyed by (seed, neuron, class, step).
    PerImage,
}

/// What becomes of the imaginary part of the spectrum of a given image, where pictures
/// [start from images](crate::Initial::Images).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImaginaryPart {
    /// It is kept: the optimisation starts from the image.
    Keep,
    /// It is lost, as by the authors' code, which casts the complex spectrum to real numbers and
    /// optimises those: every picture is then its own reflection about its first pixel, rows and
    /// columns counted round the border.
    Drop,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            objective: Objective::default(),
            coupling: Coupling::PerImage,
            steps: 450,
            learning_rate: 9e-3,
            betas: (0.5, 0.99),
            weight_decay: 2e-4,
            final_rate_factor: 0.12,
            augmentation: Augmentation::default(),
            transform_draw: TransformDraw::PerStep,
            smoothing: 0.2,
            parameter: ImageParameter::Spectrum,
            init_std: None,
            imaginary_part: ImaginaryPart::Keep,
            mask_threshold: 0.5,
            mask_reduction: 0.5,
            size: None,
            precision: Precision::F32,
            seed: Seed::default(),
        }
    }
}

impl Recipe {
    /// The authors' code where it departs from the paper: images of a batch are coupled, and a
    /// given image loses the imaginary part of its spectrum.
    ///
    /// What else the code does otherwise is [not followed](crate#deviations-from-the-authors-code).
    pub fn original() -> Self {
        Self::default()
            .with_coupling(Coupling::WholeBatch)
            .with_imaginary_part(ImaginaryPart::Drop)
    }

    /// The feature visualization the paper compares with: `a_n + 0.1 z_c`, resized by factors in
    /// `[0.7, 1.2]`.
    pub fn feature_visualization() -> Self {
        Self::default()
            .with_objective(Objective::feature_visualization(0.1))
            .with_augmentation(Augmentation {
                scale: (0.7, 1.2),
                ..Augmentation::default()
            })
    }

    /// Phases at the magnitudes of real images ([`ImageParameter::Maco`]), at a rate of 0.3, thirty times
    /// that of spectra: a phase has half a turn to go.
    pub fn maco(magnitudes: Magnitudes) -> Self {
        Self::default()
            .with_parameter(ImageParameter::Maco(magnitudes))
            .with_learning_rate(0.3)
    }

    /// Sets AdamW's decay rates.
    pub fn with_betas(mut self, first: f64, second: f64) -> Self {
        self.betas = (first, second);
        self
    }

    /// Sets the mask's threshold and what the mask is below it.
    pub fn with_mask(mut self, threshold: f64, reduction: f64) -> Self {
        self.mask_threshold = threshold;
        self.mask_reduction = reduction;
        self
    }

    /// SHA-256 of the recipe as JSON, in hexadecimal: recipes that are equal have the same.
    ///
    /// # Errors
    ///
    /// [`Error::Json`](crate::Error::Json) when it cannot be written as JSON.
    pub fn sha256(&self) -> Result<String> {
        Ok(sha256_of_bytes(&serde_json::to_vec(&(VERSION, self))?))
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        self.objective.validate()?;
        self.augmentation.validate()?;
        if let ImageParameter::Maco(magnitudes) = &self.parameter {
            magnitudes.validate()?;
        }
        if let Some(size) = self.size {
            crate::parameter::check_size(size)?;
        }
        check_option("steps", self.steps, self.steps > 0, "at least 1")?;
        let rate = self.learning_rate;
        let allowed = rate.is_finite() && rate > 0.0;
        check_option("learning_rate", rate, allowed, "a number above 0")?;
        for (option, value) in [
            ("weight_decay", self.weight_decay),
            ("smoothing", self.smoothing),
            ("init_std", self.init_std.unwrap_or_default()),
        ] {
            let allowed = value.is_finite() && value >= 0.0;
            check_option(option, value, allowed, "a number of at least 0")?;
        }
        for (option, value) in [
            ("final_rate_factor", self.final_rate_factor),
            ("mask_reduction", self.mask_reduction),
        ] {
            let allowed = (0.0..=1.0).contains(&value);
            check_option(option, value, allowed, "a number from 0 to 1")?;
        }
        // AdamW computes with them in single precision.
        let betas = [self.betas.0, self.betas.1].map(|beta| beta as f32);
        let allowed = betas.iter().all(|beta| (0.0..1.0).contains(beta));
        let given = format!("{:?}", self.betas);
        check_option("betas", given, allowed, "two numbers from 0 to below 1")?;
        let threshold = self.mask_threshold;
        let allowed = threshold.is_finite();
        check_option("mask_threshold", threshold, allowed, "a finite number")?;
        Ok(())
    }
}

/// All that decides one picture; its hash names the picture, so that one that is there need not be made
/// again.
///
/// Under [`WholeBatch`](Coupling::WholeBatch) coupling the other pairs of the batch decide as well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Work<'a> {
    /// How it is made.
    pub recipe: &'a Recipe,
    /// The neuron and the class.
    pub pair: Pair,
    /// The unit that is pictured in the neuron's place, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'a Unit>,
    /// What tells the classifier's weights from others, such as their SHA-256.
    pub classifier: &'a str,
    /// What tells the encoder's weights and the class's texts from others; none without a guide.
    pub guide: Option<&'a str>,
    /// What tells the picture's start from others, as [`Initial::sha256`](crate::Initial::sha256) of
    /// the pair's own; none for noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<&'a str>,
}

impl Work<'_> {
    /// SHA-256 of all of it as JSON, in hexadecimal.
    ///
    /// # Errors
    ///
    /// As [`Recipe::sha256`].
    pub fn sha256(&self) -> Result<String> {
        Ok(sha256_of_bytes(&serde_json::to_vec(&(VERSION, self))?))
    }
}
