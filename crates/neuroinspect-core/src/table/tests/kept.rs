//! Tables that stay in their files.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::Error;

/// In which nothing is held.
const NOTHING: MemoryLimit = MemoryLimit::of_bytes(0);

fn features(samples: usize, neurons: usize) -> Array2<f32> {
    let value = |(sample, neuron)| ((31 * sample + 17 * neuron) % 101) as f32 / 7.0 - 3.0;
    Array2::from_shape_fn((samples, neurons), value)
}

fn made(samples: usize, neurons: usize) -> FeatureTable {
    let labels: Vec<_> = (0..samples).map(|sample| sample % 3).collect();
    let table = of(
        features(samples, neurons),
        &labels,
        &["cat", "dog", "cow"],
        origin(),
    )
    .unwrap();
    let groups = (0..samples).map(|sample| sample % 2).collect();
    let groups = Groups::new(vec!["a".into(), "b".into()], groups).unwrap();
    table.with_groups(groups).unwrap()
}

/// The table as it is in memory, and as it is in a file in the folder.
fn both(table: &FeatureTable, folder: &Path) -> [FeatureTable; 2] {
    let path = folder.join("table.safetensors");
    table.save(&path).unwrap();
    let kept = FeatureTable::load_within(path, NOTHING).unwrap();
    assert_eq!(kept.activations().memory_limit(), Some(NOTHING));
    [table.clone(), kept]
}

#[test]
fn a_table_stays_in_its_file_where_memory_may_not_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.safetensors");
    made(5, 3).save(&path).unwrap();
    let limit = |bytes| {
        let limit = MemoryLimit::of_bytes(bytes);
        let table = FeatureTable::load_within(&path, limit).unwrap();
        assert_eq!(table, made(5, 3));
        table.activations().memory_limit()
    };
    assert_eq!(limit(60), None);
    assert_eq!(limit(59), Some(MemoryLimit::of_bytes(59)));
    assert_eq!(
        FeatureTable::load(&path)
            .unwrap()
            .activations()
            .memory_limit(),
        None
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever chunks are asked for, and wherever they end.
    #[test]
    fn all_that_is_asked_of_it_is_the_same(
        samples in 1_usize..40,
        neurons in 1_usize..6,
        rows in 1_usize..45,
        chosen in prop::collection::vec(0_usize..40, 0..50),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let [memory, kept] = both(&made(samples, neurons), folder.path());
        let chosen: Vec<usize> = chosen.into_iter().map(|it| it % samples).collect();
        prop_assert_eq!(&memory, &kept);
        let chunks = |table: &FeatureTable| -> Vec<Array2<f32>> {
            let chunks = table.activations().chunks_of(rows);
            chunks.map(|chunk| chunk.unwrap().into_owned()).collect()
        };
        prop_assert_eq!(chunks(&memory), chunks(&kept));
        prop_assert_eq!(chunks(&kept).len(), samples.div_ceil(rows));
        let visited = |table: &FeatureTable| {
            let mut all = Vec::new();
            let see = |sample, row: ndarray::ArrayView1<'_, f32>| all.push((sample, row.to_vec()));
            table.activations().visit(chosen.iter().copied(), see).unwrap();
            all
        };
        prop_assert_eq!(visited(&memory), visited(&kept));
        let rows = |table: &FeatureTable| table.activations().rows(&chosen).unwrap();
        prop_assert_eq!(rows(&memory), rows(&kept));
        let [one, two] = [&memory, &kept].map(|table| table.select(&chosen).unwrap());
        prop_assert_eq!(&one, &two);
        // Of the rows chosen, once more.
        let again: Vec<usize> = (0..chosen.len()).rev().step_by(2).collect();
        prop_assert_eq!(one.select(&again).unwrap(), two.select(&again).unwrap());
        let joined = [&memory, &kept].map(|table| {
            table.activations().joined(two.activations()).unwrap()
        });
        prop_assert_eq!(joined[0].len(), samples + chosen.len());
        prop_assert_eq!(&joined[0], &joined[1]);
        // Back and forth over the seam.
        let mixed: Vec<usize> = (0..joined[0].len()).map(|it| (7 * it) % joined[0].len()).collect();
        prop_assert_eq!(joined[0].rows(&mixed).unwrap(), joined[1].rows(&mixed).unwrap());
        for sample in 0..joined[0].len() {
            prop_assert_eq!(joined[0].of_sample(sample).unwrap(), joined[1].of_sample(sample).unwrap());
        }
        for neuron in (0..neurons).map(NeuronId) {
            let column = |table: &FeatureTable| table.activations().column(neuron).unwrap();
            prop_assert_eq!(column(&memory), column(&kept));
            let top = |table: &FeatureTable| table.top_activating(neuron, None, 3).unwrap();
            prop_assert_eq!(top(&memory), top(&kept));
        }
        // All at once, of all samples and of each class.
        let asked: Vec<_> = (0..neurons)
            .flat_map(|neuron| [None, Some(0), Some(1), Some(2)].map(|class| (NeuronId(neuron), class.map(ClassId))))
            .collect();
        for (count, asked) in [(0, &asked[..]), (samples / 2, &asked), (3, &asked[1..3]), (1, &[])] {
            let expected: Vec<Vec<usize>> = asked.iter().map(|(neuron, class)| {
                let column = memory.activations().column(*neuron).unwrap();
                let mut all: Vec<usize> = (0..samples)
                    .filter(|&sample| class.is_none_or(|class| class == memory.labels()[sample]))
                    .collect();
                all.sort_by(|&a, &b| column[b].total_cmp(&column[a]).then(a.cmp(&b)));
                all.truncate(count);
                all
            }).collect();
            for table in [&memory, &kept] {
                prop_assert_eq!(&table.top_activating_each(asked, count).unwrap(), &expected);
            }
        }
        let all: Vec<_> = (0..neurons).map(NeuronId).collect();
        let summaries = kept.summaries(&all).unwrap();
        prop_assert_eq!(&memory.summaries(&all).unwrap(), &summaries);
        for (neuron, summary) in all.iter().zip(summaries) {
            let column = memory.activations().column(*neuron).unwrap();
            prop_assert_eq!(Some(summary.highest), column.iter().copied().reduce(f32::max));
            prop_assert_eq!(summary.mean, memory.mean_features().unwrap()[neuron.0]);
        }
        prop_assert_eq!(memory.mean_features().unwrap(), kept.mean_features().unwrap());
        let layer = DecisionLayer::new(features(3, neurons), ndarray::array![0.0, 0.5, -0.5]).unwrap();
        let [a, b] = [&memory, &kept].map(|table| table.predicted_by(&layer).unwrap());
        prop_assert_eq!(a.predictions(), b.predictions());
        prop_assert_eq!(a.metrics().unwrap(), b.metrics().unwrap());
        // And written again it is the same file.
        let again = folder.path().join("again.safetensors");
        kept.save(&again).unwrap();
        let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        prop_assert!(bytes("again.safetensors") == bytes("table.safetensors"));
    }
}

