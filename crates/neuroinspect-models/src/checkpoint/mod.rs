//! Weights in files: reading, fitting to a module, writing.
//!
//! [`Checkpoint::open`] reads safetensors and every container that `torch.save` has written (zip,
//! the legacy stream of `.pth` and `.th` files, whole modules). Training scripts wrap the weights
//! in their own ways: under `state_dict_ema`, `state_dict` or `model`, and behind the prefixes
//! `module.` (data parallel) and `_orig_mod.` (compiled), at most eight of these. A module is
//! compared with the names as they are and with each wrapping taken off, and what has most of its
//! names counts; so a module may have fields of these names. What is no weight then,
//! `num_batches_tracked` included, is listed as set aside.
//!
//! A module's parameters are named and laid out as in PyTorch: fields joined by dots, `weight` and
//! `bias` for the scale and shift of a normalisation, linear weights `[out, in]`; a
//! [`Linear`](burn::nn::Linear) must have Burn's default layout,
//! [`Row`](burn::nn::LinearLayout::Row), as those of the other one turn their weights when saved.
//! [`Checkpoint::apply`] compares both sides, reports what does not fit ([`LoadReport`]) and loads
//! the rest.
//!
//! Nothing a file claims about itself is believed before it is checked against the file's length,
//! and no code in a pickle is run.

pub(crate) mod arrange;
mod module;
mod names;
mod pytorch;
mod report;
mod safetensors;
mod save;

use std::{
    collections::BTreeMap,
    fs::Metadata,
    io::{Read, Seek},
    path::{Path, PathBuf},
    time::SystemTime,
};

use burn::{module::Module, tensor::TensorData};
use burn_store::{
    ModuleSnapshot, PyTorchToBurnAdapter, bridge, burn_pack, burn_pack::Error as PackError,
};
pub use neuroinspect_core::Precision;
use neuroinspect_core::io::{open_regular, sha256_of_bytes, sha256_of_file};
use serde::{Deserialize, Serialize};

pub use module::parameter_shapes;
use module::{Kind, check_weights, synchronize_statistics, targets};
use names::{Reading, Readings};
pub use report::{LoadReport, Mismatch};
pub use save::save;

use crate::{Error, Result};

/// What to do about weights that do not fit the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// Every way of reading the tensors' names.
    readings: Readings<burn_pack::Tensor>,
    /// The reading that counts where there is no module to compare with.
    plain: Reading<burn_pack::Tensor>,
    /// The file that tensors are still to be read from, if any, and its state when it was opened.
    later: Option<(PathBuf, FileState)>,
}

/// Length of a file and time of its last change.
type FileState = (u64, Option<SystemTime>);

fn state_of(metadata: &Metadata) -> FileState {
    (metadata.len(), metadata.modified().ok())
}

