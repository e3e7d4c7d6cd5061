mod elsewhere;
mod files;
mod kept;

use ndarray::{Array1, Array2, array};

use super::*;
use crate::{InputSpec, NeuronId, Precision, Seed};

fn origin() -> Provenance {
    Provenance::new("toy", InputSpec::new(8)).with_layer("features")
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
    let provenance = origin().with_dataset("by hand");
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
fn classes_in_another_order_are_circles() {
    let names = ["a", "b", "c", "d", "e"];
    let layer = DecisionLayer::new(Array2::eye(5), Array1::zeros(5)).unwrap();
    let circles = |pairs: &[(usize, usize)]| -> Vec<Vec<usize>> {
        let features = Array2::from_shape_fn((pairs.len(), 5), |(sample, class)| {
            f32::from(u8::from(pairs[sample].1 == class))
        });
        let labels: Vec<_> = pairs.iter().map(|&(label, _)| label).collect();
        let table = of(features, &labels, &names, origin()).unwrap();
        let circles = table.predicted_by(&layer).unwrap().exchanged_classes();
        let indices = |circle: Vec<ClassId>| circle.into_iter().map(|class| class.0).collect();
        circles.into_iter().map(indices).collect()
    };
    assert_eq!(circles(&[(0, 0), (1, 1), (2, 2)]), [[0; 0]; 0]);
    assert_eq!(circles(&[(0, 1), (1, 0), (2, 2)]), [[0, 1]]);
    // Three in a circle, and one that is taken for one of them.
    assert_eq!(circles(&[(4, 2), (1, 2), (0, 1), (2, 0)]), [[0, 1, 2]]);
    assert_eq!(circles(&[(0, 3), (3, 4), (4, 3)]), [[3, 4]]);
    assert_eq!(circles(&[(0, 1), (1, 0), (2, 3), (3, 2)]), [[0, 1], [2, 3]]);
    // All of one class are taken for the other, but not the other way round.
    assert_eq!(circles(&[(0, 1), (1, 1)]), [[0; 0]; 0]);
    // Half of a class is not most of it.
    assert_eq!(circles(&[(0, 1), (0, 0), (1, 0)]), [[0; 0]; 0]);
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
    let has = [0, 1, 2].map(|class| predicted.has_mistakes(ClassId(class)).unwrap());
    assert_eq!(has, [true, false, false]);
    assert!(predicted.has_mistakes(ClassId(3)).is_err());
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
    assert!(matches!(
        ActivationTable::of_samples(vec![], array![[1.0]], origin()),
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
            with(&names, Provenance::new("toy", InputSpec::new(8)), 2),
            "layer: features (on 'by hand') and unknown",
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
    assert_eq!(selected.features().unwrap(), array![[3.0, 0.5], [0.0, 1.0]]);
    assert_eq!(selected.labels(), [ClassId(0), ClassId(1)]);
    assert_eq!(selected.sample_ids(), ["3", "1"]);
    assert_eq!(selected.groups().unwrap().of_sample(), [0, 1]);
    assert_eq!(selected.split().unwrap().of_sample(), [1, 0]);
}

/// What a seed holds out is part of what makes a run repeatable.
#[test]
fn a_split_is_the_same_as_ever() {
    let labels: Vec<_> = (0..100).map(|i| usize::from(i % 10 == 0)).collect();
    let labels: Vec<_> = labels.into_iter().map(ClassId).collect();
    let parts = [("edit", 0.8), ("measure", 0.2)];
    let split = Split::stratified(&labels, &parts, Seed(1)).unwrap();
    let held_out = [
        7, 11, 13, 14, 19, 20, 21, 24, 42, 43, 45, 48, 56, 57, 58, 60, 63, 86, 88, 89,
    ];
    assert_eq!(split.samples_of("measure").unwrap(), held_out);
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
