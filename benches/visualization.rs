//! Steps of CLIP-Illusion a second: ResNet-18, ResNet-50 and ViT-B/16, each guided by CLIP ViT-B/32 at
//! 224 px, random weights, batches of 1, 4 and 16 pictures.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); its backend must be built in.
//! `NEUROINSPECT_PRECISION` is `f32` (the default), `bf16` or `f16`. As a criterion bench:
//!
//! ```text
//! NEUROINSPECT_DEVICE=tch cargo bench -p neuroinspect --features tch --bench visualization -- resnet18
//! ```
//!
//! `--serve CLASSIFIER` makes the same program a side of `tools/compare_speed.py`.
//!
//! A step's time is that of a run less that of a run of [`SHORT`] steps, over the steps between: so
//! it counts where a device works while it is not waited for, and preparing and finishing do not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench stops by panicking, and prints what it found"
)]

mod serve;

use std::{
    cell::OnceCell,
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use neuroinspect::{
    burn::tensor::{Device, Tensor, TensorData},
    core::{ClassEmbeddings, ClassId, DeviceName, NeuronId, Precision, Seed, Silent},
    illusion::{Execution, Guide, Networks, Pair, Recipe, Request, visualize},
    models::{clip::ClipConfig, init_classifier},
};
use rand::RngExt;

/// Classes of the classifier.
const CLASSES: usize = 1000;

/// Steps of the run that is taken off; the first ones find memory and kernels cold.
const SHORT: usize = 2;

struct Bench {
    networks: Networks,
    precision: Precision,
}

fn device_name() -> DeviceName {
    let name = env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    name.parse().unwrap()
}

fn precision() -> Precision {
    match env::var("NEUROINSPECT_PRECISION").as_deref() {
        Err(_) | Ok("f32") => Precision::F32,
        Ok("bf16") => Precision::Bf16,
        Ok("f16") => Precision::F16,
        Ok(other) => panic!("NEUROINSPECT_PRECISION={other}: expected f32, bf16 or f16"),
    }
}

impl Bench {
    fn new(classifier: &str) -> Self {
        let (device, precision) = (device_name().open().unwrap(), precision());
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
        let classifier = init_classifier(classifier, CLASSES, &device).unwrap();
        Self {
            networks: Networks::new(&classifier, Some(&guide), &device, precision).unwrap(),
            precision,
        }
    }

    /// The time of optimising one batch of pictures.
    fn run(&self, batch: usize, steps: usize) -> Duration {
        let pairs: Vec<_> = (0..batch)
            .map(|index| Pair {
                neuron: NeuronId(7 + 31 * (index % 16)),
                class: ClassId(3 + 13 * index),
            })
            .collect();
        let recipe = Recipe::default()
            .with_steps(steps)
            .with_precision(self.precision);
        let execution = Execution::default()
            .with_batch_size(batch)
            .with_other_seeds(0);
        let request = Request::new(pairs, recipe).with_execution(execution);
        let start = Instant::now();
        let made = black_box(visualize(&self.networks, &request, &mut Silent).unwrap());
        let time = start.elapsed();
        assert_eq!(made.finished.len(), batch);
        time
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

fn benchmark(classifier: &str, criterion: &mut Criterion) {
    let bench = OnceCell::new();
    let (device, precision) = (device_name(), precision());
    let mut group = criterion.benchmark_group(format!("{classifier} on {device} in {precision}"));
    group.sample_size(10);
    group.throughput(Throughput::Elements(1));
    for batch in [1, 4, 16] {
        group.bench_function(BenchmarkId::new("step, batch", batch), |bencher| {
            let bench = bench.get_or_init(|| Bench::new(classifier));
            bencher.iter_custom(|steps| {
                let short = bench.run(batch, SHORT);
                bench
                    .run(batch, SHORT + steps as usize)
                    .saturating_sub(short)
            });
        });
    }
    group.finish();
}

fn main() {
    if let Some(arguments) = serve::asked_to_serve() {
        let bench = Bench::new(&arguments[0]);
        return serve::serve(|batch, steps| bench.run(batch, steps));
    }
    let mut criterion = Criterion::default().configure_from_args();
    for classifier in ["resnet18", "resnet50", "vit_base_patch16_224"] {
        benchmark(classifier, &mut criterion);
    }
    criterion.final_summary();
}
