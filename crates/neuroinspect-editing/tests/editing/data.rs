//! Samples, and what is edited and measured on.

use std::sync::Arc;

use ndarray::Array2;
use neuroinspect_core::{ActivationTable, Error as CoreError, FeatureTable, Groups, Seed, Split};
use neuroinspect_editing::{EditData, Error, Samples};
use neuroinspect_testing::tables::{random_layer, random_table, table};

fn samples(name: &str, count: usize) -> Arc<FeatureTable> {
    Arc::new(random_table(name, count, &random_layer(4, 6)))
}

#[test]
fn parts_of_a_table_are_rows_of_it() {
    let table = samples("a", 40);
    let data = EditData::new(&table, samples("b", 12), Seed(3)).unwrap();
    let (train, validation) = (data.train(), data.validation());
    for part in [train, validation] {
        assert!(Arc::ptr_eq(part.table(), &table), "nothing is copied");
    }
    // 15 % of the ten samples of each class, rounded.
    assert_eq!((train.len(), validation.len()), (32, 8));
    let mut rows: Vec<usize> = [train, validation]
        .iter()
        .flat_map(|part| (0..part.len()).map(|sample| part.row(sample)))
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, (0..40).collect::<Vec<_>>());
    for sample in 0..train.len() {
        let row = train.row(sample);
        assert_eq!(train.labels()[sample], table.labels()[row]);
        assert_eq!(train.id(sample), table.sample_ids()[row]);
        assert_eq!(train.feature(sample).unwrap(), table.feature(row).unwrap());
    }
    let again = EditData::new(&table, samples("b", 12), Seed(3)).unwrap();
    assert_eq!(again.validation().labels(), validation.labels());
    let selected = (0..train.len()).map(|sample| train.row(sample));
    let selected = table.select(&selected.collect::<Vec<_>>()).unwrap();
    let expected = selected.mean_features().unwrap();
    assert_eq!(train.mean_features().unwrap(), expected);
}

#[test]
fn too_few_samples_to_hold_some_out_are_refused() {
    // 15 % of three samples is less than half a sample.
    let error = EditData::new(samples("a", 12), samples("b", 12), Seed(3)).unwrap_err();
    assert!(
        matches!(error, Error::NoneHeldOut { samples: 12 }),
        "{error}"
    );
    EditData::new(samples("a", 16), samples("b", 12), Seed(3)).unwrap();
}

#[test]
fn groups_go_with_their_samples() {
    let names = vec!["even".into(), "odd".into()];
    let of_sample = (0..8).map(|sample| sample % 2).collect();
    let table = table(Array2::zeros((8, 1)), &[0; 8], 1)
        .with_groups(Groups::new(names, of_sample).unwrap())
        .unwrap();
    let some = Samples::of_rows(&Arc::new(table), vec![7, 2, 4]).unwrap();
    assert_eq!(some.groups().unwrap().of_sample(), [1, 0, 0]);
}

#[test]
fn samples_are_joined_by_the_names_of_their_groups() {
    let grouped = |names: [&str; 2], of_sample: Vec<usize>| {
        let features = Array2::from_shape_fn((of_sample.len(), 1), |(row, _)| row as f32);
        let labels = vec![0; of_sample.len()];
        let groups = Groups::new(names.map(String::from).to_vec(), of_sample).unwrap();
        table(features, &labels, 1).with_groups(groups).unwrap()
    };
    let one = grouped(["land", "water"], vec![0, 1]);
    let other = grouped(["water", "air"], vec![1, 0, 1]);
    let both = Samples::from(one).joined(&other.into()).unwrap();
    let features = both.table().features().unwrap();
    assert_eq!(features.column(0).to_vec(), [0.0, 1.0, 0.0, 1.0, 2.0]);
    let groups = both.groups().unwrap();
    assert_eq!(groups.names(), ["land", "water", "air"]);
    assert_eq!(groups.of_sample(), [0, 1, 2, 1, 2]);
    let ids: Vec<_> = (0..5).map(|sample| both.id(sample)).collect();
    let (of_one, of_other) = (ids[..2].to_vec(), ids[2..].to_vec());
    assert_eq!(of_one, of_other[..2], "samples keep their ids");
    let others = Samples::from(samples("a", 4));
    assert!(others.joined(&both).is_err(), "of other classes");
}

