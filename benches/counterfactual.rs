//! Counterfactuals for all mistakes of a class: from features computed once, all samples together,
//! against one sample at a time with the backbone run again at every step, as the original
//! program does it. Same model, same decision layer, same objective and same stopping; the
//! shifts are checked to agree before anything is timed.
//!
//! The embedded demo's classifier and its mistakes about stars. The slow way takes too long to be
//! repeated: it is timed once, and the ratio of the medians printed at the end.
//!
//! And counterfactuals a second against the number of mistakes, neurons and classes, of features and a
//! layer out of a seed; for two of the sizes the smallest changes as well, which are proved.
//!
//! `--serve` makes the same program a side of `tools/compare_speed.py`, whose steps are then mistakes of the
//! demo's, from a feature table.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops by panicking, and prints what it found"
)]

mod serve;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use ndarray::{Array1, Array2, Axis};
use neuroinspect::{
    Extraction,
    burn::tensor::{Device, Tensor, TensorData, activation::softmax},
    core::{
        ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, Predicted, Provenance,
        Seed, Silent,
    },
    counterfactual::{
        CertifiedConfig, Counterfactual, CounterfactualConfig, Explainer, Explanation, certify,
    },
    datasets::{ImageDataset, preprocess},
    demo::Demo,
    extract_features,
};
use rand::RngExt;

/// Mistakes, neurons and classes.
const SIZES: [[usize; 3]; 5] = [
    [100, 512, 100],
    [1000, 512, 100],
    [1000, 64, 10],
    [1000, 2048, 100],
    [1000, 2048, 1000],
];

/// Those that the smallest changes are computed of.
const CERTIFIED: [[usize; 3]; 2] = [[100, 512, 100], [1000, 64, 10]];

/// Fast runs that a median is taken of.
const RUNS: usize = 21;

/// The demo's classifier and one of its classes.
struct Bench {
    demo: Demo,
    layer: DecisionLayer,
    class: ClassId,
    config: CounterfactualConfig,
    device: Device,
}

impl Bench {
    fn new() -> Self {
        let device = Device::flex();
        let demo = Demo::load(&device).unwrap();
        Self {
            layer: demo.classifier.decision_layer().unwrap(),
            class: demo.planted_class(),
            config: CounterfactualConfig::default(),
            demo,
            device,
        }
    }

    /// The backbone run once on all test scenes.
    fn table(&self) -> FeatureTable {
        let extraction = Extraction::new(self.demo.classifier.as_ref(), &self.demo.test);
        extract_features(&extraction, &mut Silent).unwrap().table
    }

    fn explain(&self, table: &FeatureTable) -> Explanation {
        let predicted = table.predicted_by(&self.layer).unwrap();
        Explainer::new(&self.device)
            .with_config(self.config.clone())
            .explain(&predicted, self.class, &mut Silent)
            .unwrap()
    }

    /// A test scene as the classifier sees it: `[1, 3, S, S]`.
    fn image(&self, sample: usize) -> Tensor<4> {
        let input = self.demo.classifier.input();
        let pixels = preprocess(&self.demo.test.image(sample).unwrap(), input).unwrap();
        let shape = [1, 3, input.size, input.size];
        let pixels = TensorData::new(pixels.into_iter().collect::<Vec<f32>>(), shape);
        input.normalize(Tensor::from_data(pixels, &self.device))
    }

    /// The shift and the steps of one image, its features computed again at every step.
    fn one_by_one(&self, image: &Tensor<4>) -> (Array1<f32>, usize) {
        let config = &self.config;
        let neurons = self.layer.neurons();
        let weight = self.layer.weight_on(&self.device);
        let bias = self.layer.bias_on(&self.device).unsqueeze::<2>();
        let classes = self.layer.classes();
        let mut one_hot = vec![0.0_f32; classes];
        one_hot[self.class.0] = 1.0;
        let one_hot = Tensor::<2>::from_data(TensorData::new(one_hot, [1, classes]), &self.device);
        let look = |shift: &Tensor<2>| {
            let features = self.demo.classifier.activations(image.clone()).features;
            (features + shift.clone()).matmul(weight.clone().transpose()) + bias.clone()
        };

        let mut shift = Tensor::<2>::zeros([1, neurons], &self.device);
        let mut velocity = shift.clone();
        let mut logits = look(&shift);
        let mut steps = 0;
        while steps < config.max_steps {
            steps += 1;
            let residual = softmax(logits, 1) - one_hot.clone();
            let norm = shift.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
            let penalties =
                shift.clone().sign() * config.lambda1 + shift.clone() / norm * config.lambda2;
            let gradient = residual.matmul(weight.clone()) + penalties / neurons as f64;
            velocity = velocity * config.momentum + gradient;
            shift = shift - velocity.clone() * config.learning_rate;
            logits = look(&shift);
            let predicted: Vec<i64> = logits.clone().argmax(1).try_into_vec_as().unwrap();
            if predicted[0] == self.class.0 as i64 {
                break;
            }
        }
        (Array1::from(shift.try_into_vec_as::<f32>().unwrap()), steps)
    }
}

