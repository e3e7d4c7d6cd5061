//! Pictures of neurons.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::PathBuf, time::SystemTime};

use ndarray::Array4;
use neuroinspect::{
    Error, Kept, PictureFolder, PictureOrigin, RunFolder,
    core::{ClassId, Classifier, DecisionLayer, NeuronId, Observer, Progress, Silent},
    illusion::{
        Diverged, Error as IllusionError, Execution, Illusion, Initial, Networks, Objective, Pair,
        Request,
    },
};
use neuroinspect_testing::networks::TinyClassifier;
use tempfile::TempDir;

use super::{SIDE, STEPS, device, model, recipe, stopping_at};

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
        complete: true,
    }
}

struct Pictures {
    root: TempDir,
    run: RunFolder,
    folder: PictureFolder,
    networks: Networks,
}

impl Pictures {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::open(&root, None).unwrap();
        Self {
            folder: run.pictures("debug", origin()),
            networks: Networks::of(&model(), None).unwrap(),
            run,
            root,
        }
    }

    /// The logit of class 0 is finite, but not its share in the objective of
    /// [`diverging_request`](Self::diverging_request).
    fn diverging() -> Self {
        let mut model = model();
        let layer = model.decision_layer().unwrap();
        let mut weight = layer.weight().to_owned();
        weight.row_mut(0).fill(1e35);
        let layer = DecisionLayer::new(weight, layer.bias().to_owned()).unwrap();
        model.set_decision_layer(&layer).unwrap();
        Self {
            networks: Networks::of(&model, None).unwrap(),
            ..Self::new()
        }
    }

    fn request(&self, count: usize) -> Request {
        Request::new(pairs(count), recipe())
            .with_execution(Execution::default().with_batch_size(2).with_other_seeds(0))
    }

    fn diverging_request(&self, count: usize) -> Request {
        let mut request = self.request(count);
        request.recipe.objective = Objective::without_clip(1e15);
        request
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

    /// As [`visualize`](Self::visualize), and how many steps were taken.
    fn visualize_counting(&self, request: &Request) -> (Vec<Illusion>, Kept, usize) {
        let mut steps = 0;
        let mut observer = |_: Progress<'_>| {
            steps += 1;
            ControlFlow::Continue(())
        };
        let (illusions, kept) = self.visualize(request, &mut observer);
        (illusions, kept, steps)
    }

    /// The files of pictures, or those of states, and when they were written.
    fn times_of(&self, states: bool) -> BTreeMap<PathBuf, SystemTime> {
        let Ok(files) = fs::read_dir(self.root.path().join("pictures/debug")) else {
            return BTreeMap::new();
        };
        files
            .map(|file| file.unwrap())
            .filter(|file| file.path().to_str().unwrap().contains(".state.") == states)
            .map(|file| (file.path(), file.metadata().unwrap().modified().unwrap()))
            .collect()
    }

    fn times(&self) -> BTreeMap<PathBuf, SystemTime> {
        self.times_of(false)
    }

    fn states(&self) -> usize {
        self.times_of(true).len()
    }
}

#[test]
fn a_stopped_run_is_taken_up_at_the_step_it_had_come_to() {
    let alone = Pictures::new();
    let (expected, kept) = alone.visualize(&alone.request(5), &mut Silent);
    assert_eq!((expected.len(), kept.reused), (5, 0));
    assert_eq!(alone.states(), 0);

    for step in 1..3 * STEPS {
        let bench = Pictures::new();
        let request = bench.request(5);
        let (_, kept) = bench.visualize(&request, &mut stopping_at(step));
        assert!(kept.shortfall.interrupted);
        let finished = bench.times();
        assert_eq!(finished.len(), step / STEPS);
        assert_eq!(bench.states(), usize::from(!step.is_multiple_of(STEPS)));

        let (illusions, kept, steps) = bench.visualize_counting(&request);
        // Every pixel and every score, to the last bit.
        assert_eq!(illusions, expected, "stopped at step {step}");
        assert_eq!(steps, 3 * STEPS - step);
        assert_eq!(bench.states(), 0);
        assert_eq!(kept.reused, 2 * finished.len());
        assert!(!kept.shortfall.interrupted);
        let times = bench.times();
        assert_eq!(times.len(), 3);
        for (path, time) in finished {
            assert_eq!(times[&path], time, "made again");
        }
    }
}

