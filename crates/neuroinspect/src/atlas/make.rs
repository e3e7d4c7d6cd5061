//! Making an atlas, or a shard of it, on one device or several.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use burn::tensor::Device;
use neuroinspect_core::{
    DeviceName, Error as CoreError, Observer, Progress, Unit, catch_panic, check_option,
    io::sha256_of_file, is_cancellation,
};
use neuroinspect_illusion::{Guide, Illusion, Networks, Request, Trust};
use neuroinspect_report::{StageFailure, UnitFindings, UnitPicture};

use super::{
    Atlas, AtlasConfig, AtlasInputs, Plan,
    devices::Queue,
    folder::BatchRecord,
    plan::{Batch, Planned},
};
use crate::{
    Error, Extraction, GuideSource, ImageSource, Kept, PictureOrigin, Result, RunFolder, Shard,
    run_folder::remove_folder, trust::Comparison,
};

const STAGE: &str = "visualizing";

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

/// A batch that is to be made, and the folder of its shard.
#[derive(Clone, Copy)]
struct Job<'a> {
    batch: &'a Batch<'a>,
    folder: &'a RunFolder,
}

impl Job<'_> {
    /// Name of the folder that its pictures are kept in until they are finished.
    fn kept(&self) -> String {
        format!("batch-{}", self.batch.number)
    }

    /// Removes what was kept of a batch that is finished.
    fn forget(&self) -> Result<()> {
        remove_folder(&self.folder.pictures_path(&self.kept()))
    }
}

/// What a device says while it is at work.
enum Message {
    /// So many steps have been done, or, of a batch that is given back, not been done.
    Steps(isize),
    Finished {
        pictures: usize,
        resumed_at: Option<usize>,
        failures: Vec<StageFailure>,
    },
    DeviceFailed(DeviceName, Error),
    /// There is no sense in going on.
    Failed(Error),
}

/// What all devices share.
struct Making<'a> {
    atlas: &'a Atlas,
    work: &'a AtlasWork<'a>,
    guide: Option<Guide<'a>>,
    queue: Queue<Job<'a>>,
    stop: AtomicBool,
}

impl Atlas {
    /// Makes a shard, or all of them, going on where a process was killed. A batch of a device that fails is
    /// made by another.
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
        let making = Making {
            atlas: self,
            work,
            guide,
            queue: Queue::new(jobs),
            stop: AtomicBool::new(false),
        };
        making.run(total, made, observer)
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
    fn write(
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

impl Making<'_> {
    /// Lets the devices work, and tells the observer.
    fn run(
        &self,
        total: usize,
        mut made: AtlasMade,
        observer: &mut dyn Observer,
    ) -> Result<AtlasMade> {
        let (mut failed, mut first_of_devices) = (None, None);
        let mut done = 0_isize;
        thread::scope(|scope| {
            let (sender, receiver) = channel();
            for device in self.work.devices {
                let sender = sender.clone();
                scope.spawn(move || self.work_on(device, &sender));
            }
            drop(sender);
            for message in receiver {
                match message {
                    Message::Steps(steps) => done += steps,
                    Message::Finished {
                        pictures,
                        resumed_at,
                        failures,
                    } => {
                        made.pictures += pictures;
                        made.resumed_at = made.resumed_at.max(resumed_at);
                        made.failures.extend(failures);
                    }
                    Message::DeviceFailed(device, error) => {
                        let stage = format!("visualizing on {device}");
                        made.failures.push(StageFailure::of(stage, &error));
                        first_of_devices.get_or_insert(error);
                    }
                    Message::Failed(error) => {
                        self.end();
                        failed.get_or_insert(error);
                    }
                }
                let flow = observer.update(Progress {
                    stage: STAGE,
                    done: usize::try_from(done).unwrap_or(0),
                    total,
                });
                if flow.is_break() {
                    self.end();
                }
            }
        });
        let left = self.queue.left() > 0;
        made.interrupted = left && self.stop.load(Ordering::SeqCst);
        match (failed, first_of_devices) {
            (Some(error), _) => Err(error),
            (None, Some(error)) if left && !made.interrupted => Err(error),
            _ => Ok(made),
        }
    }

    /// Asks all devices to stop.
    fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.queue.close();
    }

