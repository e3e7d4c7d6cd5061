//! What devices do for an atlas: each takes batch after batch, makes it, checks it and writes it.

use std::{
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use neuroinspect_core::{DeviceName, Observer, Progress, Unit, catch_panic};
use neuroinspect_illusion::{Guide, Illusion, Networks, Request, Trust};
use neuroinspect_report::StageFailure;

use super::{
    Atlas, AtlasDevice, AtlasInputs, AtlasMade, AtlasWork,
    devices::Queue,
    plan::{Batch, Planned},
};
use crate::{
    Error, Extraction, ImageSource, Kept, PictureOrigin, Result, RunFolder,
    run_folder::remove_folder, trust::Comparison,
};

const STAGE: &str = "visualizing";

/// A batch that is to be made, and the folder of its shard.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) folder: &'a RunFolder,
}

impl Job<'_> {
    /// Name of the folder that its pictures are kept in until they are finished.
    fn kept(&self) -> String {
        format!("batch-{}", self.batch.number)
    }

    /// Removes what was kept of a batch that is finished.
    pub(super) fn forget(&self) -> Result<()> {
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
pub(super) struct Making<'a> {
    atlas: &'a Atlas,
    work: &'a AtlasWork<'a>,
    guide: Option<Guide<'a>>,
    queue: Queue<Job<'a>>,
    stop: AtomicBool,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        atlas: &'a Atlas,
        work: &'a AtlasWork<'a>,
        guide: Option<Guide<'a>>,
        jobs: Vec<Job<'a>>,
    ) -> Self {
        Self {
            atlas,
            work,
            guide,
            queue: Queue::new(jobs),
            stop: AtomicBool::new(false),
        }
    }

    /// Lets the devices work, and tells the observer.
    pub(super) fn run(
        &self,
        total: usize,
        mut made: AtlasMade,
        observer: &mut dyn Observer,
    ) -> Result<AtlasMade> {
        let (mut failed, mut first_of_devices) = (None, None);
        let (mut done, mut told) = (0_isize, 0);
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
                // While steps of a device that failed are taken again, what was told of them stands.
                told = told.max(usize::try_from(done).unwrap_or(0));
                let flow = observer.update(Progress {
                    stage: STAGE,
                    done: told,
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
            let made = on_device(device.name, || {
                let mut observer = |progress: Progress<'_>| {
                    say(Message::Steps(progress.done as isize - steps));
                    steps = progress.done as isize;
                    match self.stop.load(Ordering::SeqCst) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                };
                let origin = PictureOrigin {
                    device: device.name,
                    ..inputs.origin.clone()
                };
                let mut illusions = Vec::new();
                let mut on_batch = |batch| illusions.extend(batch);
                let kept = job.folder.pictures(&job.kept(), origin).visualize_any(
                    &networks,
                    &self.request(job.batch),
                    &mut observer,
                    &mut on_batch,
                )?;
                if kept.shortfall.interrupted {
                    return Ok(None);
                }
                // Pictures that are taken from their file are not told of step by step.
                let untold = self.work.config.recipe.steps as isize - steps;
                if untold > 0 {
                    say(Message::Steps(untold));
                    steps += untold;
                }
                let trusts = comparison.trust(&networks, &illusions)?;
                Ok(Some((kept, illusions.into_iter().zip(trusts).collect())))
            });
            match made {
                Ok(None) => self.queue.end(Some(job)),
                Ok(Some((kept, trusted))) => {
                    let finish = || self.finish(device.name, job, kept, trusted);
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