/// Sums in another order may flip a sample a step sooner or later, and no more than that.
fn check(ours: &Counterfactual, shift: Array1<f32>, found: &(Array1<f32>, usize)) {
    let (expected, steps) = found;
    assert!(ours.steps.abs_diff(*steps) <= 1, "{ours:?}: {steps}");
    let error = (&shift - expected).fold(0.0, |most: f32, error| most.max(error.abs()));
    assert!(
        ours.steps != *steps || error < 1e-4,
        "{ours:?} is {error} off"
    );
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn counterfactuals(criterion: &mut Criterion) {
    let bench = Bench::new();
    let table = bench.table();
    let explanation = bench.explain(&table);
    let mistakes = &explanation.counterfactuals;
    let images: Vec<_> = mistakes
        .iter()
        .map(|mistake| bench.image(mistake.sample))
        .collect();

    let start = Instant::now();
    let found: Vec<_> = images.iter().map(|image| bench.one_by_one(image)).collect();
    let slow = start.elapsed();
    for ((ours, shift), found) in mistakes
        .iter()
        .zip(explanation.shifts.axis_iter(Axis(0)))
        .zip(&found)
    {
        check(ours, shift.to_owned(), found);
    }

    let mut group =
        criterion.benchmark_group(format!("counterfactuals of {} mistakes", found.len()));
    group.sample_size(10);
    group.bench_function("from a feature table", |bencher| {
        bencher.iter(|| black_box(bench.explain(&table)));
    });
    group.bench_function("from images, backbone once", |bencher| {
        bencher.iter(|| black_box(bench.explain(&bench.table())));
    });
    group.finish();

    let from_table = median(|| {
        black_box(bench.explain(&table));
    });
    let steps: usize = found.iter().map(|(_, steps)| steps).sum();
    println!(
        "one by one, backbone at each of {steps} steps: {slow:.2?}; from a feature table: \
         {from_table:.2?}; ratio {:.0}",
        slow.as_secs_f64() / from_table.as_secs_f64()
    );
}

/// Features from 0 to 1, of which half are 0 as behind a ReLU, and a layer of small weights that is wrong
/// about nearly all of class 0.
fn of_seed([samples, neurons, classes]: [usize; 3]) -> (FeatureTable, DecisionLayer) {
    let mut rng = Seed(0).rng("counterfactuals", &[]);
    let bound = (3.0 / neurons as f32).sqrt();
    let weight =
        Array2::from_shape_simple_fn((classes, neurons), || rng.random_range(-bound..bound));
    let layer = DecisionLayer::new(weight, Array1::zeros(classes)).unwrap();
    let shape = (samples, neurons);
    let features = Array2::from_shape_simple_fn(shape, || rng.random_range(-1.0_f32..1.0).max(0.0));
    let activations = ActivationTable::new(features, Provenance::new("random", InputSpec::new(32)));
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    let table = FeatureTable::new(activations.unwrap(), vec![ClassId(0); samples], names);
    (table.unwrap(), layer)
}

fn sizes(criterion: &mut Criterion) {
    let device = Device::flex();
    each_size(criterion, "counterfactuals", &SIZES, |predicted| {
        let explainer = Explainer::new(&device);
        explainer
            .explain(predicted, ClassId(0), &mut Silent)
            .unwrap()
            .shifts
    });
    let config = CertifiedConfig::default();
    each_size(criterion, "certified", &CERTIFIED, |predicted| {
        certify(predicted, ClassId(0), &config, &mut Silent)
            .unwrap()
            .shifts
    });
}

/// Times what finds a shift for each mistake, `[M, D]`.
fn each_size(
    criterion: &mut Criterion,
    name: &str,
    sizes: &[[usize; 3]],
    find: impl Fn(&Predicted<'_>) -> Array2<f32>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for &size in sizes {
        let (table, layer) = of_seed(size);
        let predicted = table.predicted_by(&layer).unwrap();
        let [mistakes, neurons, classes] = [find(&predicted).nrows(), size[1], size[2]];
        group.throughput(Throughput::Elements(mistakes as u64));
        let id = BenchmarkId::new(
            "mistakes x neurons x classes",
            format!("{mistakes} x {neurons} x {classes}"),
        );
        group.bench_function(id, |bencher| bencher.iter(|| black_box(find(&predicted))));
    }
    group.finish();
}

fn main() {
    if serve::asked_to_serve().is_some() {
        let bench = Bench::new();
        let table = bench.table();
        let mistakes = bench.explain(&table).counterfactuals.len();
        return serve::serve(|_, steps| {
            // All mistakes are explained together, so that the time of as many as asked for is a multiple.
            let rounds = steps.div_ceil(mistakes);
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(bench.explain(&table));
            }
            start
                .elapsed()
                .mul_f64(steps as f64 / (rounds * mistakes) as f64)
        });
    }
    let mut criterion = Criterion::default().configure_from_args();
    counterfactuals(&mut criterion);
    sizes(&mut criterion);
    criterion.final_summary();
}
