//! Which samples an epoch takes, and in which order.

use neuroinspect_core::{Error::InvalidOption, Seed};
use rand::{
    distr::{Distribution, weighted::WeightedIndex},
    seq::SliceRandom,
};

use crate::Result;

/// Which samples an epoch takes, and in which order. What is drawn depends on seed and epoch alone.
pub trait Sampling: Send + Sync {
    /// The samples of an epoch (from 1), by their indices in the training table; as many in every
    /// epoch. A sample may come again, or not at all.
    fn order(&self, seed: Seed, epoch: usize) -> Vec<usize>;
}

/// Every sample once, in random order.
#[derive(Clone, Copy, Debug)]
pub struct Shuffled {
    /// How many samples there are.
    pub samples: usize,
}

impl Sampling for Shuffled {
    fn order(&self, seed: Seed, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples).collect();
        order.shuffle(&mut seed.rng("editing order", &[epoch as u64]));
        order
    }
}

/// As many draws as there are samples, with replacement, each sample as often as its weight says.
///
/// ```
/// use neuroinspect_core::Seed;
/// use neuroinspect_editing::{Sampling, Weighted};
///
/// // The third sample stands for a group of its own.
/// let sampling = Weighted::new(vec![1.0, 1.0, 2.0, 0.0])?;
/// assert!(!sampling.order(Seed(0), 1).contains(&3));
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weighted {
    samples: usize,
    weights: WeightedIndex<f64>,
}

impl Weighted {
    /// Groups, or classes, drawn equally often; `of_sample` has that of each sample.
    ///
    /// # Errors
    ///
    /// When there are no samples.
    pub fn balanced(of_sample: impl Iterator<Item = usize> + Clone) -> Result<Self> {
        let mut counts: Vec<f64> = Vec::new();
        for group in of_sample.clone() {
            counts.resize(counts.len().max(group + 1), 0.0);
            counts[group] += 1.0;
        }
        Self::new(of_sample.map(|group| counts[group].recip()).collect())
    }

    /// The weight of each sample.
    ///
    /// # Errors
    ///
    /// When a weight is below 0 or not finite, or all of them are 0.
    pub fn new(weights: Vec<f64>) -> Result<Self> {
        let samples = weights.len();
        let allowed = weights.iter().all(|weight| weight.is_finite());
        let refused = |value: String| InvalidOption {
            option: "weights of samples",
            value,
            expected: "finite numbers from 0, not all of them 0",
        };
        if !allowed {
            return Err(refused("one that is not finite".to_owned()).into());
        }
        let weights = WeightedIndex::new(weights).map_err(|error| refused(error.to_string()))?;
        Ok(Self { samples, weights })
    }
}

impl Sampling for Weighted {
    fn order(&self, seed: Seed, epoch: usize) -> Vec<usize> {
        let rng = seed.rng("editing draws", &[epoch as u64]);
        let draws = (&self.weights).sample_iter(rng);
        draws.take(self.samples).collect()
    }
}