    /// What a device does, on a thread of its own.
    fn work_on(&self, device: &AtlasDevice, sender: &Sender<Message>) {
        // Nobody listens to a message only where the work has ended.
        let say = |message| {
            let _ = sender.send(message);
        };
        let inputs = self.work.inputs;
        let precision = self.work.config.recipe.precision;
        let networks = on_device(device.name, || {
            let device = &device.device;
            let guide = self.guide.as_ref();
            let networks = Networks::new(inputs.classifier, guide, device, precision)?;
            let comparison = self.comparison(&networks)?;
            Ok((networks, comparison))
        });
        let (networks, comparison) = match networks {
            Ok(prepared) => prepared,
            Err(error) => return say(Message::DeviceFailed(device.name, error)),
        };
        while let Some(job) = self.queue.next() {
            let mut steps = 0;
            let mut observer = |progress: Progress<'_>| {
                say(Message::Steps(progress.done as isize - steps));
                steps = progress.done as isize;
                match self.stop.load(Ordering::SeqCst) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            };
            let mut illusions = Vec::new();
            let visualized = on_device(device.name, || {
                let origin = PictureOrigin {
                    device: device.name,
                    ..inputs.origin.clone()
                };
                let mut on_batch = |batch| illusions.extend(batch);
                job.folder.pictures(&job.kept(), origin).visualize_any(
                    &networks,
                    &self.request(job.batch),
                    &mut observer,
                    &mut on_batch,
                )
            });
            match visualized {
                Ok(kept) if kept.shortfall.interrupted => self.queue.end(Some(job)),
                Ok(kept) => {
                    let finish = || {
                        let trusts = comparison.trust(&networks, &illusions)?;
                        let trusted = illusions.into_iter().zip(trusts).collect();
                        self.finish(device.name, job, kept, trusted)
                    };
                    let written = on_device(device.name, finish);
                    self.queue.end(None);
                    say(written.unwrap_or_else(Message::Failed));
                }
                Err(error @ (Error::Illusion(_) | Error::DeviceFailed { .. })) => {
                    say(Message::Steps(-steps));
                    say(Message::DeviceFailed(device.name, error));
                    self.queue.end(Some(job));
                    return;
                }
                Err(error) => {
                    self.queue.end(Some(job));
                    return say(Message::Failed(error));
                }
            }
        }
    }

    /// What pictures are compared with.
    fn comparison(&self, networks: &Networks) -> Result<Comparison> {
        let AtlasInputs { images, judge, .. } = *self.work.inputs;
        let mut units: Vec<Unit> = Vec::new();
        if self.atlas.plan.layer != self.work.inputs.classifier.penultimate() {
            units.extend(self.atlas.plan.entries.iter().map(|it| it.unit.clone()));
            units.dedup();
        }
        let indices = images.map(Extraction::all_indices).unwrap_or_default();
        let images = images.map(|images| ImageSource {
            dataset: images.dataset,
            indices: &indices,
        });
        Comparison::new(networks, judge, &units, images)
    }

    fn request(&self, batch: &Batch<'_>) -> Request {
        let AtlasWork { inputs, config, .. } = self.work;
        let pairs: Vec<_> = batch.entries.iter().map(Planned::pair).collect();
        let mut request =
            Request::new(pairs, config.recipe.clone()).with_execution(config.execution);
        // Neurons are asked for as such: they have masks.
        if self.atlas.plan.layer != inputs.classifier.penultimate() {
            request.units = batch.entries.iter().map(|it| it.unit.clone()).collect();
        }
        request
    }

    /// Writes what a batch came to, and forgets where it stood.
    fn finish(
        &self,
        device: DeviceName,
        job: Job<'_>,
        kept: Kept,
        illusions: Vec<(Illusion, Trust)>,
    ) -> Result<Message> {
        let pictures = illusions.len();
        let record = self.atlas.write(job.batch, device, illusions)?;
        job.forget()?;
        let diverged = record.entries.iter().filter(|it| it.picture.is_none());
        let failures = diverged.map(|found| StageFailure {
            stage: STAGE.to_owned(),
            reason: format!(
                "the picture of {} left the finite numbers; lower the learning rate or check the \
                 network's weights",
                found.unit
            ),
        });
        Ok(Message::Finished {
            pictures,
            resumed_at: kept.resumed_at,
            failures: failures.collect(),
        })
    }
}

/// Runs work on a device, whose panic is an error.
fn on_device<T>(device: DeviceName, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(work).unwrap_or_else(|reason| Err(Error::DeviceFailed { device, reason }))
}
