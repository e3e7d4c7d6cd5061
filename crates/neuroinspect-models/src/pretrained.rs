//! Classifiers that go into checkpoints and come out of them.

use std::{collections::BTreeMap, path::Path};

use burn::module::Module;
use neuroinspect_core::Classifier;

use crate::{Checkpoint, LoadReport, Result, Strictness, checkpoint::save};

/// Key of a file's metadata that holds the input of the network with these weights, as JSON.
pub(crate) const INPUT: &str = "input";
/// The key of the metadata under which its name is.
pub(crate) const MODEL: &str = "model";

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
    /// The file's metadata hold the model's name (`model`), its number of classes (`classes`) and, as
    /// JSON, the pixels it wants to see (`input`), which
    /// [`load_classifier`](crate::load_classifier) goes by.
    ///
    /// # Errors
    ///
    /// As [`checkpoint::save`](crate::checkpoint::save).
    fn save(&self, path: &Path) -> Result<()>;
}

impl<M: Module + Classifier> PretrainedClassifier for M {
    fn compare(&self, checkpoint: &Checkpoint) -> LoadReport {
        checkpoint.compare(self)
    }

    fn load(&mut self, checkpoint: &Checkpoint, strictness: Strictness) -> Result<LoadReport> {
        let model = self.name().to_owned();
        checkpoint.apply(self, &model, strictness)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let classes = self.decision_layer()?.classes();
        let metadata = BTreeMap::from([
            (MODEL.to_owned(), self.name().to_owned()),
            ("classes".to_owned(), classes.to_string()),
            (
                INPUT.to_owned(),
                serde_json::json!(self.input()).to_string(),
            ),
        ]);
        save(self, &metadata, path)
    }
}
