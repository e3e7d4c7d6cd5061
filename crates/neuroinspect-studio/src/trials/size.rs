//! What is trained while somebody waits: how many epochs, and on how many of the samples.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use neuroinspect::{
    core::Seed,
    editing::{EditData, EditSession, TrainingConfig},
};

use crate::refusal::Refusal;

/// Multiply-adds of the training that an edit has where nobody asks for more: of 4.8e10 it took 2.3 to 2.8 s on two
/// cores, by the browser's clock.
const OF_EDIT: usize = 60_000_000_000;

/// How much more than that the fewest epochs may take. Where they take longer, all are trained, in the background.
const AT_MOST: usize = 2;

/// Multiply-adds of the training that a first answer has: of so many it took 1.5 s on two cores.
const OF_FIRST: usize = 40_000_000_000;

/// What a step takes beside its products, in as many multiply-adds: below a few classes and neurons that is most of it.
const STEP: usize = 20_000_000;

/// Samples of each class on average, at least: of fewer nothing is learnt that is worth being looked at.
const FEWEST_OF_CLASS: usize = 20;

/// How large a training is.
#[derive(Clone, Copy)]
struct Size {
    /// Samples to learn from.
    samples: usize,
    neurons: usize,
    classes: usize,
    batch: usize,
}

impl Size {
    fn of(data: &EditData, training: &TrainingConfig) -> Self {
        let table = data.train().table();
        Self {
            samples: data.train().len(),
            neurons: table.neurons(),
            classes: table.classes(),
            batch: training.batch_size,
        }
    }

    /// Multiply-adds that a sample takes in an epoch. The logits are one product, the gradient is another.
    fn of_sample(self) -> usize {
        let products = self.neurons.saturating_mul(self.classes).saturating_mul(2);
        let batch = self.batch.clamp(1, self.samples.max(1));
        products.saturating_add(STEP / batch).max(1)
    }

    fn of_epoch(self) -> usize {
        self.of_sample().saturating_mul(self.samples.max(1))
    }

    fn epochs(self, training: &TrainingConfig) -> usize {
        // One of them at least can be kept.
        let fewest = training.skipped_epochs.saturating_add(1);
        let all = training.epochs;
        match self.takes_seconds(fewest) {
            true => (OF_EDIT / self.of_epoch()).max(fewest).min(all),
            false => all,
        }
    }

    /// Whether so many epochs take no more than some seconds.
    fn takes_seconds(self, epochs: usize) -> bool {
        epochs.saturating_mul(self.of_epoch()) <= AT_MOST * OF_EDIT
    }

    fn part(self, epochs: usize) -> Option<Part> {
        let of_sample = self.of_sample().saturating_mul(epochs.max(1));
        let (samples, of) = (OF_FIRST / of_sample, self.samples);
        let enough = samples >= FEWEST_OF_CLASS * self.classes;
        (enough && samples <= of / 2).then_some(Part { samples, of })
    }
}

/// The epochs that an edit is trained for where nobody asks for more: those of the options, or as many as are trained in
/// some seconds. Those of the options also where one epoch takes much longer than that: such a training is work in the background,
/// which is told of and stopped by its epochs. By sizes alone, so that the same address means the same edit on every machine.
pub(crate) fn epochs_at_once(data: &EditData, training: &TrainingConfig) -> usize {
    Size::of(data, training).epochs(training)
}

/// Whether a training takes no more than some seconds, by sizes alone.
pub(crate) fn takes_seconds(data: &EditData, training: &TrainingConfig) -> bool {
    Size::of(data, training).takes_seconds(training.epochs)
}

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
        Size::of(data, training).part(training.epochs)
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

    fn size(samples: usize, neurons: usize, classes: usize) -> Size {
        Size {
            samples,
            neurons,
            classes,
            batch: 128,
        }
    }

    #[test]
    fn epochs_are_as_many_as_are_trained_at_once() {
        let training = |epochs| TrainingConfig::default().with_epochs(epochs, None);
        let of = |size: Size, epochs| size.epochs(&training(epochs));
        // CIFAR's table has all of them, and so has twice as large a one.
        assert_eq!(of(size(8_500, 64, 10), 20), 20);
        assert_eq!(of(size(17_000, 64, 10), 20), 20);
        assert_eq!(of(size(42_500, 2048, 100), 20), 2);
        assert_eq!(of(size(21_250, 2048, 100), 20), 4);
        assert_eq!(of(size(21_250, 2048, 100), 3), 3);
        // One takes more than some seconds, but not much more; much more; and what is refused stays what it is.
        assert_eq!(of(size(150_000, 2048, 100), 20), 1);
        assert_eq!(of(size(1_281_167, 2048, 1000), 20), 20);
        assert_eq!(of(size(0, 0, 0), 0), 0);
    }

    #[test]
    fn what_nobody_asked_for_takes_seconds() {
        assert!(size(42_500, 2048, 100).takes_seconds(2));
        assert!(!size(42_500, 2048, 100).takes_seconds(20));
        assert!(!size(1_281_167, 2048, 1000).takes_seconds(1));
    }

    /// Options that skip epochs have one left.
    #[test]
    fn epochs_that_are_skipped_are_trained_besides() {
        let skipping = |epochs| TrainingConfig {
            skipped_epochs: epochs,
            ..TrainingConfig::default()
        };
        assert_eq!(size(42_500, 2048, 100).epochs(&skipping(3)), 4);
        assert_eq!(size(21_250, 2048, 100).epochs(&skipping(3)), 4);
        assert_eq!(size(42_500, 2048, 100).epochs(&skipping(6)), 20);
        assert_eq!(size(8_500, 64, 10).epochs(&skipping(6)), 20);
    }

    fn part([samples, neurons, classes]: [usize; 3], epochs: usize) -> Option<usize> {
        let part = size(samples, neurons, classes).part(epochs);
        part.map(|part| part.samples)
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
        // The epochs of an edit that nobody asks more of need none.
        assert_eq!(part([42_500, 2048, 100], 2), None);
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
