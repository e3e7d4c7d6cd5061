//! The request for pictures, and the loop over its batches.

use std::ops::{ControlFlow, Range};

use derive_setters::Setters;
use ndarray::{Array4, Axis};
use neuroinspect_core::{
    ClassId, Error as CoreError, NeuronId, Observer, Progress, Unit, io::sha256_of_bytes,
};

use crate::{
    BatchKeeper, Execution, Illusion, Illusions, Networks, OptimizationState, Pair, Recipe, Result,
    Shortfall,
    batch::{Batch, Optimized},
    context::Context,
};

const STAGE: &str = "visualizing";

/// Which pictures are to be made, and how.
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(prefix = "with_")]
pub struct Request {
    /// A picture is made of each.
    #[setters(skip)]
    pub pairs: Vec<Pair>,
    /// What is pictured in place of each pair's neuron: a unit of any layer of the classifier. Its
    /// activation is then `a_n`, and the mask says where in its layer's map it is active. Empty, as by
    /// default, where neurons are pictured.
    #[setters(skip)]
    pub units: Vec<Unit>,
    /// What decides the pictures.
    #[setters(skip)]
    pub recipe: Recipe,
    /// How they are computed.
    pub execution: Execution,
    /// What the optimisation starts from. Default [`Initial::Noise`].
    pub initial: Initial,
}

impl Request {
    /// Pictures that start from noise, computed with the default [`Execution`].
    pub fn new(pairs: impl Into<Vec<Pair>>, recipe: Recipe) -> Self {
        Self {
            pairs: pairs.into(),
            recipe,
            ..Self::default()
        }
    }

    /// Pictures of units of any layer, in place of neurons, all within one class; that is no matter to
    /// an objective that does not [need a class](crate::Objective::needs_class). Otherwise as [`new`](Self::new).
    ///
    /// The number of a pair's neuron is that of the unit's channel, to which its random numbers belong.
    pub fn of_units(units: Vec<Unit>, class: ClassId, recipe: Recipe) -> Self {
        let pair = |unit: &Unit| Pair {
            neuron: NeuronId(unit.kind.channel()),
            class,
        };
        let pairs: Vec<Pair> = units.iter().map(pair).collect();
        Self {
            units,
            ..Self::new(pairs, recipe)
        }
    }

    /// The request for some of the pairs alone, each with what it starts from.
    ///
    /// # Errors
    ///
    /// When there are not as many parameters or images to start from, or units, as pairs, or not as many
    /// pairs as the range goes to.
    pub fn part(&self, pairs: Range<usize>) -> Result<Self> {
        let all = self.pairs.len();
        if pairs.start > pairs.end || pairs.end > all {
            return Err(CoreError::length("pairs of the request", pairs.end, all).into());
        }
        self.rows(&pairs.collect::<Vec<_>>())
    }

    /// [`part`](Self::part) for pairs in any places, which there must be.
    pub(crate) fn rows(&self, places: &[usize]) -> Result<Self> {
        let all = self.pairs.len();
        let of_pairs = |given: &Array4<f32>| match given.dim().0 {
            rows if rows == all => Ok(given.select(Axis(0), places)),
            rows => Err(CoreError::length("what pairs start from", all, rows)),
        };
        let units = self.units_of(0..all)?;
        Ok(Self {
            initial: match &self.initial {
                Initial::Noise => Initial::Noise,
                Initial::Parameters(given) => Initial::Parameters(of_pairs(given)?),
                Initial::Images(given) => Initial::Images(of_pairs(given)?),
            },
            units: match units.is_empty() {
                true => Vec::new(),
                false => places.iter().map(|&place| units[place].clone()).collect(),
            },
            pairs: places.iter().map(|&place| self.pairs[place]).collect(),
            recipe: self.recipe.clone(),
            execution: self.execution,
        })
    }

