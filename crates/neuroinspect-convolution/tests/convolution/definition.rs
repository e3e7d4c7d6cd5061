//! Values and gradients against the definition, in `f64`.

use neuroinspect_convolution::{Convolution, Rectifier, Then, convolve, maps_gradient};

use crate::numbers;

/// Calls with each product's place in the maps, the weights and the values.
fn products(shape: &Convolution, mut each: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.size_out();
    let [inside, outside] = [shape.channels_in, shape.channels_out].map(|it| it / shape.groups);
    let at = |axis: usize, out: usize, weight: usize| {
        let place = out * shape.stride[axis] + weight * shape.dilation[axis];
        let place = place.checked_sub(shape.padding[axis].0)?;
        (place < shape.size[axis]).then_some(place)
    };
    for out in 0..shape.images * shape.channels_out * height * width {
        let (plane, row, column) = (out / (height * width), out / width % height, out % width);
        let (image, channel) = (plane / shape.channels_out, plane % shape.channels_out);
        for weight in 0..inside * shape.kernel[0] * shape.kernel[1] {
            let (down, right) = (
                weight / shape.kernel[1] % shape.kernel[0],
                weight % shape.kernel[1],
            );
            let from = weight / (shape.kernel[0] * shape.kernel[1]) + channel / outside * inside;
            if let (Some(y), Some(x)) = (at(0, row, down), at(1, column, right)) {
                let map = image * shape.channels_in + from;
                let weights = inside * shape.kernel[0] * shape.kernel[1];
                each(
                    (map * shape.size[0] + y) * shape.size[1] + x,
                    channel * weights + weight,
                    out,
                );
            }
        }
    }
}

fn close(what: &str, shape: &Convolution, ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{what} of {shape:?}");
    let size = expected.iter().fold(1.0_f64, |most, it| most.max(it.abs()));
    for (place, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let difference = (f64::from(*ours) - expected).abs();
        assert!(
            difference < 1e-5 * size,
            "{what} {place} of {shape:?}: {ours}, not {expected}"
        );
    }
}

/// Channels in, out and groups, with all windows, strides, dilations and paddings of a few.
fn shapes() -> Vec<Convolution> {
    let mut shapes = Vec::new();
    let channels = [
        [1, 1, 1],
        [3, 4, 1],
        [5, 3, 1],
        [9, 17, 1],
        [6, 4, 2],
        [7, 7, 7],
        [4, 12, 4],
    ];
    let windows = [[1, 1], [3, 3], [2, 5], [7, 4]];
    let steps = [
        ([1, 1], [1, 1]),
        ([2, 2], [1, 1]),
        ([3, 2], [1, 1]),
        ([1, 1], [2, 3]),
        ([2, 1], [1, 2]),
    ];
    let paddings = [
        [(0, 0), (0, 0)],
        [(1, 1), (1, 1)],
        [(3, 0), (1, 2)],
        [(0, 4), (5, 0)],
    ];
    let sizes = [[9, 7], [20, 33]];
    for (index, [channels_in, channels_out, groups]) in channels.into_iter().enumerate() {
        for kernel in windows {
            for (stride, dilation) in steps {
                for padding in paddings {
                    shapes.push(Convolution {
                        images: 1 + index % 3,
                        channels_in,
                        channels_out,
                        groups,
                        size: sizes[index % 2],
                        kernel,
                        stride,
                        dilation,
                        padding,
                    });
                }
            }
        }
    }
    shapes.retain(|shape| shape.numbers_out() > 0);
    shapes
}

#[test]
fn values_are_the_definitions() {
    for shape in shapes() {
        let x = numbers(
            shape.images * shape.channels_in * shape.size[0] * shape.size[1],
            1,
        );
        let inside = shape.channels_in / shape.groups;
        let weight = numbers(
            shape.channels_out * inside * shape.kernel[0] * shape.kernel[1],
            2,
        );
        let bias = numbers(shape.channels_out, 3);
        let added = numbers(shape.numbers_out(), 4);
        let plane = shape.numbers_out() / shape.images / shape.channels_out;
        let mut sums: Vec<f64> = (0..added.len())
            .map(|out| f64::from(added[out]) + f64::from(bias[out / plane % shape.channels_out]))
            .collect();
        products(&shape, |from, with, out| {
            sums[out] += f64::from(x[from]) * f64::from(weight[with])
        });
        for (rectifier, least, most) in [
            (Rectifier::Identity, f64::MIN, f64::MAX),
            (Rectifier::Relu, 0.0, f64::MAX),
            (Rectifier::Relu6, 0.0, 6.0),
        ] {
            let expected: Vec<_> = sums.iter().map(|sum| sum.clamp(least, most)).collect();
            let mut out = added.clone();
            let then = Then {
                bias: Some(&bias),
                added: true,
                rectifier,
            };
            convolve(&shape, &x, &weight, then, &mut out);
            close("value", &shape, &out, &expected);
        }
    }
}

#[test]
fn gradients_are_the_definitions() {
    let mut count = 0;
    for shape in shapes() {
        let inside = shape.channels_in / shape.groups;
        let weight = numbers(
            shape.channels_out * inside * shape.kernel[0] * shape.kernel[1],
            2,
        );
        let gradient = numbers(shape.numbers_out(), 5);
        let Some(ours) = maps_gradient(&shape, &gradient, &weight) else {
            continue;
        };
        count += 1;
        let mut expected =
            vec![0.0; shape.images * shape.channels_in * shape.size[0] * shape.size[1]];
        products(&shape, |to, with, of| {
            expected[to] += f64::from(gradient[of]) * f64::from(weight[with])
        });
        close("gradient", &shape, &ours, &expected);
    }
    assert!(count > 200, "{count} shapes of which there is a gradient");
}

/// Of the values' root mean square, that of what is rounded away.
#[test]
fn of_a_long_sum_little_is_rounded_away() {
    let shape = Convolution {
        images: 1,
        channels_in: 512,
        channels_out: 16,
        groups: 1,
        size: [7, 7],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [(1, 1); 2],
    };
    let (x, weight) = (numbers(512 * 7 * 7, 1), numbers(16 * 512 * 9, 2));
    let mut sums = vec![0.0; shape.numbers_out()];
    products(&shape, |from, with, out| {
        sums[out] += f64::from(x[from]) * f64::from(weight[with])
    });
    let mut out = vec![0.0; shape.numbers_out()];
    convolve(&shape, &x, &weight, Then::default(), &mut out);
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|it| it * it).sum::<f64>();
    let off = squares(
        &mut out
            .iter()
            .zip(&sums)
            .map(|(ours, sum)| f64::from(*ours) - sum),
    );
    let share = (off / squares(&mut sums.iter().copied())).sqrt();
    assert!(share < 3e-7, "{share}");
}
