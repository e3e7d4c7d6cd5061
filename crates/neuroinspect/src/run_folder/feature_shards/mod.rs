//! Features of a large data set, computed in shards by processes that share a folder, and joined.

mod join;

use std::{
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
};

use neuroinspect_core::{Observer, check_option};
use neuroinspect_report::{Schema, read_json, write_json};
use serde::{Deserialize, Serialize};

use super::{
    FeatureRequest, FolderFeatures, RunFolder,
    features::{Origin, load, record_of},
};
use crate::{Error, Extracted, Extraction, Result, Shard, array_expression};

const PLAN: Schema = Schema::new("neuroinspect.feature-shards", 1);
const PLAN_FILE: &str = "plan.json";
const LOCK_FILE: &str = ".neuroinspect-plan.lock";

/// The features of all images of a data set in shards, each computed by one process, on as many machines as
/// there are.
///
/// A shard is a run of whole batches, so that the joined table is the one that a single process writes, byte for byte where all
/// images can be read and the device's memory holds a batch; and [`RunFolder::features`] takes it up. A process that was killed costs the shard it was at.
///
/// ```
/// use neuroinspect::{
///     FeatureRequest, FeatureShards,
///     core::MemoryLimit,
///     datasets::scenes::{Scenes, ScenesConfig},
///     models::init_classifier,
///     prelude::*,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// let name: DeviceName = "flex".parse()?;
/// let model = init_classifier("cifar_resnet20", 5, &name.open()?)?;
/// let scenes = Scenes::new(ScenesConfig::test().with_samples(40))?;
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
/// let joined = shards.join(&held, MemoryLimit::default(), None, &mut Silent)?;
/// assert_eq!(joined.extracted, extract_features(&extraction, &mut Silent)?);
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    /// Of all samples.
    origin: Origin,
    #[serde(flatten)]
    parts: Parts,
}

/// How samples are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
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

impl Parts {
    /// Each is held while they are joined, by a file that is open.
    const MOST: usize = 512;

    fn batches(self) -> usize {
        self.samples.div_ceil(self.batch_size.max(1))
    }

    /// The samples of a shard.
    fn range(self, shard: usize) -> Range<usize> {
        let start = |shard: usize| {
            // A share of the batches, rounded down, of numbers whose product may be large.
            let batch = shard as u128 * self.batches() as u128 / self.shards.max(1) as u128;
            self.samples
                .min((batch as usize).saturating_mul(self.batch_size))
        };
        start(shard)..start(shard + 1)
    }

    fn validate(self) -> Result<()> {
        let count = "at least 1";
        check_option("batch_size", self.batch_size, self.batch_size > 0, count)?;
        let allowed = (1..=self.batches().min(Self::MOST)).contains(&self.shards);
        let expected = "at least 1, at most 512, and no more than there are batches of images";
        Ok(check_option("shards", self.shards, allowed, expected)?)
    }
}

impl Plan {
    fn changed(&self, other: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (self.parts, other.parts);
        let parts = [
            ("the number of images", ours.samples == theirs.samples),
            ("the number of shards", ours.shards == theirs.shards),
        ];
        let changed = parts.into_iter().filter(|(_, same)| !same);
        let mut changed: Vec<_> = changed.map(|(what, _)| what).collect();
        changed.extend(self.origin.changed(&other.origin));
        changed
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
    /// [`Error::OtherFeatureShards`] where shards of something else are planned there, be it of other weights, images,
    /// program or kind of device; [`Error::FeaturesUntold`] for features that no other process could tell from others: of
    /// weights that were drawn at random, or of images without a fingerprint; [`Error::FeatureShardsJoined`] where the features
    /// are there;
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) for no shards, more than 512 or than there are batches,
    /// and for a file in a folder; when the folder cannot be written into.
    pub fn plan(
        path: impl AsRef<Path>,
        request: &FeatureRequest,
        extraction: &Extraction<'_>,
        shards: Option<usize>,
    ) -> Result<Self> {
        let (path, file) = (path.as_ref(), &request.file);
        let there = Self::open(path, file)?;
        let planned = there.as_ref().map(|there| there.plan.parts.shards);
        let plan = plan_of(request, extraction, shards.or(planned).unwrap_or(1))?;
        let folder = folder_of(path, file);
        let joined = || Error::FeatureShardsJoined {
            path: path.join(file),
        };
        // Twice: where it is so already, no folder is made for nothing.
        if there.is_none() && Self::joined(path, request, extraction).is_some() {
            return Err(joined());
        }
        let _planning = lock(&folder)?;
        // Now that nobody else plans, or removes a plan after a table is there.
        match Self::open(path, file)? {
            Some(there) => there.refuse_other(&plan)?,
            None if Self::joined(path, request, extraction).is_some() => return Err(joined()),
            None => write_json(folder.join(PLAN_FILE), PLAN, &plan)?,
        }
        Ok(Self {
            path: path.to_owned(),
            file: file.clone(),
            plan,
        })
    }

    /// Opens what is planned for a file in a folder; `None` where nothing is, or it is joined.
    ///
    /// # Errors
    ///
    /// When the plan cannot be read, or is none, and for a file in a folder of its own.
    pub fn open(path: impl AsRef<Path>, file: &str) -> Result<Option<Self>> {
        let is_name = Path::new(file).file_name().is_some_and(|name| name == file);
        check_option(
            "file",
            file,
            is_name,
            "the name of a file, without a folder",
        )?;
        let path = path.as_ref();
        let plan_file = folder_of(path, file).join(PLAN_FILE);
        if !plan_file.exists() {
            return Ok(None);
        }
        let plan: Plan = read_json(plan_file, PLAN)?;
        plan.parts.validate()?;
        Ok(Some(Self {
            path: path.to_owned(),
            file: file.to_owned(),
            plan,
        }))
    }

