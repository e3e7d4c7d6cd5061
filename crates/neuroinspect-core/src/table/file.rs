//! Feature tables as safetensors files.

use std::path::Path;

use ndarray::Array2;
use serde::Serialize;

use super::{ActivationTable, Provenance};
use crate::{
    ClassId, FeatureTable, Groups, Result, Split,
    io::{NamedTensor, TensorFile, TensorFormat, write_tensors},
};

const FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.feature_table",
    version: 2,
    expected: "a feature table written by neuroinspect",
};

/// What a file says beside its tensors.
#[derive(Serialize)]
struct Description<'a> {
    class_names: &'a [String],
    sample_ids: &'a [String],
    provenance: &'a Provenance,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_names: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split_names: Option<&'a [String]>,
}

impl FeatureTable {
    /// Writes the table as safetensors: `features` `[N, D]` f32, `labels`, `groups` and `split`
    /// `[N]` i64, names and provenance as JSON in the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write); what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let features = self.features();
        let shape = [self.len(), self.neurons()];
        let mut tensors = vec![
            NamedTensor::f32("features", shape, features.iter().copied()),
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
            sample_ids: self.sample_ids(),
            provenance: self.provenance(),
            group_names: self.groups.as_ref().map(Groups::names),
            split_names: self.split.as_ref().map(Split::names),
        };
        write_tensors(path, &FORMAT, &tensors, &description)
    }

    /// Reads a table written by [`save`](Self::save), of this or an earlier version. The predictions
    /// that version 1 kept are not read: they follow from the decision layer.
    ///
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read), or [`Error::Format`](crate::Error::Format) saying what
    /// is wrong with the file: truncated, not a table, an id out of range, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = TensorFile::read(path, &FORMAT)?;
        let &[samples, neurons] = file.shape("features")? else {
            return Err(file.refuse(format!(
                "'features' have shape {:?}, expected [samples, neurons]",
                file.shape("features")?
            )));
        };
        let features = file.f32("features", &[samples, neurons])?;
        let features = Array2::from_shape_vec((samples, neurons), features)
            .map_err(|error| file.refuse(error))?;
        let labels = file.indices("labels")?.into_iter().map(ClassId).collect();
        let table = Self::of_file(&file, features, labels).map_err(|error| match error {
            already @ crate::Error::Format { .. } => already,
            error => file.refuse(error),
        })?;
        Ok(table)
    }

    fn of_file(file: &TensorFile, features: Array2<f32>, labels: Vec<ClassId>) -> Result<Self> {
        let (ids, provenance) = (file.json("sample_ids")?, file.json("provenance")?);
        let activations = ActivationTable::of_samples(ids, features, provenance)?;
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
