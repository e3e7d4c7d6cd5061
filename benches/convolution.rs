//! Convolutions on the CPU backend and the gradients of their maps: ours, and Burn's.
//!
//! ```text
//! cargo bench -p neuroinspect --bench convolution -- "3x3 64"
//! ```

#![allow(clippy::unwrap_used, reason = "a bench stops by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use neuroinspect::{
    burn::tensor::{Device, Distribution, Tensor, module::conv2d, ops::ConvOptions},
    core::Convolution,
};

/// Channels in and out, groups, pixels a side, window, stride.
const SHAPES: [[usize; 6]; 22] = [
    [16, 16, 1, 32, 3, 1],
    [32, 32, 1, 16, 3, 1],
    [64, 64, 1, 8, 3, 1],
    [16, 32, 1, 32, 3, 2],
    [64, 64, 1, 56, 3, 1],
    [512, 512, 1, 7, 3, 1],
    [512, 512, 1, 2, 3, 1],
    [512, 512, 1, 1, 3, 1],
    [3, 64, 1, 224, 7, 2],
    [3, 768, 1, 224, 32, 32],
    [3, 96, 1, 224, 4, 4],
    [64, 128, 1, 56, 1, 1],
    [64, 128, 1, 56, 1, 2],
    [96, 24, 1, 56, 1, 1],
    [320, 1280, 1, 7, 1, 1],
    [320, 1280, 1, 3, 1, 1],
    [320, 1280, 1, 2, 1, 1],
    [320, 1280, 1, 1, 1, 1],
    [96, 96, 96, 56, 3, 1],
    [240, 240, 240, 28, 5, 1],
    [96, 96, 96, 56, 3, 2],
    [768, 768, 768, 7, 7, 1],
];

fn shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convolution");
    group.sample_size(10);
    let device = Device::flex();
    let random =
        |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
    for [channels_in, channels_out, groups, side, kernel, stride] in SHAPES {
        for images in [1, 4, 32] {
            let x = random([images, channels_in, side, side]);
            let weight = random([channels_out, channels_in / groups, kernel, kernel]);
            // Patches have no zeros around them.
            let padding = if stride == kernel { 0 } else { kernel / 2 };
            let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups);
            let products = {
                let [_, _, height, width] =
                    conv2d(x.clone(), weight.clone(), None, options.clone()).dims();
                images * height * width * weight.dims().iter().product::<usize>()
            };
            group.throughput(Throughput::Elements(products as u64));
            let name = format!(
                "{kernel}x{kernel} {channels_in} to {channels_out} of {groups}, {side} px by {stride}, {images} images"
            );
            for (side, ours) in [("ours", true), ("burn", false)] {
                let value = |x: Tensor<4>| match ours {
                    true => Convolution::new(options.clone()).apply(x, weight.clone(), None, None),
                    false => conv2d(x, weight.clone(), None, options.clone()),
                };
                group.bench_function(format!("{name}/{side}"), |bencher| {
                    bencher.iter(|| black_box(value(x.clone())));
                });
                group.bench_function(format!("{name}/{side} and back"), |bencher| {
                    bencher.iter(|| {
                        let x = x.clone().autodiff().require_grad();
                        let mut gradients = value(x.clone()).sum().backward();
                        black_box(x.grad_remove(&mut gradients).unwrap())
                    });
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, shapes);
criterion_main!(benches);
