//! Joining shards to one table.

use std::{collections::HashSet, ops::Range, path::Path, time::Instant};

use neuroinspect_core::{
    ActivationTable, ClassId, CollectedRows, FeatureTable, Groups, MemoryLimit, Observer, Progress,
    Split,
};
use neuroinspect_datasets::Skipped;

use super::{FeatureShards, PLAN_FILE, folder_of, lock};
use crate::{
    Error, Extracted, FolderFeatures, Result, RunFolder, array_expression,
    run_folder::{
        features::{Origin, Record, record_of, record_path, save},
        remove, remove_folder,
    },
};

impl FeatureShards {
    /// Joins the shards to one table, as if one process had computed it, and removes them. `held` is the folder they
    /// were planned in; what of the table `memory` does not hold goes through a file there. `command` is what a process is
    /// told that wants a shard meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureShardsJoined`] when they are joined by now; [`Error::FeatureShardsIncomplete`] when some are missing or damaged, the latter to be made again;
    /// [`Error::FeatureShardDiffers`] when one is not of what was planned, [`Error::FolderHeld`] when one is being made, when
    /// a file cannot be read or written, and when the observer asks to stop.
    pub fn join(
        self,
        held: &RunFolder,
        memory: MemoryLimit,
        command: Option<&str>,
        observer: &mut dyn Observer,
    ) -> Result<FolderFeatures> {
        let start = Instant::now();
        self.refuse_joined()?;
        let shards = 0..self.count();
        let of_shards = shards
            .map(|shard| RunFolder::open(self.shard_folder(shard), command.map(str::to_owned)));
        let of_shards = of_shards.collect::<Result<Vec<_>>>()?;
        let parts = self.parts()?;
        let origin = &self.plan.origin;
        let mut joined = Joined::default();
        for (shard, part) in parts.iter().enumerate() {
            let table = FeatureTable::load_within(self.table_of(shard), memory)?;
            let samples = self.plan.parts.range(shard);
            joined.add(&table, part, samples, (held.path(), memory))?;
            observer.proceed(Progress {
                stage: "joining features",
                done: shard + 1,
                total: parts.len(),
            })?;
        }
        let path = held.join(&self.file);
        let mut extracted = joined.finish(origin)?;
        save(&path, &extracted, Some(origin.clone()))?;
        if extracted.table.activations().memory_limit().is_some() {
            extracted.table = FeatureTable::load_within(&path, memory)?;
        }
        // The plan goes first: without it nobody takes up what is left of the shards.
        let folder = folder_of(&self.path, &self.file);
        let planning = lock(&folder)?;
        remove(&folder.join(PLAN_FILE))?;
        drop((of_shards, planning));
        remove_folder(&folder)?;
        Ok(FolderFeatures {
            extracted,
            reused: false,
            changed: Vec::new(),
            path,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// What is known of each shard's table; an error where one is missing, not as it was written, or not of what was planned.
    fn parts(&self) -> Result<Vec<Record>> {
        let whole = |shard| {
            let table = self.table_of(shard);
            record_of(&table).filter(|record| record.is_whole(&table))
        };
        let parts: Vec<_> = (0..self.count()).map(whole).collect();
        let missing: Vec<usize> = (0..parts.len()).filter(|&it| parts[it].is_none()).collect();
        if !missing.is_empty() {
            for &shard in &missing {
                // So that it is known to be missing from now on.
                remove(&record_path(&self.table_of(shard)))?;
            }
            return Err(Error::FeatureShardsIncomplete {
                path: folder_of(&self.path, &self.file),
                shards: array_expression(&missing),
            });
        }
        let parts: Vec<Record> = parts.into_iter().flatten().collect();
        for (shard, part) in parts.iter().enumerate() {
            let samples: Vec<usize> = self.plan.parts.range(shard).collect();
            let expected = self.plan.origin.of_samples(&samples);
            if part.origin != expected {
                return Err(Error::FeatureShardDiffers {
                    path: self.shard_folder(shard),
                    shard,
                    changed: expected.changed(&part.origin).join(", "),
                });
            }
        }
        Ok(parts)
    }
}

/// Rows of several tables, one after the other.
#[derive(Default)]
struct Joined {
    rows: Option<CollectedRows>,
    ids: Vec<String>,
    labels: Vec<ClassId>,
    class_names: Vec<String>,
    groups: Option<(Vec<String>, Vec<usize>)>,
    split: Option<(Vec<String>, Vec<usize>)>,
    indices: Vec<usize>,
    skipped: Vec<Skipped>,
}

impl Joined {
    /// Adds a shard's table, of those of its samples that could be read.
    fn add(
        &mut self,
        table: &FeatureTable,
        part: &Record,
        samples: Range<usize>,
        (folder, memory): (&Path, MemoryLimit),
    ) -> Result<()> {
        let width = table.neurons();
        let rows = self
            .rows
            .get_or_insert_with(|| CollectedRows::new(width, folder, memory));
        for chunk in table.activations().chunks() {
            let chunk = chunk?;
            rows.push(&chunk.iter().copied().collect::<Vec<_>>())?;
        }
        self.ids.extend_from_slice(table.sample_ids());
        self.labels.extend_from_slice(table.labels());
        table.class_names().clone_into(&mut self.class_names);
        let add = |to: &mut Option<(Vec<String>, Vec<usize>)>, names: &[String], of: &[usize]| {
            let (_, all) = to.get_or_insert_with(|| (names.to_vec(), Vec::new()));
            all.extend_from_slice(of);
        };
        if let Some(groups) = table.groups() {
            add(&mut self.groups, groups.names(), groups.of_sample());
        }
        if let Some(split) = table.split() {
            add(&mut self.split, split.names(), split.of_sample());
        }
        let left_out: HashSet<usize> = part.skipped.iter().map(|it| it.index).collect();
        self.indices
            .extend(samples.filter(|index| !left_out.contains(index)));
        self.skipped.extend_from_slice(&part.skipped);
        Ok(())
    }

    fn finish(self, origin: &Origin) -> Result<Extracted> {
        let no_images = || Error::NoImages {
            dataset: origin.provenance.dataset.clone().unwrap_or_default(),
        };
        let rows = self.rows.ok_or_else(no_images)?;
        let table: ActivationTable = rows.into_table(self.ids, origin.provenance.clone())?;
        let mut table = FeatureTable::new(table, self.labels, self.class_names)?;
        if let Some((names, of_sample)) = self.groups {
            table = table.with_groups(Groups::new(names, of_sample)?)?;
        }
        if let Some((names, of_sample)) = self.split {
            table = table.with_split(Split::new(names, of_sample)?)?;
        }
        Ok(Extracted {
            table,
            indices: self.indices,
            skipped: self.skipped,
        })
    }
}