    /// The units of some of the pairs; none where neurons are pictured.
    pub(crate) fn units_of(&self, pairs: Range<usize>) -> Result<&[Unit]> {
        let (all, units) = (self.pairs.len(), self.units.len());
        match units {
            0 => Ok(&[]),
            _ if units == all => Ok(&self.units[pairs]),
            _ => Err(CoreError::length("units of the request", all, units).into()),
        }
    }
}

/// What the optimisation starts from.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// Normal noise of the parameter's shape and of standard deviation
    /// [`init_std`](Recipe::init_std), keyed by (seed, neuron, class).
    #[default]
    Noise,
    /// A parameter per pair, of the shape that the recipe's
    /// [`ImageParameter`](crate::ImageParameter) reads: `[pairs, ..]`, `[pairs, 3, S, S]` for
    /// spectra and pixels.
    Parameters(Array4<f32>),
    /// An image per pair, in `[0, 1]`: `[pairs, 3, S, S]`. The picture is then clamped to
    /// `[0, 1]` instead of squashed by the logistic function. Of the image's spectrum the Nyquist
    /// column is lost, and the imaginary part where [`imaginary_part`](Recipe::imaginary_part) says
    /// so.
    Images(Array4<f32>),
}

impl Initial {
    /// What tells given parameters or images from others: the SHA-256 of what they are, their shape and
    /// their values. `None` for noise, which the recipe decides.
    pub fn sha256(&self) -> Option<String> {
        let (what, given) = match self {
            Self::Noise => return None,
            Self::Parameters(given) => ("parameters", given),
            Self::Images(given) => ("images", given),
        };
        let mut bytes = format!("{what} {:?} ", given.dim()).into_bytes();
        bytes.extend(given.iter().flat_map(|value| value.to_le_bytes()));
        Some(sha256_of_bytes(&bytes))
    }
}

/// Makes a picture of every pair.
///
/// Pairs are optimised in batches of [`batch_size`](Execution::batch_size); except under
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
/// Before the first step: when an option is out of range, a pair's neuron or class does not exist or
/// its class was not embedded, the objective needs a guide and there is none, asks for a class, a
/// layer or a unit that the classifier does not have, the networks were prepared in another
/// precision, or what it starts from is not one parameter or image per pair, nor its units one per
/// pair. Later: when a device
/// fails, or every pair diverges without the observer having stopped the work.
pub fn visualize(
    networks: &Networks,
    request: &Request,
    observer: &mut dyn Observer,
) -> Result<Illusions> {
    let mut finished = Vec::with_capacity(request.pairs.len());
    let Shortfall {
        diverged,
        interrupted,
    } = visualize_each(networks, request, observer, &mut |batch| {
        finished.extend(batch);
    })?;
    Ok(Illusions {
        finished,
        diverged,
        interrupted,
    })
}

/// [`visualize`], handing over the pictures of each batch as soon as it has ended and keeping none.
///
/// `on_batch` is called once for each batch, in the order of the pairs: what it has been given is the
/// caller's, be it that a later batch ends in an error. Pairs that diverged are not among the
/// pictures. After an interruption it also gets those of the batch under way, whose
/// [`steps`](Illusion::steps) are fewer than asked for. Which pairs have no picture, and why, is
/// returned.
///
/// # Errors
///
/// As [`visualize`].
pub fn visualize_each(
    networks: &Networks,
    request: &Request,
    observer: &mut dyn Observer,
    on_batch: &mut dyn FnMut(Vec<Illusion>),
) -> Result<Shortfall> {
    visualize_batches(networks, request, observer, &mut HandOver(on_batch))?
        .refuse_all_diverged(request.pairs.len())
}

/// Hands pictures over and keeps nothing.
struct HandOver<'a>(&'a mut dyn FnMut(Vec<Illusion>));

impl BatchKeeper for HandOver<'_> {
    fn go_on(&mut self, _: &[Pair]) -> Option<OptimizationState> {
        None
    }
    fn checkpoint(&mut self, _: OptimizationState) {}
    fn keeps_checkpoints(&self) -> bool {
        false
    }
    fn finish(&mut self, batch: Illusions) {
        (self.0)(batch.finished);
    }
}

