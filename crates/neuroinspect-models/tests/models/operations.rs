//! Operations one by one, on numbers that can be followed by hand.

use burn::{
    nn::Initializer,
    tensor::{Device, Tensor},
};
use neuroinspect_models::graph::{
    Activation, Arithmetic, AvgPool2d, Binary, Clamp, Concat, Conv2d, Function, Gather,
    GraphBuilder, GroupNorm, InstanceNorm, MatMul, MaxPool2d, Network, Op, Pad, Padding, Permute,
    Power, Reduce, Reduction, Reshape, Scale, Select, Shift, Slice, Softmax,
};

use crate::graphs::read;

/// The value of one operation on a map `[1, channels, height, width]`.
fn apply(op: impl Into<Op>, shape: [usize; 4], values: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let mut g = GraphBuilder::new();
    let x = g.input("images", shape[1..].to_vec());
    g.layer("it", op, [x]);
    let network = Network::new(g.finish().unwrap(), &device).unwrap();
    let x = Tensor::<1>::from_data(values, &device).reshape(shape);
    let value = read(&network, vec![("images", x.into())], &["it"]);
    value.into_iter().next().unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-5, "{found:?} {expected:?}");
    }
}

#[test]
fn functions_have_their_closed_forms() {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let inputs = [-2.0f32, -0.5, 0.0, 1.0, 7.0];
    // The normal distribution function at these points.
    let phi = [0.022_750_13, 0.308_537_54, 0.5, 0.841_344_7, 1.0];
    for (function, expected) in [
        (Function::Relu, inputs.map(|x| x.max(0.0))),
        (Function::Relu6, inputs.map(|x| x.clamp(0.0, 6.0))),
        (Function::Sigmoid, inputs.map(sigmoid)),
        (Function::Silu, inputs.map(|x| x * sigmoid(x))),
        (Function::QuickGelu, inputs.map(|x| x * sigmoid(1.702 * x))),
        (Function::Tanh, inputs.map(f32::tanh)),
        (Function::Gelu, [0, 1, 2, 3, 4].map(|i| inputs[i] * phi[i])),
        // torch.nn.functional.gelu(x, approximate="tanh")
        (
            Function::GeluTanh,
            [-0.045_402_29, -0.154_286_01, 0.0, 0.841_191_96, 7.0],
        ),
        (
            Function::HardSwish,
            inputs.map(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        ),
        (Function::Softplus, inputs.map(|x| x.exp().ln_1p())),
        // torch.erf
        (
            Function::Erf,
            [-0.995_322_3, -0.520_499_9, 0.0, 0.842_700_8, 1.0],
        ),
        (Function::Exp, inputs.map(|x| x.min(1.0).exp())),
        (Function::Abs, inputs.map(f32::abs)),
        (Function::Sin, inputs.map(f32::sin)),
        (Function::Cos, inputs.map(f32::cos)),
    ] {
        let inputs = match function {
            // The exponential of more is too large to be close to.
            Function::Exp => inputs.map(|x| x.min(1.0)),
            _ => inputs,
        };
        close(
            &apply(Activation { function }, [1, 1, 1, 5], &inputs),
            &expected,
        );
    }
}

#[test]
fn windows_are_read_as_written() {
    let map = [1.0, 2.0, 3.0, -1.0, 5.0, 0.0];
    let pool = |pool: MaxPool2d| apply(pool, [1, 1, 2, 3], &map);
    close(&pool(MaxPool2d::new(2, 1)), &[5.0, 5.0]);
    // Padded at the end, where nothing is larger than what is there.
    let same = MaxPool2d::new(2, 2).with_padding(Padding::Same);
    close(&pool(same.clone()), &[5.0, 3.0]);
    close(
        &apply(same, [1, 1, 2, 3], &map.map(|x| x - 9.0)),
        &[-4.0, -6.0],
    );
    let mean = |counts| {
        let pool = AvgPool2d::new(2, 2).with_padding(Padding::Same, counts);
        apply(pool, [1, 1, 2, 3], &map)
    };
    close(&mean(true), &[1.75, 0.75]);
    close(&mean(false), &[1.75, 1.5]);
    close(
        &apply(AvgPool2d::new(1, 2), [1, 1, 2, 3], &map),
        &[1.0, 3.0],
    );
}

/// Of a row 1 to 5, every second pixel of three.
#[test]
fn a_dilated_window_leaves_pixels_out() {
    let device = Device::flex();
    let mut g = GraphBuilder::new();
    let x = g.input("images", [1, 5, 5]);
    let conv = Conv2d::new(1, 3).with_padding(Padding::both(0));
    g.layer("it", conv.with_dilation(2), [x]);
    g.initialize("it.weight", Initializer::Ones);
    let network = Network::new(g.finish().unwrap(), &device).unwrap();
    let x = Tensor::<1>::from_data([1.0f32, 2.0, 3.0, 4.0, 5.0], &device);
    let x = x.reshape([1, 1, 1, 5]).expand([1, 1, 5, 5]);
    let found = read(&network, vec![("images", x.into())], &["it"]);
    close(&found[0], &[3.0 * (1.0 + 3.0 + 5.0)]);
}

#[test]
fn groups_are_normalised_by_themselves() {
    // Two groups of two channels of one pixel: mean 2 and deviation 1, mean 0 and deviation 3.
    let found = apply(GroupNorm::new(2), [1, 4, 1, 1], &[1.0, 3.0, -3.0, 3.0]);
    let expected = [-1.0, 1.0, -1.0, 1.0].map(|x: f32| x * (1.0f32 / (1.0 + 1e-5)).sqrt());
    close(&found, &expected);
}

#[test]
fn numbers_are_moved_as_written() {
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let of = |op: Op| apply(op, [1, 3, 1, 2], &values);
    close(&of(Reshape { shape: vec![0, -1] }.into()), &values);
    close(
        &of(Permute {
            axes: vec![0, 3, 2, 1],
        }
        .into()),
        &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0],
    );
    let slice = Slice {
        axis: 1,
        start: 1,
        length: 2,
    };
    close(&of(slice.into()), &[3.0, 4.0, 5.0, 6.0]);
    close(&of(Select { axis: 1, index: 2 }.into()), &[5.0, 6.0]);
    let pad = Pad {
        axis: 1,
        before: 1,
        after: 0,
    };
    close(&of(pad.into()), &[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    close(
        &of(Scale { factor: -2.0 }.into()),
        &values.map(|x| -2.0 * x),
    );
    let exp = [1.0f32, 3.0, 5.0].map(f32::exp);
    let sum: f32 = exp.iter().sum();
    let found = of(Softmax { axis: 1 }.into());
    close(&[found[0], found[2], found[4]], &exp.map(|x| x / sum));
}

#[test]
fn two_values_are_combined_with_axes_of_one_repeated() {
    let device = Device::flex();
    let mut g = GraphBuilder::new();
    let map = g.input("map", [2, 1, 2]);
    let factors = g.input("factors", [2, 1, 1]);
    for (name, arithmetic) in [
        ("sum", Arithmetic::Add),
        ("difference", Arithmetic::Subtract),
        ("product", Arithmetic::Multiply),
        ("quotient", Arithmetic::Divide),
    ] {
        g.layer(name, Binary { arithmetic }, [map, factors]);
    }
    g.layer("both", Concat { axis: 3 }, [map, factors]);
    let network = Network::new(g.finish().unwrap(), &device).unwrap();
    let map = Tensor::<4>::from_data([[[[1.0f32, 2.0]], [[3.0, 4.0]]]], &device);
    let factors = Tensor::<4>::from_data([[[[2.0f32]], [[-1.0]]]], &device);
    let inputs = vec![("map", map.into()), ("factors", factors.into())];
    let names = ["sum", "difference", "product", "quotient", "both"];
    let found = read(&network, inputs, &names);
    close(&found[0], &[3.0, 4.0, 2.0, 3.0]);
    close(&found[1], &[-1.0, 0.0, 4.0, 5.0]);
    close(&found[2], &[2.0, 4.0, -3.0, -4.0]);
    close(&found[3], &[0.5, 1.0, -3.0, -4.0]);
    close(&found[4], &[1.0, 2.0, 2.0, 3.0, 4.0, -1.0]);
}

#[test]
fn numbers_are_combined_with_one() {
    let values = [-3.0, 0.5, 2.0, 4.0];
    let of = |op: Op| apply(op, [1, 1, 1, 4], &values);
    close(&of(Shift { by: 1.5 }.into()), &values.map(|x| x + 1.5));
    for exponent in [2.0, 3.0, -1.0] {
        let power = Power { exponent };
        close(&of(power.into()), &values.map(|x| x.powf(exponent as f32)));
    }
    let clip = |least, most| of(Clamp::new(least, most).into());
    close(&clip(Some(0.0), Some(2.5)), &[0.0, 0.5, 2.0, 2.5]);
    close(&clip(None, Some(1.0)), &[-3.0, 0.5, 1.0, 1.0]);
    close(&clip(Some(f64::NEG_INFINITY), None), &values);
    for exponent in [0.5, -0.5, 1.25] {
        let power = Power { exponent };
        let above_zero = [0.25, 1.0, 4.0, 9.0];
        let found = apply(power, [1, 1, 1, 4], &above_zero);
        close(&found, &above_zero.map(|x| x.powf(exponent as f32)));
    }
}

#[test]
fn axes_are_put_together() {
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0];
    let of = |to, axes: &[usize], keep| {
        let axes = axes.to_vec();
        apply(Reduce { to, axes, keep }, [1, 3, 1, 2], &values)
    };
    close(&of(Reduction::Mean, &[2, 3], false), &[1.5, 3.5, 7.0]);
    close(&of(Reduction::Sum, &[1], true), &[9.0, 15.0]);
    close(&of(Reduction::Max, &[1, 3], false), &[9.0]);
    close(&of(Reduction::Min, &[3], true), &[1.0, 3.0, 5.0]);
    let gather = Gather {
        axis: 1,
        indices: vec![2, 0, 2],
    };
    close(
        &apply(gather, [1, 3, 1, 2], &values),
        &[5.0, 9.0, 1.0, 2.0, 5.0, 9.0],
    );
}

#[test]
fn each_channel_is_normalised_by_itself() {
    // Means 2 and 0, deviations 1 and 3.
    let found = apply(
        InstanceNorm { epsilon: 0.0 },
        [1, 2, 1, 2],
        &[1.0, 3.0, -3.0, 3.0],
    );
    close(&found, &[-1.0, 1.0, -1.0, 1.0]);
}

/// What cannot be, is said when the graph is made.
#[test]
fn operations_refuse_what_they_cannot_take() {
    let refused = |op: Op, expected: &str| {
        let mut g = GraphBuilder::new();
        let x = g.input("images", [3, 1, 2]);
        let flat = g.step(Reshape { shape: vec![0, -1] }, [x]);
        let input = match op {
            Op::InstanceNorm(_) => flat,
            _ => x,
        };
        g.layer("it", op, [input]);
        let error = g.finish().unwrap_err().to_string();
        assert!(
            error.contains("'it'") && error.contains(expected),
            "{error}"
        );
    };
    let gather = |axis, indices| Gather { axis, indices }.into();
    refused(gather(1, vec![3]), "indices below 3 on axis 1, found 3");
    refused(gather(4, vec![0]), "an axis below 4");
    let (to, keep) = (Reduction::Mean, false);
    let reduce = |axes| Reduce { to, axes, keep }.into();
    refused(reduce(vec![4]), "an axis below 4");
    refused(reduce(vec![0, 1, 2, 3]), "found none");
    refused(Clamp::new(Some(1.0), Some(0.0)).into(), "bounds in order");
    refused(InstanceNorm { epsilon: 0.0 }.into(), "at least three axes");
}

/// A matrix for all, one for each, and rows of another rank.
#[test]
fn matrices_are_repeated_where_there_is_one() {
    let device = Device::flex();
    let mut g = GraphBuilder::new();
    let two = g.input("two", [2, 1, 2]);
    let one = g.input("one", [1, 2, 1]);
    g.layer("products", MatMul {}, [two, one]);
    g.layer(
        "smaller",
        Binary {
            arithmetic: Arithmetic::Minimum,
        },
        [two, one],
    );
    g.layer(
        "larger",
        Binary {
            arithmetic: Arithmetic::Maximum,
        },
        [two, one],
    );
    let network = Network::new(g.finish().unwrap(), &device).unwrap();
    let two = Tensor::<4>::from_data([[[[1.0f32, 2.0]], [[3.0, 4.0]]]], &device);
    let one = Tensor::<4>::from_data([[[[10.0f32], [1.0]]]], &device);
    let inputs = vec![("two", two.into()), ("one", one.into())];
    let found = read(&network, inputs, &["products", "smaller", "larger"]);
    close(&found[0], &[12.0, 34.0]);
    close(&found[1], &[1.0, 2.0, 1.0, 1.0, 3.0, 4.0, 1.0, 1.0]);
    close(&found[2], &[10.0, 10.0, 1.0, 2.0, 10.0, 10.0, 3.0, 4.0]);
}
