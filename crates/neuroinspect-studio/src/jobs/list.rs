//! The file of the list of jobs.

use std::path::{Path, PathBuf};

use neuroinspect::{
    Result,
    core::{Error as CoreError, with_causes},
    report::{Schema, read_json, write_json},
};
use serde::{Deserialize, Serialize};

use super::{Job, JobState, Order};

const FILE: &str = "jobs.json";
const SCHEMA: Schema = Schema::new("neuroinspect.studio-jobs", 1);

/// Jobs that have ended and are still listed, at most.
const ENDED_KEPT: usize = 50;

/// Work during which the process ended so often is not begun again: it may be what ends it.
const MOST_STARTS: u32 = 3;

pub(super) struct ListFile(PathBuf);

/// The jobs, and what is known of those to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct List {
    /// In the order in which they were queued.
    pub(super) jobs: Vec<Job>,
    /// Id of the next job.
    next: u64,
}

impl List {
    pub(super) fn job_mut(&mut self, id: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// Puts work at the end, in place of the same that has ended; one that waits or is under way is left as it is.
    pub(super) fn queue(&mut self, order: &Order) -> Job {
        let same = |job: &&Job| job.waits_or_runs() && job.order.work == order.work;
        if let Some(job) = self.jobs.iter().find(same) {
            return job.clone();
        }
        self.jobs
            .retain(|job| !job.has_ended() || job.order.work != order.work);
        self.forget_oldest();
        let job = Job::new(self.next, order.clone());
        self.next += 1;
        self.jobs.push(job.clone());
        job
    }

    /// Forgets the oldest of the jobs that have ended, where there are too many.
    fn forget_oldest(&mut self) {
        let ended = self.jobs.iter().filter(|job| job.has_ended()).count();
        let mut too_many = ended.saturating_sub(ENDED_KEPT);
        self.jobs.retain(|job| {
            let goes = too_many > 0 && job.has_ended();
            too_many -= usize::from(goes);
            !goes
        });
    }
}

impl ListFile {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// The jobs as the next process finds them: what was under way is queued again, unless it has been begun too
    /// often, and what was asked to stop has stopped.
    pub(super) fn read(&self) -> Result<List> {
        let Self(path) = self;
        // A file that cannot be looked at is an error: the next job would be written over those in it.
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(List {
                jobs: Vec::new(),
                next: 1,
            });
        }
        let mut list: List = read_json(path, SCHEMA).map_err(|error| CoreError::Format {
            path: path.clone(),
            expected: "a list of the studio's jobs; remove it to begin with an empty one",
            reason: with_causes(&error),
        })?;
        for job in &mut list.jobs {
            job.state = match job.state {
                JobState::Running if job.starts >= MOST_STARTS => {
                    let note = format!("the program ended {} times while it was done", job.starts);
                    job.note = Some(note);
                    JobState::Failed
                }
                JobState::Running => JobState::Queued,
                JobState::Stopping => JobState::Cancelled,
                state => state,
            };
        }
        Ok(list)
    }

    /// Writes the list, whole or not at all.
    pub(super) fn write(&self, list: &List) -> Result<()> {
        Ok(write_json(&self.0, SCHEMA, list)?)
    }
}
