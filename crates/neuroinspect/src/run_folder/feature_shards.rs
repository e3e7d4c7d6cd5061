//! Features of a large data set, computed in shards by processes that share a folder, and joined.

use std::{
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
};

use neuroinspect_core::{
    ActivationTable, ClassId, CollectedRows, FeatureTable, Groups, MemoryLimit, Observer, Progress,
    Split, check_option,
};
use neuroinspect_datasets::Skipped;
use neuroinspect_report::{Schema, read_json, write_json};
use serde::{Deserialize, Serialize};

use super::{
    FeatureRequest, FolderFeatures, RunFolder,
    features::{Origin, Record, load, record_of, save},
    remove_folder,
};
use crate::{Error, Extracted, Extraction, Result, Shard, array_expression};

const PLAN: Schema = Schema::new("neuroinspect.feature-shards", 1);
const PLAN_FILE: &str = "plan.json";
/// Held for the moment in which a plan is written or found.
const LOCK_FILE: &str = ".neuroinspect-plan.lock";

/// The features of all images of a data set in shards, each computed by one process, on as many machines as
/// there are.
///
/// A shard is a run of whole batches, so that the joined table is the one that a single process writes, byte for byte where all
/// images can be read; and [`RunFolder::features`] takes it up. A process that was killed costs the shard it was at.
///
/// ```
/// use neuroinspect::{
///     FeatureRequest, FeatureShards,
///     datasets::{Scenes, ScenesConfig},
///     models::init_classifier,
///     prelude::*,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// let name: DeviceName = "flex".parse()?;
/// let model = init_classifier("cifar_resnet20", 10, &name.open()?)?;
/// let scenes = Scenes::new(&ScenesConfig::default().with_count(40))?;
/// let extraction = Extraction::new(&model, &scenes)
///     .with_weights_sha256("of the weights, which are at random here")
///     .with_loader(LoaderConfig::default().with_batch_size(8));
/// let request = FeatureRequest {
///     file: "features.safetensors".to_owned(),
///     device: name,
///     complete: true,
/// };
///
/// let shards = FeatureShards::plan(path, &request, &extraction, Some(2))?;
/// shards.make(1, &extraction, &request, None, &mut Silent)?;
/// assert_eq!(shards.status().array(), "0");
/// shards.make(0, &extraction, &request, None, &mut Silent)?;
///
/// let held = RunFolder::open(path, None)?;
/// let joined = shards.join(&held, MemoryLimit::default(), &mut Silent)?;
/// assert_eq!(joined.extracted.table.len(), 40);
/// assert!(held.features(&extraction, &request, &mut Silent)?.reused);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FeatureShards {
    /// The folder that the table comes into.
    path: PathBuf,
    /// The table's name.
    file: String,
    plan: Plan,
}

/// What all who make a shard have to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    shards: usize,
    samples: usize,
    batch_size: usize,
}

/// How many shards there are, and which of them are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeatureShardsStatus {
    /// Shards planned.
    pub shards: usize,
    /// Images of all of them.
    pub samples: usize,
    /// The shards that have no features yet.
    pub missing: Vec<usize>,
}

impl FeatureShardsStatus {
    /// The missing shards as the schedulers of arrays take them: `0,2-5`.
    pub fn array(&self) -> String {
        array_expression(&self.missing)
    }
}

impl Plan {
    fn batches(self) -> usize {
        self.samples.div_ceil(self.batch_size.max(1))
    }

    /// The samples of a shard.
    fn range(self, shard: usize) -> Range<usize> {
        let start = |shard: usize| {
            // A share of the batches, rounded down, of numbers whose product may be large.
            let batch = shard as u128 * self.batches() as u128 / self.shards.max(1) as u128;
            self.samples.min(batch as usize * self.batch_size)
        };
        start(shard)..start(shard + 1)
    }

    fn validate(self) -> Result<()> {
        let allowed = (1..=self.batches()).contains(&self.shards);
        let expected = "at least 1, and no more than there are batches of images";
        Ok(check_option("shards", self.shards, allowed, expected)?)
    }

    fn changed(self, other: Self) -> Option<&'static str> {
        let parts = [
            ("the number of images", self.samples == other.samples),
            ("the batch size", self.batch_size == other.batch_size),
            ("the number of shards", self.shards == other.shards),
        ];
        let mut changed = parts.into_iter().filter(|(_, same)| !same);
        changed.next().map(|(what, _)| what)
    }
}