/// More chunks than one of each kind, and samples of more than one read.
#[test]
fn predictions_and_means_are_those_of_memory_over_many_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let [memory, kept] = both(&made(2500, 1100), folder.path());
    let layer = DecisionLayer::new(features(3, 1100), Array1::zeros(3)).unwrap();
    assert!(layer.rows_at_once() > 2500);
    let [a, b] = [&memory, &kept].map(|table| table.predicted_by(&layer).unwrap());
    assert_eq!(a.predictions(), b.predictions());
    assert_eq!(
        memory.mean_features().unwrap(),
        kept.mean_features().unwrap()
    );
    // More of them than are held at once.
    for count in [1, 5, 700] {
        let asked = [(NeuronId(7), None), (NeuronId(1099), Some(ClassId(2)))];
        let found = kept.top_activating_each(&asked, count).unwrap();
        for ((neuron, class), found) in asked.into_iter().zip(found) {
            let column = memory.activations().column(neuron).unwrap();
            let of_class = |sample: &usize| class.is_none_or(|it| it == memory.labels()[*sample]);
            let mut all: Vec<usize> = (0..2500).filter(of_class).collect();
            all.sort_by(|&a, &b| column[b].total_cmp(&column[a]));
            assert_eq!(found, all[..count]);
        }
    }
    for class in (0..3).map(ClassId) {
        assert_eq!(
            memory.class_mean(class).unwrap(),
            kept.class_mean(class).unwrap()
        );
    }
    assert!(kept.activations().chunks().count() > 2);
    assert!(memory == kept);
}

/// An open file is that file, whatever becomes of its name.
#[cfg(unix)]
#[test]
fn a_file_that_is_deleted_or_replaced_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let [memory, kept] = both(&made(9, 2), folder.path());
    let path = folder.path().join("table.safetensors");
    made(4, 2).save(&path).unwrap();
    assert_eq!(memory, kept);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(memory, kept);
}

