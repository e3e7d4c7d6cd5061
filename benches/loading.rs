//! Opening a checkpoint: weights of a safetensors file read, checked and put into the network.
//!
//! ```text
//! cargo bench -p neuroinspect --bench loading
//! ```

#![allow(clippy::unwrap_used, reason = "a bench stops by panicking")]

use std::{fs, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use neuroinspect::{
    burn::tensor::Device,
    models::{LoadConfig, PretrainedClassifier, init_classifier, load_classifier},
};

fn checkpoints(criterion: &mut Criterion) {
    let (folder, device) = (tempfile::tempdir().unwrap(), Device::flex());
    let mut group = criterion.benchmark_group("loading");
    group.sample_size(10);
    for model in ["resnet18", "resnet50", "vit_base_patch16_224"] {
        let file = folder.path().join(format!("{model}.safetensors"));
        init_classifier(model, 1000, &device)
            .unwrap()
            .save(&file)
            .unwrap();
        group.throughput(Throughput::Bytes(fs::metadata(&file).unwrap().len()));
        group.bench_function(model, |bencher| {
            let config = LoadConfig::default();
            bencher.iter(|| black_box(load_classifier(model, &file, &config, &device).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, checkpoints);
criterion_main!(benches);
