//! Directions among the channels of a layer.

use std::path::Path;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    io::{TensorFile, read_text},
};

const EXPECTED: &str = "a direction: one number for each channel of a layer";

/// How far from 1 the length of a direction may be that is called normalised: what is left by rounding.
const ROUNDING: f32 = 1e-3;

/// A direction among the channels of a layer, such as a concept's, taken as it is: longer, it has larger
/// activations.
///
/// ```
/// use neuroinspect_core::{Direction, Unit, UnitKind};
///
/// let stripes = Direction::new("stripes", &[0.6, 0.0, 0.8]);
/// assert!(stripes.is_normalised());
/// let unit = Unit::new("layer3", UnitKind::Direction(stripes));
/// assert_eq!(unit.to_string(), "direction stripes of layer layer3");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[display("direction {name}")]
pub struct Direction {
    /// What it is called.
    pub name: String,
    /// One number for each of the `C` channels.
    pub values: Vec<f32>,
}

impl Direction {
    /// A direction of `values` `[C]`.
    pub fn new(name: impl Into<String>, values: &[f32]) -> Self {
        Self {
            name: name.into(),
            values: values.to_vec(),
        }
    }

    /// Reads a direction, called by the file's name without its ending: the only tensor of a safetensors
    /// file, of 32-bit floats and one axis or with a first axis of length 1; or a list of numbers in a
    /// JSON file (`.json`).
    ///
    /// # Errors
    ///
    /// [`Error::Read`], and [`Error::Format`] when the file holds something else.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let values = match path.extension() {
            Some(extension) if extension == "json" => serde_json::from_str(&read_text(path)?)
                .map_err(|error| Error::Format {
                    path: path.to_owned(),
                    expected: EXPECTED,
                    reason: error.to_string(),
                })?,
            _ => only_tensor(&TensorFile::open(path, EXPECTED)?)?,
        };
        Ok(Self::new(name, &values))
    }

    /// Euclidean length.
    pub fn length(&self) -> f32 {
        let square = |value: &f32| f64::from(*value).powi(2);
        self.values.iter().map(square).sum::<f64>().sqrt() as f32
    }

    /// Whether the length is 1, but for rounding.
    pub fn is_normalised(&self) -> bool {
        (self.length() - 1.0).abs() < ROUNDING
    }
}

fn only_tensor(file: &TensorFile) -> Result<Vec<f32>> {
    let names = file.tensor_names();
    let [name] = names.as_slice() else {
        let names = names.join(", ");
        return Err(file.refuse(format!("it holds the tensors [{names}], not one")));
    };
    match *file.shape(name)? {
        [channels] => file.f32(name, &[channels]),
        [1, channels] => file.f32(name, &[1, channels]),
        ref found => Err(file.refuse(format!("'{name}' is {found:?}, not [C]"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::io::{NamedTensor, TensorFormat, write_tensors};

    const FORMAT: TensorFormat = TensorFormat {
        name: "neuroinspect.test",
        version: 1,
        expected: "a test's",
    };

    #[test]
    fn directions_are_read_from_both_kinds_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("stripes.json");
        std::fs::write(&json, "[3, -4.0]").unwrap();
        let found = Direction::read(&json).unwrap();
        assert_eq!(found, Direction::new("stripes", &[3.0, -4.0]));
        assert_eq!((found.length(), found.is_normalised()), (5.0, false));

        for shape in [vec![2], vec![1, 2]] {
            let path = folder.path().join("dots.safetensors");
            let tensor = NamedTensor::f32("any", shape, [0.6, -0.8]);
            write_tensors(&path, &FORMAT, &[tensor], &json!({})).unwrap();
            let found = Direction::read(&path).unwrap();
            assert_eq!(found, Direction::new("dots", &[0.6, -0.8]));
            assert!(found.is_normalised());
        }
    }

    #[test]
    fn what_is_no_direction_is_refused_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path: &Path| Direction::read(path).unwrap_err().to_string();
        let json = folder.path().join("words.json");
        std::fs::write(&json, r#"["a"]"#).unwrap();
        assert!(refusal(&json).contains("words.json"), "{}", refusal(&json));

        let path = folder.path().join("many.safetensors");
        let tensor = |name: &str, shape: &[usize]| {
            let count = shape.iter().product();
            NamedTensor::f32(name, shape, vec![0.0; count])
        };
        let several = [tensor("a", &[2]), tensor("b", &[2])];
        write_tensors(&path, &FORMAT, &several, &json!({})).unwrap();
        assert!(refusal(&path).contains("[a, b]"), "{}", refusal(&path));
        write_tensors(&path, &FORMAT, &[tensor("a", &[2, 2])], &json!({})).unwrap();
        let expected = "'a' is [2, 2], not [C]";
        assert!(refusal(&path).contains(expected), "{}", refusal(&path));
        assert!(refusal(&folder.path().join("none")).contains("none"));
    }
}
