//! Counterfactuals for all mistakes of a class: from features computed once, all samples together,
//! against one sample at a time with the backbone run again at every step, as the original
//! program does it. Same model, same decision layer, same objective and same stopping; the
//! shifts are checked to agree before anything is timed.

#![allow(clippy::unwrap_used)] // A bench is not a library.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Axis};
use neuroinspect::{
    burn::tensor::{Device, Tensor, TensorData, activation::softmax},
    core::{ClassId, Classifier, DecisionLayer, FeatureTable, Provenance, Seed, Silent},
    counterfactual::{CounterfactualConfig, Explanation, explain},
    models::{CifarResNet, CifarResNetConfig},
};
use rand::RngExt;

const CLASSES: usize = 10;
const SAMPLES: usize = 32;

struct Subject {
    model: CifarResNet,
    layer: DecisionLayer,
    /// Normalised, `[SAMPLES, 3, 32, 32]`.
    images: Tensor<4>,
    /// The class that no image is given: with it as the label of all, all are mistakes.
    class: ClassId,
    config: CounterfactualConfig,
    device: Device,
}

impl Subject {
    fn new() -> Self {
        let device = Device::flex();
        device.seed(7);
        let model = CifarResNetConfig::new(8, CLASSES).init(&device).unwrap();
        let layer = model.decision_layer().unwrap();
        let mut rng = Seed(7).rng("bench images", &[]);
        let pixels = (0..SAMPLES * 3 * 32 * 32)
            .map(|_| rng.random::<f32>())
            .collect();
        let images = TensorData::new(pixels, [SAMPLES, 3, 32, 32]);
        let images = model.input().normalize(Tensor::from_data(images, &device));
        let mut subject = Self {
            model,
            layer,
            images,
            class: ClassId(0),
            config: CounterfactualConfig::default(),
            device,
        };
        let predictions = subject.layer.predict(subject.features().view()).unwrap();
        let unseen = (0..CLASSES)
            .map(ClassId)
            .find(|class| !predictions.contains(class));
        subject.class = unseen.unwrap();
        subject
    }

    /// The backbone run once on all images: `[SAMPLES, D]`.
    fn features(&self) -> Array2<f32> {
        let features = self.model.activations(self.images.clone()).features;
        let [samples, neurons] = features.dims();
        Array2::from_shape_vec((samples, neurons), features.try_into_vec_as().unwrap()).unwrap()
    }

    fn table(&self, features: Array2<f32>) -> FeatureTable {
        let predictions = self.layer.predict(features.view()).unwrap();
        let names = (0..CLASSES).map(|class| class.to_string()).collect();
        let provenance = Provenance::new(self.model.name(), self.model.input().clone());
        FeatureTable::new(
            features,
            vec![self.class; SAMPLES],
            predictions,
            names,
            provenance,
        )
        .unwrap()
    }

    fn explain(&self, table: &FeatureTable) -> Explanation {
        explain(
            table,
            &self.layer,
            self.class,
            &self.config,
            &self.device,
            &mut Silent,
        )
        .unwrap()
    }

    /// The shift and the steps of one image, its features computed again at every step.
    fn one_by_one(&self, sample: usize) -> (Array1<f32>, usize) {
        let config = &self.config;
        let neurons = self.layer.neurons();
        let weight = self.layer.weight_on(&self.device);
        let bias = self.layer.bias_on(&self.device).unsqueeze::<2>();
        let mut one_hot = vec![0.0_f32; CLASSES];
        one_hot[self.class.0] = 1.0;
        let one_hot = Tensor::<2>::from_data(TensorData::new(one_hot, [1, CLASSES]), &self.device);
        let image = self.images.clone().slice(sample..sample + 1);
        let look = |shift: &Tensor<2>| {
            let features = self.model.activations(image.clone()).features;
            (features + shift.clone()).matmul(weight.clone().transpose()) + bias.clone()
        };

        let mut shift = Tensor::<2>::zeros([1, neurons], &self.device);
        let mut velocity = shift.clone();
        let mut logits = look(&shift);
        for step in 1..=config.max_steps {
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
                return (Array1::from(shift.try_into_vec_as::<f32>().unwrap()), step);
            }
        }
        (
            Array1::from(shift.try_into_vec_as::<f32>().unwrap()),
            config.max_steps,
        )
    }
}

fn counterfactuals(criterion: &mut Criterion) {
    let subject = Subject::new();
    let table = subject.table(subject.features());
    let explanation = subject.explain(&table);
    for (outcome, shift) in explanation
        .outcomes
        .iter()
        .zip(explanation.shifts.axis_iter(Axis(0)))
    {
        let (expected, steps) = subject.one_by_one(outcome.sample);
        assert_eq!(outcome.steps, steps);
        let error = (&shift - &expected).fold(0.0, |most: f32, error| most.max(error.abs()));
        assert!(error < 1e-5, "sample {} is {error} off", outcome.sample);
    }

    let mut group = criterion.benchmark_group(format!("counterfactuals of {SAMPLES} mistakes"));
    group.sample_size(10);
    group.bench_function("from a feature table", |bencher| {
        bencher.iter(|| black_box(subject.explain(&table)));
    });
    group.bench_function("from images, backbone once", |bencher| {
        bencher.iter(|| black_box(subject.explain(&subject.table(subject.features()))));
    });
    group.bench_function("from images, backbone at every step", |bencher| {
        bencher.iter(|| {
            (0..SAMPLES)
                .map(|sample| subject.one_by_one(sample))
                .collect::<Vec<_>>()
        });
    });
    group.finish();
}

criterion_group!(benches, counterfactuals);
criterion_main!(benches);
