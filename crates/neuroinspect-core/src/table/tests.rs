use std::{collections::HashMap, io::Write};

use ndarray::array;
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use ndarray::Array2;

use super::*;
use crate::{InputSpec, Interpolation, Precision, ResizeRule, Seed};

fn origin() -> Provenance {
    Provenance::new("toy", InputSpec::new(8))
}

fn of(
    features: Array2<f32>,
    labels: &[usize],
    names: &[&str],
    provenance: Provenance,
) -> Result<FeatureTable> {
    FeatureTable::new(
        ActivationTable::new(features, provenance)?,
        labels.iter().copied().map(ClassId).collect(),
        names.iter().copied().map(String::from).collect(),
    )
}

fn table() -> FeatureTable {
    let features = array![[1.0, 0.0], [0.0, 1.0], [0.2, 0.9], [3.0, 0.5]];
    let provenance = origin().with_dataset("by hand").with_layer("features");
    of(features, &[0, 1, 0, 0], &["cat", "dog", "cow"], provenance).unwrap()
}

/// Says cat, dog, dog, cat of the table's samples.
fn layer() -> DecisionLayer {
    let weight = array![[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]];
    DecisionLayer::new(weight, array![0.0, 0.0, 0.0]).unwrap()
}

fn grouped() -> FeatureTable {
    let names = vec!["indoors".into(), "outdoors".into()];
    let groups = Groups::new(names, vec![0, 1, 1, 0]).unwrap();
    let parts = vec!["train".into(), "test".into()];
    let split = Split::new(parts, vec![0, 0, 1, 1]).unwrap();
    let table = table().with_groups(groups).unwrap();
    table.with_split(split).unwrap()
}

#[test]
fn mistakes_and_means_by_hand() {
    let (table, layer) = (table(), layer());
    let predicted = table.predicted_by(&layer).unwrap();
    assert_eq!(predicted.predictions(), [0, 1, 1, 0].map(ClassId));
    assert_eq!(predicted.mistakes(ClassId(0)).unwrap(), [2]);
    assert_eq!(predicted.mistakes(ClassId(1)).unwrap(), [0; 0]);
    assert_eq!(predicted.metrics().unwrap().accuracy, 0.75);
    assert!(matches!(
        predicted.mistakes(ClassId(2)),
        Err(Error::EmptyClass { .. })
    ));
    assert!(matches!(
        predicted.mistakes(ClassId(3)),
        Err(Error::ClassOutOfRange { .. })
    ));
    let narrow = DecisionLayer::new(array![[1.0], [0.0], [0.0]], array![0.0, 0.0, 0.0]).unwrap();
    assert!(matches!(
        table.predicted_by(&narrow),
        Err(Error::Shape { .. })
    ));
    assert_eq!(table.class_mean(ClassId(1)).unwrap(), array![0.0, 1.0]);
    assert!(matches!(
        table.class_mean(ClassId(2)),
        Err(Error::EmptyClass { .. })
    ));
    assert_eq!(table.top_activating(NeuronId(0), None, 2).unwrap(), [3, 0]);
    assert_eq!(
        table
            .top_activating(NeuronId(1), Some(ClassId(0)), 1)
            .unwrap(),
        [2]
    );
    assert!(table.top_activating(NeuronId(2), None, 1).is_err());
}

#[test]
fn classes_go_by_name_or_index() {
    let table = table();
    assert_eq!(table.class_by_name_or_index("cow").unwrap(), ClassId(2));
    assert_eq!(table.class_by_name_or_index("1").unwrap(), ClassId(1));
    assert!(matches!(
        table.class_by_name_or_index("3"),
        Err(Error::ClassOutOfRange { .. })
    ));
    let error = table
        .class_by_name_or_index("horse")
        .unwrap_err()
        .to_string();
    assert!(error.contains("cat, dog, cow"), "{error}");
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let one = |features, labels: &[usize]| of(features, labels, &["cat"], origin());
    assert!(matches!(
        one(array![[1.0]], &[0, 0]),
        Err(Error::Length { .. })
    ));
    assert!(matches!(
        one(array![[1.0]], &[1]),
        Err(Error::SampleClassOutOfRange { .. })
    ));
    assert!(matches!(
        one(array![[f32::NAN]], &[0]),
        Err(Error::NotFinite { .. })
    ));
    let activations = ActivationTable::new(array![[1.0]], origin()).unwrap();
    assert!(matches!(
        activations.with_sample_ids(vec![]),
        Err(Error::Length { .. })
    ));
    let groups = Groups::new(vec!["a".into()], vec![0, 0, 0]).unwrap();
    assert!(matches!(
        table().with_groups(groups),
        Err(Error::Length { .. })
    ));
    let split = Split::new(vec!["a".into()], vec![0, 0, 0]).unwrap();
    assert!(matches!(
        table().with_split(split),
        Err(Error::Length { .. })
    ));
    assert!(table().select(&[4]).is_err());
}

