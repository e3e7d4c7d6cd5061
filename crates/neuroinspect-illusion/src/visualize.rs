//! The optimisation loop.

use std::fmt;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array4, Axis};
use neuroinspect_core::{Classifier, DecisionLayer, ImageTextEncoder, Observer, Progress};
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Error, Illusion, IllusionConfig, Illusions, ImaginaryPart, Objective, Pair, Result, Shortfall,
    Spectrum, Squash, batch::Batch, resample::Eye,
};

const STAGE: &str = "visualizing";

/// A joint image-text encoder and what it makes of the class names.
#[derive(Clone)]
pub struct Guide<'a> {
    /// The encoder; on the classifier's device.
    pub encoder: &'a dyn ImageTextEncoder,
    /// `t_c`, the mean of the unit-normalised embeddings of the class's prompts, not normalised
    /// again; rows by class: `[K, E]`.
    pub class_embeddings: Tensor<2>,
}

impl fmt::Debug for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guide")
            .field("encoder", &self.encoder.name())
            .field("class_embeddings", &self.class_embeddings.dims())
            .finish()
    }
}

/// What the optimisation starts from.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// Normal noise of standard deviation [`init_std`](IllusionConfig::init_std), keyed by
    /// (seed, neuron, class).
    #[default]
    Noise,
    /// A spectrum per pair, as [`Spectrum`] reads it: `[pairs, 3, S, S]`.
    Spectra(Array4<f32>),
    /// An image per pair, in `[0, 1]`: `[pairs, 3, S, S]`. The picture is then clamped to
    /// `[0, 1]` instead of squashed. Of the image's spectrum the Nyquist column is lost, and the
    /// imaginary part where [`imaginary_part`](IllusionConfig::imaginary_part) says so.
    Images(Array4<f32>),
}

/// Makes a CLIP-Illusion picture of every pair, starting from noise.
///
/// Pairs are optimised in batches of [`batch_size`](IllusionConfig::batch_size); except under
/// [`WholeBatch`](crate::Coupling::WholeBatch) coupling, a pair's picture does not depend on the
/// others (but for the last bits, where a device's kernels sum in another order for another batch
/// size). The observer hears of every step of every batch.
///
/// A pair that diverges has no picture and stands in [`Illusions::diverged`]; the others go on.
/// Nor is being stopped by the observer an error: see [`Illusions::interrupted`]. Of no pairs there
/// are no pictures.
///
/// # Errors
///
/// When an option or a network's input is out of range, a pair's neuron or class does not exist, the objective is
/// guided and there is no guide, the guide does not fit the classifier, the classifier passes no
/// gradient, a device fails, or every pair diverges without the observer having stopped the work.
pub fn visualize(
    classifier: &dyn Classifier,
    guide: Option<&Guide<'_>>,
    pairs: &[Pair],
    config: &IllusionConfig,
    observer: &mut dyn Observer,
) -> Result<Illusions> {
    visualize_from(classifier, guide, pairs, &Initial::Noise, config, observer)
}

/// [`visualize`], starting from given spectra or images.
///
/// # Errors
///
/// As [`visualize`], and when `initial` does not hold one spectrum or image per pair, of the
/// pictures' size.
pub fn visualize_from(
    classifier: &dyn Classifier,
    guide: Option<&Guide<'_>>,
    pairs: &[Pair],
    initial: &Initial,
    config: &IllusionConfig,
    observer: &mut dyn Observer,
) -> Result<Illusions> {
    let mut finished = Vec::with_capacity(pairs.len());
    let Shortfall {
        diverged,
        interrupted,
    } = visualize_each(
        classifier,
        guide,
        pairs,
        initial,
        config,
        observer,
        &mut |batch| finished.extend(batch),
    )?;
    Ok(Illusions {
        finished,
        diverged,
        interrupted,
    })
}

