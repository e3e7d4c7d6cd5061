//! Tables and decision layers that another program wrote.

use std::{collections::HashMap, path::Path};

use ndarray::array;
use safetensors::{Dtype, tensor::TensorView};

use super::*;

/// What a Python program would hand to `safetensors.torch.save_file`.
struct Written {
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
    metadata: HashMap<String, String>,
}

impl Written {
    fn new() -> Self {
        let features = [1.0, 0.0, 0.0, 1.0, 0.2, 0.9, 3.0, 0.5];
        let weight = [1.0, 0.0, 0.0, 1.0, -1.0, -1.0];
        let written = Self {
            tensors: Vec::new(),
            metadata: HashMap::new(),
        };
        written
            .floats("features", &[4, 2], &features)
            .indices("labels", &[0, 1, 0, 0])
            .floats("weight", &[3, 2], &weight)
            .floats("bias", &[3], &[0.0, 0.0, 0.0])
            .text("class_names", r#"["cat", "dog", "cow"]"#)
    }

    fn floats(self, name: &'static str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(name, Dtype::F32, shape, bytes.collect())
    }

    fn indices(self, name: &'static str, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(name, Dtype::I64, &[values.len()], bytes.collect())
    }

    fn tensor(mut self, name: &'static str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self.tensors.push((name, dtype, shape.to_vec(), bytes));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self.metadata.remove(name);
        self
    }

    fn text(mut self, key: &str, text: &str) -> Self {
        self.metadata.insert(key.to_owned(), text.to_owned());
        self
    }

    fn read<T>(&self, read: impl FnOnce(&Path) -> T) -> T {
        let view = |(name, dtype, shape, bytes)| -> (&'static str, TensorView<'_>) {
            (name, TensorView::new(dtype, shape, bytes).unwrap())
        };
        let tensors = self.tensors.iter();
        let views = tensors.map(|(name, dtype, shape, bytes)| {
            view((*name, *dtype, shape.clone(), bytes.as_slice()))
        });
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
        let bytes = safetensors::serialize(views, metadata).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    fn table(&self) -> Result<FeatureTable> {
        self.read(|path| FeatureTable::load(path))
    }

    fn layer(&self) -> Result<DecisionLayer> {
        self.read(|path| DecisionLayer::load(path))
    }
}

/// The reason of an error that names a file.
fn reason<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Format { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_with_its_layer_is_read() {
    let written = Written::new();
    let table = written.table().unwrap();
    assert_eq!(table.features().unwrap(), self::table().features().unwrap());
    assert_eq!(table.labels(), self::table().labels());
    assert_eq!(table.class_names(), ["cat", "dog", "cow"]);
    assert_eq!(table.sample_ids(), ["0", "1", "2", "3"]);
    assert_eq!(table.provenance().input, None);
    assert_eq!((table.groups(), table.split()), (None, None));
    assert_eq!(written.layer().unwrap(), layer());

    let all = Written::new()
        .indices("groups", &[0, 1, 1, 0])
        .text("group_names", r#"["indoors", "outdoors"]"#)
        .indices("split", &[0, 0, 1, 1])
        .text("split_names", r#"["train", "test"]"#)
        .text("sample_ids", r#"["a", "b", "c", "d"]"#)
        .text("model", "resnet18");
    let table = all.table().unwrap();
    assert_eq!(table.groups(), grouped().groups());
    assert_eq!(table.split(), grouped().split());
    assert_eq!(table.sample_ids(), ["a", "b", "c", "d"]);
    assert_eq!(table.provenance().model, "resnet18");
    // A name is what it is, though it reads as JSON.
    for name in ["50", "1e5", "null", "true", "\"net\"", "[1]"] {
        let table = Written::new().text("model", name).table().unwrap();
        assert_eq!(table.provenance().model, name);
    }
    // Of another model, it is not used with the one above.
    assert!(table.check_alike(&written.table().unwrap()).is_err());
    // Written here and read again, it is the same.
    let file = tempfile::NamedTempFile::new().unwrap();
    table.save(file.path()).unwrap();
    assert_eq!(FeatureTable::load(file.path()).unwrap(), table);
}

#[test]
fn a_layer_is_written_as_pytorch_names_it() {
    let layer = DecisionLayer::new(array![[1.0, -2.0], [0.5, 3.0]], array![0.25, -0.5]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    layer.save(file.path()).unwrap();
    assert_eq!(DecisionLayer::load(file.path()).unwrap(), layer);
    let bytes = std::fs::read(file.path()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["bias", "weight"]);
    assert_eq!(tensors.tensor("weight").unwrap().shape(), [2, 2]);

    let unbiased = Written::new().without("bias").layer().unwrap();
    assert_eq!(unbiased.bias(), array![0.0, 0.0, 0.0]);
}

#[test]
fn what_is_wrong_with_them_is_named() {
    let new = Written::new;
    for (written, expected) in [
        (new().without("features"), "it has no tensor 'features'"),
        (new().without("labels"), "it has no tensor 'labels'"),
        (
            new().without("class_names"),
            "its metadata has no class_names",
        ),
        (
            new().text("class_names", "cat, dog"),
            "class_names in its metadata: invalid type: string",
        ),
        (
            new().text("class_names", r#"["cat"]"#),
            "label of sample '1': class 1 is out of range",
        ),
        (
            new().indices("labels", &[0, 1, 0]),
            "labels of the feature table: expected 4, found 3",
        ),
        (
            new().tensor("features", Dtype::F16, &[4, 2], vec![0; 16]),
            "'features' is F16 [4, 2], expected F32 [4, 2]",
        ),
        (
            new().floats("features", &[1, 2], &[0.0, f32::NAN]),
            "activation of neuron 1 on sample '0' is not finite",
        ),
        (
            new().floats("features", &[4, 0], &[]),
            "'features' has shape [4, 0], expected at least one neuron",
        ),
        (
            new().indices("groups", &[0, 0, 0, 0]),
            "its metadata has no group_names",
        ),
        (
            new().text("sample_ids", r#"["a"]"#),
            "sample ids: expected 4, found 1",
        ),
    ] {
        let found = reason(written.table());
        assert!(found.starts_with(expected), "'{found}', not '{expected}'");
    }
    for (written, expected) in [
        (new().without("weight"), "it has no tensor 'weight'"),
        (
            new().floats("weight", &[6], &[0.0; 6]),
            "'weight' has shape [6], expected [classes, neurons]",
        ),
        (
            new().floats("weight", &[3, 0], &[]),
            "'weight' has shape [3, 0], expected at least one neuron",
        ),
        (
            new().floats("bias", &[2], &[0.0; 2]),
            "'bias' is F32 [2], expected F32 [3]",
        ),
        (
            new().floats("bias", &[3], &[0.0, f32::INFINITY, 0.0]),
            "decision layer bias of class 1 is not finite",
        ),
    ] {
        let found = reason(written.layer());
        assert!(found.starts_with(expected), "'{found}', not '{expected}'");
    }
}
