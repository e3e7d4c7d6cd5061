//! Classifiers that go into checkpoints and come out of them.

use std::path::Path;

use burn::module::Module;
use neuroinspect_core::{Classifier, InputSpec, Precision};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Checkpoint, Error, LoadReport, Result, Strictness, checkpoint::save};

/// Key of a file's metadata that holds what there is to say of its network, as JSON.
pub(crate) const CLASSIFIER: &str = "classifier";

/// What is said of a network beside its weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Its name.
    pub(crate) model: String,
    /// Number of classes.
    pub(crate) classes: usize,
    /// The pixels it wants to see.
    pub(crate) input: InputSpec,
}

impl Saved {
    /// What a checkpoint's metadata say of the network `model`: none where they say nothing of it, as
    /// in other programs' files, where the key may mean anything.
    ///
    /// # Errors
    ///
    /// [`Error::SavedInput`] when the input is none that can be followed.
    pub(crate) fn input_in(checkpoint: &Checkpoint, model: &str) -> Result<Option<InputSpec>> {
        let metadata = checkpoint.metadata();
        let wrong = |reason: String| Error::SavedInput {
            file: checkpoint.file().to_owned(),
            reason,
        };
        let saved = metadata
            .get(CLASSIFIER)
            .and_then(|json| serde_json::from_str::<Value>(json).ok())
            .filter(|json| json.get("model").is_some_and(|saved| saved == model))
            .and_then(|json| json.get("input").cloned());
        let Some(json) = saved else {
            return Ok(None);
        };
        let input: InputSpec =
            serde_json::from_value(json).map_err(|error| wrong(error.to_string()))?;
        input.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(Some(input))
    }
}

/// A classifier whose weights are read from checkpoints and written to them, under the names and
/// in the layout of PyTorch.
///
/// Every classifier that is a Burn [`Module`] is one, yours included. The trait is dyn-safe, and a
/// `Box<dyn PretrainedClassifier>` is also a `Box<dyn Classifier>`:
///
/// ```
/// use burn::tensor::Device;
/// use neuroinspect_core::Classifier;
/// use neuroinspect_models::{CifarResNetConfig, PretrainedClassifier};
///
/// # fn main() -> neuroinspect_models::Result<()> {
/// let model = CifarResNetConfig::new(8, 10).init(&Device::flex())?;
/// let model: Box<dyn PretrainedClassifier> = Box::new(model);
/// let model: Box<dyn Classifier> = model;
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
pub trait PretrainedClassifier: Classifier {
    /// What [`load`](Self::load) would do, without doing it.
    fn compare(&self, checkpoint: &Checkpoint) -> LoadReport;

    /// Loads a checkpoint's tensors into the parameters of the same names.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::apply`].
    fn load(&mut self, checkpoint: &Checkpoint, strictness: Strictness) -> Result<LoadReport>;

    /// Writes all weights as safetensors, the decision layer as it now is included.
    ///
    /// The file's metadata hold under `classifier`, as JSON, the model's name (`model`), its number of
    /// classes (`classes`) and the pixels it wants to see (`input`), which
    /// [`load_classifier`](crate::load_classifier) goes by.
    ///
    /// # Errors
    ///
    /// As [`checkpoint::save`](crate::checkpoint::save).
    fn save(&self, path: &Path) -> Result<()>;
}

impl<M: Module + Classifier + 'static> PretrainedClassifier for M {
    fn compare(&self, checkpoint: &Checkpoint) -> LoadReport {
        checkpoint.compare(self)
    }

    fn load(&mut self, checkpoint: &Checkpoint, strictness: Strictness) -> Result<LoadReport> {
        let model = self.name().to_owned();
        checkpoint.apply(self, &model, strictness)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let saved = Saved {
            model: self.name().to_owned(),
            classes: self.decision_layer()?.classes(),
            input: self.input().clone(),
        };
        let saved = serde_json::json!(saved).to_string();
        save(self, Some((CLASSIFIER, &saved)), Precision::F32, path)
    }
}
