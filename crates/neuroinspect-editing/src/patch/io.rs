//! Edits as safetensors files.

use std::{collections::BTreeMap, path::Path};

use ndarray::{Array1, Array2};
use neuroinspect_core::{ClassId, Error as CoreError, NamedTensor, TensorFile, write_safetensors};
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
        let file = TensorFile::read(path, FORMAT, EXPECTED)?;
        let header: Header = file.json("edit")?;
        let changed = changed_rows(&file, header.classes)?;
        let shape = (changed.len(), header.neurons);
        Ok(Self {
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
}

fn changed_rows(file: &TensorFile, classes: usize) -> Result<Vec<ClassId>> {
    let rows = file.indices("rows")?;
    if !rows.is_sorted_by(|a, b| a < b) {
        return Err(file.refuse("rows are not in ascending order").into());
    }
    if let Some(row) = rows.iter().find(|&&row| row >= classes) {
        let reason = format!("row {row} is outside the layer's {classes} classes");
        return Err(file.refuse(reason).into());
    }
    Ok(rows.into_iter().map(ClassId).collect())
}

fn rows(
    file: &TensorFile,
    weight: &str,
    bias: &str,
    (rows, neurons): (usize, usize),
) -> Result<Rows> {
    let weights = Array2::from_shape_vec((rows, neurons), floats(file, weight, &[rows, neurons])?);
    Ok(Rows {
        weight: weights.map_err(|error| file.refuse(format!("{weight}: {error}")))?,
        bias: Array1::from_vec(floats(file, bias, &[rows])?),
    })
}

fn floats(file: &TensorFile, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let values = file.f32(name, shape)?;
    if values.iter().any(|value| !value.is_finite()) {
        let reason = format!("{name} holds a value that is not finite");
        return Err(file.refuse(reason).into());
    }
    Ok(values)
}
