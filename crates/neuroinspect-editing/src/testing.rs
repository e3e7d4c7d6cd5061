//! Golden values of the original program, for tests.

use std::path::PathBuf;

use ndarray::Array2;
use safetensors::SafeTensors;

pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn load() -> Self {
        let folder = std::env::var_os("NEUROINSPECT_SHARED").expect("NEUROINSPECT_SHARED is set");
        Self(std::fs::read(PathBuf::from(folder).join("reference/original.safetensors")).unwrap())
    }

    /// A tensor as rows; a scalar or vector is one row.
    pub(crate) fn floats(&self, name: &str) -> Array2<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().as_chunks().0.iter();
        let values: Vec<f32> = values.map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let columns = tensor.shape().last().copied().unwrap_or(1);
        Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let values = file.tensor(name).unwrap().data().as_chunks().0.iter();
        values
            .map(|&bytes| i64::from_le_bytes(bytes) as usize)
            .collect()
    }
}
