//! What the three stages found and did.

use std::{error::Error as StdError, time::Duration};

use neuroinspect_core::{ClassId, Metrics, NeuronId};
use neuroinspect_counterfactual::{Explanation, Ranking};
use neuroinspect_editing::{Comparison, Edit, Edited};
use neuroinspect_illusion::{Illusion, Objective, Pair};
use neuroinspect_report::StageFailure;

use crate::Result;

/// What [`debug`](crate::debug) found and did.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The class debugged.
    pub class: ClassId,
    /// The counterfactual of each mistake.
    pub explanation: Explanation,
    /// The neurons that recur in them.
    pub ranking: Ranking,
    /// The neurons edited.
    pub neurons: Vec<NeuronId>,
    /// Those pictured, with the class each is pictured within: the class debugged where the neuron was
    /// insufficient for it, otherwise the class that it pulled the mistakes to.
    pub pairs: Vec<Pair>,
    /// The edit, where there was data to edit on and the edit ran to its end.
    pub mending: Option<Mending>,
    /// What the pictures were optimised for.
    pub objective: Objective,
    /// The pictures finished, one per pair in their order.
    pub illusions: Vec<Illusion>,
    /// Core relevance score of each picture; `None` where it is not defined.
    pub core_relevance: Vec<Option<f32>>,
    /// Wall-clock time of each stage.
    pub timings: Vec<(&'static str, Duration)>,
    /// Whether the observer stopped the work before its end.
    pub interrupted: bool,
    /// The stages that failed after the ranking was there, and why.
    pub failures: Vec<StageFailure>,
}

impl Findings {
    /// The result of a stage, or `None` with a note of why there is none.
    pub(crate) fn settle<T>(&mut self, stage: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(result) => return Some(result),
            Err(error) if error.is_cancellation() => self.interrupted = true,
            Err(error) => self.fail(stage, &error),
        }
        None
    }

    /// Notes that a stage failed: shown in the report, beside what the other stages found.
    pub fn fail(&mut self, stage: &str, error: &dyn StdError) {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason += &format!(": {error}");
            cause = error.source();
        }
        self.failures.push(StageFailure {
            stage: stage.to_owned(),
            reason,
        });
    }
}

/// An edit and what it did.
#[derive(Clone, Debug)]
pub struct Mending {
    /// The new decision layer and how it was found.
    pub edited: Edited,
    /// The difference to the old one, to be saved, applied and reverted.
    pub edit: Edit,
    /// Metrics before and after it, on [`EditData::evaluation`](crate::EditData::evaluation).
    pub comparison: Comparison,
    /// How many of the samples it was measured on it was also trained on.
    pub trained_on: usize,
    /// Metrics there of the control: the same training without the ratio
    /// ([`EditConfig::control`](neuroinspect_editing::EditConfig::control)). What it gains too, the
    /// ratio cannot claim. `None` where that training was stopped or failed.
    pub control: Option<Metrics>,
}
