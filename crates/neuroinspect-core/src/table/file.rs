//! Tables as safetensors files.

use std::{path::Path, sync::Arc};

use ndarray::Array2;
use serde::Serialize;

use super::{ActivationTable, MemoryLimit, Provenance, values::Values};
use crate::{
    ClassId, Error, FeatureTable, Groups, Result, Split,
    io::{NamedTensor, TensorFile, TensorFormat, write_tensors},
};

const FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.feature_table",
    version: 2,
    expected: "a feature table",
};

const ACTIVATIONS: TensorFormat = TensorFormat {
    name: "neuroinspect.activation_table",
    version: 2,
    expected: "an activation table written by neuroinspect",
};

/// What a file of activations says beside them.
#[derive(Serialize)]
struct Origin<'a> {
    sample_ids: &'a [String],
    provenance: &'a Provenance,
}

/// What a file says beside its tensors.
#[derive(Serialize)]
struct Description<'a> {
    class_names: &'a [String],
    #[serde(flatten)]
    origin: Origin<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_names: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split_names: Option<&'a [String]>,
}

impl ActivationTable {
    /// Writes the table as safetensors: `activations` `[N, D]` f32, ids and provenance as JSON in the
    /// metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let tensors = [NamedTensor::table("activations", self)];
        write_tensors(path, &ACTIVATIONS, &tensors, &self.origin())
    }

    /// Reads a table written by [`save`](Self::save); one that takes more than 2 GiB stays in its file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Format`] saying what is wrong with the file: truncated, not a
    /// table, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_within(path, MemoryLimit::default())
    }

    /// Reads a table written by [`save`](Self::save); one that takes more than `limit` stays in its file. Of such a
    /// one it is only noticed that a value is not finite when that is read.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_within(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Self> {
        let file = TensorFile::read(path, &ACTIVATIONS)?;
        Self::of_file(&file, "activations", limit).map_err(|error: Error| file.blame(error))
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            sample_ids: self.sample_ids(),
            provenance: self.provenance(),
        }
    }

    /// The activations of the tensor of that name.
    fn of_file(file: &TensorFile, name: &str, limit: MemoryLimit) -> Result<Self> {
        let values = matrix(file, name, limit)?;
        let ids = file.json("sample_ids")?;
        Self::of_matrix(ids, values, file.json("provenance")?)
    }

    fn of_matrix(ids: Vec<String>, values: Values, provenance: Provenance) -> Result<Self> {
        match values {
            Values::Memory(values) => {
                Self::of_samples(ids, Arc::unwrap_or_clone(values), provenance)
            }
            values => Self::of_values(ids, values, provenance),
        }
    }
}

/// The tensor of that name, `[N, D]`, in memory where that may hold it.
fn matrix(file: &TensorFile, name: &str, limit: MemoryLimit) -> Result<Values> {
    let &[samples, width] = file.shape(name)? else {
        let found = file.shape(name)?;
        let expected = "expected [samples, neurons]";
        return Err(file.refuse(format!("'{name}' has shape {found:?}, {expected}")));
    };
    if width == 0 {
        let expected = "expected at least one neuron";
        return Err(file.refuse(format!("'{name}' has shape [{samples}, 0], {expected}")));
    }
    let shape = [samples, width];
    if !limit.holds(samples, width) {
        return Ok(Values::File(Arc::new(file.rows(name, shape, limit)?)));
    }
    let values = Array2::from_shape_vec(shape, file.f32(name, &shape)?);
    Ok(Values::of(values.map_err(|error| file.refuse(error))?))
}

impl FeatureTable {
    /// Writes the table as safetensors: `features` `[N, D]` f32, `labels`, `groups` and `split`
    /// `[N]` i64, names and provenance as JSON in the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut tensors = vec![
            NamedTensor::table("features", &self.activations),
            NamedTensor::indices("labels", self.labels.iter().map(|class| class.0)),
        ];
        for (name, of_sample) in [
            ("groups", self.groups.as_ref().map(Groups::of_sample)),
            ("split", self.split.as_ref().map(Split::of_sample)),
        ] {
            if let Some(of_sample) = of_sample {
                tensors.push(NamedTensor::indices(name, of_sample.iter().copied()));
            }
        }
        let description = Description {
            class_names: &self.class_names,
            origin: self.activations.origin(),
            group_names: self.groups.as_ref().map(Groups::names),
            split_names: self.split.as_ref().map(Split::names),
        };
        write_tensors(path, &FORMAT, &tensors, &description)
    }

    /// Reads a table written by [`save`](Self::save), or one made elsewhere; one that takes more than 2 GiB stays in
    /// its file.
    ///
    /// A table made elsewhere is a safetensors file, as ten lines of PyTorch write one, with
    ///
    /// - the tensors `features` `[N, D]` f32, what the decision layer reads, and `labels` `[N]` i64;
    /// - where samples are in groups, or in parts of a split, `groups` and `split` `[N]` i64;
    /// - in its metadata, as JSON, the lists of texts `class_names`, for groups `group_names`, for a
    ///   split `split_names`, and if samples have names `sample_ids`; without, they are called `"0"`,
    ///   `"1"`, ...;
    /// - if the classifier has a name, `model`, as it is.
    ///
    /// Tables to be used together give the same model. The decision layer may stand in the same file:
    /// [`DecisionLayer::load`](crate::DecisionLayer::load).
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Format`] saying what is wrong with the file: truncated, not a
    /// table, a tensor missing or of another shape or type, an id out of range, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_within(path, MemoryLimit::default())
    }

    /// [`load`](Self::load), but that a table stays in its file where its activations take more than `limit`. All that
    /// is computed from it is the same; that a value is not finite is only noticed when it is read.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_within(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Self> {
        let mut file = TensorFile::open(path, FORMAT.expected)?;
        let activations = match file.has(TensorFormat::KEY) {
            true => {
                file = file.of_format(&FORMAT)?;
                ActivationTable::of_file(&file, "features", limit)
            }
            false => foreign_activations(&file, limit),
        };
        activations
            .and_then(|activations| Self::of_file(&file, activations))
            .map_err(|error| file.blame(error))
    }

    /// Reads what a file says of the samples whose activations these are.
    fn of_file(file: &TensorFile, activations: ActivationTable) -> Result<Self> {
        let labels = file.indices("labels")?.into_iter().map(ClassId).collect();
        let mut table = Self::new(activations, labels, file.json("class_names")?)?;
        if file.has_tensor("groups") || file.has("group_names") {
            let groups = Groups::new(file.json("group_names")?, file.indices("groups")?)?;
            table = table.with_groups(groups)?;
        }
        if file.has_tensor("split") || file.has("split_names") {
            let split = Split::new(file.json("split_names")?, file.indices("split")?)?;
            table = table.with_split(split)?;
        }
        Ok(table)
    }
}

/// The features of a table made elsewhere, with what it says of their origin.
fn foreign_activations(file: &TensorFile, limit: MemoryLimit) -> Result<ActivationTable> {
    let model = file.text("model").unwrap_or("a model without a name");
    let provenance = Provenance::new(model, None);
    let values = matrix(file, "features", limit)?;
    let ids = match file.has("sample_ids") {
        true => file.json("sample_ids")?,
        false => (0..values.len()).map(|index| index.to_string()).collect(),
    };
    ActivationTable::of_matrix(ids, values, provenance)
}