impl Checkpoint {
    /// Opens a safetensors or PyTorch file, whichever it is.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] when the file cannot be read, [`Error::NotACheckpoint`] when it is empty,
    /// truncated, damaged, holds no tensors, or changes while it is read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |source| {
            let path = path.to_owned();
            Error::from(neuroinspect_core::Error::Read { path, source })
        };
        let mut start = Vec::new();
        let mut file = open_regular(path)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let (length, state) = (metadata.len(), state_of(&metadata));
        (&mut file)
            .take(9)
            .read_to_end(&mut start)
            .map_err(unreadable)?;

        let label = path.display().to_string();
        let extension = path.extension().is_some_and(|it| it == "safetensors");
        if start.is_empty() {
            return Err(not_a_checkpoint(label, "it is empty"));
        }
        let safetensors = extension || safetensors::starts_like_one(&start);
        let contents = match safetensors {
            true => {
                file.rewind().map_err(unreadable)?;
                safetensors::read(file, length)
            }
            false => pytorch::read(path, length).map(|tensors| (BTreeMap::new(), tensors)),
        };
        let (metadata, tensors) = match contents {
            Ok(contents) => contents,
            Err(reason) => return Err(not_a_checkpoint(label, reason)),
        };
        let sha256 = sha256_of_file(path)?;
        let readings = Readings::new(tensors);
        let plain = match safetensors {
            true => readings.as_they_are(),
            false => readings.unwrapped(),
        };
        let mut checkpoint = Self::new(label, sha256, metadata, readings, plain)?;
        checkpoint.later = Some((path.to_owned(), state));
        checkpoint.check_unchanged()?;
        Ok(checkpoint)
    }

    /// Checks that a file whose tensors are read when they are asked for is the one that was hashed.
    fn check_unchanged(&self) -> Result<()> {
        let unchanged = match &self.later {
            Some((path, state)) => {
                std::fs::metadata(path).is_ok_and(|now| state_of(&now) == *state)
            }
            None => true,
        };
        match unchanged {
            true => Ok(()),
            false => Err(not_a_checkpoint(
                self.file.clone(),
                "it changed while it was read; load it when it is written to no longer",
            )),
        }
    }

    /// Reads safetensors in memory; `label` stands for the file name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`] when the bytes are no safetensors, or hold no tensors.
    pub fn from_bytes(label: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let (label, bytes) = (label.into(), bytes.into());
        let sha256 = sha256_of_bytes(&bytes);
        match safetensors::in_memory(bytes) {
            Ok((metadata, tensors)) => {
                let readings = Readings::new(tensors);
                let plain = readings.as_they_are();
                Self::new(label, sha256, metadata, readings, plain)
            }
            Err(reason) => Err(not_a_checkpoint(label, reason)),
        }
    }

    fn new(
        file: String,
        sha256: String,
        metadata: BTreeMap<String, String>,
        readings: Readings<burn_pack::Tensor>,
        plain: Reading<burn_pack::Tensor>,
    ) -> Result<Self> {
        if plain.tensors.is_empty() {
            return Err(not_a_checkpoint(file, "it holds no tensors"));
        }
        Ok(Self {
            file,
            sha256,
            metadata,
            readings,
            plain,
            later: None,
        })
    }

    /// The file's name, as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where the file is; of bytes in memory, nowhere.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.later.as_ref().map(|(path, _)| path.as_path())
    }

    /// SHA-256 of the file's bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The texts stored beside the tensors; only safetensors have any.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names of the tensors, sorted: those of a PyTorch file without the wrapping of training
    /// scripts, those of safetensors as they are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plain.tensors.keys().map(String::as_str)
    }

    /// Shape of one of the [`names`](Self::names) as PyTorch has it; `None` where there is no such
    /// tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let tensor = self.plain.tensors.get(name)?;
        Some(&tensor.shape[..])
    }

    /// Values of one of the [`names`](Self::names) in row-major order, converted to `f32`.
    ///
    /// # Errors
    ///
    /// [`Error::UnreadableTensor`] when there is no such tensor or its bytes are damaged,
    /// [`Error::NotFinite`] when a value is NaN, infinite, or too large for `f32`.
    pub fn read(&self, name: &str) -> Result<Vec<f32>> {
        match self.plain.tensors.get(name) {
            Some(tensor) => floats(&self.file, name, tensor),
            None => Err(self.unreadable(name, "there is no such tensor")),
        }
    }

    /// The checkpoint under other names: each of the [`names`](Self::names) becomes what `rename`
    /// makes of it, and its tensor is left out where that is `None`.
    #[must_use]
    pub fn renamed(self, rename: impl Fn(&str) -> Option<String>) -> Self {
        self.rearranged(|tensors| {
            let tensors = tensors.into_iter();
            tensors
                .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)))
                .collect()
        })
    }

    /// The checkpoint with other tensors in place of those of its [`names`](Self::names).
    pub(crate) fn rearranged(
        mut self,
        arrange: impl FnOnce(BTreeMap<String, burn_pack::Tensor>) -> BTreeMap<String, burn_pack::Tensor>,
    ) -> Self {
        self.plain.tensors = arrange(self.plain.tensors);
        self.readings = Readings::only(self.plain.clone());
        self
    }

    /// Compares the checkpoint with a module, without loading anything.
    ///
    /// `applied` lists what [`apply`](Self::apply) would load.
    pub fn compare(&self, module: &impl Module) -> LoadReport {
        let expected = parameter_shapes(module);
        report_of(&self.reading_for(&expected), &expected)
    }

    /// Loads the tensors into the parameters of the same names.
    ///
    /// `model` names the module in messages. On an error the module is as it was; only where Burn
    /// refuses a tensor that was found to fit may the running statistics of batch normalisations have
    /// been loaded. A clone of the module shares those, as Burn has it, and so has them loaded, too.
    ///
    /// # Errors
    ///
    /// [`Error::NotACheckpoint`] when the file has changed since it was opened;
    /// [`Error::WeightsDoNotFit`] when nothing fits or, if strict, when anything does not;
    /// [`Error::UnreadableTensor`] when a tensor's bytes are damaged or it holds floats where the
    /// module has integers or booleans, or the other way round; [`Error::NotFinite`] when a float is
    /// NaN, infinite, or too large for `f32`; [`Error::Rewritten`] for a network rewritten by
    /// [passes](crate::graph::passes).
    pub fn apply<M: Module>(
        &self,
        module: &mut M,
        model: &str,
        strictness: Strictness,
    ) -> Result<LoadReport> {
        check_weights(module)?;
        let targets = targets(module);
        let expected = module::shapes(&targets);
        let reading = self.reading_for(&expected);
        let report = report_of(&reading, &expected);
        let acceptable = match strictness {
            Strictness::Strict => report.is_complete(),
            Strictness::Partial => !report.applied.is_empty(),
        };
        if !acceptable {
            return Err(Error::WeightsDoNotFit {
                file: self.file.clone(),
                model: model.to_owned(),
                looks_like: Vec::new(),
                report: Box::new(report),
            });
        }
        let mut tensors = Vec::with_capacity(report.applied.len());
        for (name, target) in &targets {
            let Some(tensor) = reading.tensors.get(name) else {
                continue;
            };
            if report.applied.binary_search(name).is_ok() {
                // Decoded twice, here to see that all tensors can be, so that they are never in memory
                // together.
                let decoded = data(&self.file, name, tensor, target.kind)?;
                let (dtype, shape) = (decoded.dtype(), decoded.shape().clone());
                drop(decoded);
                let (file, tensor, kind) = (self.file.clone(), tensor.clone(), target.kind);
                let label = name.clone();
                let decode = move || {
                    data(&file, &label, &tensor, kind)
                        .map_err(|error| PackError::TensorBytesSizeMismatch(error.to_string()))
                };
                tensors.push(bridge::deferred(name.clone(), dtype, shape, None, decode));
            }
        }
        synchronize_statistics(module);
        let mut loaded = module.clone();
        let result = loaded.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        if let Some(error) = result.errors.first() {
            return Err(self.unreadable(model, error));
        }
        if result.applied.len() != report.applied.len() {
            let (applied, expected) = (result.applied.len(), report.applied.len());
            let reason = format!("only {applied} of {expected} tensors found their parameters");
            return Err(self.unreadable(model, reason));
        }
        self.check_unchanged()?;
        *module = loaded;
        Ok(report)
    }

    /// The reading that has most of the names expected, the least unwrapped of several.
    fn reading_for(&self, expected: &BTreeMap<String, Vec<usize>>) -> Reading<burn_pack::Tensor> {
        let known = |name: &str| expected.contains_key(name);
        let best = self.readings.with_most(known);
        best.unwrap_or_else(|| self.plain.clone())
    }

    fn unreadable(&self, tensor: &str, reason: impl std::fmt::Display) -> Error {
        unreadable(&self.file, tensor, reason)
    }
}

