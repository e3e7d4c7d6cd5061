//! Streaming batches: order, bounds, and corrupt images.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, InputSpec};
use neuroinspect_datasets::{
    Batch, Error, ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt, Result,
    Sample, Skipped, batches,
};
use proptest::prelude::*;

/// Flat images that tell their index by colour, counted as they are decoded.
struct Flat {
    samples: Vec<Sample>,
    decoded: AtomicUsize,
    corrupt: fn(usize) -> bool,
}

impl Flat {
    fn new(samples: usize) -> Self {
        let samples = (0..samples).map(|index| Sample {
            id: format!("flat-{index}"),
            label: ClassId(0),
            group: None,
        });
        Self {
            samples: samples.collect(),
            decoded: AtomicUsize::new(0),
            corrupt: |_| false,
        }
    }

    fn with_corrupt(mut self, corrupt: fn(usize) -> bool) -> Self {
        self.corrupt = corrupt;
        self
    }

    fn decoded(&self) -> usize {
        self.decoded.load(Ordering::SeqCst)
    }
}

fn colour(index: usize) -> [u8; 3] {
    [index as u8, (index >> 8) as u8, 7]
}

impl ImageDataset for Flat {
    fn name(&self) -> &str {
        "flat"
    }

    fn class_names(&self) -> &[String] {
        &[]
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        if index.is_multiple_of(5) {
            // Later images overtake this one.
            thread::sleep(Duration::from_micros(50));
        }
        if (self.corrupt)(index) {
            return Err(Error::Sample {
                sample: self.sample(index)?.id.clone(),
                reason: "scratched".to_owned(),
            });
        }
        Ok(RgbImage::from_pixel(3, 3, Rgb(colour(index))))
    }
}

/// Waits until something is true, for at most ten seconds.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

fn config(batch_size: usize, workers: usize, prefetch: usize) -> LoaderConfig {
    LoaderConfig::default()
        .with_batch_size(batch_size)
        .with_workers(workers)
        .with_prefetch(prefetch)
}

/// All batches, and what was skipped.
fn load(
    dataset: &dyn ImageDataset,
    indices: Option<&[usize]>,
    config: &LoaderConfig,
) -> Result<(Vec<Batch>, Vec<Skipped>)> {
    thread::scope(|scope| {
        let mut stream = batches(scope, dataset, indices, &InputSpec::new(2), config)?;
        let loaded = stream.by_ref().collect::<Result<Vec<_>>>()?;
        Ok((loaded, stream.skipped().to_vec()))
    })
}

