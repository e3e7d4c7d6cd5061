//! What the three stages found and did.

use std::error::Error as StdError;

use neuroinspect_concepts::UnitLabel;
use neuroinspect_core::{ClassId, Metrics, NeuronId};
use neuroinspect_counterfactual::{Certified, Explanation, Ranking};
use neuroinspect_editing::{EditResult, LayerPatch, MendResult};
use neuroinspect_illusion::{Illusion, Pair, Recipe, Trust};
use serde::{Deserialize, Serialize};

use crate::{Run, StageFailure, UnitFindings};

/// What debugging a class found and did: the results of the stages as they are.
///
/// As JSON it holds everything but arrays: neither the counterfactual shifts nor pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Findings {
    /// The class debugged.
    pub class: ClassId,
    /// Names of the `K` classes.
    pub class_names: Vec<String>,
    /// Names of the groups, where the samples have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_names: Vec<String>,
    /// How many samples of the class were looked at.
    pub samples: usize,
    /// The classifier as it came, on all samples looked at.
    pub metrics: Metrics,
    /// The counterfactual of each mistake.
    pub explanation: Explanation,
    /// The neurons that recur in them.
    pub ranking: Ranking,
    /// What the smallest changes say of the mistakes, and how stable the ranking is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<Certified>,
    /// The neurons edited, or to be edited.
    pub neurons: Vec<NeuronId>,
    /// What editing the decision layer did, where there was data to edit on and the edit ran to its
    /// end.
    pub edit: Option<EditResult>,
    /// The edit itself, to be saved, applied and reverted.
    #[serde(skip)]
    pub patch: Option<LayerPatch>,
    /// Where the edit is and how it is applied, where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_file: Option<EditFile>,
    /// Which mend helps, if any, chosen without a group label by the samples that the edit is trained on and
    /// those to choose on; where these are merely held out of the former, by those that it is measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<MendResult>,
    /// Why there is none, where one was asked for and not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation_left_out: Option<String>,
    /// The neurons pictured, or to be pictured, with the class each is pictured within: the class
    /// debugged where the neuron is listed as insufficient for it, and the class that it pulled the
    /// mistakes to where it is listed as excessive. In both lists, the one with more votes decides;
    /// in neither, the sum of its shifts.
    pub pairs: Vec<Pair>,
    /// What decided the pictures.
    pub recipe: Recipe,
    /// The pictures, in the order of the pairs. Pairs that diverged have none, nor those that the
    /// work did not come to; those under way when it was stopped have had fewer
    /// [`steps`](Illusion::steps) than the recipe asks for.
    pub pictures: Vec<NeuronPicture>,
    /// How many of the pictures had been made by an earlier run.
    #[serde(skip)]
    pub pictures_reused: usize,
    /// After how many steps pictures that an earlier run had under way went on, where some did.
    #[serde(skip)]
    pub pictures_resumed_at: Option<usize>,
    /// Units of layers that were looked at beside the neurons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitFindings>,
    /// How each of `D` neurons answers to a context that was planted, where one was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_effects: Vec<ContextEffect>,
    /// The words that go with these neurons, where a list of words was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<UnitLabel>,
    /// Whether there is more to come: the work was stopped, or goes on.
    #[serde(default)]
    pub interrupted: bool,
    /// The stages that failed after the ranking was there, with the reason: what is not here may be
    /// missing for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<StageFailure>,
    /// How it was made.
    pub run: Run,
}

/// The picture of a neuron within a class, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NeuronPicture {
    /// The picture and what the networks see in it.
    #[serde(flatten)]
    pub illusion: Illusion,
    /// The largest activation of the neuron on a real image; `None` when none was looked at.
    #[serde(default)]
    pub top_real_activation: Option<f32>,
    /// Core relevance score; low where the neuron's feature is not core to the class. `None` where it
    /// is not defined or not measured yet.
    #[serde(default)]
    pub core_relevance: Option<f32>,
    /// How far the picture can be trusted, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// PNG of the picture, relative to the JSON.
    pub file: String,
    /// PNG of the picture times the neuron's mask, where there is a mask.
    #[serde(default)]
    pub masked_file: Option<String>,
}

/// Where an edit file is and how it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EditFile {
    /// Its path, relative to the JSON.
    pub path: String,
    /// A command or a line of code that applies it, where it can be applied so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how_to_apply: Option<String>,
}

/// How a neuron answers when a context is put behind the same scenes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContextEffect {
    /// What the context is: "water".
    pub context: String,
    /// Mean activation with it.
    pub present: f32,
    /// Mean activation without it.
    pub absent: f32,
    /// Their difference in standard deviations of the neuron's activation over all these scenes
    /// (Cohen's d).
    pub effect: f32,
}