#[test]
fn tables_of_one_classifier_and_one_list_of_classes_are_alike() {
    let with = |names: &[&str], provenance: Provenance, neurons| {
        of(Array2::zeros((1, neurons)), &[0], names, provenance).unwrap()
    };
    let names = ["cat", "dog", "cow"];
    table()
        .check_alike(&with(&names, origin().with_dataset("another"), 2))
        .unwrap();
    for (other, what) in [
        (with(&names[..2], origin(), 2), "number of classes: 3 and 2"),
        (
            with(&["cat", "cow", "dog"], origin(), 2),
            "name of class 1: 'dog' and 'cow'",
        ),
        (
            with(&names, Provenance::new("net", InputSpec::new(8)), 2),
            "model: toy (on 'by hand') and net",
        ),
        (
            with(&names, origin().with_weights_sha256("ab"), 2),
            "SHA-256 of the weights: unknown (on 'by hand') and ab",
        ),
        (
            with(&names, Provenance::new("toy", InputSpec::new(9)), 2),
            "model input: ",
        ),
        (
            with(&names, origin().with_layer("layer3"), 2),
            "layer: features (on 'by hand') and layer3",
        ),
        (
            with(&names, origin().with_precision(Precision::Bf16), 2),
            "precision: f32 (on 'by hand') and bf16",
        ),
        (
            with(&names, origin(), 3),
            "number of neurons: 2 (on 'by hand') and 3",
        ),
    ] {
        let error = table().check_alike(&other).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("samples to be used together differ in the {what}")),
            "{message}"
        );
    }
}

#[test]
fn a_selection_keeps_everything_in_step() {
    let selected = grouped().select(&[3, 1]).unwrap();
    assert_eq!(selected.features(), array![[3.0, 0.5], [0.0, 1.0]]);
    assert_eq!(selected.labels(), [ClassId(0), ClassId(1)]);
    assert_eq!(selected.sample_ids(), ["3", "1"]);
    assert_eq!(selected.groups().unwrap().of_sample(), [0, 1]);
    assert_eq!(selected.split().unwrap().of_sample(), [1, 0]);
    let test = grouped().part(grouped().split().unwrap(), "test").unwrap();
    assert_eq!(test.sample_ids(), ["2", "3"]);
}

/// What a seed holds out is part of what makes a run repeatable.
#[test]
fn a_split_is_the_same_as_ever() {
    let labels: Vec<_> = (0..100).map(|i| usize::from(i % 10 == 0)).collect();
    let features = Array2::from_shape_fn((100, 1), |(i, _)| i as f32);
    let table = of(features, &labels, &["common", "rare"], origin()).unwrap();
    let parts = [("edit", 0.8), ("measure", 0.2)];
    let split = Split::stratified(table.labels(), &parts, Seed(1)).unwrap();
    let held_out = [
        7, 11, 13, 14, 19, 20, 21, 24, 42, 43, 45, 48, 56, 57, 58, 60, 63, 86, 88, 89,
    ];
    assert_eq!(
        table.part(&split, "measure").unwrap().sample_ids(),
        held_out.map(|sample| sample.to_string())
    );
}

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
fn a_value_that_is_not_finite_is_named_by_its_sample() {
    let error = ActivationTable::of_samples(
        vec!["cat/1.jpg".into(), "cat/2.jpg".into()],
        array![[1.0, 2.0], [1.0, f32::NAN]],
        origin(),
    )
    .unwrap_err();
    let message = error.to_string();
    let expected = "activation of neuron 1 on sample 'cat/2.jpg' is not finite (NaN)";
    assert!(message.starts_with(expected), "{message}");
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
            "it is of version 9 of neuroinspect.feature_table, this program reads 1 to 2",
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

/// Written by version 1; what it says must be read for as long as there are such files. Its
/// predictions are not: they follow from a decision layer.
const VERSION_1: &[u8] = include_bytes!("../../tests/data/table.v1.safetensors");

/// Written by [`FeatureTable::save`] of what `VERSION_1` holds.
const VERSION_2: &[u8] = include_bytes!("../../tests/data/table.v2.safetensors");

#[test]
fn tables_of_both_versions_are_read_and_the_later_one_is_written_as_ever() {
    let written = |table: &FeatureTable| {
        let file = tempfile::NamedTempFile::new().unwrap();
        table.save(file.path()).unwrap();
        std::fs::read(file.path()).unwrap()
    };
    let earlier = read(VERSION_1, None);
    assert_eq!(written(&read(VERSION_2, Some("features"))), VERSION_2);
    assert_eq!(read(&written(&earlier), None), earlier);

    // Version 1 did not write down the layer: it may be the one that a later table is of.
    let values = ActivationTable::new(array![[1.0, 2.0]], earlier.provenance().clone()).unwrap();
    for (layer, other) in [("global_pool", "features"), ("features", "global_pool")] {
        let with = |layer: &str| {
            let provenance = earlier.provenance().clone().with_layer(layer);
            ActivationTable::new(array![[1.0, 2.0]], provenance).unwrap()
        };
        values.check_alike(&with(layer)).unwrap();
        with(layer).check_alike(&values).unwrap();
        assert!(with(layer).check_alike(&with(other)).is_err());
    }
}

fn read(bytes: &[u8], layer: Option<&str>) -> FeatureTable {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let table = FeatureTable::load(file.path()).unwrap();
    assert_eq!(
        table.features(),
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
    let mut provenance = Provenance::new("toy", input)
        .with_weights_sha256("ab")
        .with_dataset("by hand");
    provenance.layer = layer.map(str::to_owned);
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

/// In single precision the 3 would be lost between the large values.
#[test]
fn means_are_taken_in_double_precision() {
    let small = ActivationTable::new(array![[1.0e8_f32], [3.0], [-1.0e8]], origin()).unwrap();
    assert_eq!(small.mean_of(0..3).unwrap(), array![1.0]);
    assert_eq!(small.mean_of([1, 1]).unwrap(), array![3.0]);
    assert!(matches!(small.mean_of([]), Err(Error::Empty { .. })));
    assert!(matches!(
        small.mean_of([3]),
        Err(Error::OutOfRange { index: 3, .. })
    ));
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
            "'features' have shape [8], expected [samples, neurons]",
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
    assert!(reason.starts_with("its metadata does not say"), "{reason}");
    let header = br#"{"__metadata__":{"format":"neuroinspect.feature_table.v1"}}"#;
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
