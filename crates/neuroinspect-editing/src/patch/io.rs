//! Patches as safetensors files.

use std::path::Path;

use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ClassId,
    io::{NamedTensor, TensorFile, TensorFormat, write_tensors},
};
use serde::{Deserialize, Serialize};

use super::{LayerPatch, Made, Rows};
use crate::Result;

const FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.edit",
    version: 2,
    expected: "a patch of a decision layer written by neuroinspect",
};

/// What a file says of its tensors.
#[derive(Serialize, Deserialize)]
struct Description {
    edit: Header,
}

#[derive(Serialize, Deserialize)]
struct Header {
    made: Made,
    classes: usize,
    neurons: usize,
    sha256_before: String,
    sha256_after: String,
}

impl LayerPatch {
    /// Writes the patch as safetensors: `rows` `[R]` i64, the classes whose row changes;
    /// `weight_before` and `weight_after` `[R, D]`, `bias_before` and `bias_after` `[R]` f32; the
    /// method, the shape and the hashes as JSON in the metadata.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let edit = Header {
            made: self.made.clone(),
            classes: self.classes,
            neurons: self.neurons,
            sha256_before: self.sha256_before.clone(),
            sha256_after: self.sha256_after.clone(),
        };
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
        let description = Description { edit };
        Ok(write_tensors(path, &FORMAT, &tensors, &description)?)
    }

    /// Reads a patch written by [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no patch, saying what is wrong with it: truncated, a
    /// row that the layer does not have, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = TensorFile::read(path, &FORMAT)?;
        let header: Header = file.json("edit")?;
        let changed = changed_rows(&file, header.classes)?;
        let shape = (changed.len(), header.neurons);
        Ok(Self {
            before: rows(&file, "weight_before", "bias_before", shape)?,
            after: rows(&file, "weight_after", "bias_after", shape)?,
            changed,
            made: header.made,
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
