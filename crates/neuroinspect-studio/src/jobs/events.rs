//! What has happened to the jobs, numbered.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use neuroinspect::{Result, core::Error as CoreError};
use serde::Serialize;

use super::{Job, JobState};
use crate::work::Work;

/// Events kept for those who come back after a break.
const KEPT: usize = 1000;

/// Name of the event that holds a job as it now is.
const JOB: &str = "job";
/// Name of the event that holds the whole list.
const LIST: &str = "jobs";

/// The number of an event, told from those of other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    /// When the process began to count.
    start: u64,
    number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.number)
    }
}

impl FromStr for EventId {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let numbers = || {
            let (start, number) = text.split_once('-')?;
            Some(Self {
                start: start.parse().ok()?,
                number: number.parse().ok()?,
            })
        };
        numbers().ok_or_else(|| CoreError::InvalidOption {
            option: "the id of an event",
            value: text.to_owned(),
            expected: "two numbers joined by a hyphen",
        })
    }
}

/// What of a job is drawn; its work may be long, and events are many.
#[derive(Serialize)]
struct Drawn<'a> {
    id: u64,
    title: &'a str,
    page: &'a str,
    state: JobState,
    stage: &'a str,
    done: usize,
    total: usize,
    made: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    /// Whether all pages wait for it.
    of_features: bool,
}

impl<'a> From<&'a Job> for Drawn<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            id: job.id,
            title: &job.order.title,
            page: &job.order.page,
            state: job.state,
            stage: &job.stage,
            done: job.done,
            total: job.total,
            made: job.made,
            note: job.note.as_deref(),
            of_features: job.order.work == Work::Features,
        }
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    /// `job`, a job as it now is, `jobs`, the whole list, or the name of what else was announced.
    pub(crate) name: &'static str,
    /// JSON on one line.
    pub(crate) data: String,
}

/// The events of this process.
pub(super) struct Log {
    start: u64,
    /// Number of the last event.
    last: u64,
    /// The last ones, in order.
    kept: VecDeque<Event>,
}

impl Log {
    pub(super) fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: start.map_or(0, |start| start.as_nanos() as u64),
            last: 0,
            kept: VecDeque::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn last_id(&self) -> EventId {
        self.id(self.last)
    }

    /// Adds an event for what is not as it was: each job by itself, or the list where some are gone.
    pub(super) fn add_changes(&mut self, before: &[Job], after: &[Job]) -> Result<()> {
        let is_gone = |job: &Job| after.iter().all(|it| it.id != job.id);
        if before.iter().any(is_gone) {
            return self.add(LIST, &drawn(after));
        }
        for job in after.iter().filter(|job| !before.contains(job)) {
            self.add_job(job)?;
        }
        Ok(())
    }

    /// Adds an event that holds a job as it now is.
    pub(super) fn add_job(&mut self, job: &Job) -> Result<()> {
        self.add(JOB, &Drawn::from(job))
    }

    fn add(&mut self, name: &'static str, value: &impl Serialize) -> Result<()> {
        self.push(name, json(value)?);
        Ok(())
    }

    /// Adds an event that holds nothing.
    pub(super) fn announce(&mut self, name: &'static str) {
        self.push(name, "null".to_owned());
    }

    fn push(&mut self, name: &'static str, data: String) {
        self.last += 1;
        let id = self.last_id();
        self.kept.push_back(Event { id, name, data });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// What has happened since an event, or all that there is where that is not known.
    pub(super) fn after(&self, seen: Option<EventId>, jobs: &[Job]) -> Result<Vec<Event>> {
        let first = self.last - self.kept.len() as u64;
        let known =
            |seen: &EventId| seen.start == self.start && (first..=self.last).contains(&seen.number);
        let Some(seen) = seen.filter(known) else {
            return Ok(vec![Event {
                id: self.last_id(),
                name: LIST,
                data: json(&drawn(jobs))?,
            }]);
        };
        let missed = self.kept.iter().skip((seen.number - first) as usize);
        Ok(missed.cloned().collect())
    }

    fn id(&self, number: u64) -> EventId {
        EventId {
            start: self.start,
            number,
        }
    }
}

fn drawn(jobs: &[Job]) -> Vec<Drawn<'_>> {
    jobs.iter().map(Drawn::from).collect()
}

fn json(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(value);
    Ok(json.map_err(|source| neuroinspect::report::Error::Json {
        schema: "an event of the studio's jobs",
        source,
    })?)
}