/// Views of all images, of which only those of training samples are learnt from.
#[test]
fn views_are_of_training_samples_alone() {
    let table = samples("a", 80);
    let view = |row: usize| format!("{}#{}", table.sample_ids()[row % 80], 1 + row / 80);
    let features = Array2::from_shape_fn((160, 6), |(row, _)| (row % 80) as f32);
    let provenance = table.provenance().clone();
    let ids = (0..160).map(view).collect();
    let features = ActivationTable::of_samples(ids, features, provenance).unwrap();
    let labels = (0..160).map(|row| table.labels()[row % 80]).collect();
    let names = table.class_names().to_vec();
    let views = FeatureTable::new(features, labels, names.clone()).unwrap();
    let views = Arc::new(views);

    let without = EditData::halves(&table, Seed(0)).unwrap();
    let data = without.clone().with_views(&views).unwrap();
    let images: Vec<_> = (0..32).map(|sample| without.train().row(sample)).collect();
    let sizes = [data.train(), data.validation(), data.evaluation()].map(Samples::len);
    assert_eq!(sizes, [32 + 64, 8, 40]);
    for (sample, &image) in images.iter().enumerate() {
        assert_eq!(
            data.train().feature(sample).unwrap(),
            table.feature(image).unwrap()
        );
    }
    for sample in 32..96 {
        let image = data.train().feature(sample).unwrap()[0] as usize;
        assert!(images.contains(&image), "a view of a sample held out");
        assert_eq!(data.train().labels()[sample], table.labels()[image]);
    }
    let rows = |samples: &Samples| {
        (0..samples.len())
            .map(|it| samples.row(it))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(data.validation()), rows(without.validation()));
    assert_eq!(rows(data.evaluation()), rows(without.evaluation()));
    assert_eq!(data.also_trained_on().unwrap(), 0);

    let error = without.with_views(&table).unwrap_err();
    assert!(matches!(error, Error::NoViews { views: 80 }), "{error}");
}

#[test]
fn one_table_is_halved_and_halved_again() {
    let data = EditData::halves(samples("a", 80), Seed(0)).unwrap();
    let sizes = [data.train(), data.validation(), data.evaluation()].map(Samples::len);
    assert_eq!(sizes, [32, 8, 40]);
    assert_eq!(data.also_trained_on().unwrap(), 0);
}

#[test]
fn a_table_that_is_split_is_edited_by_its_parts() {
    let table = FeatureTable::clone(&samples("a", 40));
    let unsplit = Arc::new(table.clone());
    let names = ["tr", "va", "te"];
    let error = EditData::of_split(&unsplit, names).unwrap_err();
    assert!(matches!(error, Error::NoSplit));
    let of_sample = (0..40).map(|sample| [0, 0, 1, 2, 2][sample % 5]).collect();
    let split = Split::new(names.map(String::from).to_vec(), of_sample).unwrap();
    let table = Arc::new(table.with_split(split).unwrap());
    let data = EditData::of_split(&table, names).unwrap();
    let parts = [data.train(), data.validation(), data.evaluation()];
    assert_eq!(parts.map(Samples::len), [16, 8, 16]);
    assert_eq!(parts.map(|part| part.row(1)), [1, 7, 4]);
    assert!(parts.iter().all(|part| Arc::ptr_eq(part.table(), &table)));
    let error = EditData::of_split(&table, ["tr", "va", "test"]).unwrap_err();
    assert!(matches!(error, Error::Core(CoreError::UnknownPart { .. })));
}

#[test]
fn samples_trained_on_and_measured_on_are_counted() {
    let table = samples("a", 40);
    let all = EditData::new(&table, &table, Seed(0)).unwrap();
    assert_eq!(all.also_trained_on().unwrap(), 40);
    let some = Samples::of_rows(&table, vec![3, 4, 5]).unwrap();
    let some = EditData::of_parts(some, &table, &table).unwrap();
    assert_eq!(some.also_trained_on().unwrap(), 40, "validated on");
    // Other images under the same ids.
    let other = EditData::new(&table, samples("b", 40), Seed(0)).unwrap();
    assert_eq!(other.also_trained_on().unwrap(), 0);
    assert_eq!(all.evaluated_among(&table, &[1, 2]).unwrap(), 2);
}

#[test]
fn what_cannot_be_edited_on_is_refused() {
    let table = samples("a", 40);
    let none = Samples::of_rows(&table, vec![]).unwrap();
    for (data, what) in [
        (
            EditData::of_parts(none.clone(), &table, &table),
            "to edit on",
        ),
        (
            EditData::of_parts(&table, none.clone(), &table),
            "to validate",
        ),
        (EditData::of_parts(&table, &table, none), "to measure"),
    ] {
        let error = data.unwrap_err();
        assert!(matches!(error, Error::Core(CoreError::Empty { .. })));
        assert!(error.to_string().contains(what), "{error}");
    }
    let narrow = Arc::new(random_table("a", 8, &random_layer(4, 5)));
    let error = EditData::new(&table, narrow, Seed(0)).unwrap_err();
    assert!(matches!(
        error,
        Error::Core(CoreError::DifferentTables { .. })
    ));
    assert!(matches!(
        Samples::of_rows(&table, vec![40]),
        Err(Error::Core(CoreError::OutOfRange { index: 40, .. }))
    ));
}
