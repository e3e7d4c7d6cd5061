//! Work in the background: one queue, one thread, kept over the end of the process.
//!
//! The list of jobs is a file, written whole at every change that is to outlast the process: what was
//! queued, running or asked to stop when it ended is dealt with at the next start. How far a job has come
//! is in memory alone; what a job needs to go on where it was, it keeps itself.
//!
//! Every change is an event with a number. Who listens again after a break names the last event that it has
//! seen, and gets those after it, or the whole list where they are no longer kept.

mod events;
mod http;
mod job;
mod list;
mod panel;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use neuroinspect::Result;
use tokio::sync::watch;

use self::{
    events::Log,
    list::{List, ListFile},
};
pub(crate) use self::{
    events::{Event, EventId},
    http::routes,
    job::{Job, JobState, Order},
    panel::panel,
    worker::{Failure, Running},
};
use crate::{Error, work::Work};

/// The jobs of a studio; clones are of the same.
#[derive(Clone)]
pub(crate) struct Jobs {
    shared: Arc<Shared>,
    worker: Arc<Mutex<Option<JoinHandle<()>>>>,
}

struct Shared {
    /// Held by who changes the list, so that it can be looked at while it is written.
    file: Mutex<ListFile>,
    state: Mutex<State>,
    /// Wakes the worker: there may be something to do.
    to_do: Condvar,
    /// Wakes those who listen: the number of the last event.
    news: watch::Sender<u64>,
}

struct State {
    list: List,
    log: Log,
    /// Whether the process is about to end.
    ending: bool,
}

impl Jobs {
    /// The jobs of the list in a folder, those of an earlier process before those to come; nothing is started.
    ///
    /// # Errors
    ///
    /// When the list is there and cannot be read.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let file = ListFile::of(folder);
        let list = file.read()?;
        let log = Log::new();
        let shared = Shared {
            file: Mutex::new(file),
            news: watch::Sender::new(log.last()),
            state: Mutex::new(State {
                list,
                log,
                ending: false,
            }),
            to_do: Condvar::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            worker: Arc::default(),
        })
    }

    /// Starts the thread that does the work, each job by a call of `run`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(
        &self,
        run: impl FnMut(&Work, &mut Running<'_>) -> Result<(), Failure> + Send + 'static,
    ) -> crate::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("jobs".to_owned());
        let thread = thread.spawn(move || worker::work(&shared, run));
        let thread = thread.map_err(|source| Error::Threads { source })?;
        *lock(&self.worker) = Some(thread);
        Ok(())
    }

    /// Puts work at the end of the queue. Where the same work waits or is under way, it is not queued again:
    /// that job is returned. One of the same work that has ended is forgotten.
    ///
    /// # Errors
    ///
    /// When the list cannot be written; then nothing is queued.
    pub(crate) fn queue(&self, order: Order) -> Result<Job> {
        let job = self.shared.change(|list| list.queue(&order))?;
        self.shared.to_do.notify_one();
        Ok(job)
    }

    /// Takes a job from the queue, or asks the one under way to stop; `None` where there is none of this id.
    ///
    /// # Errors
    ///
    /// When the list cannot be written; the job then goes on.
    pub(crate) fn cancel(&self, id: u64) -> Result<Option<Job>> {
        self.shared.change(|list| {
            let job = list.job_mut(id)?;
            job.state = match job.state {
                JobState::Queued => JobState::Cancelled,
                JobState::Running => JobState::Stopping,
                ended => ended,
            };
            Some(job.clone())
        })
    }

    /// Forgets the jobs that have ended; what they made stays.
    ///
    /// # Errors
    ///
    /// When the list cannot be written.
    pub(crate) fn forget_ended(&self) -> Result<()> {
        let forget = |list: &mut List| list.jobs.retain(|job| !job.has_ended());
        self.shared.change(forget)
    }

    /// All jobs, in the order in which they were queued.
    pub(crate) fn list(&self) -> Vec<Job> {
        self.shared.lock().list.jobs.clone()
    }

    /// The events after the one that was seen last, or the whole list where they are not kept or none was
    /// seen. None where nothing has happened since.
    ///
    /// # Errors
    ///
    /// When a job cannot be written as JSON.
    pub(crate) fn events_after(&self, seen: Option<EventId>) -> Result<Vec<Event>> {
        let state = self.shared.lock();
        state.log.after(seen, &state.list.jobs)
    }

    /// The last event that there was: what is looked at after it holds all that has happened up to it.
    pub(crate) fn last_event(&self) -> EventId {
        self.shared.lock().log.last_id()
    }

    /// Tells all who listen of something else than a job: that it has happened, by its name.
    pub(crate) fn announce(&self, name: &'static str) {
        let mut state = self.shared.lock();
        state.log.announce(name);
        self.shared.news.send_replace(state.log.last());
    }

    /// Tells of every event when it has happened.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    /// Whether the process is about to end: nobody need wait for events.
    pub(crate) fn are_ending(&self) -> bool {
        self.shared.lock().ending
    }

    /// Stops the work at the next place where it can go on later, and waits for that. What is queued or under
    /// way stays in the list, for the next start.
    pub(crate) fn stop(&self) {
        self.shared.lock().ending = true;
        self.shared.to_do.notify_all();
        // Those who listen see that there is nothing to come.
        self.shared.news.send_modify(|_| ());
        let worker = lock(&self.worker).take();
        if let Some(worker) = worker {
            // What it did in the end is in the list; a panic is told of there, too.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the list: first in the file, then in memory, then told of. It may be done twice, to the same list but
    /// for how far jobs are.
    fn change<R>(&self, change: impl Fn(&mut List) -> R) -> Result<R> {
        let file = lock(&self.file);
        let before = self.lock().list.clone();
        let mut after = before.clone();
        let result = change(&mut after);
        if after != before {
            file.write(&after)?;
            self.tell(change)?;
        }
        Ok(result)
    }

    /// Changes the list in memory, and tells of it.
    fn tell<R>(&self, change: impl Fn(&mut List) -> R) -> Result<()> {
        let mut state = self.lock();
        let State { list, log, .. } = &mut *state;
        let before = list.jobs.clone();
        change(list);
        log.add_changes(&before, &list.jobs)?;
        self.news.send_replace(log.last());
        Ok(())
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Jobs").field(&self.list()).finish()
    }
}

/// What a mutex holds, be it that a thread panicked with it: all changes are made whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
