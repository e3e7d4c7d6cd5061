//! Feature tables as safetensors files.

use std::{collections::HashMap, io, path::Path};

use ndarray::Array2;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ClassId, Error, FeatureTable, Groups, Result, write_atomically};

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
        let features = bytes_of(self.features.iter().map(|value| value.to_le_bytes()));
        let integers = |ids: &mut dyn Iterator<Item = usize>| {
            bytes_of(ids.map(|id| (id as i64).to_le_bytes()))
        };
        let labels = integers(&mut self.labels.iter().map(|class| class.0));
        let predictions = integers(&mut self.predictions.iter().map(|class| class.0));
        let groups = self
            .groups
            .as_ref()
            .map(|groups| integers(&mut groups.of_sample.iter().copied()));

        let path = path.as_ref();
        let invalid = |error: &dyn std::fmt::Display| Error::Write {
            path: path.to_owned(),
            source: io::Error::other(error.to_string()),
        };
        let view = |dtype, shape: Vec<usize>, bytes| {
            TensorView::new(dtype, shape, bytes).map_err(|error| invalid(&error))
        };
        let samples = self.len();
        let mut tensors = vec![
            (
                "features",
                view(Dtype::F32, vec![samples, self.neurons()], &features)?,
            ),
            ("labels", view(Dtype::I64, vec![samples], &labels)?),
            (
                "predictions",
                view(Dtype::I64, vec![samples], &predictions)?,
            ),
        ];
        if let Some(groups) = &groups {
            tensors.push(("groups", view(Dtype::I64, vec![samples], groups)?));
        }
        let json = |value: &dyn erased::Json| value.json().map_err(|error| invalid(&error));
        let mut metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("class_names".to_owned(), json(&self.class_names)?),
            ("sample_ids".to_owned(), json(&self.sample_ids)?),
            ("provenance".to_owned(), json(&self.provenance)?),
        ]);
        if let Some(groups) = &self.groups {
            metadata.insert("group_names".to_owned(), json(&groups.names)?);
        }
        let bytes =
            safetensors::serialize(tensors, Some(metadata)).map_err(|error| invalid(&error))?;
        write_atomically(path, |out| out.write_all(&bytes))
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
    let table = FeatureTable::new(
        values,
        classes("labels")?,
        classes("predictions")?,
        from_json(metadata, "class_names")?,
        from_json(metadata, "provenance")?,
    )
    .and_then(|table| table.with_sample_ids(from_json(metadata, "sample_ids").unwrap_or_default()))
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

fn bytes_of<const B: usize>(values: impl Iterator<Item = [u8; B]>) -> Vec<u8> {
    values.flatten().collect()
}

fn chunks<const B: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; B]> {
    bytes.as_chunks().0.iter().copied()
}

/// `serde_json::to_string` behind a trait object, so that one closure serves several types.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> serde_json::Result<String>;
    }

    impl<T: super::Serialize> Json for T {
        fn json(&self) -> serde_json::Result<String> {
            serde_json::to_string(self)
        }
    }
}