/// [`visualize_each`] for who keeps pictures over the end of the process, be they finished or under
/// way: `keeper` is handed each batch with its pairs that diverged, is handed where the batch under
/// way stands every [`checkpoint_every`](Execution::checkpoint_every) steps, and may give that back
/// to a later run. The pictures are then, to the last bit, those of a run left alone.
///
/// The observer is told of the steps that a batch had before as soon as it hears of the next one.
/// That every pair diverges is no error here, since other batches of the same work may have been
/// kept before: see [`Shortfall::refuse_all_diverged`].
///
/// # Errors
///
/// As [`visualize`], and [`Error::OtherState`](crate::Error::OtherState) when what the keeper gives
/// back is of another recipe or of other pairs.
pub fn visualize_batches(
    networks: &Networks,
    request: &Request,
    observer: &mut dyn Observer,
    keeper: &mut dyn BatchKeeper,
) -> Result<Shortfall> {
    let context = Context::new(networks, request)?;
    let batch_size = request.execution.batch_size;
    let mut diverged = Vec::new();
    let mut broken_off = false;
    let steps = request.pairs.chunks(batch_size).len() * request.recipe.steps;
    let mut progress = StepCount::new(observer, steps);
    for (index, pairs) in request.pairs.chunks(batch_size).enumerate() {
        let first = index * batch_size;
        let parameter = context.initial_parameter(first, pairs);
        let units = request.units_of(first..first + pairs.len())?;
        let batch = Batch::new(&context, pairs, units.iter().collect())?;
        let mut made = batch.optimize(parameter, &mut progress, keeper)?;
        if !made.interrupted {
            let of_pairs = &mut made.of_pairs;
            made.interrupted = batch.restart_unmoved(first, of_pairs, &mut progress)?
                || batch.compare_seeds(first, of_pairs, &mut progress)?;
            broken_off |= made.interrupted;
        }
        let made = Illusions::from(made);
        diverged.extend_from_slice(&made.diverged);
        keeper.finish(made);
        if progress.stopped {
            break;
        }
    }
    Ok(Shortfall {
        diverged,
        interrupted: broken_off || progress.interrupted(),
    })
}

/// Makes more pictures of a batch beside those that were asked for, all in one batch. The observer hears that
/// the work goes on: these steps are none of those that are counted.
pub(crate) fn optimize_beside(
    networks: &Networks,
    request: &Request,
    progress: &mut StepCount<'_>,
) -> Result<Optimized> {
    let context = Context::new(networks, request)?;
    let parameter = context.initial_parameter(0, &request.pairs);
    let batch = Batch::new(&context, &request.pairs, request.units.iter().collect())?;
    let mut watched = |_: Progress<'_>| match progress.repeat() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let mut steps = StepCount::new(&mut watched, request.recipe.steps);
    batch.optimize(parameter, &mut steps, &mut HandOver(&mut |_| {}))
}

/// Counts steps over all batches for the observer.
pub(crate) struct StepCount<'a> {
    observer: &'a mut dyn Observer,
    done: usize,
    total: usize,
    /// Whether the observer has asked to stop.
    pub(crate) stopped: bool,
}

impl<'a> StepCount<'a> {
    /// Of `total` steps, none of which is done.
    pub(crate) fn new(observer: &'a mut dyn Observer, total: usize) -> Self {
        Self {
            observer,
            done: 0,
            total,
            stopped: false,
        }
    }

    /// Tells the observer how far it is, as before; whether it has asked to stop.
    pub(crate) fn repeat(&mut self) -> bool {
        self.advance(0);
        self.stopped
    }

    /// Counts steps that an earlier run has taken.
    pub(crate) fn skip(&mut self, steps: usize) {
        self.done += steps;
    }

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

    /// Whether stopping has cost steps; after the last one it costs none.
    fn interrupted(&self) -> bool {
        self.stopped && self.done < self.total
    }
}
