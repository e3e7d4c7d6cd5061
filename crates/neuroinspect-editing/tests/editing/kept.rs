//! Tables that stay in their files: every method makes of them what it makes of tables in memory.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, Groups, MemoryLimit, NeuronId, Seed,
    Silent,
};
use neuroinspect_editing::{
    Concept, DeviceTable, EditData, EditSession, Error, METHODS, Mend, MethodArguments,
    MethodInput, Samples, Storage, TrainingConfig, Tuner, method_named, suspects,
};
use neuroinspect_testing::tables::{random_layer, random_table};
use serde_json::Map;

const CLASSES: usize = 4;
const NEURONS: usize = 6;

/// Tables of 24 bytes a sample are larger, and so are their parts than an eighth of it.
const LIMIT: MemoryLimit = MemoryLimit::of_bytes(256);

/// Samples of which a random layer gets a third wrong, in two groups.
fn made(name: &str, samples: usize) -> FeatureTable {
    let table = random_table(name, samples, &random_layer(CLASSES, NEURONS));
    let label = |(sample, label): (usize, &ClassId)| match sample % 3 {
        0 => ClassId((label.0 + 1 + sample % 2) % CLASSES),
        _ => *label,
    };
    let labels = table.labels().iter().enumerate().map(label).collect();
    let names = table.class_names().to_vec();
    let groups = (0..samples).map(|sample| (sample / 3) % 2).collect();
    let groups = Groups::new(vec!["a".into(), "b".into()], groups).unwrap();
    let table = FeatureTable::new(table.activations().clone(), labels, names).unwrap();
    table.with_groups(groups).unwrap()
}

fn kept(name: &str, table: &FeatureTable, folder: &Path) -> FeatureTable {
    let path = folder.join(name).with_extension("safetensors");
    table.save(&path).unwrap();
    let kept = FeatureTable::load_within(path, LIMIT).unwrap();
    assert!(kept.activations().memory_limit().is_some());
    kept
}

/// The same three tables in memory and in files.
fn both(folder: &Path) -> [[Arc<FeatureTable>; 3]; 2] {
    let tables = [("train", 150), ("validation", 90), ("evaluation", 70)];
    let in_files = tables.map(|(name, samples)| kept(name, &made(name, samples), folder));
    let in_memory = tables.map(|(name, samples)| made(name, samples));
    [in_memory, in_files].map(|tables| tables.map(Arc::new))
}

fn arguments() -> MethodArguments {
    MethodArguments {
        class: Some(ClassId(1)),
        neurons: [4, 2].map(NeuronId).to_vec(),
        training: TrainingConfig::default().with_epochs(2, None),
        concepts: [(1, 3.0), (2, -2.0)]
            .map(|(class, value)| Concept {
                class: ClassId(class),
                features: (0..NEURONS).map(|it| value * it as f32).collect(),
            })
            .to_vec(),
    }
}

fn session(tables: &[Arc<FeatureTable>; 3]) -> EditSession {
    let [train, validation, evaluation] = tables;
    let data = EditData::of_parts(train, validation, evaluation).unwrap();
    EditSession::new(data, &random_layer(CLASSES, NEURONS), &Device::flex()).unwrap()
}

#[test]
fn every_method_makes_the_same_layer() {
    let folder = tempfile::tempdir().unwrap();
    let [in_memory, in_files] = both(folder.path()).map(|tables| session(&tables));
    assert_eq!(in_memory.before(), in_files.before());
    let mut made = 0;
    for name in METHODS {
        let made_by = |session: &EditSession| {
            let method = method_named(name, &arguments(), &Map::new()).unwrap();
            session.edit(method.as_ref(), &mut Silent)
        };
        match (made_by(&in_memory), made_by(&in_files)) {
            (Ok(one), Ok(two)) => {
                assert_eq!(one, two, "{name}");
                made += 1;
            }
            (one, two) => assert_eq!(one.unwrap_err().to_string(), two.unwrap_err().to_string()),
        }
    }
    assert!(made + 1 >= METHODS.len(), "{made} of {}", METHODS.len());
}

#[test]
fn a_mend_is_chosen_and_made_alike() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = both(folder.path()).map(|tables| {
        let session = session(&tables);
        let mend = Mend::new(Some(ClassId(1))).with_training(arguments().training);
        let recommended = session.recommend(&mend, &mut Silent).unwrap();
        let suspected = suspects(&session.input().unwrap(), None).unwrap();
        let preview = session.preview(&[NeuronId(3), NeuronId(0)]).unwrap();
        let mended = session.mend(&mend, &mut Silent).unwrap();
        (mended, recommended, suspected, preview.comparison)
    });
    assert_eq!(one, two);
}

#[test]
fn parts_and_options_are_chosen_alike() {
    let folder = tempfile::tempdir().unwrap();
    let layer = random_layer(CLASSES, NEURONS);
    let [one, two] = both(folder.path()).map(|[table, other, _]| {
        let data = EditData::halves(&table, Seed(3)).unwrap();
        let joined = data.train().joined(data.validation()).unwrap();
        let again = EditData::of_parts(joined.clone(), &other, &table).unwrap();
        let on_device = |samples: &Samples| {
            let storage = Storage::of(samples);
            DeviceTable::new(samples.clone(), &Device::flex(), storage).unwrap()
        };
        let (train, validation) = (on_device(data.train()), on_device(data.validation()));
        let input = MethodInput::new(&train, &validation, &layer).unwrap();
        let tuner = Tuner::new(&input, Seed(1)).unwrap();
        let tuned = tuner.choose("afr", &arguments(), &mut Silent).unwrap();
        let all: Vec<usize> = (0..joined.len()).collect();
        let counts = (
            data.also_trained_on().unwrap(),
            again.also_trained_on().unwrap(),
        );
        (tuned, joined.features(&all).unwrap(), counts)
    });
    assert_eq!(one.2, (0, joined_part()));
    assert_eq!(one, two);
}

/// How many of the table's samples are not measured on: a half of each class.
fn joined_part() -> usize {
    let table = Arc::new(made("train", 150));
    let data = EditData::halves(&table, Seed(3)).unwrap();
    data.train().len() + data.validation().len()
}

/// Batches go to the device when their turn comes, small parts of a large table once.
#[test]
fn what_of_a_large_table_is_kept_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let table = made("train", 150);
    let in_file = Arc::new(kept("train", &table, folder.path()));
    let of = |rows: usize| Storage::of(&Samples::of_rows(&in_file, (0..rows).collect()).unwrap());
    assert_eq!(Storage::of(&Samples::from(&in_file)), Storage::Host);
    // 32 bytes, of 24 bytes a sample.
    assert_eq!((of(1), of(2)), (Storage::Device, Storage::Host));
    assert_eq!(Storage::of(&table.into()), Storage::Device);
}

#[test]
fn a_file_that_is_cut_off_ends_what_works_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let [_, tables] = both(folder.path());
    let session = session(&tables);
    let path = folder.path().join("train.safetensors");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let is_named = |error: Error| match error {
        Error::Core(CoreError::Changed { path: found }) => assert_eq!(found, path),
        other => panic!("{other:?}"),
    };
    let arguments = arguments();
    let retrain = method_named("retrain", &arguments, &Map::new()).unwrap();
    is_named(session.edit(retrain.as_ref(), &mut Silent).unwrap_err());
    is_named(
        session
            .recommend(&Mend::new(None), &mut Silent)
            .unwrap_err(),
    );
    // What does not look at that table goes on.
    assert!(
        session
            .measure(&DecisionLayer::clone(session.layer()))
            .is_ok()
    );
}
