//! One thread and several, and images alone and together, give the same bytes.

use neuroinspect_convolution::{Convolution, Rectifier, Then, convolve, maps_gradient};

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

/// What is convolved by what, and added to it.
struct Numbers {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    added: Vec<f32>,
}

impl Numbers {
    fn of(shape: &Convolution) -> Self {
        let maps = shape.images * shape.channels_in * shape.size[0] * shape.size[1];
        let window = shape.kernel[0] * shape.kernel[1];
        let weights = shape.channels_out * shape.channels_in / shape.groups * window;
        Self {
            x: numbers(maps, 1),
            weight: numbers(weights, 2),
            bias: numbers(shape.channels_out, 3),
            added: numbers(shape.numbers_out(), 4),
        }
    }

    /// One of the images alone.
    fn image(&self, index: usize, images: usize) -> Self {
        let part = |all: &[f32]| {
            let length = all.len() / images;
            all[index * length..][..length].to_vec()
        };
        Self {
            x: part(&self.x),
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            added: part(&self.added),
        }
    }

    fn convolved(&self, shape: &Convolution, threads: usize) -> Vec<u32> {
        let mut out = self.added.clone();
        let then = Then {
            bias: Some(&self.bias),
            added: true,
            rectifier: Rectifier::Relu,
        };
        by(threads, || {
            convolve(shape, &self.x, &self.weight, then, &mut out);
        });
        bits(&out)
    }

    /// The gradient where that of the values is what was added.
    fn gradient(&self, shape: &Convolution, threads: usize) -> Vec<u32> {
        let gradient = || maps_gradient(shape, &self.added, &self.weight).unwrap();
        bits(&by(threads, gradient))
    }
}

fn by<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(run)
}

#[test]
fn threads_do_not_show() {
    for shape in shapes() {
        let numbers = Numbers::of(&shape);
        let value = numbers.convolved(&shape, 1);
        let gradient = numbers.gradient(&shape, 1);
        for threads in [2, 3, 8] {
            let what = format!("{threads} threads, {shape:?}");
            assert_eq!(numbers.convolved(&shape, threads), value, "{what}");
            assert_eq!(numbers.gradient(&shape, threads), gradient, "{what}");
        }
    }
}

#[test]
fn an_image_has_its_values_in_any_batch() {
    for shape in shapes() {
        let numbers = Numbers::of(&shape);
        let values = numbers.convolved(&shape, 2);
        let gradients = numbers.gradient(&shape, 2);
        let alone = Convolution { images: 1, ..shape };
        for image in 0..shape.images {
            let what = format!("image {image} of {shape:?}");
            let part = |all: &[u32]| {
                let length = all.len() / shape.images;
                all[image * length..][..length].to_vec()
            };
            let numbers = numbers.image(image, shape.images);
            assert_eq!(part(&values), numbers.convolved(&alone, 2), "{what}");
            assert_eq!(part(&gradients), numbers.gradient(&alone, 2), "{what}");
        }
    }
}

/// In full vectors and in a row's rest.
#[test]
fn no_number_stays_none() {
    for rectifier in [Rectifier::Identity, Rectifier::Relu, Rectifier::Relu6] {
        let shape = shapes()[1];
        let mut numbers = Numbers::of(&shape);
        numbers.x.fill(f32::NAN);
        let mut out = vec![0.0; shape.numbers_out()];
        let then = Then {
            rectifier,
            ..Then::default()
        };
        convolve(&shape, &numbers.x, &numbers.weight, then, &mut out);
        assert!(out.iter().all(|it| it.is_nan()), "{rectifier:?}");
    }
}

#[test]
fn groups_that_do_not_divide_the_channels_are_refused() {
    let shape = Convolution {
        channels_in: 5,
        groups: 2,
        ..shapes()[0]
    };
    assert!(!shape.is_valid());
    let stopped = Convolution {
        stride: [1, 0],
        ..shapes()[0]
    };
    assert!(!stopped.is_valid());
    let endless = Convolution {
        padding: [(1 << 60, 0), (1 << 60, 0)],
        ..shapes()[0]
    };
    assert!(!endless.is_valid());
    assert!(shapes().iter().all(Convolution::is_valid));
    let refused = std::panic::catch_unwind(|| maps_gradient(&shape, &[], &[]));
    assert!(refused.is_err());
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