/// What a run that is killed leaves is what lies there at that moment: a copy is taken at each step.
#[test]
fn a_killed_run_is_taken_up_at_its_last_checkpoint() {
    let alone = Pictures::new();
    let mut request = alone.request(5);
    request.execution.checkpoint_every = 3;
    let killed: Vec<Pictures> = (0..3 * STEPS).map(|_| Pictures::new()).collect();
    let mut copies = killed.iter();
    let mut observer = |_: Progress<'_>| {
        let copy = copies.next().unwrap().root.path().join("pictures/debug");
        if let Ok(files) = fs::read_dir(alone.root.path().join("pictures/debug")) {
            fs::create_dir_all(&copy).unwrap();
            for file in files.map(|file| file.unwrap()) {
                fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        ControlFlow::Continue(())
    };
    let (expected, _) = alone.visualize(&request, &mut observer);
    for (step, bench) in (1..).zip(&killed) {
        let in_batch = (step - 1) % STEPS + 1;
        let left = match in_batch {
            // The last step is heard of before the batch is finished.
            3.. => step - in_batch + 3,
            _ => step - in_batch,
        };
        // How often does not matter any more.
        request.execution.checkpoint_every = 1 + step % 2;
        let (illusions, kept, steps) = bench.visualize_counting(&request);
        assert_eq!(illusions, expected, "killed at step {step}");
        assert_eq!(steps, 3 * STEPS - left, "killed at step {step}");
        assert_eq!(kept.reused, 2 * (left / STEPS));
        assert_eq!(bench.states(), 0);
        assert_eq!(bench.times().len(), 3);
    }
}

/// The first pair of the first batch diverges, and the third batch as a whole.
#[test]
fn pairs_that_diverged_are_told_of_again_and_not_made_again() {
    let alone = Pictures::diverging();
    let (expected, kept_alone) = alone.visualize(&alone.diverging_request(5), &mut Silent);
    let diverged = [0, 4].map(|index| Diverged {
        pair: pairs(5)[index],
        step: 0,
    });
    assert_eq!(kept_alone.shortfall.diverged, diverged);
    assert_eq!(expected.len(), 3);

    for step in 1..3 * STEPS {
        let bench = Pictures::diverging();
        let request = bench.diverging_request(5);
        let (_, kept) = bench.visualize(&request, &mut stopping_at(step));
        let finished = bench.times();
        if kept.shortfall.interrupted {
            assert_eq!(finished.len(), step / STEPS);
        }
        let (illusions, kept) = bench.visualize(&request, &mut Silent);
        assert_eq!(illusions, expected, "stopped at step {step}");
        assert_eq!(
            kept.shortfall, kept_alone.shortfall,
            "stopped at step {step}"
        );
        let times = bench.times();
        assert_eq!(times.len(), 3);
        for (path, time) in finished {
            assert_eq!(times[&path], time, "made again");
        }
        let (_, kept, steps) = bench.visualize_counting(&request);
        assert_eq!((kept.reused, steps), (3, 0));
    }
}

#[test]
fn that_all_pairs_diverged_is_the_same_error_again() {
    let bench = Pictures::diverging();
    let pair = pairs(5)[0];
    let request = Request {
        pairs: vec![pair; 3],
        ..bench.diverging_request(1)
    };
    let mut heard = 0;
    for expected in [2, 0] {
        let mut observer = |_: Progress<'_>| {
            heard += 1;
            ControlFlow::Continue(())
        };
        let mut none = |batch: Vec<Illusion>| assert!(batch.is_empty());
        let kept = (bench.folder).visualize(&bench.networks, &request, &mut observer, &mut none);
        match kept.unwrap_err() {
            Error::Illusion(IllusionError::Diverged(diverged)) => assert_eq!(diverged.pair, pair),
            other => panic!("{other}"),
        }
        assert_eq!(std::mem::take(&mut heard), expected, "batches");
    }
}

#[test]
fn kept_pictures_hold_their_folder() {
    let Pictures {
        root, run, folder, ..
    } = Pictures::new();
    drop(run);
    let error = RunFolder::open(&root, None).unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    drop(folder);
    RunFolder::open(&root, None).unwrap();
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
        bench.folder = bench.run.pictures("debug", other);
        assert_eq!(reused(&bench, &request), 0);
        assert_eq!(reused(&bench, &request), 4);
    }
    // Weights of which some are random are not known by a hash.
    let partly = PictureOrigin {
        complete: false,
        ..origin()
    };
    bench.folder = bench.run.pictures("debug", partly);
    for _ in 0..2 {
        assert_eq!(reused(&bench, &request), 0);
    }
    bench.folder = bench.run.pictures("debug", origin());
    // Another decision layer is another classifier, whatever its weights' file.
    let mut model = model();
    let layer = neuroinspect_testing::tables::random_layer(4, 6);
    model.set_decision_layer(&layer).unwrap();
    bench.networks = Networks::of(&model, None).unwrap();
    assert_eq!(reused(&bench, &request), 0);
}