    /// What shards were joined to, or one process made, where it would come out the same now.
    pub fn joined(
        path: impl AsRef<Path>,
        request: &FeatureRequest,
        extraction: &Extraction<'_>,
    ) -> Option<Extracted> {
        let provenance = extraction.provenance(extraction.classifier.penultimate());
        let origin = Origin::of(&provenance, extraction, request)?;
        let file = path.as_ref().join(&request.file);
        let of_all = Extraction {
            indices: None,
            ..extraction.clone()
        };
        load(&file, &origin.of_all(), &of_all).ok()
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.plan.parts.shards
    }

    /// Computes a shard, or takes it up where it is there and would come out the same. Until it is done no other process can.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is none of the number; [`Error::FolderHeld`] when another process is at work on
    /// it; [`Error::OtherFeatureShards`] where what is computed is not what was planned; [`Error::FeatureShardsJoined`] when
    /// they were joined meanwhile; [`Error::FeatureShardUnreadable`] where none of its images can be read; and as
    /// [`RunFolder::features`].
    pub fn make(
        &self,
        shard: usize,
        extraction: &Extraction<'_>,
        request: &FeatureRequest,
        command: Option<String>,
        observer: &mut dyn Observer,
    ) -> Result<FolderFeatures> {
        let count = self.plan.parts.shards;
        let shard = Shard::new(shard, count)?.index();
        self.refuse_other(&plan_of(request, extraction, count)?)?;
        let samples: Vec<usize> = self.plan.parts.range(shard).collect();
        let extraction = extraction.clone().with_indices(&samples);
        let request = FeatureRequest {
            file: self.file.clone(),
            ..request.clone()
        };
        self.refuse_joined()?;
        let held = RunFolder::open(self.shard_folder(shard), command)?;
        // Nobody joins them from now on.
        self.refuse_joined()?;
        match held.features(&extraction, &request, observer) {
            Err(Error::NoImages { .. }) => Err(Error::FeatureShardUnreadable {
                path: folder_of(&self.path, &self.file),
                shard,
            }),
            other => other,
        }
    }

    /// Which shards have features; these themselves are not read.
    pub fn status(&self) -> FeatureShardsStatus {
        let Parts {
            shards, samples, ..
        } = self.plan.parts;
        let is_missing = |&shard: &usize| record_of(&self.table_of(shard)).is_none();
        FeatureShardsStatus {
            shards,
            samples,
            missing: (0..shards).filter(is_missing).collect(),
        }
    }

    /// Refuses shards whose plan is gone.
    fn refuse_joined(&self) -> Result<()> {
        match Self::open(&self.path, &self.file)? {
            Some(_) => Ok(()),
            None => Err(Error::FeatureShardsJoined {
                path: self.path.join(&self.file),
            }),
        }
    }

    fn refuse_other(&self, plan: &Plan) -> Result<()> {
        let changed = plan.changed(&self.plan);
        match changed.is_empty() {
            true => Ok(()),
            false => Err(Error::OtherFeatureShards {
                path: folder_of(&self.path, &self.file),
                changed: changed.join(", "),
            }),
        }
    }

    fn shard_folder(&self, shard: usize) -> PathBuf {
        let name = format!("{shard}-of-{}", self.plan.parts.shards);
        folder_of(&self.path, &self.file).join(name)
    }

    fn table_of(&self, shard: usize) -> PathBuf {
        self.shard_folder(shard).join(&self.file)
    }
}

/// What is to be computed, in so many shards.
fn plan_of(request: &FeatureRequest, extraction: &Extraction<'_>, shards: usize) -> Result<Plan> {
    let parts = Parts {
        shards,
        samples: extraction.dataset.samples().len(),
        batch_size: extraction.loader.batch_size,
    };
    parts.validate()?;
    let provenance = extraction.provenance(extraction.classifier.penultimate());
    let origin = Origin::of(&provenance, extraction, request);
    let origin = origin.ok_or(Error::FeaturesUntold)?.of_all();
    Ok(Plan { origin, parts })
}

/// Held for the moment in which a plan is written, found or removed.
fn lock(folder: &Path) -> Result<File> {
    let refuse = |source| Error::Folder {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(refuse)?;
    let lock = File::create(folder.join(LOCK_FILE)).map_err(refuse)?;
    lock.lock().map_err(refuse)?;
    Ok(lock)
}

/// Where the shards of a file are: of `features.safetensors` in `features-shards`.
fn folder_of(path: &Path, file: &str) -> PathBuf {
    let stem = Path::new(file).file_stem().unwrap_or_default();
    path.join(format!("{}-shards", stem.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Parts;

    proptest! {
        /// Each sample is in one shard, which holds whole batches but for the last, and none is empty.
        #[test]
        fn shards_are_runs_of_whole_batches(
            samples in 1_usize..10_000,
            batch_size in 1_usize..200,
            share in 0.0..1.0_f64,
        ) {
            let mut plan = Parts { shards: 1, samples, batch_size };
            plan.shards = 1 + (share * (plan.batches().min(Parts::MOST) - 1) as f64) as usize;
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
        let plan = |shards| Parts {
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
