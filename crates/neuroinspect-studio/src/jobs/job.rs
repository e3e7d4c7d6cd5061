//! A job, and where it stands.

use serde::{Deserialize, Serialize};

use crate::work::Work;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What people read, such as "neuron 12 within 3 classes".
    pub(crate) title: String,
    /// Address of the page that shows what comes of it, such as `/neuron/12`.
    pub(crate) page: String,
    /// The work itself.
    pub(crate) work: Work,
}

/// Work that was ordered, and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Its number; of two jobs the later has the larger one.
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) order: Order,
    pub(crate) state: JobState,
    /// What is going on, in the present participle; empty before the start.
    pub(crate) stage: String,
    /// Units of that stage done so far.
    pub(crate) done: usize,
    /// Units of that stage there are; 0 before the start.
    pub(crate) total: usize,
    /// Results there are to be looked at so far.
    pub(crate) made: usize,
    /// How often it was begun by a process that did not end in the midst of it by itself.
    #[serde(default)]
    pub(crate) starts: u32,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// It waits for those before it.
    Queued,
    /// It is under way.
    Running,
    /// It is under way, and was asked to stop.
    Stopping,
    /// It came to its end.
    Finished,
    /// It was stopped before its end.
    Cancelled,
    /// It came to no end.
    Failed,
}

impl Job {
    pub(super) fn new(id: u64, order: Order) -> Self {
        Self {
            id,
            order,
            state: JobState::Queued,
            stage: String::new(),
            done: 0,
            total: 0,
            made: 0,
            starts: 0,
            note: None,
        }
    }

    /// Whether it is to come to its end by itself.
    pub(crate) fn waits_or_runs(&self) -> bool {
        matches!(self.state, JobState::Queued | JobState::Running)
    }

    /// Whether nothing more becomes of it.
    pub(crate) fn has_ended(&self) -> bool {
        use JobState::{Cancelled, Failed, Finished};
        matches!(self.state, Finished | Cancelled | Failed)
    }
}
