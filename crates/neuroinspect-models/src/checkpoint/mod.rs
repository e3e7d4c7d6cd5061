//! Weights in files: reading, fitting to a module, writing.
//!
//! [`Checkpoint::open`] reads safetensors and every container that `torch.save` has written (zip,
//! the legacy stream of `.pth` and `.th` files, whole modules). Training scripts wrap the weights
//! in their own ways; what is found under `state_dict_ema`, `state_dict` or `model`, and behind the
//! prefixes `module.` (data parallel) and `_orig_mod.` (compiled), is brought to plain names.
//! `num_batches_tracked` is no weight and left out.
//!
//! A module's parameters are named and laid out as in PyTorch: fields joined by dots, `weight` and
//! `bias` for the scale and shift of a normalisation, linear weights `[out, in]`.
//! [`Checkpoint::apply`] compares both sides, reports what does not fit ([`LoadReport`]) and loads
//! the rest.
//!
//! Nothing a file claims about itself is believed before it is checked against the file's length,
//! and no code in a pickle is run.

mod module;
mod names;
mod pytorch;
mod report;
mod safetensors;
mod save;

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use burn::{module::Module, tensor::TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge, burn_pack};
use neuroinspect_core::{sha256_of_bytes, sha256_of_file};
use serde::{Deserialize, Serialize};

pub use module::parameter_shapes;
pub use report::{LoadReport, Mismatch};
pub use save::{Precision, save, save_as};

use crate::{Error, Result};

/// What to do about weights that do not fit the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Every parameter of the model must be in the checkpoint in its shape, and nothing else.
    #[default]
    Strict,
    /// Load what fits, at least one tensor; parameters without a counterpart keep their values.
    Partial,
}

/// The named tensors of a file, read as they are asked for.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    file: String,
    sha256: String,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, burn_pack::Tensor>,
}

impl Checkpoint {
    /// Opens a safetensors or PyTorch file, whichever it is.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] when the file cannot be read, [`Error::NotACheckpoint`] when it is empty,
    /// truncated, damaged, or holds no tensors.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |source| {
            let path = path.to_owned();
            Error::from(neuroinspect_core::Error::Read { path, source })
        };
        let mut start = Vec::new();
        let mut file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        (&mut file)
            .take(9)
            .read_to_end(&mut start)
            .map_err(unreadable)?;

        let label = path.display().to_string();
        let extension = path.extension().is_some_and(|it| it == "safetensors");
        if extension || safetensors::starts_like_one(&start) {
            let bytes = std::fs::read(path).map_err(unreadable)?;
            return Self::from_bytes(label, bytes);
        }
        if start.is_empty() {
            return Err(not_a_checkpoint(label, "it is empty"));
        }
        let tensors = match pytorch::read(path, length) {
            Ok(tensors) => tensors,
            Err(reason) => return Err(not_a_checkpoint(label, reason)),
        };
        let sha256 = sha256_of_file(path)?;
        Self::new(label, sha256, BTreeMap::new(), tensors)
    }

    /// Reads safetensors in memory; `label` stands for the file name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`] when the bytes are no safetensors, or hold no tensors.
    pub fn from_bytes(label: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let (label, bytes) = (label.into(), bytes.into());
        let sha256 = sha256_of_bytes(&bytes);
        match safetensors::read(bytes) {
            Ok((metadata, tensors)) => Self::new(label, sha256, metadata, tensors),
            Err(reason) => Err(not_a_checkpoint(label, reason)),
        }
    }

    fn new(
        file: String,
        sha256: String,
        metadata: BTreeMap<String, String>,
        tensors: BTreeMap<String, burn_pack::Tensor>,
    ) -> Result<Self> {
        let tensors = names::plain(tensors);
        if tensors.is_empty() {
            return Err(not_a_checkpoint(file, "it holds no tensors"));
        }
        Ok(Self {
            file,
            sha256,
            metadata,
            tensors,
        })
    }

    /// The file's name, as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// SHA-256 of the file's bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The texts stored beside the tensors; only safetensors have any.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor as PyTorch has it; `None` where there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// Values of a tensor in row-major order, converted to `f32`.
    ///
    /// # Errors
    ///
    /// [`Error::UnreadableTensor`] when there is no such tensor or its bytes are damaged,
    /// [`Error::NotFinite`] when a value is NaN, infinite, or too large for `f32`.
    pub fn read(&self, name: &str) -> Result<Vec<f32>> {
        let unreadable = |reason: String| Error::UnreadableTensor {
            file: self.file.clone(),
            tensor: name.to_owned(),
            reason,
        };
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| unreadable("there is no such tensor".into()))?;
        let values: Vec<f32> = bridge::to_data(tensor)
            .map_err(|error| unreadable(error.to_string()))?
            .try_into_vec_as()
            .map_err(|error| unreadable(format!("{error:?}")))?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(Error::NotFinite {
                file: self.file.clone(),
                tensor: name.to_owned(),
                index,
                value: values[index],
            }),
        }
    }

    /// The checkpoint under other names: each tensor goes by what `rename` makes of its name, and
    /// is left out where that is `None`.
    #[must_use]
    pub fn renamed(mut self, rename: impl Fn(&str) -> Option<String>) -> Self {
        self.tensors = self
            .tensors
            .into_iter()
            .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)))
            .collect();
        self
    }

    /// Compares the checkpoint with a module, without loading anything.
    ///
    /// `applied` lists what [`apply`](Self::apply) would load.
    pub fn compare(&self, module: &impl Module) -> LoadReport {
        let found = self
            .tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shape.to_vec()))
            .collect();
        LoadReport::new(&parameter_shapes(module), &found)
    }

    /// Loads the tensors into the parameters of the same names.
    ///
    /// `model` names the module in messages. On an error the module is as it was.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsDoNotFit`] when nothing fits or, if strict, when anything does not; and as
    /// [`read`](Self::read).
    pub fn apply<M: Module>(
        &self,
        module: &mut M,
        model: &str,
        strictness: Strictness,
    ) -> Result<LoadReport> {
        let report = self.compare(module);
        let acceptable = match strictness {
            Strictness::Strict => report.is_complete(),
            Strictness::Partial => !report.applied.is_empty(),
        };
        if !acceptable {
            return Err(Error::WeightsDoNotFit {
                file: self.file.clone(),
                model: model.to_owned(),
                looks_like: None,
                report: Box::new(report),
            });
        }
        let tensors = report
            .applied
            .iter()
            .map(|name| {
                // Burn has no scalars: a parameter of rank 0 is one of shape [1].
                let shape = match self.shape(name) {
                    Some([]) | None => vec![1],
                    Some(shape) => shape.to_vec(),
                };
                let data = TensorData::new(self.read(name)?, shape);
                Ok(bridge::from_data(data, name.clone(), None))
            })
            .collect::<Result<Vec<_>>>()?;
        let result = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        match result.errors.first() {
            None => Ok(report),
            Some(error) => Err(not_a_checkpoint(self.file.clone(), error)),
        }
    }
}

fn not_a_checkpoint(file: String, reason: impl std::fmt::Display) -> Error {
    Error::NotACheckpoint {
        file,
        reason: reason.to_string(),
    }
}
