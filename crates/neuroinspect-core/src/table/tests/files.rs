//! Files of tables: whole, damaged, hostile.

use std::{collections::HashMap, io::Write};

use ndarray::{Array2, array};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::*;
use crate::{Interpolation, ResizeRule};

/// The bytes with the one occurrence of a text replaced by another of the same length.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let found = bytes.windows(from.len());
    let found: Vec<_> = found
        .enumerate()
        .filter_map(|(at, text)| (text == from.as_bytes()).then_some(at))
        .collect();
    let [at] = found[..] else {
        panic!("'{from}' is there {} times", found.len())
    };
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn saving_twice_makes_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let saved = || {
        let path = folder.path().join("table.safetensors");
        grouped().save(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    let first = saved();
    for _ in 0..20 {
        assert_eq!(saved(), first);
    }
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.safetensors");
    grouped().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(FeatureTable::load(&path).unwrap(), grouped());
    for length in [0, 4, 9, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = FeatureTable::load(&path).unwrap_err();
        assert!(
            matches!(error, Error::Format { .. }),
            "{length} bytes: {error}"
        );
    }
    for (from, to, reason) in [
        (
            "feature_table",
            "feature_tabel",
            "its metadata does not say format = neuroinspect.feature_table",
        ),
        (
            r#"\"version\":2"#,
            r#"\"version\":9"#,
            "it is of version 9 of neuroinspect.feature_table, this program reads version 2",
        ),
        (
            r#"[\"0\",\"1\""#,
            r#"[\"0\",\"1\\"#,
            "'neuroinspect' in its metadata: ",
        ),
        ("sample_ids", "sample_ixs", "its metadata has no sample_ids"),
    ] {
        std::fs::write(&path, replaced(&whole, from, to)).unwrap();
        let error = FeatureTable::load(&path).unwrap_err();
        let Error::Format { reason: found, .. } = &error else {
            panic!("{to}: {error:?}")
        };
        assert!(found.starts_with(reason), "{to}: {found}");
    }
    assert!(matches!(
        FeatureTable::load(folder.path().join("no")),
        Err(Error::Read { .. })
    ));
}

/// Written by [`FeatureTable::save`].
const TABLE: &[u8] = include_bytes!("../../../tests/data/table.safetensors");

#[test]
fn a_table_is_read_and_written_as_ever() {
    let table = read(TABLE);
    let file = tempfile::NamedTempFile::new().unwrap();
    table.save(file.path()).unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), TABLE);
}

fn read(bytes: &[u8]) -> FeatureTable {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let table = FeatureTable::load(file.path()).unwrap();
    assert_eq!(
        table.features().unwrap(),
        array![[1.0, -0.5], [0.25, 3.0], [0.0, 1e-9]]
    );
    assert_eq!(table.labels(), [0, 1, 0].map(ClassId));
    assert_eq!(table.class_names(), ["cat", "d\u{f6}g"]);
    assert_eq!(table.sample_ids(), ["a.png", "b.png", "sub/c.png"]);
    let groups = table.groups().unwrap();
    assert_eq!(groups.names(), ["indoors", "outdoors"]);
    assert_eq!(groups.of_sample(), [0, 1, 1]);
    let input = InputSpec {
        size: 224,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        resize: ResizeRule::ShorterSide { to: 256 },
        interpolation: Interpolation::Bicubic,
    };
    let provenance = Provenance::new("toy", input)
        .with_weights_sha256("ab")
        .with_dataset("by hand")
        .with_layer("features");
    assert_eq!(table.provenance(), &provenance);
    table
}

#[test]
fn activations_have_a_file_of_their_own() {
    let provenance = origin().with_layer("layer3").with_precision(Precision::F16);
    let values = array![[1.0, -0.5], [0.25, 3.0]];
    let ids = vec!["a.png".into(), "sub/b.png".into()];
    let table = ActivationTable::of_samples(ids, values, provenance).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    table.save(file.path()).unwrap();
    assert_eq!(ActivationTable::load(file.path()).unwrap(), table);
    let error = FeatureTable::load(file.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("does not say format = neuroinspect.feature_table"),
        "{error}"
    );
    grouped().save(file.path()).unwrap();
    let error = ActivationTable::load(file.path()).unwrap_err().to_string();
    assert!(error.contains("is not an activation table"), "{error}");
}

/// A file of `grouped()` that is put together wrongly.
struct Parts {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    description: serde_json::Map<String, serde_json::Value>,
}