/// [`visualize_from`], handing over the pictures of each batch as soon as it has ended and keeping
/// none.
///
/// `on_batch` is called once for each batch, in the order of the pairs: what it has been given is the
/// caller's, be it that a later batch ends in an error. Pairs that diverged are not among the
/// pictures. After an interruption it also gets those of the batch under way, whose
/// [`steps`](Illusion::steps) are fewer than asked for. Which pairs have no picture, and why, is
/// returned.
///
/// # Errors
///
/// As [`visualize_from`].
pub fn visualize_each(
    classifier: &dyn Classifier,
    guide: Option<&Guide<'_>>,
    pairs: &[Pair],
    initial: &Initial,
    config: &IllusionConfig,
    observer: &mut dyn Observer,
    on_batch: &mut dyn FnMut(Vec<Illusion>),
) -> Result<Shortfall> {
    config.validate()?;
    let studio = Studio::new(classifier, guide, config)?;
    for pair in pairs {
        studio.layer.check_neuron(pair.neuron)?;
        studio.layer.check_class(pair.class)?;
    }
    studio.check_initial(initial, pairs.len())?;

    let mut diverged = Vec::new();
    let mut progress = StepCount {
        observer,
        done: 0,
        stopped: false,
        total: pairs.chunks(config.batch_size).len() * config.steps,
    };
    for (index, batch) in pairs.chunks(config.batch_size).enumerate() {
        let first = index * config.batch_size;
        let (parameter, squash) = studio.initial_parameter(initial, first, batch);
        let mut finished = Vec::with_capacity(batch.len());
        for outcome in Batch::new(&studio, batch)?.optimize(parameter, squash, &mut progress)? {
            match outcome {
                Ok(illusion) => finished.push(illusion),
                Err(of_pair) => diverged.push(of_pair),
            }
        }
        on_batch(finished);
        if progress.stopped {
            break;
        }
    }
    let interrupted = progress.interrupted();
    match diverged.first() {
        Some(&first) if !interrupted && diverged.len() == pairs.len() => Err(first.into()),
        _ => Ok(Shortfall {
            diverged,
            interrupted,
        }),
    }
}

/// Tells the observer of steps over all batches.
pub(crate) struct StepCount<'a> {
    observer: &'a mut dyn Observer,
    done: usize,
    total: usize,
    /// Whether the observer has said so.
    pub(crate) stopped: bool,
}

impl StepCount<'_> {
    /// Counts steps as done, be they taken or, where all have diverged, not to be taken.
    pub(crate) fn advance(&mut self, steps: usize) {
        self.done += steps;
        let flow = self.observer.update(Progress {
            stage: STAGE,
            done: self.done,
            total: self.total,
        });
        self.stopped |= flow.is_break();
    }

    /// Whether the observer's word has cost steps; after the last one it costs none.
    fn interrupted(&self) -> bool {
        self.stopped && self.done < self.total
    }
}

/// What all batches share.
pub(crate) struct Studio<'a> {
    pub(crate) classifier: &'a dyn Classifier,
    /// How the classifier sees the pictures.
    pub(crate) classifier_eye: Eye,
    /// The guide, and how its encoder sees the pictures.
    pub(crate) guide: Option<(&'a Guide<'a>, Eye)>,
    pub(crate) config: &'a IllusionConfig,
    pub(crate) layer: DecisionLayer,
    pub(crate) spectrum: Spectrum,
    /// 1 at real, 0 at imaginary parts, `[1, 1, 1, S]`, where a given image loses those.
    real_parts: Option<Tensor<4>>,
    pub(crate) device: Device,
}

