//! Devices that fail while they check pictures, and what their observer hears.

use std::ops::{ControlFlow, Range};

use neuroinspect::{
    Error, Extraction, Result,
    atlas::{Atlas, AtlasDevice, AtlasInputs, AtlasMade, AtlasWork},
    core::{Classifier, Progress, Silent},
    datasets::{ImageFolder, ImageFolderConfig},
};
use neuroinspect_testing::files::Folder;

use super::making::{Bench, STEPS, Watched, assert_same, flex};

/// A batch is of as many pictures as a judge sees at once only when it checks them: it is tried on 2 images and shown
/// the real ones 16 at a time.
const AT_ONCE: usize = 3;
const BATCHES: usize = 12 / AT_ONCE;
const TOTAL: usize = BATCHES * STEPS;

/// An atlas whose pictures are compared with real images, and judged.
struct Judged {
    bench: Bench,
    judge: Watched,
    _folder: Folder,
    images: ImageFolder,
}

impl Judged {
    /// Of a judge that panics at some of the checks, counted over all devices.
    fn failing(checks: Range<usize>) -> Self {
        let mut bench = Bench::new();
        bench.config.execution.batch_size = AT_ONCE;
        let judge = Watched::seeing(AT_ONCE, checks);
        let inputs = AtlasInputs {
            judge: Some(&judge),
            ..bench.inputs()
        };
        Atlas::plan(bench.path(), &inputs, &bench.config, Some(2), &mut Silent).unwrap();
        let folder = Folder::of_images(&["a", "b"], 8, 16);
        let images = ImageFolder::open(folder.path(""), &ImageFolderConfig::default()).unwrap();
        Self {
            bench,
            judge,
            _folder: folder,
            images,
        }
    }

    /// Makes all of it, and how far the observer was told that it had come.
    fn make(&self, devices: &[AtlasDevice]) -> (Result<AtlasMade>, Vec<usize>) {
        let classifier: &dyn Classifier = &self.bench.classifier;
        let extraction = Extraction::new(classifier, &self.images);
        let inputs = AtlasInputs {
            judge: Some(&self.judge),
            images: Some(&extraction),
            ..self.bench.inputs()
        };
        let work = AtlasWork {
            inputs: &inputs,
            config: &self.bench.config,
            devices,
            shard: None,
            command: None,
        };
        let mut heard = Vec::new();
        let mut observer = |progress: Progress<'_>| {
            assert!(progress.done <= progress.total, "{progress:?}");
            heard.push(progress.done);
            ControlFlow::Continue(())
        };
        let atlas = Atlas::open(self.bench.path()).unwrap();
        let made = atlas.make(&work, &mut observer);
        (made, heard)
    }

    fn finished(&self) -> usize {
        let atlas = Atlas::open(self.bench.path()).unwrap();
        atlas.status().unwrap().finished
    }
}

#[track_caller]
fn assert_rises_to(heard: &[usize], total: usize) {
    assert!(heard.is_sorted(), "it goes back: {heard:?}");
    assert_eq!(heard.last(), Some(&total), "{heard:?}");
}

#[test]
fn a_plan_with_a_judge_is_none_without_it() {
    let judged = Judged::failing(0..0);
    let error = judged.bench.plan(None).unwrap_err().to_string();
    assert!(
        error.contains("of which the judge or the other seeds is not"),
        "{error}"
    );
}

/// All pictures of the atlas are checked, and a batch in one pass of the judge.
fn undisturbed() -> Judged {
    let alone = Judged::failing(0..0);
    let (made, heard) = alone.make(&[flex()]);
    assert_eq!(made.unwrap().pictures, 12);
    assert_rises_to(&heard, TOTAL);
    assert_eq!(alone.judge.passes(), BATCHES);
    let index = alone.bench.merge().unwrap();
    let judged = index.entries.iter().filter(|entry| {
        let picture = entry.found.picture.as_ref().unwrap();
        picture.trust.as_ref().unwrap().recognition.is_some()
    });
    assert_eq!(judged.count(), 12);
    alone
}

/// Of three devices one fails, and another checks what it made.
#[test]
fn the_batch_of_a_device_that_fails_while_it_checks_is_checked_by_another() {
    let alone = undisturbed();
    for fails_at in [0, BATCHES / 2, BATCHES - 1] {
        let judged = Judged::failing(fails_at..fails_at + 1);
        let (made, heard) = judged.make(&[flex(), flex(), flex()]);
        let made = made.unwrap();
        assert_eq!(made.pictures, 12, "check {fails_at}");
        let [failure] = &made.failures[..] else {
            panic!("check {fails_at}: {:?}", made.failures);
        };
        let (stage, reason) = (&failure.stage, &failure.reason);
        assert_eq!(stage, "visualizing on flex");
        assert!(
            reason.contains("the device is gone, says the test"),
            "{reason}"
        );
        assert_rises_to(&heard, TOTAL);
        judged.bench.merge().unwrap();
        assert_same(&judged.bench, &alone.bench);
    }
}

/// Where no device is left, what was checked before stays, and so do the pictures of the batches that were not.
#[test]
fn devices_that_all_fail_while_they_check_end_the_work() {
    let alone = undisturbed();
    let judged = Judged::failing(1..3);
    let (made, _) = judged.make(&[flex(), flex()]);
    let error = made.unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    assert_eq!(judged.finished(), AT_ONCE);
    let (made, heard) = judged.make(&[flex()]);
    let made = made.unwrap();
    assert_eq!((made.found, made.pictures), (AT_ONCE, 12 - AT_ONCE));
    assert_rises_to(&heard, TOTAL - STEPS);
    judged.bench.merge().unwrap();
    assert_same(&judged.bench, &alone.bench);
}

/// Its pictures were made and not checked; their steps are done as soon as it is taken.
#[test]
fn a_batch_taken_from_its_file_counts_with_all_its_steps() {
    let alone = undisturbed();
    for devices in [vec![flex()], vec![flex(), flex(), flex()]] {
        let judged = Judged::failing(0..1);
        let (made, heard) = judged.make(&[flex()]);
        assert!(made.is_err());
        assert_rises_to(&heard, STEPS);
        let (made, heard) = judged.make(&devices);
        assert_eq!(made.unwrap().pictures, 12);
        assert_rises_to(&heard, TOTAL);
        if let [_] = devices[..] {
            assert_eq!(heard[0], STEPS, "at once: {heard:?}");
        }
        judged.bench.merge().unwrap();
        assert_same(&judged.bench, &alone.bench);
    }
}