impl Parts {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        grouped().save(file.path()).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let part = |(name, view): (&str, TensorView<'_>)| {
            let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), view.dtype(), shape, data)
        };
        Self {
            tensors: file.iter().map(part).collect(),
            description: serde_json::from_str(&header.metadata().clone().unwrap()["neuroinspect"])
                .unwrap(),
        }
    }

    fn tensor(mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Self {
        self = self.without(name);
        self.tensors
            .push((name.to_owned(), dtype, shape.to_vec(), bytes));
        self
    }

    fn ids(self, name: &str, shape: &[usize], ids: &[i64]) -> Self {
        let bytes = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.tensor(name, Dtype::I64, shape, bytes)
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self.description.remove(name);
        self
    }

    fn load(self) -> Result<FeatureTable> {
        let views = self.tensors.iter().map(|(name, dtype, shape, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let text = serde_json::Value::from(self.description).to_string();
        let texts = HashMap::from([("neuroinspect".to_owned(), text)]);
        let bytes = safetensors::serialize(views, Some(texts)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        FeatureTable::load(file.path())
    }
}

#[test]
fn hostile_files_are_refused_by_name() {
    let new = Parts::new;
    assert_eq!(new().load().unwrap(), grouped());
    let mut nan = vec![0; 28];
    nan.extend(f32::NAN.to_le_bytes());
    for (parts, reason) in [
        (
            new().tensor("features", Dtype::F64, &[4, 2], vec![0; 64]),
            "'features' is F64 [4, 2], expected F32 [4, 2]",
        ),
        (
            new().tensor("labels", Dtype::I32, &[4], vec![0; 16]),
            "'labels' is I32 [4], expected I64 [4]",
        ),
        (
            new().ids("labels", &[4], &[0, 1, -1, 0]),
            "'labels' holds -1, which is negative",
        ),
        (
            new().ids("labels", &[4], &[0, 1, 3, 0]),
            "label of sample '2': class 3 is out of range",
        ),
        (
            new().tensor("features", Dtype::F32, &[4, 2], nan),
            "activation of neuron 1 on sample '3' is not finite (NaN)",
        ),
        (
            new().tensor("features", Dtype::F32, &[8], vec![0; 32]),
            "'features' has shape [8], expected [samples, neurons]",
        ),
        (
            new().ids("labels", &[3], &[0, 1, 0]),
            "labels of the feature table: expected 4, found 3",
        ),
        (
            new().ids("labels", &[2, 2], &[0, 1, 0, 0]),
            "'labels' is I64 [2, 2], expected I64 [4]",
        ),
        (
            new().ids("groups", &[4], &[0, 1, 2, 0]),
            "groups: sample 2 is assigned to number 2, but there are 2",
        ),
        (new().without("features"), "it has no tensor 'features'"),
        (new().without("groups"), "it has no tensor 'groups'"),
        (
            new().without("split_names"),
            "its metadata has no split_names",
        ),
        (
            new().without("group_names"),
            "its metadata has no group_names",
        ),
    ] {
        let error = parts.load().unwrap_err();
        let Error::Format { reason: found, .. } = &error else {
            panic!("{reason}: {error:?}")
        };
        assert!(found.starts_with(reason), "'{found}', expected '{reason}'");
    }
}

#[test]
fn of_another_file_no_more_than_the_header_is_read() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let refused = |bytes: &[u8]| {
        let mut file = std::fs::File::create(path.path()).unwrap();
        file.write_all(bytes).unwrap();
        // A terabyte of zeros that takes no room on the disk.
        file.set_len(1 << 40).unwrap();
        let error = FeatureTable::load(path.path()).unwrap_err();
        let Error::Format { reason, .. } = error else {
            panic!("{error:?}")
        };
        reason
    };
    let reason = refused(&100_000_001_u64.to_le_bytes());
    assert!(reason.contains("100000001 bytes"), "{reason}");
    let header = br#"{"__metadata__":{"format":"another"}}"#;
    let length = (header.len() as u64).to_le_bytes();
    let reason = refused(&[&length[..], header].concat());
    assert_eq!(reason, "it is longer than its header says");
    let header = br#"{"__metadata__":{"neuroinspect":"{\"format\":\"neuroinspect.feature_table\",\"version\":2}"}}"#;
    let length = (header.len() as u64).to_le_bytes();
    let reason = refused(&[&length[..], header].concat());
    assert_eq!(reason, "it is longer than its header says");
}

proptest! {
    #[test]
    fn any_table_survives_its_file(
        rows in proptest::collection::vec((proptest::collection::vec(-1e6f32..1e6, 3), 0usize..4, "\\PC{0,6}", 0usize..2), 0..20),
        grouped: bool,
    ) {
        let features = rows.iter().flat_map(|row| row.0.clone()).collect();
        let activations = ActivationTable::of_samples(
            rows.iter().map(|row| row.2.clone()).collect(),
            Array2::from_shape_vec((rows.len(), 3), features).unwrap(),
            Provenance::new("any", InputSpec::imagenet(32)).with_weights_sha256("ab"),
        ).unwrap();
        let labels = rows.iter().map(|row| ClassId(row.1)).collect();
        let names = ["a", "b", "ü\"", "d"].map(String::from).to_vec();
        let mut table = FeatureTable::new(activations, labels, names).unwrap();
        if grouped {
            let names = vec!["x".into(), "y".into()];
            let of_sample: Vec<_> = rows.iter().map(|row| row.3).collect();
            table = table.with_groups(Groups::new(names.clone(), of_sample.clone()).unwrap()).unwrap();
            table = table.with_split(Split::new(names, of_sample).unwrap()).unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        table.save(file.path()).unwrap();
        prop_assert_eq!(FeatureTable::load(file.path()).unwrap(), table);
    }
}

#[test]
fn values_beyond_those_read_at_once_come_back_in_order() {
    let values = Array2::from_shape_fn((173, 101), |(row, column)| (row * 101 + column) as f32);
    let table = ActivationTable::new(values, origin()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    table.save(file.path()).unwrap();
    assert_eq!(ActivationTable::load(file.path()).unwrap(), table);
}