impl FeatureShards {
    /// Plans shards for the file that is asked for, or finds them planned by a process that was faster: the first
    /// settles it. `shards` is how many there are to be; where it is not given, as many as are planned, or one.
    ///
    /// The samples are all of the data set, whatever [`Extraction::indices`] says.
    ///
    /// # Errors
    ///
    /// [`Error::OtherFeatureShards`] where shards of something else are planned there;
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) for no shards, and for more than there are batches; when
    /// the folder cannot be written into.
    pub fn plan(
        path: impl AsRef<Path>,
        request: &FeatureRequest,
        extraction: &Extraction<'_>,
        shards: Option<usize>,
    ) -> Result<Self> {
        let (path, file) = (path.as_ref(), &request.file);
        let folder = folder_of(path, file);
        let refuse = |source| Error::Folder {
            path: folder.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(refuse)?;
        let lock = File::create(folder.join(LOCK_FILE)).map_err(refuse)?;
        lock.lock().map_err(refuse)?;
        let there = Self::open(path, file)?.map(|there| there.plan);
        let plan = Plan {
            shards: shards.or(there.map(|it| it.shards)).unwrap_or(1),
            samples: extraction.dataset.samples().len(),
            batch_size: extraction.loader.batch_size,
        };
        plan.validate()?;
        match there.map(|there| plan.changed(there)) {
            None => write_json(folder.join(PLAN_FILE), PLAN, &plan)?,
            Some(None) => {}
            Some(Some(changed)) => {
                return Err(Error::OtherFeatureShards {
                    path: folder,
                    changed,
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file: file.clone(),
            plan,
        })
    }

    /// Opens what is planned for a file in a folder; `None` where nothing is.
    ///
    /// # Errors
    ///
    /// When the plan cannot be read, or is none.
    pub fn open(path: impl AsRef<Path>, file: &str) -> Result<Option<Self>> {
        let path = path.as_ref();
        let plan_file = folder_of(path, file).join(PLAN_FILE);
        if !plan_file.exists() {
            return Ok(None);
        }
        let plan: Plan = read_json(plan_file, PLAN)?;
        plan.validate()?;
        Ok(Some(Self {
            path: path.to_owned(),
            file: file.to_owned(),
            plan,
        }))
    }

    /// The table that shards were joined to, or that one process made, where it would come out the same now.
    pub fn joined(
        path: impl AsRef<Path>,
        request: &FeatureRequest,
        extraction: &Extraction<'_>,
    ) -> Option<FeatureTable> {
        let provenance = extraction.provenance(extraction.classifier.penultimate());
        let origin = Origin::of(&provenance, extraction, request)?;
        let file = path.as_ref().join(&request.file);
        load(&file, &origin, extraction.memory).ok()
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.plan.shards
    }

    /// Computes a shard, or takes it up where it is there and would come out the same. Until it is done no other process can.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is none of the number; [`Error::FolderHeld`] when another process is at work on
    /// it; [`Error::FeaturesUntold`] for features that no later process could tell from others: of weights that were drawn at
    /// random, or of images without a fingerprint; and as [`RunFolder::features`].
    pub fn make(
        &self,
        shard: usize,
        extraction: &Extraction<'_>,
        request: &FeatureRequest,
        command: Option<String>,
        observer: &mut dyn Observer,
    ) -> Result<FolderFeatures> {
        let shard = Shard::new(shard, self.plan.shards)?.index();
        let provenance = extraction.provenance(extraction.classifier.penultimate());
        if Origin::of(&provenance, extraction, request).is_none() {
            return Err(Error::FeaturesUntold);
        }
        let found = extraction.dataset.samples().len();
        let here = Plan {
            samples: found,
            batch_size: extraction.loader.batch_size,
            ..self.plan
        };
        if let Some(changed) = here.changed(self.plan) {
            return Err(Error::OtherFeatureShards {
                path: folder_of(&self.path, &self.file),
                changed,
            });
        }
        let samples: Vec<usize> = self.plan.range(shard).collect();
        let extraction = extraction.clone().with_indices(&samples);
        let request = FeatureRequest {
            file: self.file.clone(),
            ..request.clone()
        };
        RunFolder::open(self.shard_folder(shard), command)?.features(
            &extraction,
            &request,
            observer,
        )
    }

    /// Which shards have features; these themselves are not read.
    pub fn status(&self) -> FeatureShardsStatus {
        let is_missing = |&shard: &usize| record_of(&self.table_of(shard)).is_none();
        FeatureShardsStatus {
            shards: self.plan.shards,
            samples: self.plan.samples,
            missing: (0..self.plan.shards).filter(is_missing).collect(),
        }
    }

    /// Joins the shards to one table, as if one process had computed it, and removes them. `folder` is the one they
    /// were planned in; what of the table `memory` does not hold goes through a file there.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureShardsIncomplete`] when some are missing or damaged, [`Error::FeatureShardDiffers`] when one was
    /// computed otherwise than the first, [`Error::FolderHeld`] when one is being made, when a file cannot be read or
    /// written, and when the observer asks to stop.
    pub fn join(
        self,
        folder: &RunFolder,
        memory: MemoryLimit,
        observer: &mut dyn Observer,
    ) -> Result<FolderFeatures> {
        let start = std::time::Instant::now();
        let shards = 0..self.plan.shards;
        let held = shards.map(|shard| RunFolder::open(self.shard_folder(shard), None));
        let held = held.collect::<Result<Vec<_>>>()?;
        let parts = self.parts()?;
        let origin = self.common_origin(&parts)?;
        let mut joined = Joined::default();
        for (shard, part) in parts.iter().enumerate() {
            let path = self.table_of(shard);
            let table = FeatureTable::load_within(path, memory)?;
            joined.add(&table, part, self.plan.range(shard), (folder, memory))?;
            observer.proceed(Progress {
                stage: "joining features",
                done: shard + 1,
                total: self.plan.shards,
            })?;
        }
        let path = folder.join(&self.file);
        let mut extracted = joined.finish(&origin)?;
        save(&path, &extracted, Some(origin))?;
        if extracted.table.activations().memory_limit().is_some() {
            extracted.table = FeatureTable::load_within(&path, memory)?;
        }
        drop(held);
        remove_folder(&folder_of(&self.path, &self.file))?;
        Ok(FolderFeatures {
            extracted,
            reused: false,
            changed: Vec::new(),
            path,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// What is known of each shard's table; an error where one is missing, or is not as it was written.
    fn parts(&self) -> Result<Vec<Record>> {
        let whole = |shard| {
            record_of(&self.table_of(shard)).filter(|it| it.is_whole(&self.table_of(shard)))
        };
        let parts: Vec<_> = (0..self.plan.shards).map(whole).collect();
        let missing: Vec<usize> = (0..parts.len()).filter(|&it| parts[it].is_none()).collect();
        if !missing.is_empty() {
            return Err(Error::FeatureShardsIncomplete {
                path: folder_of(&self.path, &self.file),
                shards: array_expression(&missing),
            });
        }
        Ok(parts.into_iter().flatten().collect())
    }

    /// The origin that a table of all of them has.
    fn common_origin(&self, parts: &[Record]) -> Result<Origin> {
        let first = parts.first().map(|part| part.origin.of_all());
        let Some(first) = first else {
            return Err(Error::FeaturesUntold);
        };
        for (shard, part) in parts.iter().enumerate() {
            let samples: Vec<usize> = self.plan.range(shard).collect();
            let expected = first.of_samples(&samples);
            if part.origin != expected {
                return Err(Error::FeatureShardDiffers {
                    path: self.shard_folder(shard),
                    shard,
                    changed: expected.changed(&part.origin).join(", "),
                });
            }
        }
        Ok(first)
    }

    fn shard_folder(&self, shard: usize) -> PathBuf {
        let name = format!("{shard}-of-{}", self.plan.shards);
        folder_of(&self.path, &self.file).join(name)
    }

    fn table_of(&self, shard: usize) -> PathBuf {
        self.shard_folder(shard).join(&self.file)
    }
}

/// Where the shards of a file are: of `features.safetensors` in `features-shards`.
fn folder_of(path: &Path, file: &str) -> PathBuf {
    let stem = Path::new(file).file_stem().unwrap_or_default();
    path.join(format!("{}-shards", stem.to_string_lossy()))
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
        (folder, memory): (&RunFolder, MemoryLimit),
    ) -> Result<()> {
        let width = table.neurons();
        let rows = self
            .rows
            .get_or_insert_with(|| CollectedRows::new(width, folder.path(), memory));
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
        let left_out = |index: &usize| part.skipped.iter().any(|it| it.index == *index);
        self.indices
            .extend(samples.filter(|index| !left_out(index)));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Plan;

    proptest! {
        /// Each sample is in one shard, which holds whole batches but for the last, and none is empty.
        #[test]
        fn shards_are_runs_of_whole_batches(
            samples in 1_usize..10_000,
            batch_size in 1_usize..200,
            share in 0.0..1.0_f64,
        ) {
            let mut plan = Plan { shards: 1, samples, batch_size };
            plan.shards = 1 + (share * (plan.batches() - 1) as f64) as usize;
            prop_assert!(plan.validate().is_ok());
            let mut next = 0;
            let mut sizes = Vec::new();
            for shard in 0..plan.shards {
                let range = plan.range(shard);
                prop_assert_eq!(range.start, next);
                prop_assert_eq!(range.start % batch_size, 0);
                prop_assert!(!range.is_empty());
                sizes.push(range.len().div_ceil(batch_size));
                next = range.end;
            }
            prop_assert_eq!(next, samples);
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", sizes);
        }
    }

    #[test]
    fn more_shards_than_batches_are_refused() {
        let plan = |shards| Plan {
            shards,
            samples: 17,
            batch_size: 8,
        };
        assert!(plan(3).validate().is_ok());
        for shards in [0, 4] {
            let error = plan(shards).validate().unwrap_err().to_string();
            assert!(error.contains("no more than there are batches"), "{error}");
        }
    }
}