/// Checks sizes and contents of batches against the samples that should be in them.
fn check(batches: &[Batch], batch_size: usize, expected: &[usize]) {
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.indices.len()).collect();
    let expected_sizes: Vec<usize> = expected.chunks(batch_size).map(<[usize]>::len).collect();
    assert_eq!(sizes, expected_sizes);
    let found: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.indices.clone())
        .collect();
    assert_eq!(found, expected);
    for batch in batches {
        assert_eq!(batch.images.dim(), (batch.indices.len(), 3, 2, 2));
        for ((image, channel, _, _), &value) in batch.images.indexed_iter() {
            let expected = colour(batch.indices[image])[channel];
            assert_eq!(value, f32::from(expected) / 255.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_content_depend_on_no_number(
        indices in prop::collection::vec(0..300_usize, 0..120),
        batch_size in 1..40_usize,
        workers in 1..9_usize,
        prefetch in 0..4_usize,
    ) {
        let dataset = Flat::new(300).with_corrupt(|index| index % 7 == 3);
        let config = config(batch_size, workers, prefetch).with_on_corrupt(OnCorrupt::Skip);
        let (loaded, skipped) = load(&dataset, Some(&indices), &config).unwrap();
        let (bad, good): (Vec<usize>, Vec<usize>) =
            indices.iter().partition(|&&index| index % 7 == 3);
        check(&loaded, batch_size, &good);
        let skipped: Vec<usize> = skipped.iter().map(|skipped| skipped.index).collect();
        prop_assert_eq!(skipped, bad);
        prop_assert_eq!(dataset.decoded(), indices.len());
    }
}

#[test]
fn all_samples_come_without_indices() {
    let (loaded, skipped) = load(&Flat::new(50), None, &config(8, 3, 1)).unwrap();
    check(&loaded, 8, &(0..50).collect::<Vec<_>>());
    assert!(skipped.is_empty());
    let (loaded, _) = load(&Flat::new(0), None, &config(8, 3, 1)).unwrap();
    assert!(loaded.is_empty());
}

#[test]
fn decoding_runs_ahead_by_no_more_than_asked() {
    for (batch_size, workers, prefetch) in [(16, 4, 2), (10, 8, 0), (1, 2, 5)] {
        let dataset = Flat::new(2000);
        let config = config(batch_size, workers, prefetch);
        let room = (prefetch + 1) * batch_size;
        thread::scope(|scope| {
            let stream = batches(scope, &dataset, None, &InputSpec::new(2), &config).unwrap();
            let mut handed_out = 0;
            for batch in stream {
                handed_out += batch.unwrap().indices.len();
                assert!(dataset.decoded() <= handed_out + room);
            }
            assert_eq!(handed_out, 2000);
        });
    }
}

#[test]
fn decoding_goes_on_while_the_caller_works() {
    let dataset = Flat::new(2000);
    thread::scope(|scope| {
        let config = config(10, 2, 2);
        let mut stream = batches(scope, &dataset, None, &InputSpec::new(2), &config).unwrap();
        stream.next().unwrap().unwrap();
        // Two batches are decoded ahead of the next, without anybody asking for it.
        let ahead = eventually(|| dataset.decoded() >= 40);
        assert!(ahead, "{} images decoded", dataset.decoded());
    });
}

/// [`Flat`], whose images are decoded as `image` says.
struct Slowed<F> {
    flat: Flat,
    image: F,
}

impl<F: Fn(&Flat, usize) -> Result<RgbImage> + Send + Sync> ImageDataset for Slowed<F> {
    fn name(&self) -> &str {
        self.flat.name()
    }

    fn class_names(&self) -> &[String] {
        self.flat.class_names()
    }

    fn samples(&self) -> &[Sample] {
        self.flat.samples()
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        (self.image)(&self.flat, index)
    }
}

#[test]
fn dropping_the_batches_stops_the_workers() {
    // From the 16th image on, decoding takes until the gate is opened.
    let open = AtomicBool::new(false);
    let dataset = Slowed {
        flat: Flat::new(2000),
        image: |flat: &Flat, index| {
            let image = flat.image(index);
            assert!(index < 16 || eventually(|| open.load(Ordering::SeqCst)));
            image
        },
    };
    let workers = 4;
    let config = config(16, workers, 2);
    thread::scope(|scope| {
        let mut stream = batches(scope, &dataset, None, &InputSpec::new(2), &config).unwrap();
        stream.next().unwrap().unwrap();
        // Three more batches are asked for; every worker is at an image of them.
        let busy = eventually(|| dataset.flat.decoded() == 16 + workers);
        assert!(busy, "{} images decoded", dataset.flat.decoded());
        drop(stream);
        open.store(true, Ordering::SeqCst);
    });
    // Each has ended with the image it was at.
    assert_eq!(dataset.flat.decoded(), 16 + workers);

    // Dropped before anything was asked for.
    let dataset = Flat::new(20);
    thread::scope(|scope| {
        drop(batches(scope, &dataset, None, &InputSpec::new(2), &config));
    });
    assert_eq!(dataset.decoded(), 0);
}

#[test]
fn the_first_corrupt_image_in_order_ends_the_stream() {
    // The slow image 40 is wanted before the quick image 21.
    let dataset = Flat::new(50).with_corrupt(|index| index == 40 || index == 21);
    let indices: Vec<usize> = (0..50).rev().collect();
    for workers in [1, 2, 8] {
        thread::scope(|scope| {
            let config = config(4, workers, 3);
            let mut stream =
                batches(scope, &dataset, Some(&indices), &InputSpec::new(2), &config).unwrap();
            // 49 to 46, 45 to 42; the next batch would have 40 in it.
            check(&[stream.next().unwrap().unwrap()], 4, &[49, 48, 47, 46]);
            check(&[stream.next().unwrap().unwrap()], 4, &[45, 44, 43, 42]);
            let error = stream.next().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "sample 'flat-40': scratched");
            assert!(stream.next().is_none());
            assert!(stream.skipped().is_empty());
        });
    }
}

#[test]
fn a_panicking_decoder_costs_one_image() {
    let dataset = Flat::new(20).with_corrupt(|index| match index {
        11 => panic!("the decoder's own mistake"),
        _ => false,
    });
    let config = config(4, 3, 1);
    let error = load(&dataset, None, &config).unwrap_err();
    assert_eq!(error.to_string(), "sample 'flat-11': the decoder panicked");
    let (loaded, skipped) = load(&dataset, None, &config.with_on_corrupt(OnCorrupt::Skip)).unwrap();
    let expected: Vec<usize> = (0..20).filter(|&index| index != 11).collect();
    check(&loaded, 4, &expected);
    assert_eq!(skipped[0].id, "flat-11");
}

#[test]
fn corrupt_files_are_named_or_listed() {
    let root = tempfile::tempdir().unwrap();
    let class = root.path().join("class");
    std::fs::create_dir(&class).unwrap();
    let image = RgbImage::from_pixel(4, 4, Rgb([255, 0, 51]));
    image.save(class.join("a.jpg")).unwrap();
    let whole = std::fs::read(class.join("a.jpg")).unwrap();
    std::fs::write(class.join("b-truncated.jpg"), &whole[..whole.len() - 2]).unwrap();
    std::fs::write(class.join("c-empty.png"), b"").unwrap();
    std::fs::write(class.join("d-text.bmp"), b"no image").unwrap();
    image.save(class.join("e.png")).unwrap();
    let folder = ImageFolder::open(&root, &ImageFolderConfig::default()).unwrap();

    let error = load(&folder, None, &LoaderConfig::default()).unwrap_err();
    let path = class.join("b-truncated.jpg");
    assert_eq!(
        error.to_string(),
        format!(
            "image '{}' is truncated: its JPEG data has no end marker",
            path.display()
        )
    );

    let config = LoaderConfig::default().with_on_corrupt(OnCorrupt::Skip);
    let (loaded, skipped) = load(&folder, None, &config).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].indices, [0, 4]);
    let ids: Vec<&str> = skipped.iter().map(|skipped| skipped.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "class/b-truncated.jpg",
            "class/c-empty.png",
            "class/d-text.bmp"
        ]
    );
    assert_eq!(
        skipped[1].reason,
        format!(
            "cannot decode image '{}': The image format could not be determined",
            class.join("c-empty.png").display()
        )
    );

    // Nothing but corrupt images: no batch, and all of them listed.
    let (loaded, skipped) = load(&folder, Some(&[1, 2, 3]), &config).unwrap();
    assert!(loaded.is_empty());
    assert_eq!(skipped.len(), 3);
}

