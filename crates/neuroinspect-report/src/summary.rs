//! What the program writes as `summary.json`, for other programs to read.

use std::{collections::BTreeMap, path::Path};

use neuroinspect_core::{ClassId, Metrics, NeuronId, Seed, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

/// `summary.json` of `evaluate`: the [`Metrics`] stand at the top level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSummary {
    /// `accuracy`, `class_accuracy`, `worst_class_accuracy`, and those of groups where they exist.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Names of the `K` classes.
    pub class_names: Vec<String>,
    /// Names of the groups, where the samples have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_names: Vec<String>,
    /// How it was made.
    pub run: Run,
}

/// `summary.json` of `debug` and `demo`: one class, its mistakes, the neurons behind them, and
/// what an edit did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DebugSummary {
    /// The class debugged.
    pub class: ClassId,
    /// Its name.
    pub class_name: String,
    /// Names of the `K` classes.
    pub class_names: Vec<String>,
    /// Names of the groups, where the samples have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_names: Vec<String>,
    /// How many samples of the class were looked at.
    pub samples: usize,
    /// How many of them the classifier gets wrong.
    pub mistakes: usize,
    /// What they were taken for, most frequent first.
    #[serde(default)]
    pub confusions: Vec<Confusion>,
    /// How many mistakes the counterfactual search did not turn right within its steps.
    #[serde(default)]
    pub unflipped: usize,
    /// The classifier as it came, on all samples looked at.
    pub metrics: Metrics,
    /// The neurons behind the mistakes.
    pub ranking: Ranking,
    /// The pictures of those that were pictured.
    pub visualizations: Vec<Visualization>,
    /// What editing the decision layer did; `None` when it was not edited.
    pub edit: Option<Edit>,
    /// Whether the work was stopped before its end, or goes on: what is not here was not come to.
    #[serde(default)]
    pub interrupted: bool,
    /// The stages that failed, with the reason: what is not here may be missing for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<StageFailure>,
    /// How it was made.
    pub run: Run,
}

/// A stage that failed, while others did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    /// The stage.
    pub stage: String,
    /// Why, and what to do about it.
    pub reason: String,
}

/// A class that mistakes were taken for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class predicted.
    pub class: ClassId,
    /// How many mistakes.
    pub count: usize,
}

/// The neurons that recur in counterfactual explanations, each list by descending `prec_at_5`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Those whose activation was too low for the class.
    pub insufficient: Vec<RankedNeuron>,
    /// Those whose activation was too high for it.
    pub excessive: Vec<RankedNeuron>,
}

/// A neuron of a [`Ranking`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedNeuron {
    /// The neuron.
    pub neuron: NeuronId,
    /// Share of mistakes in whose five largest changes it stands, in `[0, 1]`.
    pub prec_at_5: f64,
    /// Probability of the class over its probability with the neuron zeroed, at the mean features.
    pub importance: f64,
    /// How it answers to the context alone, where that can be switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_response: Option<ContextResponse>,
}

/// A neuron's mean activation over scenes that are the same but for their context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextResponse {
    /// What the context is: "water".
    pub context: String,
    /// Mean activation with it.
    pub present: f32,
    /// Mean activation without it.
    pub absent: f32,
}

/// The picture of a neuron within a class, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visualization {
    /// The neuron.
    pub neuron: NeuronId,
    /// The class the picture is conditioned on.
    pub class: ClassId,
    /// What the picture was optimised for: "CLIP-Illusion", "feature visualization", ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Optimisation steps it has had.
    #[serde(default)]
    pub steps: usize,
    /// Optimisation steps it was to have: more than `steps` where the work was stopped meanwhile.
    #[serde(default)]
    pub steps_planned: usize,
    /// The neuron's activation on the picture.
    pub activation: f32,
    /// The largest activation on a real image; `None` when none was looked at.
    #[serde(default)]
    pub top_real_activation: Option<f32>,
    /// Cosine of picture and class name in the image-text encoder; `None` without an encoder.
    #[serde(default)]
    pub clip_similarity: Option<f32>,
    /// Core relevance score; low where the neuron's feature is not core to the class.
    #[serde(default)]
    pub core_relevance: Option<f32>,
    /// PNG of the picture, relative to the summary.
    pub image: String,
    /// PNG of the picture times the neuron's mask, relative to the summary.
    pub masked_image: String,
}

