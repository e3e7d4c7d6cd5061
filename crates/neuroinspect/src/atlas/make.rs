//! Making an atlas, or a shard of it, on one device or several.

use std::collections::BTreeMap;

use burn::tensor::Device;
use neuroinspect_core::{
    DeviceName, Error as CoreError, Observer, check_option, io::sha256_of_file, is_cancellation,
};
use neuroinspect_illusion::{Guide, Illusion, Trust};
use neuroinspect_report::{StageFailure, UnitFindings, UnitPicture};

use super::{
    Atlas, AtlasConfig, AtlasInputs, Plan,
    folder::BatchRecord,
    plan::{Batch, Planned},
    work::{Job, Making},
};
use crate::{Error, GuideSource, Result, RunFolder, Shard};

/// A device that pictures are made on.
#[derive(Clone, Debug)]
pub struct AtlasDevice {
    /// Its name.
    pub name: DeviceName,
    /// The device.
    pub device: Device,
}

/// What of an atlas is to be made, and on what.
#[derive(Clone, Debug)]
pub struct AtlasWork<'a> {
    /// What it is made of, as it was planned.
    pub inputs: &'a AtlasInputs<'a>,
    /// How, as it was planned.
    pub config: &'a AtlasConfig,
    /// The devices, at least one; each is at work on a batch of its own. One may stand there twice.
    pub devices: &'a [AtlasDevice],
    /// The shard, from 0. `None` for all that no other process is at work on.
    pub shard: Option<usize>,
    /// What another process is told that wants one of the shards meanwhile.
    pub command: Option<String>,
}

/// What became of the work.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtlasMade {
    /// How many pictures were made now.
    pub pictures: usize,
    /// How many of the shards' pictures had been made before.
    pub found: usize,
    /// After how many steps pictures that had been under way went on, where some did.
    pub resumed_at: Option<usize>,
    /// The shards that were left out, as other processes are at work on them.
    pub held: Vec<usize>,
    /// Devices that failed, while others did their work, and pictures that left the finite numbers.
    pub failures: Vec<StageFailure>,
    /// Whether the observer stopped the work before its end.
    pub interrupted: bool,
}

impl Atlas {
    /// Makes a shard, or all of them, going on where a process was killed. A batch of a device that fails, be it
    /// while it checks the pictures, is finished by another.
    ///
    /// Nothing that is finished is made again, and of the batch under way at most the steps since the last
    /// [checkpoint](neuroinspect_illusion::Execution::checkpoint_every) are taken again, if the same
    /// program makes it on a device of the same name. Pictures are in memory for one batch a device.
    ///
    /// # Errors
    ///
    /// [`Error::FolderHeld`] when another process is at work on the shard; [`Error::Shard`] when there is
    /// no such shard; [`Error::OtherAtlas`] where inputs or options are not those planned; when there is no
    /// device; the first device's error when all have failed; when a file cannot be read or written.
    pub fn make(&self, work: &AtlasWork<'_>, observer: &mut dyn Observer) -> Result<AtlasMade> {
        let devices = work.devices.len();
        check_option("devices", devices, devices > 0, "at least one device")?;
        let mut asked = Plan::new(work.inputs, work.config, Some(&self.plan), observer)?;
        asked.shards = self.plan.shards;
        asked.refuse_other(&self.plan, &self.path)?;
        let mut made = AtlasMade::default();
        let folders = self.take_shards(work, &mut made.held)?;
        let batches = self.plan.batches();
        let mut jobs = Vec::new();
        for batch in &batches {
            let Some(folder) = folders.get(&batch.shard) else {
                continue;
            };
            let job = Job { batch, folder };
            match self.record(batch)? {
                Some(_) => {
                    made.found += batch.entries.len();
                    job.forget()?;
                }
                None => jobs.push(job),
            }
        }
        if jobs.is_empty() {
            return Ok(made);
        }
        let guide = match guide_of(work, &jobs, observer) {
            Err(error) if is_cancellation(&error) => {
                made.interrupted = true;
                return Ok(made);
            }
            guide => guide?,
        };
        let total = jobs.len() * work.config.recipe.steps;
        Making::new(self, work, guide, jobs).run(total, made, observer)
    }

    /// Holds the shards that are to be made.
    fn take_shards(
        &self,
        work: &AtlasWork<'_>,
        held: &mut Vec<usize>,
    ) -> Result<BTreeMap<usize, RunFolder>> {
        let count = self.plan.shards;
        let open = |shard| RunFolder::open(self.shard_folder(shard), work.command.clone());
        if let Some(shard) = work.shard {
            Shard::new(shard, count)?;
            return Ok(BTreeMap::from([(shard, open(shard)?)]));
        }
        let mut folders = BTreeMap::new();
        for shard in 0..count {
            match open(shard) {
                Ok(folder) => {
                    folders.insert(shard, folder);
                }
                Err(Error::FolderHeld { .. }) => held.push(shard),
                Err(error) => return Err(error),
            }
        }
        Ok(folders)
    }

    /// Writes a batch that is finished: its pictures first.
    pub(super) fn write(
        &self,
        batch: &Batch<'_>,
        device: DeviceName,
        illusions: Vec<(Illusion, Trust)>,
    ) -> Result<BatchRecord> {
        let mut illusions = illusions.into_iter().peekable();
        let mut record = BatchRecord {
            sha256: batch.sha256.clone(),
            device,
            entries: Vec::with_capacity(batch.entries.len()),
            files: BTreeMap::new(),
        };
        for (index, planned) in batch.entries.iter().enumerate() {
            let Planned { unit, class, .. } = planned;
            let illusion = illusions.next_if(|(it, _)| it.pair == planned.pair());
            let picture = illusion.map(|(illusion, trust)| {
                let scores = class.map(|_| (illusion.logit, illusion.probability));
                UnitPicture {
                    logit: scores.map(|(logit, _)| logit),
                    probability: scores.map(|(_, probability)| probability),
                    trust: Some(match class {
                        Some(_) => trust,
                        None => trust.without_class(),
                    }),
                    ..UnitPicture::new(illusion, unit, batch.first + index, Self::PICTURES)
                }
            });
            let found = UnitFindings {
                unit: unit.clone(),
                class: *class,
                picture,
                real: None,
            };
            found.save_pictures(&self.path)?;
            let picture = found.picture.iter();
            for file in picture.flat_map(|it| [&it.file].into_iter().chain(&it.masked_file)) {
                let sha256 = sha256_of_file(self.path.join(file))?;
                record.files.insert(file.clone(), sha256);
            }
            record.entries.push(found);
        }
        let strange = illusions.count();
        if strange > 0 {
            let what = "pictures of a batch, in the order planned";
            let planned = batch.entries.len();
            return Err(CoreError::length(what, planned, planned + strange).into());
        }
        self.write_record(batch, &record)?;
        Ok(record)
    }
}

/// The guide for the classes of the batches that are to be made.
fn guide_of<'a>(
    work: &AtlasWork<'a>,
    jobs: &[Job<'_>],
    observer: &mut dyn Observer,
) -> Result<Option<Guide<'a>>> {
    let Some(texts) = work.inputs.guide else {
        return Ok(None);
    };
    if !work.config.recipe.objective.needs_guide() {
        return Ok(None);
    }
    let entries = jobs.iter().flat_map(|job| job.batch.entries);
    let classes: Vec<_> = entries.map(|entry| entry.pair().class).collect();
    Ok(Some(texts.guide(&classes, observer)?))
}
