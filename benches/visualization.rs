//! Steps of CLIP-Illusion a second: ResNet-18 guided by CLIP ViT-B/32 at 224 px, random weights,
//! batches of one and of four pictures.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); its backend must be built in.
//! `NEUROINSPECT_PRECISION` is `f32` (the default), `bf16` or `f16`. As a criterion bench:
//!
//! ```text
//! NEUROINSPECT_DEVICE=tch cargo bench -p neuroinspect --features tch --bench visualization
//! ```
//!
//! For two programs run alternately, one line a run, the program that `cargo bench` builds takes
//! `--steps N` (of each run), `--batch B` (default 1) and `--runs R` (default 1).
//!
//! A step's time is the time between two calls of the observer, which is right where the device
//! computes while it is waited for, as on a CPU; elsewhere the rate of the whole call counts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench stops by panicking, and prints what it found"
)]

use std::{
    env,
    hint::black_box,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use neuroinspect::{
    burn::tensor::{Device, Tensor, TensorData},
    core::{ClassEmbeddings, ClassId, DeviceName, NeuronId, Precision, Progress, Seed},
    illusion::{Execution, Guide, Illusion, Networks, Pair, Recipe, Request, visualize},
    models::{clip::ClipConfig, init_classifier},
};
use rand::RngExt;

/// Classes of the classifier.
const CLASSES: usize = 1000;

/// Steps before anything is timed: the first ones find memory and kernels cold.
const WARM_UP: usize = 2;

struct Bench {
    networks: Networks,
    precision: Precision,
    device: DeviceName,
}

/// When a run began, when each of its steps had been taken, and when it ended.
struct Run {
    start: Instant,
    steps: Vec<Instant>,
    end: Instant,
    pictures: Vec<Illusion>,
}

impl Bench {
    fn new() -> Self {
        let name = env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
        let name: DeviceName = name.parse().unwrap();
        let precision = match env::var("NEUROINSPECT_PRECISION").as_deref() {
            Err(_) | Ok("f32") => Precision::F32,
            Ok("bf16") => Precision::Bf16,
            Ok("f16") => Precision::F16,
            Ok(other) => panic!("NEUROINSPECT_PRECISION={other}: expected f32, bf16 or f16"),
        };
        let device = name.open().unwrap();
        device.seed(0);
        let mut config = ClipConfig::preset("ViT-B-32").unwrap();
        // No step of a visualization runs the text tower.
        config.text.width = 64;
        config.text.heads = 1;
        config.text.layers = 1;
        let clip = config.init(&device).unwrap();
        let guide = Guide {
            class_embeddings: class_embeddings(clip.config().embed_dim, &device),
            encoder: &clip,
        };
        let classifier = init_classifier("resnet18", CLASSES, &device).unwrap();
        Self {
            networks: Networks::new(&classifier, Some(&guide), &device, precision).unwrap(),
            precision,
            device: name,
        }
    }

    /// Optimises one batch of pictures.
    fn run(&self, batch: usize, steps: usize) -> Run {
        let pairs: Vec<_> = (0..batch)
            .map(|index| Pair {
                neuron: NeuronId(7 + 31 * index),
                class: ClassId(3 + 17 * index),
            })
            .collect();
        let recipe = Recipe::default()
            .with_steps(steps)
            .with_precision(self.precision);
        let execution = Execution::default().with_batch_size(batch);
        let request = Request::new(pairs, recipe).with_execution(execution);
        let mut times = Vec::with_capacity(steps);
        let mut observer = |progress: Progress<'_>| {
            if progress.stage == "visualizing" {
                times.push(Instant::now());
            }
            ControlFlow::Continue(())
        };
        let start = Instant::now();
        let pictures = visualize(&self.networks, &request, &mut observer)
            .unwrap()
            .finished;
        let end = Instant::now();
        assert_eq!((times.len(), pictures.len()), (steps, batch));
        Run {
            start,
            steps: times,
            end,
            pictures,
        }
    }
}

impl Run {
    /// Time from the end of the first step to the end of the last.
    fn time_of_steps(&self) -> Duration {
        self.steps[self.steps.len() - 1] - self.steps[0]
    }

    /// Of the steps but the first, sorted.
    fn step_times(&self) -> Vec<Duration> {
        let pairs = self.steps.windows(2);
        let mut times: Vec<_> = pairs.map(|pair| pair[1] - pair[0]).collect();
        times.sort();
        times
    }

    /// One line. The means tell whether two programs have made the same pictures.
    fn print(&self, device: DeviceName, batch: usize) {
        let times = self.step_times();
        let steps = times.len();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let mean = |value: fn(&Illusion) -> f32| {
            self.pictures.iter().map(value).sum::<f32>() / self.pictures.len() as f32
        };
        println!(
            "{device} batch {batch}: {:.3} steps/s, {steps} steps (median {:.1} ms, fastest {:.1} \
             ms), before them {:.0} ms, whole call {:.0} ms; activation {:.5}, similarity {:.6}, \
             pixel {:.6}",
            steps as f64 / self.time_of_steps().as_secs_f64(),
            milliseconds(times[steps / 2]),
            milliseconds(times[0]),
            milliseconds(self.steps[0] - self.start),
            milliseconds(self.end - self.start),
            mean(|picture| picture.activation),
            mean(|picture| picture.clip_similarity.unwrap_or(f32::NAN)),
            mean(|picture| picture.image.mean().unwrap_or(f32::NAN)),
        );
    }
}

/// As short as the mean of an ensemble of texts is.
fn class_embeddings(width: usize, device: &Device) -> ClassEmbeddings {
    let mut rng = Seed(0).rng("class embeddings", &[]);
    let bound = (3.0 / width as f32).sqrt();
    let values = (0..CLASSES * width)
        .map(|_| rng.random_range(-bound..bound))
        .collect();
    let rows = Tensor::from_data(TensorData::new(values, [CLASSES, width]), device);
    let classes: Vec<_> = (0..CLASSES).map(ClassId).collect();
    ClassEmbeddings::new(&classes, rows).unwrap()
}

/// The number after an option on the command line.
fn option(name: &str) -> Option<usize> {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let number = arguments.next().and_then(|value| value.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} takes a whole number")))
}

fn print_runs(bench: &Bench, steps: usize) {
    assert!(steps > 1, "--steps: at least 2, as the first is not timed");
    let batch = option("--batch").unwrap_or(1);
    bench.run(batch, WARM_UP);
    for _ in 0..option("--runs").unwrap_or(1) {
        bench.run(batch, steps).print(bench.device, batch);
    }
}

fn benchmark(bench: &Bench, criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("visualization on {}", bench.device));
    group.sample_size(10);
    group.throughput(Throughput::Elements(1));
    for batch in [1, 4] {
        group.bench_function(BenchmarkId::new("step, batch", batch), |bencher| {
            bencher.iter_custom(|steps| {
                black_box(bench.run(batch, steps as usize + 1)).time_of_steps()
            });
        });
    }
    group.finish();
}

fn main() {
    let bench = Bench::new();
    if let Some(steps) = option("--steps") {
        print_runs(&bench, steps);
    } else {
        let mut criterion = Criterion::default().configure_from_args();
        benchmark(&bench, &mut criterion);
        criterion.final_summary();
    }
}
