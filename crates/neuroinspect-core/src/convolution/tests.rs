use burn::tensor::{Device, TensorData, activation::relu6, module::conv2d};
use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::Seed;

/// Of each number less than 1e-6 of its terms' sizes is rounded away.
const ROUNDING: f32 = 1e-4;

fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let mut rng = Seed(7).rng(name, &[]);
    let values = (0..shape.iter().product()).map(|_| rng.random_range(-1.0_f32..1.0));
    let values = TensorData::new(values.collect::<Vec<_>>(), shape);
    Tensor::from_data(values, &Device::flex())
}

fn assert_close<const D: usize>(what: &str, ours: &Tensor<D>, expected: &Tensor<D>) {
    assert_eq!(ours.dims(), expected.dims(), "{what}");
    let size = expected.clone().abs().max().into_scalar::<f32>().max(1.0);
    let difference = (ours.clone() - expected.clone()).abs().max();
    let difference = difference.into_scalar::<f32>();
    assert!(
        difference < ROUNDING * size,
        "{what}: {difference} of {size}"
    );
}

/// A convolution, and the shapes of what goes in.
#[derive(Clone, Debug)]
struct Case {
    options: ConvOptions<2>,
    x: [usize; 4],
    weight: [usize; 4],
    rectifier: Rectifier,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (
        (1_usize..4),
        (1_usize..4),
        (1_usize..12),
        [1_usize..24, 1..24],
    );
    let window = ([1_usize..6, 1..6], [1_usize..4, 1..4], [1_usize..3, 1..3]);
    let padding = [(0_usize..4, 0_usize..4), (0_usize..4, 0_usize..4)];
    let rectifier = prop_oneof![
        Just(Rectifier::Identity),
        Just(Rectifier::Relu),
        Just(Rectifier::Relu6)
    ];
    let groups = 1_usize..4;
    (sizes, window, padding, groups, rectifier)
        .prop_filter_map(
            "a window within the map",
            |(sizes, window, padding, groups, rectifier)| {
                let (images, inside, outside, size) = sizes;
                let (kernel, stride, dilation) = window;
                let fits = (0..2).all(|axis| {
                    let reach = dilation[axis] * (kernel[axis] - 1) + 1;
                    size[axis] + padding[axis].0 + padding[axis].1 >= reach
                });
                let options = ConvOptions {
                    padding,
                    ..ConvOptions::new(stride, [0, 0], dilation, groups)
                };
                fits.then_some(Case {
                    options,
                    x: [images, inside * groups, size[0], size[1]],
                    weight: [outside * groups, inside, kernel[0], kernel[1]],
                    rectifier,
                })
            },
        )
        .no_shrink()
}

fn activated(value: Tensor<4>, rectifier: Rectifier) -> Tensor<4> {
    match rectifier {
        Rectifier::Identity => value,
        Rectifier::Relu => burn::tensor::activation::relu(value),
        Rectifier::Relu6 => relu6(value),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Values and all four gradients, by our sums and by Burn's.
    #[test]
    fn values_and_gradients_are_burns(case in cases(), added in any::<bool>()) {
        let Case { options, x, weight, rectifier } = case;
        let (x, weight) = (random("x", x), random("weight", weight));
        let bias = random("bias", [weight.dims()[0]]);
        let shape = conv2d(x.clone(), weight.clone(), None, options.clone()).dims();
        let sum = random("added", shape);
        let seeds = random("seeds of the gradient", shape);
        let run = |ours: bool| {
            let [x, weight, sum] = [&x, &weight, &sum].map(|it| it.clone().autodiff().require_grad());
            let bias = bias.clone().autodiff().require_grad();
            let value = match ours {
                true => Convolution::new(options.clone()).with_rectifier(rectifier).apply(
                    x.clone(),
                    weight.clone(),
                    Some(bias.clone()),
                    added.then(|| sum.clone()),
                ),
                false => {
                    let value = conv2d(x.clone(), weight.clone(), Some(bias.clone()), options.clone());
                    activated(if added { value + sum.clone() } else { value }, rectifier)
                }
            };
            let mut gradients = (value.clone() * seeds.clone().autodiff()).sum().backward();
            let of_bias = bias.grad_remove(&mut gradients).unwrap();
            let mut all = vec![("value", value.without_autodiff()), ("bias", of_bias.reshape([1, 1, 1, -1]))];
            for (name, input) in [("x", x), ("weight", weight), ("added", sum)] {
                all.extend(input.grad_remove(&mut gradients).map(|it| (name, it)));
            }
            all
        };
        let (ours, burns) = (run(true), run(false));
        assert_eq!(ours.len(), burns.len());
        for ((name, ours), (_, expected)) in ours.iter().zip(&burns) {
            assert_close(name, ours, expected);
        }
    }
}

#[test]
fn without_a_bias_none_is_added() {
    let (x, weight) = (random("x", [2, 3, 9, 9]), random("weight", [5, 3, 3, 3]));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let expected = conv2d(x.clone(), weight.clone(), None, options.clone());
    let ours = Convolution::new(options).apply(x, weight, None, None);
    assert_close("value", &ours, &expected);
}

/// What is added is overwritten only where nobody else holds it.
#[test]
fn what_is_added_stays_where_it_is_held() {
    let (x, weight) = (random("x", [2, 3, 9, 9]), random("weight", [5, 3, 3, 3]));
    let added = random("added", [2, 5, 9, 9]);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let convolution = Convolution::new(options).with_rectifier(Rectifier::Relu);
    let first = convolution
        .clone()
        .apply(x.clone(), weight.clone(), None, Some(added.clone()));
    assert_close("added", &added, &random("added", [2, 5, 9, 9]));
    let second = convolution.apply(x, weight, None, Some(added));
    assert_eq!(first.into_data(), second.into_data());
}

/// Maps without a number, as of no image, have a value and gradients of none.
#[test]
fn of_no_image_there_is_no_value() {
    let x = random("x", [0, 2, 5, 5]).autodiff().require_grad();
    let weight = random("weight", [3, 2, 3, 3]);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let value = Convolution::new(options).apply(x.clone(), weight.autodiff(), None, None);
    assert_eq!(value.dims(), [0, 3, 5, 5]);
    let mut gradients = value.sum().backward();
    assert_eq!(x.grad_remove(&mut gradients).unwrap().dims(), [0, 2, 5, 5]);
}

/// Another number format is left to Burn's.
#[test]
fn other_formats_are_burns() {
    let (x, weight) = (random("x", [1, 2, 5, 5]), random("weight", [3, 2, 3, 3]));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let wide = |it: &Tensor<4>| it.clone().cast(burn::tensor::DType::F64);
    let expected = conv2d(wide(&x), wide(&weight), None, options.clone());
    let ours = Convolution::new(options).apply(wide(&x), wide(&weight), None, None);
    assert_eq!(ours.into_data(), expected.into_data());
}

#[test]
#[should_panic(expected = "in 2 groups are of no maps")]
fn maps_of_other_channels_are_refused() {
    let (x, weight) = (random("x", [1, 5, 9, 9]), random("weight", [4, 2, 3, 3]));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 2);
    Convolution::new(options).apply(x, weight, None, None);
}