#[test]
fn a_file_that_is_cut_off_or_written_to_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.safetensors");
    let open = || OpenOptions::new().write(true).open(&path).unwrap();
    let cut = |file: &mut File| file.set_len(file.metadata().unwrap().len() - 5).unwrap();
    let write = |file: &mut File| {
        file.seek(SeekFrom::End(-4)).unwrap();
        file.write_all(&1.0_f32.to_le_bytes()).unwrap();
        // Files of one moment are not told apart.
        let later = SystemTime::now() + Duration::from_secs(5);
        file.set_modified(later).unwrap();
    };
    let ways: [&dyn Fn(&mut File); 2] = [&cut, &write];
    for way in ways {
        let [_, kept] = both(&made(9, 2), folder.path());
        let mut seen = 0;
        let result = kept.activations().chunks_of(2).try_for_each(|chunk| {
            seen += chunk?.nrows();
            if seen == 4 {
                way(&mut open());
            }
            Ok(())
        });
        let error: Error = result.unwrap_err();
        assert_eq!(seen, 4);
        assert!(matches!(&error, Error::Changed { path: found } if *found == path));
        let message = error.to_string();
        assert!(
            message.contains("table.safetensors' has changed since it was opened"),
            "{message}"
        );
        let layer = DecisionLayer::new(features(3, 2), Array1::zeros(3)).unwrap();
        assert!(matches!(
            kept.predicted_by(&layer),
            Err(Error::Changed { .. })
        ));
        assert!(matches!(kept.mean_features(), Err(Error::Changed { .. })));
        assert!(matches!(kept.feature(0), Err(Error::Changed { .. })));
        assert_ne!(kept, kept.clone(), "what cannot be read is not the same");
        let copy = kept.save(folder.path().join("copy"));
        assert!(matches!(copy, Err(Error::Write { .. })));
        assert!(!folder.path().join("copy").exists());
    }
}

#[test]
fn a_value_that_is_not_finite_is_named_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.safetensors");
    made(9, 2).save(&path).unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    // The last but two: of neuron 1 and the last sample but one.
    file.seek(SeekFrom::End(-12)).unwrap();
    file.write_all(&f32::NAN.to_le_bytes()).unwrap();
    drop(file);
    let message = FeatureTable::load(&path).unwrap_err().to_string();
    let kept = FeatureTable::load_within(&path, NOTHING).unwrap();
    assert!(
        message.contains("activation of neuron 1 on sample '7' is not finite"),
        "{message}"
    );
    assert!(kept.feature(6).is_ok());
    let of_rows = kept.activations().rows(&[8, 7]).map(drop);
    let selected = kept.select(&[0, 8, 7]).unwrap();
    for found in [
        kept.feature(7).map(drop),
        of_rows,
        kept.mean_features().map(drop),
        selected.feature(2).map(drop),
        selected
            .activations()
            .joined(kept.activations())
            .unwrap()
            .of_sample(10)
            .map(drop),
    ] {
        assert_eq!(found.unwrap_err().to_string(), message);
    }
}

/// A file of holes, of which nothing is read.
#[test]
fn what_is_larger_than_memory_is_refused_with_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 1 << 16;
    let mut all = CollectedRows::new(1 << 8, folder.path(), NOTHING);
    let zeros = vec![0.0; 1 << 20];
    for _ in 0..16 {
        all.push(&zeros).unwrap();
    }
    let ids: Vec<String> = (0..rows).map(|it| it.to_string()).collect();
    let table = all.into_table(ids, origin()).unwrap();
    let message = table.values().unwrap_err().to_string();
    let expected = "activations of 65536 samples and 256 neurons take 64 MiB, more than the 0 bytes of a table";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("--memory"));
    // Few are given whatever the limit is.
    assert!(table.rows(&(0..rows / 2).collect::<Vec<_>>()).is_ok());
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "it has no name"
    );
}

#[test]
fn rows_are_collected_in_memory_or_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = features(10, 3);
    let values: Vec<f32> = whole.iter().copied().collect();
    let ids: Vec<String> = (0..10).map(|it| it.to_string()).collect();
    for limit in [0, 13, 48, 119, 120] {
        let limit = MemoryLimit::of_bytes(limit);
        let mut rows = CollectedRows::new(3, folder.path(), limit);
        for part in values.chunks(9) {
            rows.push(part).unwrap();
        }
        let table = rows.into_table(ids.clone(), origin()).unwrap();
        let is_kept = table.memory_limit().is_some();
        assert_eq!(is_kept, !limit.holds(10, 3), "{limit}");
        assert_eq!(
            table,
            ActivationTable::new(whole.clone(), origin()).unwrap()
        );
    }
    let mut rows = CollectedRows::new(3, folder.path(), NOTHING);
    rows.push(&values[..29]).unwrap();
    assert!(matches!(
        rows.into_table(ids.clone(), origin()),
        Err(Error::Length { .. })
    ));
    for limit in [NOTHING, MemoryLimit::default()] {
        let mut rows = CollectedRows::new(3, folder.path(), limit);
        let mut damaged = values.clone();
        (damaged[14], damaged[20]) = (f32::INFINITY, f32::NAN);
        damaged.chunks(6).for_each(|part| rows.push(part).unwrap());
        let message = rows
            .into_table(ids.clone(), origin())
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("activation of neuron 2 on sample '4' is not finite (inf)"),
            "{message}"
        );
    }
    let mut nowhere = CollectedRows::new(3, folder.path().join("none"), NOTHING);
    assert!(matches!(nowhere.push(&values), Err(Error::Write { .. })));
}
