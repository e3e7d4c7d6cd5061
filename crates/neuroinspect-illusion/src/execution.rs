//! How pictures are computed.

use derive_setters::Setters;
use neuroinspect_core::check_option;
use serde::{Deserialize, Serialize};

use crate::Result;

/// How pictures are computed, which does not decide what they show: see [`Recipe`](crate::Recipe)
/// for what does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct Execution {
    /// Pairs optimised at once; memory grows with it. Where a device says that its memory is full, a step is
    /// computed by parts, half as large each time it says so again. Pictures do not depend on it, but for the
    /// last bits where a device's kernels sum in another order, and except under
    /// [`WholeBatch`](crate::Coupling::WholeBatch) coupling. Default 8.
    pub batch_size: usize,
    /// Steps between two points of the trace, at least 1; each is one small read from the device.
    /// Default 10.
    pub trace_every: usize,
    /// Steps whose random geometry is made before they begin, on a thread of its own, so that the
    /// device does not wait for it; each takes some 2 MB at 224 pixels. 0 makes it when it is
    /// needed. Default 2.
    pub augmentations_ahead: usize,
    /// Steps between two checkpoints of the batch under way, at least 1; each is one read of
    /// `9 S^2` numbers a pair from the device, and none is made where nobody keeps them: see
    /// [`visualize_batches`](crate::visualize_batches). Default 50.
    pub checkpoint_every: usize,
    /// How many other seeds make a picture of each pair as well, to see whether it
    /// [agrees](crate::SeedAgreement); 0 saves the time. Default 1.
    pub other_seeds: usize,
    /// Their pictures have one step for so many of the recipe's, at least 1: with fewer steps they cost less,
    /// and agree less. 1 makes them in full. Default 8.
    pub other_seed_part: usize,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            batch_size: 8,
            trace_every: 10,
            augmentations_ahead: 2,
            checkpoint_every: 50,
            other_seeds: 1,
            other_seed_part: 8,
        }
    }
}

impl Execution {
    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        for (option, value) in [
            ("batch_size", self.batch_size),
            ("trace_every", self.trace_every),
            ("checkpoint_every", self.checkpoint_every),
            ("other_seed_part", self.other_seed_part),
        ] {
            check_option(option, value, value > 0, "at least 1")?;
        }
        Ok(())
    }
}
