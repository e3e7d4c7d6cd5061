//! Checking that an atlas is whole, and joining it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use neuroinspect_core::{
    Observer, Progress,
    io::{is_unfinished, write_atomically},
};
use neuroinspect_report::{AtlasEntry, AtlasIndex, Schema, read_json};

use super::{Atlas, folder::BatchRecord, plan::Batch};
use crate::{
    Error, Result, RunFolder, array_expression,
    run_folder::{remove_folder, remove_from},
};

const STAGE: &str = "merging";

/// What an atlas is joined of.
#[derive(Clone, Debug, Default)]
pub struct MergeRequest {
    /// Other folders of the same atlas, from machines that share no files: what is missing is copied from
    /// there.
    pub from: Vec<PathBuf>,
    /// Words for the units of the layer, in their order. Without any, units keep those that an earlier merge gave them.
    pub labels: Vec<Vec<String>>,
    /// What a process is told that wants to work on the atlas meanwhile.
    pub command: Option<String>,
}

impl Atlas {
    /// Checks every picture of every batch against the hash that it was written with, copies what is missing
    /// from other folders, and writes the index and the page. Where batches stood while they were made is
    /// removed.
    ///
    /// # Errors
    ///
    /// [`Error::AtlasIncomplete`] when pictures are missing, or are not as they were written: such a batch's
    /// file is removed, so that it is made again. [`Error::OtherAtlas`] for a folder of another atlas,
    /// [`Error::FolderHeld`] when a shard is being made or the atlas is being merged, when a file cannot be read
    /// that is there, and when the observer asks to stop.
    pub fn merge(&self, request: &MergeRequest, observer: &mut dyn Observer) -> Result<AtlasIndex> {
        let held = self.hold_all(request.command.as_deref())?;
        let others = self.open_others(request)?;
        let labels = self.labels(request)?;
        let batches = self.plan.batches();
        let mut missing = vec![0; self.plan.shards];
        let mut entries = Vec::with_capacity(self.plan.entries.len());
        for batch in &batches {
            match self.verified(batch, &others)? {
                Some(record) => {
                    let device = record.device;
                    let found = record.entries.into_iter();
                    entries.extend(found.map(|found| {
                        AtlasEntry {
                            labels: labels
                                .get(&found.unit.kind.channel())
                                .cloned()
                                .unwrap_or_default(),
                            found,
                            device,
                        }
                    }));
                }
                None => missing[batch.shard] += batch.entries.len(),
            }
            observer.proceed(Progress {
                stage: STAGE,
                done: batch.number + 1,
                total: batches.len(),
            })?;
        }
        // Those of an earlier merge name what is gone, or were written by a build that writes more.
        remove_from(&self.path, AtlasIndex::is_file)?;
        let shards: Vec<usize> = (0..missing.len()).filter(|&it| missing[it] > 0).collect();
        if !shards.is_empty() {
            return Err(Error::AtlasIncomplete {
                path: self.path.clone(),
                missing: missing.iter().sum(),
                shards: array_expression(&shards),
            });
        }
        let index = AtlasIndex {
            layer: self.plan.layer.clone(),
            class_names: self.plan.class_names.clone(),
            entries,
            run: self.plan.run.clone(),
        };
        index.write(&self.path)?;
        for folder in ["", Self::BATCHES, Self::PICTURES] {
            remove_from(&self.path.join(folder), is_unfinished)?;
        }
        drop(held);
        remove_folder(&self.path.join(Self::SHARDS))?;
        Ok(index)
    }

    /// Words for the units of the layer, by their numbers: those asked for, or of an earlier merge.
    fn labels(&self, request: &MergeRequest) -> Result<BTreeMap<usize, Vec<String>>> {
        let index = self.path.join(AtlasIndex::JSON_FILE);
        if !request.labels.is_empty() || !index.exists() {
            return Ok(request.labels.iter().cloned().enumerate().collect());
        }
        let earlier: AtlasIndex = read_json(index, Schema::ATLAS)?;
        let entries = earlier.entries.into_iter();
        Ok(entries
            .filter(|_| earlier.layer == self.plan.layer)
            .map(|entry| (entry.found.unit.kind.channel(), entry.labels))
            .collect())
    }

    /// Holds all shards, begun or not: so nobody makes one meanwhile, or merges, too.
    fn hold_all(&self, command: Option<&str>) -> Result<Vec<RunFolder>> {
        let folders = (0..self.plan.shards).map(|shard| self.shard_folder(shard));
        folders
            .map(|folder| RunFolder::open(folder, command.map(str::to_owned)))
            .collect()
    }

    /// The other folders, each of which holds the same atlas.
    fn open_others(&self, request: &MergeRequest) -> Result<Vec<Self>> {
        let others = request.from.iter().map(|path| {
            let other = Self::open(path)?;
            self.plan.refuse_other(&other.plan, path)?;
            Ok(other)
        });
        others.collect()
    }

    /// A batch that is whole, here or in another folder, from which it is then copied.
    fn verified(&self, batch: &Batch<'_>, others: &[Self]) -> Result<Option<BatchRecord>> {
        let whole = |atlas: &Self| -> Result<Option<BatchRecord>> {
            match atlas.record(batch)? {
                Some(record) => Ok(record.is_whole(&atlas.path)?.then_some(record)),
                None => Ok(None),
            }
        };
        if let Some(record) = whole(self)? {
            return Ok(Some(record));
        }
        for other in others {
            if let Some(record) = whole(other)? {
                self.copy(batch, &record, other)?;
                return Ok(Some(record));
            }
        }
        let path = self.record_file(batch);
        if path.exists() {
            fs::remove_file(&path).map_err(|source| Error::Remove { path, source })?;
        }
        Ok(None)
    }

    /// Copies a batch, its pictures first.
    fn copy(&self, batch: &Batch<'_>, record: &BatchRecord, other: &Self) -> Result<()> {
        for file in record.files.keys() {
            let from = other.path.join(file);
            let bytes = fs::read(&from)
                .map_err(|source| neuroinspect_core::Error::Read { path: from, source })?;
            write_atomically(self.path.join(file), |out| out.write_all(&bytes))?;
        }
        self.write_record(batch, record)
    }
}
