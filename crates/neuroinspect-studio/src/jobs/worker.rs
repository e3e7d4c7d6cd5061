//! The thread that does the work.

use std::{
    any::Any,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    time::{Duration, Instant},
};

use neuroinspect::core::{Observer, Progress, is_cancellation, with_causes};

use super::{Job, JobState, Shared, State, list::List};
use crate::work::Work;

/// Time between two events of a job's progress, at least.
const REST: Duration = Duration::from_millis(100);

/// Why work came to no end: that it was stopped is told by [`is_cancellation`].
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The job under way, which hears of its progress and says when it is to stop.
pub(crate) struct Running<'a> {
    shared: &'a Shared,
    id: u64,
    /// When its progress was last told of.
    told: Option<Instant>,
}

impl Running<'_> {
    /// Counts a result that is there to be looked at.
    pub(crate) fn made(&mut self) {
        let mut state = self.shared.lock();
        let Some(job) = state.list.job_mut(self.id) else {
            return;
        };
        job.made += 1;
        self.tell(&mut state);
    }

    fn tell(&mut self, state: &mut State) {
        let State { list, log, .. } = state;
        if let Some(job) = list.job_mut(self.id) {
            // A job that can be written into the list can be told of.
            let _ = log.add_job(job);
            self.shared.news.send_replace(log.last());
            self.told = Some(Instant::now());
        }
    }
}

impl Observer for Running<'_> {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        let mut state = self.shared.lock();
        let ending = state.ending;
        let Some(job) = state.list.job_mut(self.id) else {
            return ControlFlow::Break(());
        };
        let other_stage = job.stage != progress.stage;
        job.stage = progress.stage.to_owned();
        (job.done, job.total) = (progress.done, progress.total);
        let stop = ending || job.state == JobState::Stopping;
        if other_stage || self.told.is_none_or(|told| told.elapsed() >= REST) {
            self.tell(&mut state);
        }
        match stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Does the work of the queue, one job after the other, until the process is to end.
pub(super) fn work(
    shared: &Shared,
    mut run: impl FnMut(&Work, &mut Running<'_>) -> Result<(), Failure>,
) {
    while let Some(job) = shared.next() {
        let mut running = Running {
            shared,
            id: job.id,
            told: None,
        };
        // One job that panics, as a device out of memory makes it, is not the end of all others.
        let run = AssertUnwindSafe(|| run(&job.order.work, &mut running));
        let result = catch_unwind(run).unwrap_or_else(|panic| Err(message_of(&*panic).into()));
        shared.end(job.id, &result);
    }
}

impl Shared {
    /// Waits for the next job of the queue, and says that it is under way; `None` when the process is to end.
    fn next(&self) -> Option<Job> {
        loop {
            let id = self.first()?;
            let begin = |job: &mut Job| {
                if job.state == JobState::Queued {
                    job.state = JobState::Running;
                    job.starts += 1;
                    (job.done, job.total, job.made) = (0, 0, 0);
                    job.stage.clear();
                }
            };
            self.change_job(id, begin);
            // It may have been cancelled in between.
            let job = self.lock().list.job_mut(id).cloned();
            if let Some(job) = job.filter(|job| job.state == JobState::Running) {
                return Some(job);
            }
        }
    }

    /// Waits for a job that waits, and names the first; `None` when the process is to end.
    fn first(&self) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.ending {
                return None;
            }
            let waiting = state.list.jobs.iter();
            let waiting = waiting.filter(|job| job.state == JobState::Queued);
            let first = waiting.min_by_key(|job| (job.order.work.turn(), job.id));
            if let Some(first) = first {
                return Some(first.id);
            }
            let woken = self.to_do.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says what became of a job.
    fn end(&self, id: u64, result: &Result<(), Failure>) {
        let ending = self.lock().ending;
        self.change_job(id, |job| match result {
            Ok(()) => job.state = JobState::Finished,
            Err(error) if is_cancellation(&**error) => {
                let goes_on = ending && job.state == JobState::Running;
                job.starts -= u32::from(goes_on);
                job.state = match goes_on {
                    true => JobState::Queued,
                    false => JobState::Cancelled,
                };
            }
            Err(error) => {
                job.state = JobState::Failed;
                job.note = Some(with_causes(&**error));
            }
        });
    }

    /// Changes a job. What cannot be written is told of with it: a later process would do the work again.
    fn change_job(&self, id: u64, change: impl Fn(&mut Job)) {
        let changed = self.change(|list| list.job_mut(id).map(&change));
        let Err(error) = changed else {
            return;
        };
        let unwritten = with_causes(&error);
        let noted = |list: &mut List| {
            let job = list.job_mut(id)?;
            change(job);
            job.note = Some(match job.note.take() {
                Some(note) => format!("{note}; {unwritten}"),
                None => unwritten.clone(),
            });
            Some(())
        };
        // A job that can be written into the list can be told of.
        let _ = self.tell(noted);
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the work broke off: {}", text.unwrap_or("no reason given"))
}
