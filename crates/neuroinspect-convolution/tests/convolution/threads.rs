//! One thread and several, and images alone and together, give the same bytes.

use neuroinspect_convolution::{Activation, Convolution, Then, convolve};

use crate::numbers;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn shapes() -> Vec<Convolution> {
    let shape =
        |images, [channels_in, channels_out, groups]: [usize; 3], size, kernel: usize, stride| {
            let half = kernel / 2;
            Convolution {
                images,
                channels_in,
                channels_out,
                groups,
                size,
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1, 1],
                padding: [(half, half); 2],
            }
        };
    vec![
        shape(9, [16, 16, 1], [32, 32], 3, 1),
        shape(1, [64, 61, 1], [14, 15], 3, 1),
        shape(3, [64, 48, 2], [14, 15], 3, 2),
        shape(2, [3, 64, 1], [57, 40], 7, 2),
        shape(5, [96, 96, 96], [28, 28], 5, 1),
        shape(1, [96, 96, 96], [28, 28], 3, 2),
        shape(2, [64, 128, 1], [7, 7], 1, 1),
    ]
}

fn run(shape: &Convolution, threads: usize) -> Vec<f32> {
    let x = numbers(
        shape.images * shape.channels_in * shape.size[0] * shape.size[1],
        1,
    );
    let window = shape.kernel[0] * shape.kernel[1];
    let weight = numbers(
        shape.channels_out * shape.channels_in / shape.groups * window,
        2,
    );
    let bias = numbers(shape.channels_out, 3);
    let mut out = numbers(shape.numbers_out(), 4);
    let then = Then {
        bias: Some(&bias),
        added: true,
        activation: Activation::Relu,
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| convolve(shape, &x, &weight, then, &mut out));
    out
}

#[test]
fn threads_do_not_show() {
    for shape in shapes() {
        let one = bits(&run(&shape, 1));
        for threads in [2, 3, 8] {
            assert_eq!(
                bits(&run(&shape, threads)),
                one,
                "{threads} threads, {shape:?}"
            );
        }
    }
}

#[test]
fn an_image_has_its_values_in_any_batch() {
    for shape in shapes() {
        let together = run(&shape, 2);
        let alone = Convolution { images: 1, ..shape };
        let first = run(&alone, 2);
        // The first image's numbers are the same; so are what is added to them.
        assert_eq!(bits(&together[..first.len()]), bits(&first), "{shape:?}");
    }
}

/// A shape whose numbers do not agree is refused before anything is computed.
#[test]
#[should_panic(expected = "numbers of the weights")]
fn weights_of_another_shape_are_refused() {
    let shape = shapes()[0];
    let x = vec![0.0; shape.images * shape.channels_in * shape.size[0] * shape.size[1]];
    let mut out = vec![0.0; shape.numbers_out()];
    convolve(&shape, &x, &[0.0; 3], Then::default(), &mut out);
}
