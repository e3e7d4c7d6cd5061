//! Features of JPEG files, and what of it is reading them: decoding and preprocessing alone. A ResNet-56 on
//! files of 32 pixels and an EfficientNet-Lite0 on files of 320 by 256, random weights.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); its backend must be built in.
//!
//! ```text
//! cargo bench -p neuroinspect --bench features
//! ```
//!
//! `--serve MODEL FOLDER` makes the same program a side of `tools/compare_speed.py`, whose steps are then images.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops by panicking"
)]

mod serve;

use std::{env, fs, hint::black_box, path::Path, thread, time::Instant};

use criterion::{Criterion, Throughput};
use image::{Rgb, RgbImage};
use neuroinspect::{
    Extraction,
    core::{Classifier, DeviceName, Seed, Silent},
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, batches},
    extract_features,
    models::init_classifier,
};
use rand::RngExt;

/// A classifier, and the files it is shown: how many, and of which width and height.
struct Case {
    model: &'static str,
    files: u64,
    size: (u32, u32),
}

const CASES: [Case; 2] = [
    Case {
        model: "cifar_resnet56",
        files: 512,
        size: (32, 32),
    },
    Case {
        model: "tf_efficientnet_lite0",
        files: 64,
        size: (320, 256),
    },
];

/// Writes images of coloured squares of eight pixels, which compress about as photographs do.
fn write_files(case: &Case, folder: &Path) {
    let folder = folder.join("squares");
    fs::create_dir(&folder).unwrap();
    let (width, height) = case.size;
    for file in 0..case.files {
        let mut rng = Seed(0).rng("squares", &[file]);
        let squares: Vec<[u8; 3]> = (0..1280).map(|_| rng.random()).collect();
        let image = RgbImage::from_fn(width, height, |x, y| {
            Rgb(squares[(x / 8 + 40 * (y / 8)) as usize])
        });
        image.save(folder.join(format!("{file}.jpg"))).unwrap();
    }
}

fn device_name() -> DeviceName {
    let name = env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    name.parse().unwrap()
}

fn features(criterion: &mut Criterion) {
    let name = device_name();
    let device = name.open().unwrap();
    for case in &CASES {
        let files = tempfile::tempdir().unwrap();
        write_files(case, files.path());
        let images = ImageFolder::open(files.path(), &ImageFolderConfig::default()).unwrap();
        let classifier = init_classifier(case.model, 10, &device).unwrap();
        let Case { model, files, .. } = case;
        let mut group = criterion.benchmark_group(format!("{files} files, {model} on {name}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(*files));
        group.bench_function("decoded and preprocessed", |bencher| {
            let input = classifier.input();
            let config = LoaderConfig::default();
            bencher.iter(|| {
                thread::scope(|scope| {
                    let batches = batches(scope, &images, None, input, &config).unwrap();
                    batches
                        .map(|batch| batch.unwrap().indices.len())
                        .sum::<usize>()
                })
            });
        });
        group.bench_function("features", |bencher| {
            let extraction = Extraction::new(&classifier, &images);
            bencher.iter(|| black_box(extract_features(&extraction, &mut Silent).unwrap()));
        });
        group.finish();
    }
}

/// The time of extracting features of the first images of a folder.
fn serve_features(model: &str, folder: &str) {
    let images = ImageFolder::open(folder, &ImageFolderConfig::default()).unwrap();
    let (classes, device) = (images.class_names().len(), device_name().open().unwrap());
    let classifier = init_classifier(model, classes, &device).unwrap();
    serve::serve(|batch, steps| {
        let indices: Vec<_> = (0..steps)
            .map(|step| step % images.samples().len())
            .collect();
        let extraction = Extraction::new(&classifier, &images)
            .with_indices(&indices)
            .with_loader(LoaderConfig::default().with_batch_size(batch));
        let start = Instant::now();
        black_box(extract_features(&extraction, &mut Silent).unwrap());
        start.elapsed()
    });
}

fn main() {
    match serve::asked_to_serve().as_deref() {
        Some([model, folder]) => return serve_features(model, folder),
        Some(other) => panic!("--serve takes a model and a folder, found {other:?}"),
        None => {}
    }
    let mut criterion = Criterion::default().configure_from_args();
    features(&mut criterion);
    criterion.final_summary();
}
