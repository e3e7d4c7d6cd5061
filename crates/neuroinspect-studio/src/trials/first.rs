//! The part of the samples that a first answer is trained on.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use neuroinspect::{
    core::Seed,
    editing::{EditData, EditSession, TrainingConfig},
};

use crate::refusal::Refusal;

/// Multiply-adds that a training may take to be answered at once: of so many the answer took 1.5 s on two cores.
const AT_ONCE: usize = 40_000_000_000;

/// What a step takes beside its products, in as many multiply-adds: below a few classes and neurons that is most of it.
const STEP: usize = 20_000_000;

/// Samples of each class on average, at least: of fewer nothing is learnt that is worth being looked at.
const FEWEST_OF_CLASS: usize = 20;

/// How many of the samples to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    samples: usize,
    of: usize,
}

impl Part {
    /// The part that a training is answered at once with, by its size alone; `None` where more than half of the samples
    /// would do, or it would be too few.
    pub(crate) fn of(data: &EditData, training: &TrainingConfig) -> Option<Self> {
        let table = data.train().table();
        Self::of_size(
            [data.train().len(), table.neurons(), table.classes()],
            training,
        )
    }

    fn of_size([of, neurons, classes]: [usize; 3], training: &TrainingConfig) -> Option<Self> {
        // The logits are one product, the gradient is another.
        let products = neurons.saturating_mul(classes).saturating_mul(2);
        let batch = training.batch_size.clamp(1, of.max(1));
        let of_sample = products
            .saturating_add(STEP / batch)
            .saturating_mul(training.epochs.max(1));
        let samples = AT_ONCE / of_sample.max(1);
        let enough = samples >= FEWEST_OF_CLASS * classes;
        (enough && samples <= of / 2).then_some(Self { samples, of })
    }

    /// As a share of the samples.
    fn share(self) -> f64 {
        self.samples as f64 / self.of as f64
    }
}

/// "6000 of 42500".
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.samples, self.of)
    }
}

/// The session on the part that was asked for last: what it holds of the samples is copied once.
#[derive(Default)]
pub(crate) struct Parts(Mutex<Option<(usize, Arc<EditSession>)>>);

impl Parts {
    /// The session that learns from a part.
    pub(crate) fn session(
        &self,
        whole: &EditSession,
        part: Part,
        seed: Seed,
    ) -> Result<Arc<EditSession>, Refusal> {
        // A session that is being made is waited for: another one would take longer.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((samples, session)) = &*last
            && *samples == part.samples
        {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(whole.part(part.share(), seed)?);
        *last = Some((part.samples, Arc::clone(&session)));
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(size: [usize; 3], epochs: usize) -> Option<usize> {
        let training = TrainingConfig::default().with_epochs(epochs, None);
        Part::of_size(size, &training).map(|part| part.samples)
    }

    #[test]
    fn a_part_is_as_large_as_is_answered_at_once() {
        // CIFAR's table is trained on at once, ImageNet's is too large for a part to say anything.
        assert_eq!(part([10_000, 64, 10], 20), None);
        assert_eq!(part([1_281_167, 2048, 1000], 20), None);
        let whole = part([42_500, 2048, 100], 20).unwrap();
        assert!((3_000..6_000).contains(&whole), "{whole}");
        // Half as many for twice the epochs; of a hundred classes they would be too few.
        let of_fifty = part([42_500, 2048, 50], 20).unwrap();
        assert_eq!(part([42_500, 2048, 50], 40), Some(of_fifty / 2));
        assert_eq!(part([42_500, 2048, 100], 40), None);
        assert_eq!(part([whole * 2, 2048, 100], 20), Some(whole));
        assert_eq!(part([whole * 2 - 1, 2048, 100], 20), None);
        // A table of few neurons takes long by its steps alone.
        assert!(part([2_000_000, 8, 2], 20).is_some());
        assert_eq!(part([0, 0, 0], 0), None);
    }

    #[test]
    fn it_is_said_how_many_of_how_many() {
        let part = Part {
            samples: 6_000,
            of: 42_500,
        };
        assert_eq!(part.to_string(), "6000 of 42500");
    }
}
