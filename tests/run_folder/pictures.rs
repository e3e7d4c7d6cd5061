//! Pictures of neurons.

use std::{collections::BTreeMap, fs, path::PathBuf, time::SystemTime};

use neuroinspect::{
    Kept, PictureFolder, PictureOrigin, RunFolder,
    core::{ClassId, Classifier, NeuronId, Observer, Silent},
    illusion::{Execution, Illusion, Networks, Pair, Request},
};
use neuroinspect_testing::networks::TinyClassifier;
use tempfile::TempDir;

use crate::{STEPS, device, model, recipe, stopping_at};

fn pairs(count: usize) -> Vec<Pair> {
    (0..count)
        .map(|index| Pair {
            neuron: NeuronId(index % TinyClassifier::NEURONS),
            class: ClassId(index % TinyClassifier::CLASSES),
        })
        .collect()
}

fn origin() -> PictureOrigin {
    PictureOrigin {
        classifier_sha256: "weights".to_owned(),
        encoder_sha256: None,
        encoder_config_sha256: None,
        device: device(),
    }
}

struct Pictures {
    root: TempDir,
    folder: PictureFolder,
    networks: Networks,
}

impl Pictures {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            folder: Self::folder(&root, "debug", origin()),
            networks: Networks::of(&model(), None).unwrap(),
            root,
        }
    }

    fn folder(root: &TempDir, command: &str, origin: PictureOrigin) -> PictureFolder {
        let folder = RunFolder::open(root, None).unwrap();
        folder.pictures(command, origin)
    }

    fn request(&self, count: usize) -> Request {
        Request::new(pairs(count), recipe()).with_execution(Execution::new().with_batch_size(2))
    }

    fn visualize(&self, request: &Request, observer: &mut dyn Observer) -> (Vec<Illusion>, Kept) {
        let mut illusions = Vec::new();
        let mut on_batch = |batch| illusions.extend(batch);
        let kept = self
            .folder
            .visualize(&self.networks, request, observer, &mut on_batch)
            .unwrap();
        (illusions, kept)
    }

    fn times(&self) -> BTreeMap<PathBuf, SystemTime> {
        let files = fs::read_dir(self.root.path().join("pictures/debug"));
        let files = files.unwrap().map(|file| file.unwrap());
        files
            .map(|file| (file.path(), file.metadata().unwrap().modified().unwrap()))
            .collect()
    }
}

#[test]
fn a_stopped_run_is_taken_up_at_the_batch_it_had_come_to() {
    let alone = Pictures::new();
    let (expected, kept) = alone.visualize(&alone.request(5), &mut Silent);
    assert_eq!((expected.len(), kept.reused), (5, 0));

    for step in 1..3 * STEPS {
        let bench = Pictures::new();
        let request = bench.request(5);
        let (_, kept) = bench.visualize(&request, &mut stopping_at(step));
        assert!(kept.shortfall.interrupted);
        let finished = match step / STEPS {
            0 => BTreeMap::new(),
            _ => bench.times(),
        };
        assert_eq!(finished.len(), step / STEPS);

        let (illusions, kept) = bench.visualize(&request, &mut Silent);
        // Every pixel and every score, to the last bit.
        assert_eq!(illusions, expected, "stopped at step {step}");
        assert_eq!(kept.reused, 2 * finished.len());
        assert!(!kept.shortfall.interrupted);
        let times = bench.times();
        assert_eq!(times.len(), 3);
        for (path, time) in finished {
            assert_eq!(times[&path], time, "made again");
        }
    }
}

#[test]
fn only_the_same_pictures_are_taken_up() {
    let mut bench = Pictures::new();
    let request = bench.request(4);
    let reused = |bench: &Pictures, request: &Request| {
        let (illusions, kept) = bench.visualize(request, &mut Silent);
        assert_eq!(illusions.len(), request.pairs.len());
        kept.reused
    };
    assert_eq!(reused(&bench, &request), 0);
    assert_eq!(reused(&bench, &request), 4);
    // The first batch is the same.
    assert_eq!(reused(&bench, &bench.request(3)), 2);
    assert_eq!(bench.times().len(), 2, "what is not asked for is removed");
    assert_eq!(reused(&bench, &request), 2);

    let other = |change: fn(&mut Request)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    for (number, other) in [
        other(|it| it.recipe.seed.0 += 1),
        other(|it| it.recipe.learning_rate *= 2.0),
        other(|it| it.execution.batch_size = 3),
        other(|it| it.pairs.swap(0, 3)),
        request.clone(),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(reused(&bench, other), 0, "request {number}");
        assert_eq!(reused(&bench, other), 4, "request {number}");
    }

    let of_encoder = |config: &str| PictureOrigin {
        encoder_sha256: Some("encoder".to_owned()),
        encoder_config_sha256: Some(config.to_owned()),
        ..origin()
    };
    for other in [
        PictureOrigin {
            classifier_sha256: "other weights".to_owned(),
            ..origin()
        },
        of_encoder("wide heads"),
        of_encoder("narrow heads"),
    ] {
        bench.folder = Pictures::folder(&bench.root, "debug", other);
        assert_eq!(reused(&bench, &request), 0);
        assert_eq!(reused(&bench, &request), 4);
    }
    // Another decision layer is another classifier, whatever its weights' file.
    let mut model = model();
    let layer = neuroinspect_testing::tables::random_layer(4, 6);
    model.set_decision_layer(&layer).unwrap();
    bench.networks = Networks::of(&model, None).unwrap();
    assert_eq!(reused(&bench, &request), 0);
}

#[test]
fn another_commands_pictures_stay() {
    let mut bench = Pictures::new();
    let of_debug = bench.request(4);
    assert_eq!(bench.visualize(&of_debug, &mut Silent).1.reused, 0);
    bench.folder = Pictures::folder(&bench.root, "visualize", origin());
    let of_visualize = bench.request(3);
    assert_eq!(bench.visualize(&of_visualize, &mut Silent).1.reused, 0);
    bench.folder = Pictures::folder(&bench.root, "debug", origin());
    assert_eq!(bench.visualize(&of_debug, &mut Silent).1.reused, 4);
}

#[test]
fn a_damaged_file_of_pictures_is_made_again() {
    let bench = Pictures::new();
    let request = bench.request(4);
    let (expected, _) = bench.visualize(&request, &mut Silent);
    let first = bench.times().into_keys().next().unwrap();
    let whole = fs::read(&first).unwrap();
    for damaged in [&whole[..whole.len() - 1], b"", b"something else"] {
        fs::write(&first, damaged).unwrap();
        let (illusions, kept) = bench.visualize(&request, &mut Silent);
        assert_eq!(illusions, expected);
        assert_eq!(kept.reused, 2);
        assert_eq!(fs::read(&first).unwrap(), whole);
    }
}

#[test]
fn pictures_that_cannot_be_kept_stop_the_work() {
    let bench = Pictures::new();
    fs::write(bench.root.path().join("pictures"), "in the way").unwrap();
    let mut made = 0;
    let mut on_batch = |batch: Vec<Illusion>| made += batch.len();
    let kept = bench.folder.visualize(
        &bench.networks,
        &bench.request(6),
        &mut Silent,
        &mut on_batch,
    );
    let error = kept.unwrap_err();
    assert!(error.to_string().contains("pictures"), "{error}");
    assert!(made < 6, "{made}");
}
