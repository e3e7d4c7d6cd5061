//! Values computed by the authors' code, which ours must reproduce.
//!
//! The files are in this crate's `reference` folder, whose `README.md` says what each value is, how
//! it was made and under which licence. They are part of the test binary: nothing need be set up.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array, Array1, Dimension};
use neuroinspect_core::DecisionLayer;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Inputs and outputs of the original's functions, one by one.
pub fn original() -> Reference {
    let constants = include_str!("../reference/original.json");
    Reference {
        tensors: tensors(include_bytes!("../reference/original.safetensors")),
        constants: serde_json::from_str(constants).unwrap(),
    }
}

/// Thirty steps of the original's optimisation of one picture.
pub fn full_loop_single() -> Reference {
    full_loop(include_bytes!("../reference/full_loop_single.safetensors"))
}

/// Thirty steps of the original's optimisation of three pictures together.
pub fn full_loop_batch() -> Reference {
    full_loop(include_bytes!("../reference/full_loop_batch.safetensors"))
}

/// A file of tensors whose metadata are its constants.
fn full_loop(bytes: &'static [u8]) -> Reference {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let constant = |(name, text): (&String, &String)| {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        (name.clone(), value)
    };
    let constants: Map<String, Value> = header.metadata().iter().flatten().map(constant).collect();
    Reference {
        tensors: tensors(bytes),
        constants: constants.into(),
    }
}