/// Images to start from belong to what decides a picture, each to that of its own pair.
#[test]
fn pictures_that_start_from_images_are_kept() {
    let images = |count| {
        Array4::from_shape_fn((count, 3, SIDE, SIDE), |(n, c, y, x)| {
            ((7 * n + 5 * c + 3 * y + 2 * x) % 11) as f32 / 10.0
        })
    };
    let bench = Pictures::new();
    let request = bench.request(5).with_initial(Initial::Images(images(5)));
    let (expected, kept) = bench.visualize(&request, &mut Silent);
    assert_eq!((expected.len(), kept.reused), (5, 0));
    let (again, kept, steps) = bench.visualize_counting(&request);
    assert_eq!((again, kept.reused, steps), (expected.clone(), 5, 0));

    // Stopped in the second batch, taken up with the images of the pairs that are left.
    let stopped = Pictures::new();
    let _ = stopped.visualize(&request, &mut stopping_at(STEPS + 1));
    let (again, kept, steps) = stopped.visualize_counting(&request);
    assert_eq!((again, kept.reused), (expected.clone(), 2));
    assert_eq!(steps, 2 * STEPS - 1);

    // Another image for the third pair: its batch is made again and no other.
    let mut changed = images(5);
    changed[[2, 0, 0, 0]] += 0.25;
    let changed = bench.request(5).with_initial(Initial::Images(changed));
    let (others, kept) = bench.visualize(&changed, &mut Silent);
    assert_eq!(kept.reused, 3);
    let differ: Vec<_> = (0..5).filter(|&at| others[at] != expected[at]).collect();
    assert_eq!(differ, [2]);
    // From noise they are other pictures, and an image for each pair there must be.
    assert_eq!(bench.visualize(&bench.request(5), &mut Silent).1.reused, 0);
    let request = bench.request(5).with_initial(Initial::Images(images(4)));
    let mut none = |_| panic!("no batch is to be made");
    let refused = (bench.folder).visualize(&bench.networks, &request, &mut Silent, &mut none);
    let message = refused.unwrap_err().to_string();
    assert_eq!(message, "what pairs start from: expected 5, found 4");
}

#[test]
fn another_commands_pictures_stay() {
    let mut bench = Pictures::new();
    let of_debug = bench.request(4);
    assert_eq!(bench.visualize(&of_debug, &mut Silent).1.reused, 0);
    bench.folder = bench.run.pictures("visualize", origin());
    let of_visualize = bench.request(3);
    assert_eq!(bench.visualize(&of_visualize, &mut Silent).1.reused, 0);
    bench.folder = bench.run.pictures("debug", origin());
    assert_eq!(bench.visualize(&of_debug, &mut Silent).1.reused, 4);
}

#[test]
fn finished_pictures_are_looked_at_and_none_are_made() {
    let bench = Pictures::new();
    let finished = |count| {
        bench
            .folder
            .finished(&bench.networks, &bench.request(count))
            .unwrap()
    };
    assert_eq!(finished(4), []);
    let (expected, _) = bench.visualize(&bench.request(4), &mut Silent);
    assert_eq!(finished(4), expected);
    let files = bench.times();
    // Of five pairs the last is a batch of its own.
    assert_eq!(finished(5), expected);
    assert_eq!((bench.times(), bench.states()), (files, 0));
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
fn a_damaged_state_is_begun_anew() {
    let alone = Pictures::new();
    let request = alone.request(2);
    let (expected, _) = alone.visualize(&request, &mut Silent);
    for keep in [0, 100] {
        let bench = Pictures::new();
        let _ = bench.visualize(&request, &mut stopping_at(3));
        let state = bench.times_of(true).into_keys().next().unwrap();
        let whole = fs::read(&state).unwrap();
        fs::write(&state, &whole[..keep]).unwrap();
        let (illusions, _, steps) = bench.visualize_counting(&request);
        assert_eq!((illusions, steps), (expected.clone(), STEPS));
    }
}

/// A state that is whole and of another optimisation is refused once.
#[test]
fn a_state_that_does_not_fit_ends_one_run() {
    let bench = Pictures::new();
    let request = bench.request(2);
    let _ = bench.visualize(&request, &mut stopping_at(1));
    let state = bench.times_of(true).into_keys().next().unwrap();
    let mut bytes = fs::read(&state).unwrap();
    let steps = br#"steps\":1"#;
    let found = bytes.windows(steps.len()).position(|it| it == steps);
    let at = found.unwrap() + steps.len() - 1;
    // More steps than there are.
    bytes[at] = b'9';
    fs::write(&state, bytes).unwrap();
    let mut none = |_| panic!("no batch is to be made");
    let refused = (bench.folder).visualize(&bench.networks, &request, &mut Silent, &mut none);
    match refused.unwrap_err() {
        Error::Illusion(IllusionError::OtherState { what }) => assert_eq!(what, "number of steps"),
        other => panic!("{other}"),
    }
    assert_eq!(bench.states(), 0);
    assert_eq!(bench.visualize(&request, &mut Silent).0.len(), 2);
}

#[test]
fn pictures_that_cannot_be_kept_stop_the_work() {
    let bench = Pictures::new();
    fs::write(bench.root.path().join("pictures"), "in the way").unwrap();
    // At the end of a batch, and at a checkpoint.
    for (checkpoint_every, most) in [(50, STEPS + 1), (2, 3)] {
        let mut request = bench.request(6);
        request.execution.checkpoint_every = checkpoint_every;
        let mut steps = 0;
        let mut observer = |_: Progress<'_>| {
            steps += 1;
            ControlFlow::Continue(())
        };
        let mut on_batch = |_| ();
        let kept =
            (bench.folder).visualize(&bench.networks, &request, &mut observer, &mut on_batch);
        let error = kept.unwrap_err();
        assert!(error.to_string().contains("pictures"), "{error}");
        assert!(steps < most, "{steps}");
    }
}