#[test]
fn an_image_that_cannot_be_resized_is_named() {
    let root = tempfile::tempdir().unwrap();
    let class = root.path().join("class");
    std::fs::create_dir(&class).unwrap();
    RgbImage::new(65_536, 1)
        .save(class.join("long.png"))
        .unwrap();
    let folder = ImageFolder::open(&root, &ImageFolderConfig::default()).unwrap();
    let reason = "an image of 65536 x 1 pixels cannot be resized: \
                  a side is above 65535 pixels; crop or shrink it first";
    let expected = format!("sample 'class/long.png': {reason}");
    let error = load(&folder, None, &LoaderConfig::default()).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let config = LoaderConfig::default().with_on_corrupt(OnCorrupt::Skip);
    let (_, skipped) = load(&folder, None, &config).unwrap();
    assert_eq!(skipped[0].reason, expected);
}

#[test]
fn options_out_of_range_are_refused() {
    let dataset = Flat::new(3);
    let refusal = |indices: Option<&[usize]>, config: &LoaderConfig| {
        load(&dataset, indices, config).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(None, &config(0, 1, 1)),
        "batch_size = 0: expected at least 1"
    );
    assert_eq!(
        refusal(None, &config(1, 0, 1)),
        "workers = 0: expected at least 1"
    );
    assert_eq!(
        refusal(Some(&[0, 3]), &config(1, 1, 1)),
        "sample 3 is out of range: data set 'flat' has 3 samples"
    );
    thread::scope(|scope| {
        let config = LoaderConfig::default();
        let spec = InputSpec::new(2).with_normalization([0.5; 3], [0.5, 0.0, 0.5]);
        for (spec, message) in [
            (
                InputSpec::new(0),
                "input size = 0: expected 1 to 4096 pixels",
            ),
            (
                spec,
                "std = [0.5, 0.0, 0.5]: expected three finite numbers above 0",
            ),
        ] {
            let error = batches(scope, &dataset, None, &spec, &config).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    });
    assert_eq!(dataset.decoded(), 0);
}

#[test]
fn huge_numbers_are_no_reason_to_fail() {
    let config = config(usize::MAX, usize::MAX, usize::MAX);
    let (loaded, _) = load(&Flat::new(9), None, &config).unwrap();
    check(&loaded, 9, &(0..9).collect::<Vec<_>>());
}

#[test]
fn there_are_no_more_threads_than_the_most() {
    let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let dataset = Slowed {
        flat: Flat::new(2000),
        image: |flat: &Flat, index| {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            if flat.decoded() == 0 {
                // Nobody has left yet: wait for the crowd, and then a while for more to come.
                eventually(|| most.load(Ordering::SeqCst) >= 256);
                thread::sleep(Duration::from_millis(200));
            }
            let image = flat.image(index);
            at_once.fetch_sub(1, Ordering::SeqCst);
            image
        },
    };
    let config = config(2000, usize::MAX, 0);
    let (loaded, _) = load(&dataset, None, &config).unwrap();
    check(&loaded, 2000, &(0..2000).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 256);
}
