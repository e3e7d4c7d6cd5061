//! What the three stages found and did.

use std::{error::Error as StdError, time::Duration};

use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_counterfactual::{Explanation, Ranking};
use neuroinspect_illusion::{Illusion, IllusionConfig, Pair};
use neuroinspect_report::StageFailure;

use crate::Mending;

/// What [`debug`](crate::debug()) found and did.
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
    /// Those pictured, with the class each is pictured within: the class debugged where the neuron is
    /// listed as insufficient for it, and the class that it pulled the mistakes to where it is
    /// listed as excessive. In both lists, the one with more votes decides; in neither, the sum of
    /// its shifts.
    pub pairs: Vec<Pair>,
    /// The edit, where there was data to edit on and the edit ran to its end.
    pub mending: Option<Mending>,
    /// How the pictures were made.
    pub illusion_config: IllusionConfig,
    /// The pictures, in the order of the pairs. Pairs that diverged have none, nor those that the
    /// work did not come to; those under way when it was stopped have had fewer
    /// [`steps`](Illusion::steps) than asked for.
    pub illusions: Vec<Illusion>,
    /// Core relevance score of each picture; `None` where it is not defined or not measured yet.
    pub core_relevance: Vec<Option<f32>>,
    /// Wall-clock time of each stage.
    pub timings: Vec<(&'static str, Duration)>,
    /// Whether there is more to come: the observer stopped the work or, in what
    /// [`debug_each`](crate::debug_each) hands over, it goes on.
    pub interrupted: bool,
    /// The stages that failed after the ranking was there, and why.
    pub failures: Vec<StageFailure>,
}

impl Findings {
    /// Notes that a stage failed: shown in the report, beside what the other stages found.
    pub fn fail(&mut self, stage: &str, reason: &str) {
        self.failures.push(StageFailure {
            stage: stage.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// [`fail`](Self::fail), for the reason that an error and its causes give.
    pub fn fail_with(&mut self, stage: &str, error: &dyn StdError) {
        self.fail(stage, &with_causes(error));
    }
}

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn StdError) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason += &format!(": {error}");
        cause = error.source();
    }
    reason
}
