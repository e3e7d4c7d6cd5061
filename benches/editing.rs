//! What-ifs about a decision layer: an epoch of editing, and the predictions with neurons silenced,
//! on a table of CIFAR's size and on one of ImageNet's width. Features, labels and layer come out of
//! a seed.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); its backend must be built in.
//!
//! ```text
//! cargo bench -p neuroinspect --bench editing
//! ```
//!
//! `--serve` makes the same program a side of `tools/compare_speed.py`, whose steps are then batches of the smaller
//! table.
//!
//! An epoch's time is the time between two calls of the observer; a large one takes seconds, so that
//! it is timed over one short training and printed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops by panicking, and prints what it found"
)]

mod serve;

use std::{
    env,
    hint::black_box,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion};
use ndarray::{Array1, Array2};
use neuroinspect::{
    burn::tensor::Device,
    core::{
        ActivationTable, ClassId, DecisionLayer, DeviceName, FeatureTable, InputSpec, NeuronId,
        Progress, Provenance, Seed, Silent,
    },
    editing::{
        DecisionMethod, EditConfig, EditData, EditScope, EditSession, Preview, RatioEdit, Target,
        TrainingConfig,
    },
};
use rand::RngExt;

/// Epochs that a median is taken of.
const EPOCHS: usize = 5;

/// Training samples for each validation sample.
const VALIDATION: usize = 10;

/// The neurons silenced and edited.
const SILENCED: [usize; 5] = [3, 14, 15, 39, 62];

const CLASS: ClassId = ClassId(2);

/// `[N, D]` features of `K` classes.
#[derive(Clone, Copy)]
struct Size {
    samples: usize,
    neurons: usize,
    classes: usize,
}

const SIZES: [Size; 2] = [
    Size {
        samples: 10_000,
        neurons: 64,
        classes: 10,
    },
    Size {
        samples: 50_000,
        neurons: 2048,
        classes: 1000,
    },
];

/// Opens a session on a table of this size and one held out.
fn session(size: Size, device: &Device) -> EditSession {
    let layer = layer(size);
    let held_out = Size {
        samples: size.samples / VALIDATION,
        ..size
    };
    let (train, validation) = (table("training", size), table("validation", held_out));
    let data = EditData::of_parts(train, validation.clone(), validation).unwrap();
    EditSession::new(data, &layer, device).unwrap()
}

/// What the classifier is worth with the neurons silenced.
fn preview(session: &EditSession) -> Preview {
    session.preview(&SILENCED.map(NeuronId)).unwrap()
}

fn ratio_edit(epochs: usize) -> RatioEdit {
    let training = TrainingConfig::default().with_epochs(epochs, None);
    let config = EditConfig::default()
        .with_target(Target::Fixed(1.0))
        .with_training(training);
    let neurons = SILENCED.map(NeuronId).to_vec();
    RatioEdit::new(neurons, EditScope::Class(CLASS)).with_config(config)
}

/// The median time of an epoch.
fn epoch(session: &EditSession) -> Duration {
    let method = ratio_edit(EPOCHS + 1);
    let mut times = Vec::with_capacity(EPOCHS + 1);
    let mut observer = |progress: Progress<'_>| {
        if progress.stage == "editing" {
            times.push(Instant::now());
        }
        ControlFlow::Continue(())
    };
    // The method alone: its control would be trained along with an edit of the session.
    let fitted = method.fit(&session.input().unwrap(), &mut observer);
    black_box(fitted.unwrap());
    let mut epochs: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    epochs.sort();
    epochs[EPOCHS / 2]
}

/// Small weights of both signs.
fn layer(size: Size) -> DecisionLayer {
    let mut rng = Seed(0).rng("layer", &[]);
    let bound = (3.0 / size.neurons as f32).sqrt();
    let shape = (size.classes, size.neurons);
    let weight = Array2::from_shape_simple_fn(shape, || rng.random_range(-bound..bound));
    DecisionLayer::new(weight, Array1::zeros(size.classes)).unwrap()
}

/// Features from 0 to 1, of which half are 0 as behind a ReLU.
fn table(purpose: &str, size: Size) -> FeatureTable {
    let mut rng = Seed(0).rng(purpose, &[]);
    let shape = (size.samples, size.neurons);
    let features = Array2::from_shape_simple_fn(shape, || rng.random_range(-1.0_f32..1.0).max(0.0));
    let activations = ActivationTable::new(features, Provenance::new("random", InputSpec::new(32)));
    let labels = (0..size.samples).map(|sample| ClassId(sample % size.classes));
    let names = (0..size.classes).map(|class| format!("class {class}"));
    FeatureTable::new(activations.unwrap(), labels.collect(), names.collect()).unwrap()
}

fn device_name() -> DeviceName {
    let name = env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    name.parse().unwrap()
}

fn what_ifs(criterion: &mut Criterion) {
    let name = device_name();
    let device = name.open().unwrap();
    for size in SIZES {
        let session = session(size, &device);
        let Size {
            samples,
            neurons,
            classes,
        } = size;
        let table = format!("{samples} x {neurons} x {classes} on {name}");
        let mut group = criterion.benchmark_group("what-if");
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("preview", &table), |bencher| {
            bencher.iter(|| black_box(preview(&session)));
        });
        group.finish();
        println!("edit epoch/{table}: {:.2?}", epoch(&session));
    }
}

fn main() {
    if serve::asked_to_serve().is_some() {
        let session = session(SIZES[0], &device_name().open().unwrap());
        let input = session.input().unwrap();
        return serve::serve(|_, steps| {
            let in_epoch = SIZES[0]
                .samples
                .div_ceil(TrainingConfig::default().batch_size);
            let epochs = steps.div_ceil(in_epoch);
            let method = ratio_edit(epochs);
            let start = Instant::now();
            black_box(method.fit(&input, &mut Silent).unwrap());
            start
                .elapsed()
                .mul_f64(steps as f64 / (epochs * in_epoch) as f64)
        });
    }
    let mut criterion = Criterion::default().configure_from_args();
    what_ifs(&mut criterion);
    criterion.final_summary();
}