impl ContextEffect {
    /// Whether the neuron responds to the context: an effect beyond 0.5 either way, which Cohen
    /// calls medium.
    pub fn responds(&self) -> bool {
        self.effect.abs() > 0.5
    }
}

impl NeuronPicture {
    /// Folder of the pictures, within that of the JSON.
    pub const FOLDER: &str = "neurons";

    /// A picture with the usual file names, its neuron compared with no real image yet.
    pub fn new(illusion: Illusion) -> Self {
        let pair = illusion.pair;
        let within = |name: String| format!("{}/{name}", Self::FOLDER);
        Self {
            masked_file: illusion
                .mask
                .is_some()
                .then(|| within(Self::masked_file_name(pair))),
            file: within(Self::file_name(pair)),
            illusion,
            top_real_activation: None,
            core_relevance: None,
            trust: None,
        }
    }

    /// What the picture of a pair is called: `neuron-3-class-7.png`.
    pub fn file_name(Pair { neuron, class }: Pair) -> String {
        format!("neuron-{neuron}-class-{class}.png")
    }

    /// What the picture of a pair times its mask is called: `neuron-3-class-7-masked.png`.
    pub fn masked_file_name(Pair { neuron, class }: Pair) -> String {
        format!("neuron-{neuron}-class-{class}-masked.png")
    }

    /// What the picture of a pair is called that shows what has changed in the image that it starts from:
    /// `neuron-3-class-7-change.png`.
    pub fn change_file_name(Pair { neuron, class }: Pair) -> String {
        format!("neuron-{neuron}-class-{class}-change.png")
    }

    /// What the animation of a pair's optimisation is called: `neuron-3-class-7-animation.png`.
    pub fn animation_file_name(Pair { neuron, class }: Pair) -> String {
        format!("neuron-{neuron}-class-{class}-animation.png")
    }

    /// Whether a file is called as pictures are: `neuron-3-class-7.png`, or with `-masked`, `-change` or
    /// `-animation` after the class.
    pub fn is_file_name(name: &str) -> bool {
        let numbers = |name: &str| {
            let (neuron, class) = name.strip_prefix("neuron-")?.split_once("-class-")?;
            let kinds = ["-masked", "-change", "-animation"];
            let stripped = kinds.iter().find_map(|kind| class.strip_suffix(kind));
            let class = stripped.unwrap_or(class);
            Some(neuron.parse::<usize>().is_ok() && class.parse::<usize>().is_ok())
        };
        name.strip_suffix(".png").and_then(numbers) == Some(true)
    }
}

impl Findings {
    /// Name of the file of the findings themselves.
    pub const JSON_FILE: &str = "summary.json";
    /// Name of the file of the report for people.
    pub const HTML_FILE: &str = "report.html";
    /// Folder of the pictures of units, within that of the findings.
    pub const UNITS_FOLDER: &str = "report-units";
    /// Name of the file of the contact sheet of all neurons.
    pub const SHEET_FILE: &str = "neurons.png";

    /// Name of the class debugged.
    ///
    /// # Panics
    ///
    /// As [`name_of`](Self::name_of).
    pub fn class_name(&self) -> &str {
        self.name_of(self.class)
    }

    /// Name of a class.
    ///
    /// # Panics
    ///
    /// When the class has no name, which [`validate`](Self::validate) finds.
    pub fn name_of(&self, class: ClassId) -> &str {
        &self.class_names[class.0]
    }

    /// How many samples of the class the classifier gets wrong.
    pub fn mistakes(&self) -> usize {
        self.explanation.counterfactuals.len()
    }

    /// The picture of a pair.
    pub fn picture(&self, pair: Pair) -> Option<&NeuronPicture> {
        self.pictures.iter().find(|it| it.illusion.pair == pair)
    }

    /// Notes that a stage failed: shown in the report, beside what the other stages found.
    pub fn fail(&mut self, stage: &str, reason: &str) {
        self.failures.push(StageFailure {
            stage: stage.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// [`fail`](Self::fail), for the reason that an error and its causes give.
    pub fn fail_with(&mut self, stage: &str, error: &dyn StdError) {
        self.failures.push(StageFailure::of(stage, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_of_neurons_are_called_so() {
        for name in [
            "neuron-3-class-7.png",
            "neuron-30-class-12-masked.png",
            "neuron-0-class-1-change.png",
            "neuron-0-class-1-animation.png",
        ] {
            assert!(NeuronPicture::is_file_name(name), "{name}");
        }
        for name in [
            "neuron-3-best.png",
            "neuron-3-class-cat.png",
            "neuron-3-class-7.jpg",
            "my-neuron-3-class-7.png",
            "neurons.png",
        ] {
            assert!(!NeuronPicture::is_file_name(name), "{name}");
        }
    }
}
