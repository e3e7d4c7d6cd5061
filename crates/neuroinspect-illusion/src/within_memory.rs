//! As many pictures of a batch at a time as a device's memory holds.

use std::{ops::Range, sync::atomic::Ordering};

use burn::tensor::{Device, Tensor};
use neuroinspect_core::{Error as CoreError, catch_panic, is_out_of_memory};

use crate::{
    Coupling, Error, Illusion, Result, TracePoint,
    batch::{Batch, Evaluation, OfPair, Scores, Subjects},
    view::{View, ViewConstants},
};

/// Operations of a network one after the other, at most.
const DEEPEST: usize = 4096;

impl<'a> Batch<'a> {
    /// [`evaluate`](Self::evaluate) at a step; where the device's memory does not hold the batch, by parts, half as large
    /// from then on, down to single pictures. A batch whose pictures depend on one another has no parts.
    ///
    /// The device is one that says at once that its memory is full, as libtorch's do.
    pub(crate) fn evaluate_within_memory(
        &self,
        parameter: Tensor<4>,
        view: ViewConstants,
        step: usize,
    ) -> Result<Evaluation> {
        let mut view = Some(view);
        loop {
            let at_once = self.context.at_once.load(Ordering::Relaxed);
            let parameter = parameter.clone();
            let made = catch_panic(|| match view.take() {
                Some(view) if at_once >= self.pairs.len() => {
                    self.evaluate(parameter, &View::new(view, self.context.device()))
                }
                _ => self.evaluate_in_parts(parameter, step),
            });
            let reason = match made {
                Ok(Err(Error::Core(CoreError::Device { reason, .. }))) | Err(reason) => reason,
                Ok(made) => return made,
            };
            let largest = at_once.min(self.pairs.len());
            let coupling = self.context.request.recipe.coupling;
            if largest < 2 || coupling != Coupling::PerImage || !is_out_of_memory(&reason) {
                return Err(Error::StepFailed { step, reason });
            }
            release_graphs(self.context.device());
            let half = largest.div_ceil(2);
            self.context.at_once.store(half, Ordering::Relaxed);
        }
    }

    /// [`finish`](Self::finish), by parts where the steps were taken by parts.
    pub(crate) fn finish_within_memory(
        &self,
        parameter: Tensor<4>,
        steps: usize,
        traces: Vec<OfPair<Vec<TracePoint>>>,
    ) -> Result<Vec<OfPair<Illusion>>> {
        if self.context.at_once.load(Ordering::Relaxed) >= self.pairs.len() {
            return self.finish(parameter, steps, traces);
        }
        let mut traces = traces.into_iter();
        let mut finished = Vec::with_capacity(self.pairs.len());
        for range in self.parts() {
            let of_part = traces.by_ref().take(range.len()).collect();
            let parameter = parameter.clone().slice_dim(0, range.clone());
            finished.extend(self.part(range)?.finish(parameter, steps, of_part)?);
        }
        Ok(finished)
    }

    fn evaluate_in_parts(&self, parameter: Tensor<4>, step: usize) -> Result<Evaluation> {
        let (device, size) = (self.context.device(), self.context.pictures.size());
        let parts = self.parts().map(|range| {
            let part = self.part(range.clone())?;
            let recipe = &self.context.request.recipe;
            let view = ViewConstants::new(recipe, part.pairs, size, step);
            part.evaluate(
                parameter.clone().slice_dim(0, range),
                &View::new(view, device),
            )
        });
        joined(parts.collect::<Result<_>>()?)
    }

    /// Places of the pairs that are computed at a time.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let count = self.pairs.len();
        let at_once = self.context.at_once.load(Ordering::Relaxed).max(1);
        (0..count)
            .step_by(at_once)
            .map(move |start| start..count.min(start + at_once))
    }

    /// Some of its pairs.
    fn part(&self, range: Range<usize>) -> Result<Self> {
        let units = match &self.subjects {
            Subjects::Neurons(_) => Vec::new(),
            Subjects::Units(units) => units[range.clone()].to_vec(),
        };
        Self::new(self.context, &self.pairs[range], units)
    }
}

/// Gives back what a step that was broken off keeps in memory: Burn's autodiff lets go of a graph that nobody refers to
/// any more when some other graph is derived, and each time of its outermost operations alone.
fn release_graphs(device: &Device) {
    for _ in 0..DEEPEST {
        let one = Tensor::<1>::ones([1], device).autodiff().require_grad();
        drop((one * 1.0).backward());
    }
}

/// The parts of a batch as one.
fn joined(parts: Vec<Evaluation>) -> Result<Evaluation> {
    let gradients = parts.iter().map(|part| part.gradient.clone()).collect();
    let column = |of: &dyn Fn(&Scores) -> Option<Tensor<1>>| {
        let values: Option<Vec<_>> = parts.iter().map(|part| of(&part.scores)).collect();
        values.map(|values| Tensor::cat(values, 0))
    };
    let missing = || CoreError::empty("pictures of a batch");
    Ok(Evaluation {
        scores: Scores {
            losses: column(&|it| Some(it.losses.clone())).ok_or_else(missing)?,
            activation: column(&|it| Some(it.activation.clone())).ok_or_else(missing)?,
            logit: column(&|it| Some(it.logit.clone())).ok_or_else(missing)?,
            similarity: column(&|it| it.similarity.clone()),
        },
        gradient: Tensor::cat(gradients, 0),
    })
}
