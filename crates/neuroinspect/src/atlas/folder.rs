//! The folder of an atlas, which many work in at once.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use neuroinspect_core::{DeviceName, Error as CoreError, Observer, io::sha256_of_file};
use neuroinspect_report::{
    Error as ReportError, Schema, UnitFindings, UnitPicture, read_json, write_json,
};
use serde::{Deserialize, Serialize};

use super::{
    AtlasConfig, AtlasInputs, Plan,
    plan::{Batch, Planned},
};
use crate::{Error, Result};

const PLAN: Schema = Schema::new("neuroinspect.atlas-plan", 1);
const BATCH: Schema = Schema::new("neuroinspect.atlas-batch", 1);
/// Held for the moment in which a plan is written or found.
const LOCK_FILE: &str = ".neuroinspect-plan.lock";

/// An atlas in its folder: planned, and made in part or in whole.
#[derive(Clone, Debug)]
pub struct Atlas {
    pub(super) path: PathBuf,
    pub(super) plan: Plan,
}

/// What became of a batch: a file that is there when the batch is finished.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BatchRecord {
    /// Of the batch, as it is planned.
    pub(super) sha256: String,
    pub(super) device: DeviceName,
    /// In the order planned; one whose optimisation left the finite numbers has no picture.
    pub(super) entries: Vec<UnitFindings>,
    /// SHA-256 of each picture's file.
    pub(super) files: BTreeMap<String, String>,
}

impl BatchRecord {
    pub(super) fn is_of(&self, batch: &Batch<'_>) -> bool {
        let same = |(found, planned): (&UnitFindings, &Planned)| {
            found.unit == planned.unit && found.class == planned.class
        };
        let entries = batch.entries;
        self.sha256 == batch.sha256
            && self.entries.len() == entries.len()
            && self.entries.iter().zip(entries).all(same)
    }

    /// Whether all pictures are there, and as they were written. That a file cannot be read for another
    /// reason than that it is not there is an error.
    pub(super) fn is_whole(&self, folder: &Path) -> Result<bool> {
        let pictures = self.entries.iter().filter_map(|it| it.picture.as_ref());
        let mut named = pictures.flat_map(|it| [&it.file].into_iter().chain(&it.masked_file));
        let is_picture = |file: &String| {
            let name = file.strip_prefix(Atlas::PICTURES);
            let name = name.and_then(|name| name.strip_prefix('/'));
            name.is_some_and(UnitPicture::is_file_name)
        };
        if !(named.all(|file| self.files.contains_key(file)) && self.files.keys().all(is_picture)) {
            return Ok(false);
        }
        for (file, sha256) in &self.files {
            match sha256_of_file(folder.join(file)) {
                Ok(found) if found == *sha256 => {}
                Ok(_) => return Ok(false),
                Err(CoreError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Atlas {
    /// Name of the plan's file.
    pub const PLAN_FILE: &str = "atlas.json";
    /// Name of the folder of the pictures.
    pub const PICTURES: &str = "pictures";
    pub(super) const BATCHES: &str = "batches";
    pub(super) const SHARDS: &str = "shards";

    /// Plans an atlas in a folder, or finds it planned there by a worker that was faster: the first settles
    /// it. `shards` is how many there are to be; where it is not given, as many as are planned, or one.
    ///
    /// # Errors
    ///
    /// [`Error::OtherAtlas`] where another one is planned there; [`Error::AtlasNeeds`] for units of a layer
    /// other than the last within classes without images, and for weights drawn at random; when an option
    /// is out of range, there is no such layer, or the folder cannot be written into.
    pub fn plan(
        path: impl AsRef<Path>,
        inputs: &AtlasInputs<'_>,
        config: &AtlasConfig,
        shards: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let path = path.as_ref();
        let refuse = |source| Error::Folder {
            path: path.to_owned(),
            source,
        };
        let file = path.join(Self::PLAN_FILE);
        fs::create_dir_all(path).map_err(refuse)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(refuse)?;
        lock.lock().map_err(refuse)?;
        let there: Option<Plan> = match file.exists() {
            true => Some(Self::open(path)?.plan),
            false => None,
        };
        let mut plan = Plan::new(inputs, config, there.as_ref(), observer)?;
        let planned = there.as_ref().map_or(1, |there| there.shards);
        plan.shards = shards.unwrap_or(planned);
        plan.validate()?;
        let plan = match there {
            Some(there) => {
                plan.refuse_other(&there, path)?;
                there
            }
            None => {
                write_json(&file, PLAN, &plan)?;
                plan
            }
        };
        Ok(Self {
            path: path.to_owned(),
            plan,
        })
    }

    /// Opens an atlas that is planned.
    ///
    /// # Errors
    ///
    /// When there is no plan in the folder, or none that can be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let plan: Plan = read_json(path.join(Self::PLAN_FILE), PLAN)?;
        plan.validate()?;
        let path = path.to_owned();
        Ok(Self { path, plan })
    }

    /// What it is to hold.
    pub fn planned(&self) -> &Plan {
        &self.plan
    }

    /// Where a shard is worked on.
    pub(super) fn shard_folder(&self, shard: usize) -> PathBuf {
        let name = format!("{shard}-of-{}", self.plan.shards);
        self.path.join(Self::SHARDS).join(name)
    }

    /// What became of a batch; `None` where its file is missing or damaged. Any other failure to read it is an
    /// error: what is finished is not to be taken for what is not.
    pub(super) fn record(&self, batch: &Batch<'_>) -> Result<Option<BatchRecord>> {
        match read_json::<BatchRecord>(self.record_file(batch), BATCH) {
            Ok(record) => Ok(record.is_of(batch).then_some(record)),
            Err(ReportError::NotJson { .. }) => Ok(None),
            Err(ReportError::Core(CoreError::Read { source, .. }))
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn write_record(&self, batch: &Batch<'_>, record: &BatchRecord) -> Result<()> {
        Ok(write_json(self.record_file(batch), BATCH, record)?)
    }

    pub(super) fn record_file(&self, batch: &Batch<'_>) -> PathBuf {
        let name = format!("{}.json", batch.number);
        self.path.join(Self::BATCHES).join(name)
    }
}