fn tensors(bytes: &'static [u8]) -> SafeTensors<'static> {
    SafeTensors::deserialize(bytes).unwrap()
}

/// Tensors by name, and the constants they were computed with.
///
/// Every method panics, naming the tensor or constant, where there is none or it is of another kind.
#[derive(Debug)]
pub struct Reference {
    tensors: SafeTensors<'static>,
    constants: Value,
}

impl Reference {
    /// The names of all tensors.
    pub fn names(&self) -> Vec<&str> {
        self.tensors.names()
    }

    /// The size of each axis of a tensor; none for a single number.
    #[track_caller]
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensor_view(name).shape().to_vec()
    }

    /// All values of a tensor in row-major order.
    #[track_caller]
    pub fn values(&self, name: &str) -> Vec<f32> {
        let numbers = self.numbers(name, Dtype::F32);
        let (values, _) = numbers.as_chunks();
        values.iter().copied().map(f32::from_le_bytes).collect()
    }

    /// A single number.
    #[track_caller]
    pub fn scalar(&self, name: &str) -> f32 {
        match self.values(name)[..] {
            [value] => value,
            ref values => panic!("reference tensor `{name}` has {} values", values.len()),
        }
    }

    /// All values of a tensor in row-major order, whatever its axes.
    #[track_caller]
    pub fn vector(&self, name: &str) -> Array1<f32> {
        self.values(name).into()
    }

    /// A tensor with its axes: `reference.array::<Ix2>("counterfactual.features")`.
    #[track_caller]
    pub fn array<D: Dimension>(&self, name: &str) -> Array<f32, D> {
        let array = Array::from_shape_vec(self.shape(name), self.values(name)).unwrap();
        array
            .into_dimensionality()
            .unwrap_or_else(|_| panic!("reference tensor `{name}` is {:?}", self.shape(name)))
    }

    /// A tensor on the pure-Rust CPU backend.
    #[track_caller]
    pub fn tensor<const R: usize>(&self, name: &str) -> Tensor<R> {
        let shape = self.shape(name);
        let Ok(shape) = <[usize; R]>::try_from(shape.as_slice()) else {
            panic!("reference tensor `{name}` is {shape:?}");
        };
        Tensor::from_data(TensorData::new(self.values(name), shape), &Device::flex())
    }

    /// Indices (of classes or neurons), or counts.
    #[track_caller]
    pub fn indices(&self, name: &str) -> Vec<usize> {
        let numbers = self.numbers(name, Dtype::I64);
        let (values, _) = numbers.as_chunks();
        let index = |&bytes| usize::try_from(i64::from_le_bytes(bytes));
        values
            .iter()
            .map(|bytes| index(bytes).unwrap_or_else(|_| panic!("`{name}` has a negative index")))
            .collect()
    }

    /// The decision layer of the counterfactual and editing values: 64 neurons, 10 classes.
    #[track_caller]
    pub fn decision_layer(&self) -> DecisionLayer {
        let weight = self.array("counterfactual.weight");
        DecisionLayer::new(weight, self.vector("counterfactual.bias")).unwrap()
    }

    /// A constant by its JSON pointer: `reference.constant::<f64>("/editing/gamma")`.
    #[track_caller]
    pub fn constant<T: DeserializeOwned>(&self, pointer: &str) -> T {
        let Some(value) = self.constants.pointer(pointer) else {
            panic!("there is no reference constant `{pointer}`");
        };
        serde_json::from_value(value.clone())
            .unwrap_or_else(|error| panic!("reference constant `{pointer}`: {error}"))
    }

    #[track_caller]
    fn tensor_view(&self, name: &str) -> TensorView<'static> {
        match self.tensors.tensor(name) {
            Ok(view) => view,
            Err(error) => panic!("reference tensor `{name}`: {error}"),
        }
    }

    #[track_caller]
    fn numbers(&self, name: &str, dtype: Dtype) -> &'static [u8] {
        let view = self.tensor_view(name);
        assert_eq!(view.dtype(), dtype, "kind of reference tensor `{name}`");
        view.data()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ndarray::{Ix2, Ix4};
    use neuroinspect_core::io::sha256_of_bytes;

    use super::*;

    /// Tests compare with these files: a file replaced would be noticed by its hash alone.
    #[test]
    fn the_files_are_those_the_readme_names() {
        let readme = include_str!("../reference/README.md");
        for (name, bytes) in [
            (
                "original.safetensors",
                include_bytes!("../reference/original.safetensors").as_slice(),
            ),
            (
                "original.json",
                include_bytes!("../reference/original.json"),
            ),
            (
                "full_loop_single.safetensors",
                include_bytes!("../reference/full_loop_single.safetensors"),
            ),
            (
                "full_loop_batch.safetensors",
                include_bytes!("../reference/full_loop_batch.safetensors"),
            ),
        ] {
            let line = format!("| `{name}` | `{}` |", sha256_of_bytes(bytes));
            assert!(readme.contains(&line), "the README lacks: {line}");
        }
    }

    #[test]
    fn every_tensor_is_explained() {
        let readme = include_str!("../reference/README.md");
        for reference in [original(), full_loop_single(), full_loop_batch()] {
            assert!(!reference.names().is_empty());
            for name in reference.names() {
                let explained = readme.split('`').any(|pattern| matches(pattern, name));
                assert!(explained, "the README does not mention {name}");
            }
        }
    }

    /// Whether a name has the form of a pattern like `spectrum.{S}.{param,weight}`.
    fn matches(pattern: &str, name: &str) -> bool {
        let Some((start, rest)) = pattern.split_once('{') else {
            return pattern == name;
        };
        let Some((choices, rest)) = rest.split_once('}') else {
            return false;
        };
        let Some(name) = name.strip_prefix(start) else {
            return false;
        };
        let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if choices.contains(',') {
            let mut choices = choices.split(',');
            choices.any(|choice| {
                name.strip_prefix(choice)
                    .is_some_and(|name| matches(rest, name))
            })
        } else {
            digits > 0 && matches(rest, &name[digits..])
        }
    }

    #[test]
    fn patterns_of_names() {
        let pattern = "spectrum.{S}.{param,weight}";
        assert!(matches(pattern, "spectrum.32.param"));
        assert!(!matches(pattern, "spectrum.32.scale"));
        assert!(!matches(pattern, "spectrum.param"));
        assert!(matches("{single.,}loss", "loss") && matches("{single.,}loss", "single.loss"));
    }

    #[test]
    fn values_come_with_their_shape_and_kind() {
        let original = original();
        assert_eq!(original.shape("editing.focal"), [0; 0]);
        assert!(original.scalar("editing.focal") > 0.0);
        let features = original.array::<Ix2>("counterfactual.features");
        assert_eq!(features.dim(), (12, 64));
        assert_eq!(original.vector("counterfactual.features").len(), 12 * 64);
        let tensor = original.tensor::<2>("counterfactual.features");
        crate::assert_close(tensor, &features, 0.0, 0.0);
        assert_eq!(original.indices("counterfactual.labels").len(), 12);
        assert_eq!(original.decision_layer().neurons(), 64);
    }

    #[test]
    fn constants_come_from_json_and_from_metadata() {
        let original = original();
        assert_eq!(original.constant::<f64>("/editing/gamma"), 1.02);
        let votes: BTreeMap<usize, f64> = original.constant("/votes/insufficient");
        assert_eq!(votes[&34], 50.0);
        for (full_loop, pairs) in [(full_loop_single(), 1), (full_loop_batch(), 3)] {
            assert_eq!(full_loop.constant::<usize>("/steps"), 30);
            assert_eq!(full_loop.constant::<f64>("/lr"), 9e-3);
            let note: String = full_loop.constant("/note");
            assert!(note.starts_with("losses"));
            let images = full_loop.array::<Ix4>("image");
            assert_eq!(images.dim(), (pairs, 3, 32, 32));
        }
    }

    #[test]
    #[should_panic(expected = "`counterfactual.labels`")]
    fn indices_are_no_values() {
        original().values("counterfactual.labels");
    }

    #[test]
    #[should_panic(expected = "`counterfactual.features` is [12, 64]")]
    fn another_rank_is_refused() {
        original().array::<Ix4>("counterfactual.features");
    }
}
