//! Files whose export fixed the number of images.

use neuroinspect_core::read_back;

use super::*;
use crate::{GraphClassifier, onnx::apart::images_are_apart};

/// A file of so many images.
fn of_images(
    images: Option<i64>,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    neurons: usize,
) -> ModelProto {
    let mut file = model(nodes, weights);
    let graph = file.graph.as_mut().unwrap();
    graph.input = vec![info("images", &[images, Some(3), Some(8), Some(8)])];
    graph.output = vec![info("logits", &[images, Some(2)])];
    let w = tensor("w", &[2, neurons as i64], &vec![0.5; 2 * neurons]);
    graph.initializer[0] = w;
    file
}

fn classifier(file: &ModelProto) -> crate::Result<GraphClassifier> {
    let folder = tempfile::tempdir().unwrap();
    read_in(folder.path(), file)?.classifier(&LoadConfig::default(), &Device::flex())
}

/// Channels of three images are `i + channel / 10` everywhere; the features of each, before the mean and deviation of
/// ImageNet.
fn features(model: &GraphClassifier) -> Vec<Vec<f32>> {
    let values = (0..3 * 3 * 64).map(|at| (at / 192) as f32 / 4.0 + (at / 64 % 3) as f32 / 10.0);
    let data = TensorData::new(values.collect::<Vec<_>>(), [3, 3, 8, 8]);
    let images = Tensor::<4>::from_data(data, &Device::flex());
    let features = model.activations(images).features;
    let neurons = features.dims()[1];
    let values = read_back(features, "features").unwrap();
    values.chunks(neurons).map(<[f32]>::to_vec).collect()
}

/// The number of images is free or fixed: the features are the same.
#[track_caller]
fn same_however_many(nodes: &[NodeProto], weights: &[TensorProto], neurons: usize) {
    let decide = node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1));
    let nodes = [nodes, &[decide]].concat();
    let of = |images| {
        let file = of_images(images, nodes.clone(), weights.to_vec(), neurons);
        features(&classifier(&file).unwrap())
    };
    let (free, fixed) = (of(None), of(Some(1)));
    assert_eq!(free, fixed);
    assert!(free[0] != free[1] && free[1] != free[2], "{free:?}");
}

fn pooled() -> Vec<NodeProto> {
    vec![
        node("GlobalAveragePool", &["images"], "map"),
        node("Flatten", &["map"], "a"),
        node("Mul", &["a", "two"], "b2"),
    ]
}

/// `torch.stack([a, b], 0).transpose(0, 1).flatten(1)`.
#[test]
fn axes_before_the_images_do_not_mix_them() {
    let mut nodes = pooled();
    nodes.extend([
        node("Unsqueeze", &["a", "first"], "one"),
        node("Unsqueeze", &["b2", "first"], "other"),
        node("Concat", &["one", "other"], "stacked").with(number("axis", 0)),
        node("Transpose", &["stacked"], "pairs").with(numbers("perm", &[1, 0, 2])),
        node("Flatten", &["pairs"], "features"),
    ]);
    let weights = [tensor("two", &[], &[2.0]), integers("first", &[0])];
    same_however_many(&nodes, &weights, 6);
}

/// As attention does it: `[T, N, C]` to `[T N, C]` and back.
#[test]
fn axes_joined_with_the_images_are_parted_again() {
    let m: Vec<f32> = (0..9).map(|it| it as f32 / 4.0 - 1.0).collect();
    let weights = [
        integers("rows", &[1, 3, 64]),
        integers("joined", &[64, 3]),
        integers("parted", &[64, 1, 3]),
        tensor("m", &[3, 3], &m),
    ];
    let fixed = vec![
        node("Reshape", &["images", "rows"], "channels"),
        node("Transpose", &["channels"], "tokens").with(numbers("perm", &[2, 0, 1])),
        node("Reshape", &["tokens", "joined"], "all"),
        node("MatMul", &["all", "m"], "product"),
        node("Reshape", &["product", "parted"], "each"),
        node("Transpose", &["each"], "of_images").with(numbers("perm", &[1, 0, 2])),
        node("Flatten", &["of_images"], "features"),
        node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)),
    ];
    let file = of_images(Some(1), fixed, weights.to_vec(), 192);
    let fixed = features(&classifier(&file).unwrap());
    // The same without joining: a product along the channels.
    let weights = [integers("rows", &[-1, 3, 64]), tensor("m", &[3, 3], &m)];
    let free = vec![
        node("Reshape", &["images", "rows"], "channels"),
        node("Transpose", &["channels"], "tokens").with(numbers("perm", &[0, 2, 1])),
        node("MatMul", &["tokens", "m"], "product"),
        node("Flatten", &["product"], "features"),
        node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)),
    ];
    let file = of_images(None, free, weights.to_vec(), 192);
    assert_eq!(fixed, features(&classifier(&file).unwrap()));
}

