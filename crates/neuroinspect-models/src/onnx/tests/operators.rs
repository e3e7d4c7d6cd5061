//! What operators compute.

use super::*;

#[test]
fn slices_go_backwards_and_in_steps() {
    let bounds = |start: i64, end: i64, step: i64| {
        let names = ["start", "end", "axis", "step"];
        let values = [start, end, 1, step];
        names
            .iter()
            .zip(values)
            .map(|(name, value)| integers(name, &[value]))
            .collect()
    };
    let slice = || {
        vec![
            node("Flatten", &["images"], "flat"),
            node("Slice", &["flat", "start", "end", "axis", "step"], "y"),
        ]
    };
    let all = i64::MAX;
    assert_eq!(computed(slice(), bounds(1, 8, 3)).1, [1.0, 4.0, 7.0]);
    assert_eq!(computed(slice(), bounds(-2, all, 1)).1, [10.0, 11.0]);
    assert_eq!(computed(slice(), bounds(-1, -all, -5)).1, [11.0, 6.0, 1.0]);
}

#[test]
fn maps_are_padded_and_resized_as_in_pytorch() {
    let row = |nodes: Vec<NodeProto>, weights: Vec<TensorProto>| {
        let (shape, values) = computed(nodes, weights);
        values[..shape[3]].to_vec()
    };
    let pad = |mode: &str| {
        let node = node("Pad", &["images", "pads"], "y").with(word("mode", mode));
        row(
            vec![node],
            vec![integers("pads", &[0, 0, 0, 1, 0, 0, 0, 1])],
        )
    };
    assert_eq!(pad("constant"), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(pad("edge"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(pad("reflect"), [1.0, 0.0, 1.0, 0.0]);
    let ones = node("Pad", &["images", "pads", "one"], "y");
    let weights = vec![
        integers("pads", &[0, 0, 0, 1, 0, 0, 0, 1]),
        tensor("one", &[], &[1.0]),
    ];
    assert_eq!(row(vec![ones], weights), [1.0, 0.0, 1.0, 1.0]);
    // torch.nn.functional.interpolate(torch.tensor([[[0., 1.], [2., 3.]]])[None], (2, 4), mode=...)
    let resize = |mode: &str| {
        let node = node("Resize", &["images", "", "scales"], "y").with(word("mode", mode));
        row(
            vec![node],
            vec![tensor("scales", &[4], &[1.0, 1.0, 1.0, 2.0])],
        )
    };
    assert_eq!(resize("nearest"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(resize("linear"), [0.0, 0.25, 0.75, 1.0]);
    let cubic = [-0.10546875, 0.2265625, 0.7734375, 1.105_468_8];
    assert_eq!(resize("cubic"), cubic);
}

/// The channels' pixels as rows, a sum of three of which, as far as there are so many, is each value.
#[test]
fn a_convolution_of_rows_is_padded_as_its_attribute_says() {
    let sums = |pad: AttributeProto| {
        let convolution = node("Conv", &["rows", "k"], "y").with(pad);
        let nodes = vec![node("Reshape", &["images", "shape"], "rows"), convolution];
        let k = tensor(
            "k",
            &[1, 3, 3],
            &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
        );
        computed(nodes, vec![k, integers("shape", &[-1, 3, 4])]).1
    };
    // Of the last channel, 8 to 11.
    let padded = [17.0, 27.0, 30.0, 21.0];
    assert_eq!(sums(word("auto_pad", "SAME_UPPER")), padded);
    assert_eq!(sums(numbers("pads", &[1, 1])), padded);
    assert_eq!(sums(word("auto_pad", "VALID")), padded[1..3]);
    assert_eq!(sums(numbers("pads", &[0, 0])), padded[1..3]);
    let lower = node("Conv", &["rows", "k"], "x").with(word("auto_pad", "SAME_LOWER"));
    let nodes = vec![node("Reshape", &["images", "shape"], "rows"), lower];
    let weights = vec![
        tensor("k", &[3, 3, 3], &[1.0; 27]),
        integers("shape", &[-1, 3, 64]),
    ];
    refused(
        &with_head(nodes, weights),
        &["'the_x' (Conv)", "SAME_LOWER"],
    );
}

/// Distances of positions are whole numbers, and places in a table.
#[test]
fn whole_numbers_are_made_positive() {
    for (operator, expected) in [
        ("Abs", [2.0, 1.0, 0.0, 1.0]),
        ("Relu", [0.0, 0.0, 0.0, 1.0]),
    ] {
        let nodes = vec![
            node(operator, &["distances"], "places"),
            node("Gather", &["table", "places"], "found"),
            node("Mul", &["images", "zero"], "nothing"),
            node("Reshape", &["found", "shape"], "pixels"),
            node("Add", &["nothing", "pixels"], "y"),
        ];
        let weights = vec![
            integers("distances", &[-2, -1, 0, 1]),
            tensor("table", &[3], &[0.0, 1.0, 2.0]),
            tensor("zero", &[], &[0.0]),
            integers("shape", &[1, 1, 2, 2]),
        ];
        assert_eq!(computed(nodes, weights).1[..4], expected);
    }
    let nodes = vec![
        node("Abs", &["distances"], "places"),
        node("Mul", &["images", "places"], "x"),
    ];
    let weights = vec![integers("distances", &[i64::MIN])];
    refused(
        &with_head(nodes, weights),
        &["'the_places' (Abs)", "out of all bounds"],
    );
    let nodes = vec![
        node("Exp", &["distances"], "places"),
        node("Mul", &["images", "places"], "x"),
    ];
    let weights = vec![integers("distances", &[2])];
    refused(
        &with_head(nodes, weights),
        &["'the_places' (Exp)", "whole numbers"],
    );
}

/// Padding that counts is in the divisor of a mean.
#[test]
fn a_mean_counts_padding_where_it_is_told_to() {
    let mean = |counts: i64| {
        let pool = node("AveragePool", &["images"], "y")
            .with(numbers("kernel_shape", &[2, 2]))
            .with(numbers("pads", &[1, 1, 0, 0]))
            .with(number("count_include_pad", counts));
        computed(vec![pool], vec![]).1[..4].to_vec()
    };
    assert_eq!(mean(1), [0.0, 0.25, 0.5, 1.5]);
    assert_eq!(mean(0), [0.0, 0.5, 1.0, 1.5]);
    let pool = node("AveragePool", &["images"], "x")
        .with(numbers("kernel_shape", &[2, 2]))
        .with(word("auto_pad", "SAME_UPPER"))
        .with(number("count_include_pad", 1));
    refused(
        &with_head(vec![pool], vec![]),
        &["'the_x' (AveragePool)", "counts the padding"],
    );
}

#[test]
fn a_value_that_is_the_same_for_all_images_meets_those_that_are_not() {
    let nodes = vec![
        node("Flatten", &["images"], "flat"),
        node("Unsqueeze", &["flat", "axis"], "tokens"),
        node("Concat", &["token", "tokens"], "y").with(number("axis", 1)),
    ];
    let token = tensor("token", &[1, 1, 12], &[7.0; 12]);
    let (shape, values) = computed(nodes, vec![token, integers("axis", &[1])]);
    assert_eq!(shape, [1, 2, 12]);
    assert_eq!(values[10..14], [7.0, 7.0, 0.0, 1.0]);
}

#[test]
fn a_mask_is_summed_up() {
    let nodes = vec![
        node("CumSum", &["mask", "axis"], "places"),
        node("Mul", &["images", "places"], "y"),
    ];
    let mask = tensor("mask", &[1, 1, 2, 2], &[1.0; 4]);
    let (_, values) = computed(nodes, vec![mask, integers("axis", &[3])]);
    assert_eq!(values[..4], [0.0, 2.0, 2.0, 6.0]);
}

/// Over channels, of a map with a matrix, the map's axes in another order.
#[test]
fn products_go_by_their_letters() {
    let equation = word("equation", "nchw, cd -> nwhd");
    let nodes = vec![node("Einsum", &["images", "matrix"], "y").with(equation)];
    let matrix = || tensor("matrix", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 2.0]);
    let (shape, values) = computed(nodes, vec![matrix()]);
    assert_eq!(shape, [1, 2, 2, 2]);
    // Of pixel p the channels p, 4 + p and 8 + p.
    let pixel = |p: f32| [p, 4.0 + p + 2.0 * (8.0 + p)];
    assert_eq!(values, [0.0, 2.0, 1.0, 3.0].map(pixel).concat());
    for equation in ["nchw,cd", "nchw,cd->nd", "nn,nd->nd", "...c,cd->...d"] {
        let odd = node("Einsum", &["images", "matrix"], "x").with(word("equation", equation));
        refused(
            &with_head(vec![odd], vec![matrix()]),
            &["'the_x' (Einsum)", equation],
        );
    }
}

/// By onnxruntime 1.32: scales are in single precision, in which 8 / 1.6 is 5 and 12 times 7 / 12 is 7.
#[test]
fn maps_are_resized_by_scales_in_single_precision() {
    let resized = |scale: f32, attributes: &[(&str, &str)]| {
        let mut resize = node("Resize", &["row", "", "scales"], "y");
        for (name, value) in attributes {
            resize = resize.with(word(name, value));
        }
        let nodes = vec![node("Reshape", &["images", "shape"], "row"), resize];
        let scales = tensor("scales", &[4], &[1.0, 1.0, 1.0, scale]);
        computed(nodes, vec![integers("shape", &[-1, 1, 1, 12]), scales])
    };
    let floor = [
        ("mode", "nearest"),
        ("coordinate_transformation_mode", "asymmetric"),
        ("nearest_mode", "floor"),
    ];
    let expected = [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11];
    assert_eq!(resized(1.6, &floor).1, expected.map(|it| it as f32));
    for (scale, size) in [(7.0 / 12.0, 7), (0.7, 8), (1.3, 15), (2.3, 27)] {
        assert_eq!(resized(scale, &[("mode", "linear")]).0, [1, 1, 1, size]);
    }
}

#[test]
fn scales_may_be_of_some_axes_and_maps_are_stretched() {
    let resize = || node("Resize", &["images", "", "scales"], "y").with(word("mode", "nearest"));
    let of_width = resize().with(numbers("axes", &[3]));
    let scales = || vec![tensor("scales", &[1], &[2.0])];
    let (shape, values) = computed(vec![of_width], scales());
    assert_eq!(shape, [1, 3, 2, 4]);
    assert_eq!(values[..8], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    let mut resize = resize().with(numbers("axes", &[-1, 2]));
    resize.output = vec!["x".to_owned()];
    refused(
        &with_head(vec![resize.clone()], scales()),
        &["a number for each of 2 axes, found 1"],
    );
    let kept = resize.with(word("keep_aspect_ratio_policy", "not_larger"));
    refused(&with_head(vec![kept], scales()), &["not_larger"]);
}

/// By onnxruntime 1.32.
#[test]
fn logarithms_of_a_softmax_are_finite() {
    let nodes = vec![
        node("Mul", &["images", "hundred"], "m"),
        node("LogSoftmax", &["m"], "logarithms").with(number("axis", 1)),
        node("Neg", &["logarithms"], "y"),
    ];
    let (_, values) = computed(nodes, vec![tensor("hundred", &[], &[100.0])]);
    let expected = [[800.0; 4], [400.0; 4], [0.0; 4]].concat();
    assert_eq!(values, expected);
}

/// By onnxruntime 1.32: a norm over no axis is that of each number.
#[test]
fn norms_over_no_axis_are_of_each_number() {
    for (operator, third) in [
        ("ReduceL1", 2.0),
        ("ReduceSumSquare", 4.0),
        ("ReduceL2", 2.0),
        ("ReduceSum", -2.0),
    ] {
        let reduce = node(operator, &["m"], "y").with(number("noop_with_empty_axes", 1));
        let (shape, values) = computed(vec![node("Neg", &["images"], "m"), reduce], vec![]);
        assert_eq!((shape, values[2]), (vec![1, 3, 2, 2], third), "{operator}");
    }
}

/// The remainder has the sign of the divisor, with `fmod` that of the dividend.
#[test]
fn remainders_of_whole_numbers_have_a_sign() {
    for (fmod, expected) in [(0, [1.0, -1.0, -2.0]), (1, [-2.0, 2.0, -2.0])] {
        let weights = vec![integers("a", &[-5, 5, -5]), integers("b", &[3, -3, -3])];
        let nodes = vec![
            node("Mod", &["a", "b"], "rest").with(number("fmod", fmod)),
            node("Cast", &["rest"], "floats").with(number("to", FLOAT.into())),
            node("Reshape", &["floats", "shape"], "channels"),
            node("GlobalAveragePool", &["images"], "pooled"),
            node("Mul", &["pooled", "nothing"], "zero"),
            node("Add", &["zero", "channels"], "y"),
        ];
        let shape = integers("shape", &[1, 3, 1, 1]);
        let nothing = tensor("nothing", &[], &[0.0]);
        let all = [weights, vec![shape, nothing]].concat();
        assert_eq!(computed(nodes, all).1, expected, "{fmod}");
    }
}

/// Before version 21 of the operators there is a factor and a summand for each group.
#[test]
fn groups_are_normalised_with_numbers_of_their_own() {
    let normed = node("GroupNormalization", &["images", "scale", "bias"], "y");
    let weights = vec![tensor("scale", &[1], &[2.0]), tensor("bias", &[1], &[0.5])];
    let (_, values) = computed(vec![normed.with(number("num_groups", 1))], weights);
    // 0 to 11 have a mean of 5.5 and a variance of 143 / 12.
    let expected = |x: f32| (x - 5.5) / (143.0_f32 / 12.0).sqrt() * 2.0 + 0.5;
    for (x, value) in values.into_iter().enumerate() {
        assert!((value - expected(x as f32)).abs() < 1e-4, "{x}: {value}");
    }
}

#[test]
fn dropout_in_training_and_products_over_some_axes_are_refused() {
    let on = TensorProto {
        name: text("on"),
        data_type: Some(9),
        raw_data: Some(Bytes::from_static(&[1])),
        ..TensorProto::default()
    };
    let dropout = node("Dropout", &["images", "", "on"], "x");
    refused(&with_head(vec![dropout], vec![on]), &["training_mode"]);
    let product = node("ReduceProd", &["table"], "p").with(numbers("axes", &[0]));
    let weights = vec![TensorProto {
        dims: vec![2, 2],
        ..integers("table", &[1, 2, 3, 4])
    }];
    let nodes = vec![product, node("Reshape", &["images", "p"], "x")];
    refused(&with_head(nodes, weights), &["a product over all 2 axes"]);
}
