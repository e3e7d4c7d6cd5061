//! Feature tables as safetensors files.

use std::{collections::BTreeMap, path::Path};

use ndarray::Array2;

use crate::{
    ClassId, Error, FeatureTable, Groups, NamedTensor, Result, TensorFile, write_safetensors,
};

/// Value of the metadata key `format`; another one means a layout we do not know.
const FORMAT: &str = "neuroinspect.feature_table.v1";
const EXPECTED: &str = "a feature table written by neuroinspect";

impl FeatureTable {
    /// Writes the table as safetensors: `features` `[N, D]` f32, `labels`, `predictions` and
    /// `groups` `[N]` i64, names and provenance as JSON in the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let classes = |name, classes: &[ClassId]| {
            NamedTensor::indices(name, classes.iter().map(|class| class.0))
        };
        let shape = [self.len(), self.neurons()];
        let mut tensors = vec![
            NamedTensor::f32("features", shape, self.features.iter().copied()),
            classes("labels", &self.labels),
            classes("predictions", &self.predictions),
        ];
        let mut metadata = BTreeMap::from([("format".to_owned(), FORMAT.to_owned())]);
        let mut describe = |key: &str, json: serde_json::Result<String>| {
            let json = json.map_err(|error| Error::Write {
                path: path.to_owned(),
                source: error.into(),
            })?;
            metadata.insert(key.to_owned(), json);
            Ok::<_, Error>(())
        };
        describe("class_names", serde_json::to_string(&self.class_names))?;
        describe("sample_ids", serde_json::to_string(&self.sample_ids))?;
        describe("provenance", serde_json::to_string(&self.provenance))?;
        if let Some(groups) = &self.groups {
            describe("group_names", serde_json::to_string(&groups.names))?;
            let of_sample = groups.of_sample.iter().copied();
            tensors.push(NamedTensor::indices("groups", of_sample));
        }
        write_safetensors(path, &tensors, &metadata)
    }

    /// Reads a table written by [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Format`] saying what is wrong with the file: truncated, not a
    /// table, an id out of range, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = TensorFile::read(path, FORMAT, EXPECTED)?;
        let &[samples, neurons] = file.shape("features")? else {
            return Err(file.refuse(format!(
                "'features' have shape {:?}, expected [samples, neurons]",
                file.shape("features")?
            )));
        };
        let features = file.f32("features", &[samples, neurons])?;
        let features = Array2::from_shape_vec((samples, neurons), features)
            .map_err(|error| file.refuse(error))?;
        let classes = |name| {
            let ids = file.indices(name)?.into_iter();
            Ok::<_, Error>(ids.map(ClassId).collect())
        };
        let table = Self::of_samples(
            file.json("sample_ids")?,
            features,
            classes("labels")?,
            classes("predictions")?,
            file.json("class_names")?,
            file.json("provenance")?,
        )
        .map_err(|error| file.refuse(error))?;
        if !file.has_tensor("groups") && !file.has_text("group_names") {
            return Ok(table);
        }
        let groups = Groups {
            names: file.json("group_names")?,
            of_sample: file.indices("groups")?,
        };
        table
            .with_groups(groups)
            .map_err(|error| file.refuse(error))
    }
}