impl Visualization {
    /// A visualization with the usual file names and no scores but its activation.
    pub fn new(neuron: NeuronId, class: ClassId, activation: f32) -> Self {
        Self {
            neuron,
            class,
            objective: None,
            steps: 0,
            steps_planned: 0,
            activation,
            top_real_activation: None,
            clip_similarity: None,
            core_relevance: None,
            image: format!("neurons/neuron-{neuron}-class-{class}.png"),
            masked_image: format!("neurons/neuron-{neuron}-class-{class}-masked.png"),
        }
    }
}

/// An edit of the decision layer and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The neurons whose influence was corrected.
    pub neurons: Vec<NeuronId>,
    /// By which objective: "probability ratio", "focal loss", ...
    pub objective: String,
    /// The probability ratio aimed at, `o`; `None` for objectives without one.
    #[serde(default)]
    pub target: Option<f64>,
    /// How many epochs were trained.
    pub epochs: usize,
    /// The data all metrics were measured on.
    pub evaluated_on: String,
    /// How many of those samples were trained on as well.
    #[serde(default)]
    pub also_trained_on: usize,
    /// How many of those samples are mistakes that the neurons were chosen from.
    #[serde(default)]
    pub chosen_from: usize,
    /// The decision layer as it came.
    pub before: Metrics,
    /// The decision layer edited.
    pub after: Metrics,
    /// The decision layer trained alike but without the objective's own term: what it gains too
    /// is the training's doing. `None` when that was not tried.
    #[serde(default)]
    pub control: Option<Metrics>,
    /// The edit file, relative to the summary.
    #[serde(default)]
    pub file: Option<String>,
    /// A command or a line of code that applies that file.
    #[serde(default)]
    pub how_to_apply: Option<String>,
    /// SHA-256 of the decision layer edited, in hexadecimal: what applying the file should give.
    #[serde(default)]
    pub layer_sha256: Option<String>,
}

/// How a result was made: what is needed to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of neuroinspect.
    pub version: String,
    /// The command line, where there was one.
    #[serde(default)]
    pub command: Option<String>,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the file of its weights, in hexadecimal.
    #[serde(default)]
    pub weights_sha256: Option<String>,
    /// Where the images came from.
    pub data: String,
    /// The device computed on.
    pub device: String,
    /// The seed of all random numbers.
    pub seed: Seed,
    /// Options by stage.
    #[serde(default)]
    pub configs: BTreeMap<String, Value>,
    /// How long each stage took, in order.
    #[serde(default)]
    pub timings: Vec<Timing>,
    /// Images that could not be read.
    #[serde(default)]
    pub skipped_images: Vec<SkippedImage>,
}

impl Run {
    /// A run of this version; the rest is left to be filled in.
    pub fn new(
        model: impl Into<String>,
        data: impl Into<String>,
        device: impl Into<String>,
        seed: Seed,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: None,
            model: model.into(),
            weights_sha256: None,
            data: data.into(),
            device: device.into(),
            seed,
            configs: BTreeMap::new(),
            timings: Vec::new(),
            skipped_images: Vec::new(),
        }
    }
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// An image left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkippedImage {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl EvaluationSummary {
    /// Writes the summary as JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate), or when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        write_json(path, self)
    }
}

impl DebugSummary {
    /// Writes the summary as JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate), or when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        write_json(path, self)
    }

    /// Name of a class. [`validate`](Self::validate) has found it in range.
    pub(crate) fn name(&self, class: ClassId) -> &str {
        &self.class_names[class.0]
    }
}

fn write_json(path: impl AsRef<Path>, summary: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(summary)?;
    json.push(b'\n');
    write_atomically(path, |out| out.write_all(&json))?;
    Ok(())
}