impl<'a> Studio<'a> {
    pub(crate) fn new(
        classifier: &'a dyn Classifier,
        guide: Option<&'a Guide<'a>>,
        config: &'a IllusionConfig,
    ) -> Result<Self> {
        let device = classifier.device().without_autodiff();
        let layer = classifier.decision_layer()?;
        match guide {
            Some(guide) => check_guide(guide, classifier, &device, layer.classes())?,
            None if config.objective == Objective::Guided => return Err(Error::MissingGuide),
            None => {}
        }
        classifier.input().validate()?;
        if let Some(guide) = guide {
            guide.encoder.input().validate()?;
        }
        let size = config.size.unwrap_or(classifier.input().size);
        let spectrum = Spectrum::new(size, &device)?;
        Ok(Self {
            classifier,
            classifier_eye: Eye::new(classifier.input(), size, &device),
            guide: guide.map(|guide| (guide, Eye::new(guide.encoder.input(), size, &device))),
            config,
            layer,
            spectrum,
            real_parts: (config.imaginary_part == ImaginaryPart::Drop).then(|| {
                let alternating = [1.0_f32, 0.0].repeat(size / 2);
                Tensor::from_data(TensorData::new(alternating, [1, 1, 1, size]), &device)
            }),
            device,
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.spectrum.size()
    }

    /// The pictures that parameters `[N, 3, S, S]` stand for: `[N, 3, S, S]` in `[0, 1]`.
    pub(crate) fn images(&self, parameter: Tensor<4>, squash: Squash) -> Tensor<4> {
        let parameter = match (&self.real_parts, squash) {
            (Some(real_parts), Squash::Clamp) => parameter * real_parts.clone(),
            _ => parameter,
        };
        self.spectrum.images(parameter, squash)
    }

    fn check_initial(&self, initial: &Initial, pairs: usize) -> Result<()> {
        let (what, given) = match initial {
            Initial::Noise => return Ok(()),
            Initial::Spectra(spectra) => ("initial spectra", spectra),
            Initial::Images(images) => ("initial images", images),
        };
        let expected = [pairs, 3, self.size(), self.size()];
        if given.shape() != expected {
            return Err(Error::shape(what, expected, given.shape()));
        }
        Ok(())
    }

    /// The parameter of a batch whose first pair is number `first`, and how to squash it.
    fn initial_parameter(
        &self,
        initial: &Initial,
        first: usize,
        pairs: &[Pair],
    ) -> (Tensor<4>, Squash) {
        let size = self.size();
        let shape = [pairs.len(), 3, size, size];
        let on_device =
            |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), &self.device);
        let given = |all: &Array4<f32>| {
            let of_batch = all.axis_iter(Axis(0)).skip(first).take(pairs.len());
            on_device(
                of_batch
                    .flat_map(|one| one.iter().copied().collect::<Vec<_>>())
                    .collect(),
            )
        };
        match initial {
            Initial::Noise => {
                let noise = |pair| {
                    self.normals("initial spectrum", pair, None)
                        .take(3 * size * size)
                        .map(|value| (value * self.config.init_std) as f32)
                };
                (
                    on_device(pairs.iter().flat_map(noise).collect()),
                    Squash::Sigmoid,
                )
            }
            Initial::Spectra(spectra) => (given(spectra), Squash::Sigmoid),
            Initial::Images(images) => (self.spectrum.parameter_of(given(images)), Squash::Clamp),
        }
    }

    /// Standard normal numbers that belong to a pair, and to a step of it.
    pub(crate) fn normals(
        &self,
        purpose: &str,
        pair: &Pair,
        step: Option<usize>,
    ) -> impl Iterator<Item = f64> + use<> {
        let mut keys = vec![pair.neuron.0 as u64, pair.class.0 as u64];
        keys.extend(step.map(|step| step as u64));
        StandardNormal.sample_iter(self.config.seed.rng(purpose, &keys))
    }
}

fn check_guide(
    guide: &Guide<'_>,
    classifier: &dyn Classifier,
    device: &Device,
    classes: usize,
) -> Result<()> {
    if guide.encoder.device().without_autodiff() != *device {
        return Err(Error::DifferentDevices {
            classifier: classifier.name().to_owned(),
            encoder: guide.encoder.name().to_owned(),
        });
    }
    let [rows, width] = guide.class_embeddings.dims();
    if rows != classes || width == 0 {
        return Err(Error::shape(
            "class embeddings of the guide",
            ["classes", &classes.to_string(), "embedding width"],
            [rows, width],
        ));
    }
    Ok(())
}
