//! Feature tables as safetensors files.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use ndarray::Array2;
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use crate::{ClassId, Error, FeatureTable, Groups, NamedTensor, Result, write_safetensors};

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
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        parse(&bytes).map_err(|reason| Error::Format {
            path: path.to_owned(),
            expected: EXPECTED,
            reason,
        })
    }
}

fn parse(bytes: &[u8]) -> Result<FeatureTable, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let metadata = header.metadata().as_ref().ok_or("it has no metadata")?;
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(format!("its metadata does not say format = {FORMAT}"));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;

    let features = file.tensor("features").map_err(|error| error.to_string())?;
    let &[samples, neurons] = features.shape() else {
        return Err(format!(
            "features have shape {:?}, expected [samples, neurons]",
            features.shape()
        ));
    };
    if features.dtype() != Dtype::F32 {
        return Err(format!("features are {:?}, expected F32", features.dtype()));
    }
    let values = chunks(features.data()).map(f32::from_le_bytes).collect();
    let values =
        Array2::from_shape_vec((samples, neurons), values).map_err(|error| error.to_string())?;

    let classes = |name| Ok::<_, String>(ids(&file, name)?.into_iter().map(ClassId).collect());
    let table = FeatureTable::of_samples(
        from_json(metadata, "sample_ids")?,
        values,
        classes("labels")?,
        classes("predictions")?,
        from_json(metadata, "class_names")?,
        from_json(metadata, "provenance")?,
    )
    .map_err(|error| error.to_string())?;
    if !metadata.contains_key("group_names") {
        return Ok(table);
    }
    let groups = Groups {
        names: from_json(metadata, "group_names")?,
        of_sample: ids(&file, "groups")?,
    };
    table.with_groups(groups).map_err(|error| error.to_string())
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Result<Vec<usize>, String> {
    let tensor = file.tensor(name).map_err(|error| error.to_string())?;
    if tensor.dtype() != Dtype::I64 {
        return Err(format!("{name} are {:?}, expected I64", tensor.dtype()));
    }
    chunks(tensor.data())
        .map(i64::from_le_bytes)
        .map(|id| usize::try_from(id).map_err(|_| format!("{name} hold {id}, which is negative")))
        .collect()
}

fn from_json<T: DeserializeOwned>(
    metadata: &HashMap<String, String>,
    key: &str,
) -> Result<T, String> {
    let text = metadata
        .get(key)
        .ok_or_else(|| format!("its metadata has no {key}"))?;
    serde_json::from_str(text).map_err(|error| format!("{key} in its metadata: {error}"))
}

fn chunks<const B: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; B]> {
    bytes.as_chunks().0.iter().copied()
}
