//! Which part of a shared work is asked for.

use std::env;

use anyhow::{Context, Result};
use neuroinspect::Shard;

/// Which part of a work is asked for, and of how many.
pub(super) struct Part {
    /// From 0; none for all of them.
    pub(super) shard: Option<usize>,
    pub(super) shards: Option<usize>,
}

impl Part {
    /// That of `--shard`, or else that of a scheduler's job, unless the work is only to be planned (`--plan`). How many
    /// shards there are was settled with the plan, of which `planned` knows: of an array, a part may have been submitted
    /// again.
    pub(super) fn of(
        shard: Option<Shard>,
        plan: Option<usize>,
        planned: impl FnOnce() -> Result<Option<usize>>,
    ) -> Result<Self> {
        if let Some(shard) = shard {
            return Ok(Self {
                shard: Some(shard.index()),
                shards: Some(shard.count()),
            });
        }
        let by_environment = Shard::of_environment(|name| env::var(name).ok())?;
        let (None, Some((index, submitted))) = (plan, by_environment) else {
            return Ok(Self {
                shard: None,
                shards: plan,
            });
        };
        let count = planned()?.or(submitted).with_context(|| {
            format!(
                "this is job {index} of an array, but of how many? Plan first (--plan SHARDS), or give --shard I/N"
            )
        })?;
        Ok(Self {
            shard: Some(Shard::new(index, count)?.index()),
            shards: Some(count),
        })
    }
}
