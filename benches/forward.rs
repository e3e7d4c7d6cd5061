//! What a classifier's forward pass takes, and one with the gradient to its input: a small member of each
//! family, random weights, batches of 1 and 8 images.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`), whose backend must be built in, and
//! `NEUROINSPECT_PRECISION` the number format, `f32` (the default), `bf16` or `f16`.
//!
//! ```text
//! cargo bench -p neuroinspect --bench forward -- resnet18
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench stops by panicking"
)]

use std::{cell::OnceCell, env, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use neuroinspect::{
    burn::tensor::{Device, Distribution, Tensor},
    core::{Classifier, CopyClassifier, DeviceName, Precision},
    models::init_classifier,
};

/// Of each family.
const MODELS: [&str; 8] = [
    "cifar_resnet20",
    "resnet18",
    "resnext50_32x4d",
    "vgg11_bn",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "convnext_tiny",
    "vit_tiny_patch16_224",
];

struct Bench {
    network: Box<dyn Classifier>,
    device: Device,
    precision: Precision,
}

impl Bench {
    /// Folded and in evaluation state, as every stage uses it.
    fn new(model: &str, device: &DeviceName, precision: Precision) -> Self {
        let device = device.open().unwrap();
        let model = init_classifier(model, 1000, &device).unwrap();
        let mut network = model.evaluation_copy(&device, precision).unwrap();
        network.fold().unwrap();
        Self {
            network,
            device,
            precision,
        }
    }

    fn images(&self, batch: usize) -> Tensor<4> {
        let size = self.network.input().size;
        let images = Tensor::random([batch, 3, size, size], Distribution::Default, &self.device);
        self.precision.cast(images)
    }

    /// The features' sum, read back: what is computed is computed by then.
    fn forward(&self, images: Tensor<4>) -> f32 {
        let features = self.network.activations(images).features;
        Precision::F32.cast(features).sum().into_scalar()
    }

    /// The sum of the gradient of the features' sum.
    fn gradient(&self, images: Tensor<4>) -> f32 {
        let images = images.autodiff().require_grad();
        let features = self.network.activations(images.clone()).features;
        let mut gradients = features.sum().backward();
        let gradient = images.grad_remove(&mut gradients).unwrap();
        Precision::F32.cast(gradient).sum().into_scalar()
    }
}

fn networks(criterion: &mut Criterion) {
    let device = env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    let device: DeviceName = device.parse().unwrap();
    let precision = match env::var("NEUROINSPECT_PRECISION").as_deref() {
        Err(_) | Ok("f32") => Precision::F32,
        Ok("bf16") => Precision::Bf16,
        Ok("f16") => Precision::F16,
        Ok(other) => panic!("NEUROINSPECT_PRECISION={other}: expected f32, bf16 or f16"),
    };
    for model in MODELS {
        let bench = OnceCell::new();
        let bench = || bench.get_or_init(|| Bench::new(model, &device, precision));
        let mut group = criterion.benchmark_group(format!("{model} on {device} in {precision}"));
        group.sample_size(10);
        for batch in [1, 8] {
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new("forward", batch), |bencher| {
                let images = bench().images(batch);
                bencher.iter(|| black_box(bench().forward(images.clone())));
            });
            group.bench_function(BenchmarkId::new("input gradient", batch), |bencher| {
                let images = bench().images(batch);
                bencher.iter(|| black_box(bench().gradient(images.clone())));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