/// The values of a file's tensor for a parameter that holds this kind.
fn data(file: &str, name: &str, tensor: &burn_pack::Tensor, kind: Kind) -> Result<TensorData> {
    // Burn has no scalars: a parameter of rank 0 is one of shape [1].
    let shape = match &tensor.shape[..] {
        [] => vec![1],
        shape => shape.to_vec(),
    };
    let dtype = tensor.dtype;
    let (fits, kind) = match kind {
        Kind::Float => return Ok(TensorData::new(floats(file, name, tensor)?, shape)),
        Kind::Int => (dtype.is_int() || dtype.is_uint(), "integers"),
        Kind::Bool => (dtype.is_bool(), "booleans"),
    };
    if !fits {
        let reason = format!("it holds {dtype:?} where the module has {kind}");
        return Err(unreadable(file, name, reason));
    }
    let data = bridge::to_data(tensor).map_err(|error| unreadable(file, name, error))?;
    TensorData::try_from_bytes(data.into_bytes(), shape, dtype)
        .map_err(|error| unreadable(file, name, format!("{error:?}")))
}

/// The values of a file's tensor as finite `f32`.
fn floats(file: &str, name: &str, tensor: &burn_pack::Tensor) -> Result<Vec<f32>> {
    let values: Vec<f32> = bridge::to_data(tensor)
        .map_err(|error| unreadable(file, name, error))?
        .try_into_vec_as()
        .map_err(|error| unreadable(file, name, format!("{error:?}")))?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(index) => Err(Error::NotFinite {
            file: file.to_owned(),
            tensor: name.to_owned(),
            index,
            value: values[index],
        }),
    }
}

fn unreadable(file: &str, tensor: &str, reason: impl std::fmt::Display) -> Error {
    Error::UnreadableTensor {
        file: file.to_owned(),
        tensor: tensor.to_owned(),
        reason: reason.to_string(),
    }
}

fn report_of(
    reading: &Reading<burn_pack::Tensor>,
    expected: &BTreeMap<String, Vec<usize>>,
) -> LoadReport {
    let shapes = reading.tensors.iter();
    let found = shapes.map(|(name, tensor)| (name.clone(), tensor.shape.to_vec()));
    LoadReport::new(expected, &found.collect(), &reading.set_aside)
}

fn not_a_checkpoint(file: String, reason: impl std::fmt::Display) -> Error {
    Error::NotACheckpoint {
        file,
        reason: reason.to_string(),
    }
}
