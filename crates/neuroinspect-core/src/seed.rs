//! Random numbers that depend on what they are for, not on when they are drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The one number all randomness of a run comes from.
///
/// Generators are keyed: what is drawn for `("smoothing", [pair, step])` does not depend on what
/// else was drawn before, on threads, or on how work was split into batches.
///
/// ```
/// use neuroinspect_core::Seed;
/// use rand::RngExt;
///
/// let a: f32 = Seed(7).rng("spectrum", &[3]).random();
/// let b: f32 = Seed(7).rng("spectrum", &[3]).random();
/// let c: f32 = Seed(7).rng("spectrum", &[4]).random();
/// assert_eq!(a, b);
/// assert_ne!(a, c);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator for one purpose, told apart by its name and by `keys`.
    pub fn rng(self, purpose: &str, keys: &[u64]) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        for key in keys {
            hash.update(key.to_le_bytes());
        }
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}
