//! How much of an atlas there is.

use serde::Serialize;

use super::Atlas;
use crate::{Result, array_expression};

/// How much of an atlas there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AtlasStatus {
    /// Pictures planned.
    pub planned: usize,
    /// Those of batches that are finished, be it that they diverged.
    pub finished: usize,
    /// Those that left the finite numbers.
    pub diverged: usize,
    /// Shards planned.
    pub shards: usize,
    /// The shards of which pictures are missing.
    pub missing: Vec<ShardMissing>,
}

/// What is missing of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShardMissing {
    /// The shard, from 0.
    pub shard: usize,
    /// How many pictures of it are missing.
    pub pictures: usize,
}

impl AtlasStatus {
    /// The shards of which pictures are missing, as the schedulers of arrays take them: `0,2-5`.
    pub fn array(&self) -> String {
        let shards: Vec<usize> = self.missing.iter().map(|it| it.shard).collect();
        array_expression(&shards)
    }
}

impl Atlas {
    /// How much of it there is, by the batches' files; the pictures themselves are not read.
    ///
    /// # Errors
    ///
    /// When a batch's file is there and cannot be read.
    pub fn status(&self) -> Result<AtlasStatus> {
        let mut missing = vec![0; self.plan.shards];
        let mut status = AtlasStatus {
            planned: self.plan.entries.len(),
            finished: 0,
            diverged: 0,
            shards: self.plan.shards,
            missing: Vec::new(),
        };
        for batch in self.plan.batches() {
            match self.record(&batch)? {
                Some(record) => {
                    status.finished += record.entries.len();
                    let pictures = record.entries.iter();
                    status.diverged += pictures.filter(|it| it.picture.is_none()).count();
                }
                None => missing[batch.shard] += batch.entries.len(),
            }
        }
        let missing = missing.into_iter().enumerate();
        let missing = missing.filter(|(_, pictures)| *pictures > 0);
        status.missing = missing
            .map(|(shard, pictures)| ShardMissing { shard, pictures })
            .collect();
        Ok(status)
    }
}
