//! Shards, devices and stops.

use std::ops::ControlFlow;

use neuroinspect::{
    Error, RunFolder,
    atlas::Atlas,
    core::{Progress, Silent},
};

use super::making::{BATCHES, Bench, STEPS, TRIED, alone, assert_same, flex};

#[test]
fn shards_made_apart_are_the_atlas_of_one_process() {
    let (alone, _) = alone(4);
    let bench = Bench::new();
    let planned = bench.plan(Some(4)).unwrap();
    let mut pictures = 0;
    for shard in [2, 0, 3, 1] {
        let made = bench.made(Some(shard));
        assert_eq!(made.found, 0);
        pictures += made.pictures;
        // One batch of each shard at least, and two at most.
        assert!((2..=4).contains(&made.pictures), "{}", made.pictures);
    }
    assert_eq!((pictures, planned.status().unwrap().finished), (12, 12));
    bench.merge().unwrap();
    assert_same(&bench, &alone);
    // What is finished is not made again.
    let passes = bench.classifier.passes();
    let made = bench.made(None);
    assert_eq!((made.pictures, made.found), (0, 12));
    assert_eq!(bench.classifier.passes(), passes);
}

#[test]
fn several_devices_make_the_atlas_of_one() {
    let (alone, _) = alone(2);
    let bench = Bench::new();
    bench.plan(Some(2)).unwrap();
    let devices = [flex(), flex(), flex()];
    let made = bench.make(None, &devices, &mut Silent).unwrap();
    assert_eq!((made.pictures, made.failures.len()), (12, 0));
    bench.merge().unwrap();
    assert_same(&bench, &alone);
}

/// Stopped after every so many steps, which the observer hears of on another thread than they are taken
/// on, the work goes on until it is done, and takes no step twice.
#[test]
fn work_that_is_stopped_again_and_again_takes_no_step_twice() {
    let (alone, passes_alone) = alone(2);
    for after in [1, 3, 5] {
        let bench = Bench::new();
        bench.plan(Some(2)).unwrap();
        let mut before = bench.classifier.passes();
        let (mut passes, mut pictures, mut runs) = (0, 0, 0);
        loop {
            let mut stopping = |progress: Progress<'_>| match progress.done >= after {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let made = bench.make(None, &[flex()], &mut stopping).unwrap();
            passes += bench.classifier.passes() - before;
            before = bench.classifier.passes();
            (pictures, runs) = (pictures + made.pictures, runs + 1);
            if !made.interrupted {
                break;
            }
        }
        assert!(runs > 1, "it is stopped");
        assert_eq!(pictures, 12);
        // Beside steps there are the passes by which a run tries its networks, and those by which a
        // batch looks at what came out, be it that it was stopped.
        let looking = (passes_alone - TRIED) / BATCHES - STEPS;
        let without_steps = (runs - 1) * (TRIED + looking);
        assert!(
            passes <= passes_alone + without_steps,
            "{passes}, {runs} runs"
        );
        bench.merge().unwrap();
        assert_same(&bench, &alone);
    }
}

/// Of three devices one fails, and the others make its batch, too.
#[test]
fn the_batch_of_a_device_that_fails_is_made_by_another() {
    let (alone, passes) = alone(2);
    // A device that comes late may find nothing to do: more passes than of one alone there need not be.
    for fails_at in [0, 1, passes / 2, passes - 1] {
        let bench = Bench::failing(fails_at..fails_at + 1);
        bench.plan(Some(2)).unwrap();
        let devices = [flex(), flex(), flex()];
        let made = bench.make(None, &devices, &mut Silent).unwrap();
        assert_eq!(made.pictures, 12, "pass {fails_at}");
        assert_eq!(
            made.failures.len(),
            1,
            "pass {fails_at}: {:?}",
            made.failures
        );
        assert!(
            made.failures[0]
                .reason
                .contains("the device is gone, says the test")
        );
        bench.merge().unwrap();
        assert_same(&bench, &alone);
    }
    for devices in [&[flex()][..], &[flex(), flex()]] {
        let bench = Bench::failing(passes - TRIED..usize::MAX);
        bench.plan(Some(2)).unwrap();
        let error = bench.make(None, devices, &mut Silent).unwrap_err();
        // One alone fails in what comes after the steps of its last batch; of two, one may be at a step of it then.
        let in_a_step = devices.len() > 1 && matches!(error, Error::Illusion(_));
        assert!(
            in_a_step || matches!(error, Error::DeviceFailed { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("the device is gone"), "{error}");
        // What was finished before stays.
        let finished = Atlas::open(bench.path())
            .unwrap()
            .status()
            .unwrap()
            .finished;
        assert!((1..12).contains(&finished), "{finished}");
    }
}

#[test]
fn a_shard_is_made_by_one_process_at_a_time() {
    let bench = Bench::new();
    bench.plan(Some(3)).unwrap();
    let held = RunFolder::open(bench.path().join("shards/1-of-3"), Some("other".into())).unwrap();
    let error = bench.make(Some(1), &[flex()], &mut Silent).unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    let made = bench.made(None);
    assert_eq!(made.held, [1]);
    let status = Atlas::open(bench.path()).unwrap().status().unwrap();
    assert_eq!(status.array(), "1");
    let error = bench.merge().unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    drop(held);
    let error = bench.merge().unwrap_err().to_string();
    let expected = format!("{} pictures of the atlas", 12 - made.pictures);
    assert!(
        error.contains(&expected) && error.contains("of the shards 1;"),
        "{error}"
    );
    assert_eq!(bench.made(Some(1)).found, 0);
    bench.merge().unwrap();
    assert!(
        bench.make(Some(3), &[flex()], &mut Silent).is_err(),
        "there is none"
    );
}

#[test]
fn batches_are_divided_evenly() {
    let bench = Bench::new();
    let atlas = bench.plan(Some(4)).unwrap();
    let missing = atlas.status().unwrap().missing;
    let pictures: Vec<usize> = missing.iter().map(|it| it.pictures).collect();
    assert_eq!(pictures.iter().sum::<usize>(), 2 * BATCHES);
    assert!(
        pictures.iter().all(|&it| it == 2 || it == 4),
        "{pictures:?}"
    );
}
