//! Edits as safetensors files.

use std::{collections::BTreeMap, path::Path};

use ndarray::{Array1, Array2};
use neuroinspect_core::{ClassId, Error as CoreError, NamedTensor, write_safetensors};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{Edit, Recipe, Rows};
use crate::Result;

/// Value of the metadata key `format`; another one means a layout we do not know.
const FORMAT: &str = "neuroinspect.edit.v1";
const EXPECTED: &str = "an edit written by neuroinspect";

/// The metadata key `edit`, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    recipe: Recipe,
    classes: usize,
    neurons: usize,
    sha256_before: String,
    sha256_after: String,
}

impl Edit {
    /// Writes the edit as safetensors: `rows` `[R]` i64, the classes whose row changes;
    /// `weight_before` and `weight_after` `[R, D]`, `bias_before` and `bias_after` `[R]` f32; the
    /// recipe, the shape and the hashes as JSON in the metadata.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let header = Header {
            recipe: self.recipe.clone(),
            classes: self.classes,
            neurons: self.neurons,
            sha256_before: self.sha256_before.clone(),
            sha256_after: self.sha256_after.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|error| CoreError::Write {
            path: path.to_owned(),
            source: error.into(),
        })?;
        let metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("edit".to_owned(), header),
        ]);
        let classes = self.changed.iter().map(|class| class.0);
        let mut tensors = vec![NamedTensor::indices("rows", classes)];
        let rows = self.changed.len();
        for (when, values) in [("before", &self.before), ("after", &self.after)] {
            let (weight, bias) = (format!("weight_{when}"), format!("bias_{when}"));
            let shape = [rows, self.neurons];
            let weights = values.weight.iter().copied();
            tensors.push(NamedTensor::f32(weight, shape, weights));
            tensors.push(NamedTensor::f32(bias, [rows], values.bias.iter().copied()));
        }
        Ok(write_safetensors(path, &tensors, &metadata)?)
    }

    /// Reads an edit written by [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not an edit, saying what is wrong with it: truncated, a
    /// row that the layer does not have, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| CoreError::Read {
            path: path.to_owned(),
            source,
        })?;
        let edit = parse(&bytes).map_err(|reason| CoreError::Format {
            path: path.to_owned(),
            expected: EXPECTED,
            reason,
        })?;
        Ok(edit)
    }
}

fn parse(bytes: &[u8]) -> Result<Edit, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let metadata = header.metadata().as_ref().ok_or("it has no metadata")?;
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(format!("its metadata does not say format = {FORMAT}"));
    }
    let header = metadata.get("edit").ok_or("its metadata has no edit")?;
    let header: Header =
        serde_json::from_str(header).map_err(|error| format!("edit in its metadata: {error}"))?;

    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let changed = changed_rows(&file, header.classes)?;
    let shape = (changed.len(), header.neurons);
    Ok(Edit {
        before: rows(&file, "weight_before", "bias_before", shape)?,
        after: rows(&file, "weight_after", "bias_after", shape)?,
        changed,
        recipe: header.recipe,
        classes: header.classes,
        neurons: header.neurons,
        sha256_before: header.sha256_before,
        sha256_after: header.sha256_after,
    })
}

fn changed_rows(file: &SafeTensors<'_>, classes: usize) -> Result<Vec<ClassId>, String> {
    let tensor = file.tensor("rows").map_err(|error| error.to_string())?;
    if tensor.dtype() != Dtype::I64 {
        return Err(format!("rows are {:?}, expected I64", tensor.dtype()));
    }
    let values = tensor.data().as_chunks().0.iter();
    let rows: Vec<i64> = values.map(|&bytes| i64::from_le_bytes(bytes)).collect();
    if !rows.is_sorted_by(|a, b| a < b) {
        return Err("rows are not in ascending order".to_owned());
    }
    let row = |row: i64| usize::try_from(row).ok().filter(|&row| row < classes);
    rows.into_iter()
        .map(|value| {
            let outside = || format!("row {value} is outside the layer's {classes} classes");
            row(value).map(ClassId).ok_or_else(outside)
        })
        .collect()
}

fn rows(
    file: &SafeTensors<'_>,
    weight: &str,
    bias: &str,
    (rows, neurons): (usize, usize),
) -> Result<Rows, String> {
    let weight_values = floats(file, weight, &[rows, neurons])?;
    let weight_values = Array2::from_shape_vec((rows, neurons), weight_values);
    Ok(Rows {
        weight: weight_values.map_err(|error| format!("{weight}: {error}"))?,
        bias: Array1::from_vec(floats(file, bias, &[rows])?),
    })
}

fn floats(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(name).map_err(|error| error.to_string())?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        let (dtype, found) = (tensor.dtype(), tensor.shape());
        return Err(format!(
            "{name} is {dtype:?} {found:?}, expected F32 {shape:?}"
        ));
    }
    let values = tensor.data().as_chunks().0.iter();
    let values: Vec<f32> = values.map(|&bytes| f32::from_le_bytes(bytes)).collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(format!("{name} holds a value that is not finite"));
    }
    Ok(values)
}