#[test]
fn images_that_are_joined_are_refused() {
    let mut nodes = pooled();
    nodes.extend([
        node("Concat", &["a", "b2"], "joined").with(number("axis", 0)),
        node("ReduceMean", &["joined", "first"], "features"),
        node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)),
    ]);
    let weights = vec![tensor("two", &[], &[2.0]), integers("first", &[0])];
    let error = classifier(&of_images(Some(1), nodes, weights, 3)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("the_joined") && error.contains("dynamic_shapes"),
        "{error}"
    );
}

/// `a.reshape(3, -1).T` of one image is `a`.
#[test]
fn mixed_images_are_seen() {
    let mixing = |nodes: Vec<NodeProto>| {
        let mut all = pooled();
        all.extend(nodes);
        all.push(node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)));
        let weights = vec![tensor("two", &[], &[2.0]), integers("shape", &[3, -1])];
        classifier(&of_images(None, all, weights, 3)).unwrap()
    };
    let mixed = mixing(vec![
        node("Reshape", &["b2", "shape"], "columns"),
        node("Transpose", &["columns"], "features").with(numbers("perm", &[1, 0])),
    ]);
    assert!(!images_are_apart(&mixed).unwrap());
    let plain = mixing(vec![node("Relu", &["b2"], "features")]);
    assert!(images_are_apart(&plain).unwrap());
}

/// With one image an axis of size 1 that goes may be the images', and one that comes is, then.
#[test]
fn one_image_may_go_and_come_back() {
    let weights = [integers("all", &[-1]), integers("zero", &[0])];
    let ways: [Vec<NodeProto>; 4] = [
        vec![
            node("Squeeze", &["map"], "gone"),
            node("Unsqueeze", &["gone", "zero"], "features"),
        ],
        vec![
            node("Reshape", &["map", "all"], "gone"),
            node("Unsqueeze", &["gone", "zero"], "features"),
        ],
        vec![node("Flatten", &["map"], "features").with(number("axis", 0))],
        vec![
            node("Gather", &["map", "zero"], "the_first"),
            node("Flatten", &["the_first"], "features"),
        ],
    ];
    let decide = || node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1));
    let plain = vec![
        node("GlobalAveragePool", &["images"], "map"),
        node("Flatten", &["map"], "features"),
        decide(),
    ];
    let plain = features(&classifier(&of_images(None, plain, vec![], 3)).unwrap());
    for way in ways {
        let pooled = vec![node("GlobalAveragePool", &["images"], "map")];
        let operator = way[0].op_type.clone();
        let nodes = [pooled, way, vec![decide()]].concat();
        let file = of_images(Some(1), nodes, weights.to_vec(), 3);
        assert_eq!(features(&classifier(&file).unwrap()), plain, "{operator:?}");
    }
}

/// Two ways of joining the images with the pixels, which look the same with one image.
#[test]
fn values_whose_images_are_in_other_places_are_not_put_together() {
    let nodes = vec![
        node("Reshape", &["images", "rows"], "channels"),
        node("Transpose", &["channels"], "pixels_first").with(numbers("perm", &[2, 0, 1])),
        node("Reshape", &["pixels_first", "joined"], "one"),
        node("Transpose", &["channels"], "images_first").with(numbers("perm", &[0, 2, 1])),
        node("Reshape", &["images_first", "joined"], "other"),
        node("Add", &["one", "other"], "sum"),
        node("Reshape", &["sum", "parted"], "each"),
        node("ReduceMean", &["each", "first"], "features"),
        node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)),
    ];
    let weights = vec![
        integers("rows", &[1, 3, 64]),
        integers("joined", &[64, 3]),
        integers("parted", &[64, 1, 3]),
        integers("first", &[0]),
    ];
    let error = classifier(&of_images(Some(1), nodes, weights, 3)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("the_sum") && error.contains("dynamic_shapes"),
        "{error}"
    );
}
