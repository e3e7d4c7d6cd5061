//! What an edit came to.

use neuroinspect_core::{DecisionLayer, Metrics, NeuronId};
use serde::{Deserialize, Serialize};

use crate::{Comparison, Control, EpochRecord, LayerPatch, MethodRecord, Verdict};

/// An edited decision layer, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// The layer.
    pub layer: DecisionLayer,
    /// The difference to the one before, to be saved, applied and reverted.
    pub patch: LayerPatch,
    /// How it was made and what it did, to be shown and written down.
    pub result: EditResult,
}

/// How a decision layer was made and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EditResult {
    /// The neurons corrected; none where the method corrects none.
    pub neurons: Vec<NeuronId>,
    /// How it was made.
    pub method: MethodRecord,
    /// SHA-256 of the layer, in hexadecimal: what applying its patch gives.
    pub layer_sha256: String,
    /// What happened in each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Whether training ended for want of a better validation accuracy.
    pub stopped_early: bool,
    /// Metrics before and after it, on the samples measured on.
    pub comparison: Comparison,
    /// What plain retraining with the same options does, of a [`Mend`](crate::Mend) on the validation samples, too;
    /// `None` where the method does not train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// How many of the samples measured on were trained or validated on as well.
    pub also_trained_on: usize,
    /// How many of the samples measured on are mistakes that the neurons were chosen from; 0 where
    /// they came from elsewhere. A session does not know: who chose them says so.
    pub chosen_from: usize,
    /// Whether it did what it was for.
    pub verdict: Verdict,
}

impl EditResult {
    /// Metrics after the control, where there was one and it ran to its end.
    pub fn control_metrics(&self) -> Option<&Metrics> {
        self.control.as_ref().and_then(Control::metrics)
    }

    /// A number that the method settled from the data, by name.
    pub fn derived(&self, name: &str) -> Option<f64> {
        self.method.derived.get(name).copied()
    }

    /// What it was measured on, as an honest reader needs to know it: "800 samples not trained on".
    pub fn measured_on(&self) -> String {
        let samples = self.comparison.before.samples;
        let trained_on = match self.also_trained_on {
            0 => format!("{samples} samples not trained on"),
            all if all == samples => format!("{samples} samples, all of them trained on as well"),
            some => format!("{samples} samples, {some} of which were trained on as well"),
        };
        match self.chosen_from {
            0 => trained_on,
            mistakes => format!(
                "{trained_on} (among them {mistakes} of the mistakes that the neurons were chosen from)"
            ),
        }
    }
}
