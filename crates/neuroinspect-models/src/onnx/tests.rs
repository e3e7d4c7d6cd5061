//! Files made here: what is refused, and in modules what operators and heads are read as.

mod fixed;
mod heads;
mod operators;

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::array;
use neuroinspect_core::{Classifier as _, DecisionLayer};
use prost::{Message as _, bytes::Bytes};

use super::{
    OnnxConfig, OnnxModel,
    import::{Images, import},
    proto::*,
    tensors::Beside,
};
use crate::{
    LoadConfig,
    graph::{Graph, Network, Value},
};

const FLOAT: i32 = 1;
const INT: i32 = 7;

fn text(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: text(name),
        dims: dims.to_vec(),
        data_type: Some(FLOAT),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: text(name),
        dims: vec![values.len() as i64],
        data_type: Some(INT),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(format!("the_{output}")),
        op_type: text(operator),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

trait With {
    fn with(self, attribute: AttributeProto) -> Self;
}

impl With for NodeProto {
    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attribute.push(attribute);
        self
    }
}

fn number(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: text(name),
        i: Some(value),
        ..AttributeProto::default()
    }
}

fn numbers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: text(name),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn word(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: text(name),
        s: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..AttributeProto::default()
    }
}

fn info(name: &str, dims: &[Option<i64>]) -> ValueInfo {
    let dim = dims.iter().map(|&value| Dimension {
        value,
        ..Dimension::default()
    });
    ValueInfo {
        name: text(name),
        kind: Some(TypeProto {
            tensor: Some(TensorType {
                elem_type: Some(FLOAT),
                shape: Some(ShapeProto { dim: dim.collect() }),
            }),
            ..TypeProto::default()
        }),
        ..ValueInfo::default()
    }
}

/// Mean over the map of the value `x`, and a linear layer of two classes.
fn head() -> Vec<NodeProto> {
    vec![
        node("GlobalAveragePool", &["x"], "pooled"),
        node("Flatten", &["pooled"], "features"),
        node("Gemm", &["features", "w", "b"], "logits").with(number("transB", 1)),
    ]
}

fn model(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> ModelProto {
    let mut initializer = vec![
        tensor("w", &[2, 3], &[1.0; 6]),
        tensor("b", &[2], &[0.5; 2]),
    ];
    initializer.extend(weights);
    ModelProto {
        opset_import: vec![OperatorSet {
            domain: text(""),
            version: Some(18),
        }],
        graph: Some(GraphProto {
            node: nodes,
            initializer,
            input: vec![info("images", &[None, Some(3), Some(8), Some(8)])],
            output: vec![info("logits", &[None, Some(2)])],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn with_head(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> ModelProto {
    model([nodes, head()].concat(), weights)
}

fn read_in(folder: &Path, model: &ModelProto) -> crate::Result<OnnxModel> {
    let path = folder.join("net.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    OnnxModel::read(path, &OnnxConfig::default())
}

#[track_caller]
fn refused(model: &ModelProto, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let error = read_in(folder.path(), model).unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "expected '{part}' in: {error}");
    }
}

/// The value `y` of images `[1, 3, 2, 2]` that count from 0.
fn computed(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> (Vec<usize>, Vec<f32>) {
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        ..GraphProto::default()
    };
    let images = Images {
        input: "images",
        size: 2,
        fixed: None,
        exact: true,
    };
    let imported = import(&graph, 18, images, "y", &mut Beside::default()).unwrap();
    let output = imported.output;
    let weights = imported.weights.into_iter();
    let weights = weights
        .map(|(name, it)| (name, TensorData::new(it.values, it.shape)))
        .collect();
    let graph = Graph::new(imported.nodes, imported.specs).unwrap();
    let device = Device::flex();
    let network = Network::with_weights(graph, &weights, &device).unwrap();
    let values = (0..12).map(|x| x as f32).collect();
    let images = Tensor::<4>::from_data(TensorData::new(values, [1, 3, 2, 2]), &device);
    let value = network
        .evaluate(vec![("images", images.into())], &[output])
        .unwrap()
        .remove(0);
    let data = match value.clone() {
        Value::Rank2(x) => x.into_data(),
        Value::Rank3(x) => x.into_data(),
        Value::Rank4(x) => x.into_data(),
        other => panic!("a value of shape {:?}", other.dims()),
    };
    (value.dims(), data.try_into_vec_as().unwrap())
}

#[test]
fn a_file_made_here_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let found = read_in(
        folder.path(),
        &with_head(vec![node("Relu", &["images"], "x")], vec![]),
    );
    let head = found.unwrap().head();
    assert_eq!(head.decision_layer, "the_logits");
    assert_eq!(head.features, "the_features");
    assert_eq!(head.map.as_deref(), Some("the_x"));
}

#[test]
fn unknown_operators_are_named_together() {
    let nodes = vec![
        node("NonMaxSuppression", &["images"], "a"),
        node("Det", &["a"], "b2"),
        node("Det", &["b2"], "x"),
    ];
    refused(
        &with_head(nodes, vec![]),
        &["Det (the_b2, the_x)", "NonMaxSuppression (the_a)"],
    );
    // A network of sequences.
    let mut recurrent = node("LSTM", &["row", "weights", "recurrence"], "y");
    recurrent.name = text("/lstm/LSTM");
    let shape = node("Reshape", &["images", "shape"], "row");
    let weights = vec![
        integers("shape", &[1, -1, 12]),
        tensor("weights", &[1, 4, 12], &[0.1; 48]),
        tensor("recurrence", &[1, 4, 1], &[0.1; 4]),
    ];
    let recurrent = vec![shape, recurrent, node("Relu", &["y"], "x")];
    refused(
        &with_head(recurrent, weights),
        &["operators that are not known", "LSTM (/lstm/LSTM)"],
    );
    let mut own = node("Relu", &["images"], "x");
    own.domain = text("com.example");
    refused(&with_head(vec![own], vec![]), &["com.example.Relu (the_x)"]);
}

#[test]
fn circles_and_gaps_are_named() {
    let circle = vec![node("Relu", &["z"], "x"), node("Relu", &["x"], "z")];
    refused(
        &with_head(circle, vec![]),
        &["'the_x'", "'z', which no node before it makes"],
    );
    let gap = vec![node("Add", &["images", "gone"], "x")];
    refused(&with_head(gap, vec![]), &["'the_x' (Add)", "'gone'"]);
    let missing = vec![node("Add", &["images"], "x")];
    refused(
        &with_head(missing, vec![]),
        &["'the_x' (Add)", "its input 1 is missing"],
    );
    let twice = vec![
        node("Relu", &["images"], "x"),
        node("Abs", &["images"], "x"),
    ];
    refused(&with_head(twice, vec![]), &["two nodes make the value 'x'"]);
}

#[test]
fn sizes_out_of_all_bounds_are_refused() {
    let flat = vec![
        node("Reshape", &["images", "row"], "flat"),
        node("Conv", &["flat", "k"], "logits"),
    ];
    let weights = vec![
        integers("row", &[-1]),
        tensor("k", &[2, 3, 1, 1], &[1.0; 6]),
    ];
    refused(&model(flat, weights), &["'the_logits' (Conv)"]);
    let joined = vec![
        node("Concat", &["row", "one"], "c").with(number("axis", 0)),
        node("Mul", &["images", "c"], "x"),
    ];
    let parts = vec![tensor("row", &[1], &[1.0]), tensor("one", &[], &[1.0])];
    refused(&with_head(joined, parts), &["'the_c' (Concat)"]);
    let huge = tensor("huge", &[1 << 40, 1 << 40], &[1.0]);
    let add = || vec![node("Add", &["images", "huge"], "x")];
    refused(&with_head(add(), vec![huge]), &["tensor 'huge'", "found 1"]);
    let negative = tensor("huge", &[-1], &[1.0]);
    refused(
        &with_head(add(), vec![negative]),
        &["tensor 'huge'", "at least 0"],
    );
    let made = vec![
        node("ConstantOfShape", &["shape"], "huge"),
        node("Add", &["images", "huge"], "x"),
    ];
    let shape = || integers("shape", &[1, 1 << 20, 1 << 20, 1 << 20]);
    refused(
        &with_head(made, vec![shape()]),
        &["'the_huge'", "found more"],
    );
    let expanded = vec![node("Expand", &["images", "shape"], "x")];
    let sizes = integers("shape", &[1, 1, 3, 8, 1 << 40]);
    refused(&with_head(expanded, vec![sizes]), &["'the_x' (Expand)"]);
    let padded = vec![node("Pad", &["images", "pads"], "x")];
    let pads = integers("pads", &[0, 0, 1 << 40, 0, 0, 0, 0, i64::MAX]);
    refused(&with_head(padded, vec![pads]), &["'the_x' (Pad)"]);
    let mode = word("mode", "reflect");
    let reflected = vec![node("Pad", &["images", "pads"], "x").with(mode)];
    let pads = integers("pads", &[0, 0, i64::MIN, 0, 0, 0, 0, i64::MAX]);
    refused(&with_head(reflected, vec![pads]), &["'the_x' (Pad)"]);
    let pool = numbers("kernel_shape", &[i64::MAX, 0]);
    let pooled = vec![
        node("MaxPool", &["images"], "x")
            .with(pool)
            .with(number("ceil_mode", 1)),
    ];
    refused(&with_head(pooled, vec![]), &["'the_x' (MaxPool)"]);
    let range = vec![
        node("Range", &["start", "limit", "step"], "huge"),
        node("Add", &["images", "huge"], "x"),
    ];
    let scalars = ["start", "limit", "step"].map(|name| tensor(name, &[], &[0.0]));
    refused(&with_head(range, scalars.to_vec()), &["'the_huge' (Range)"]);
}

#[test]
fn what_would_be_followed_wrongly_is_refused() {
    let only = |node: NodeProto| with_head(vec![node], vec![]);
    let cast = node("Cast", &["images"], "x").with(number("to", INT.into()));
    refused(&only(cast), &["'the_x' (Cast)", "a cast to floats"]);
    let resize = node("Resize", &["images"], "x");
    refused(
        &only(resize),
        &["'the_x' (Resize)", "its scales or its sizes"],
    );
    let deep = vec![node("Unsqueeze", &["images", "axes"], "x")];
    let axes = vec![integers("axes", &[4, 5, 6])];
    refused(
        &with_head(deep, axes),
        &["'the_x' (Unsqueeze)", "at most 6 axes"],
    );
    // The probabilities of an image would depend on the other images.
    let turned = |input: &str, output: &str, axes: &[i64]| {
        node("Transpose", &[input], output).with(numbers("perm", axes))
    };
    let across = vec![
        turned("images", "turned", &[1, 2, 3, 0]),
        node("Softmax", &["turned"], "y"),
        turned("y", "x", &[3, 0, 1, 2]),
    ];
    refused(
        &with_head(across, vec![]),
        &["'the_y' (Softmax)", "runs over the images"],
    );
    let mut bytes = only(node("Relu", &["images"], "x"));
    let input = &mut bytes.graph.as_mut().unwrap().input[0];
    let tensor = input.kind.as_mut().unwrap().tensor.as_mut().unwrap();
    tensor.elem_type = Some(2);
    refused(&bytes, &["expected images of floats", "data type 2"]);
}

#[test]
fn external_data_stay_in_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("inner");
    std::fs::create_dir(&folder).unwrap();
    let secret = outer.path().join("secret.bin");
    std::fs::write(&secret, [0; 64]).unwrap();
    let outside = |location: &str, length: &str| {
        let entry = |key: &str, value: &str| Entry {
            key: text(key),
            value: text(value),
        };
        let external = TensorProto {
            float_data: vec![],
            data_location: Some(1),
            external_data: vec![entry("location", location), entry("length", length)],
            ..tensor("more", &[1], &[])
        };
        let model = with_head(vec![node("Add", &["images", "more"], "x")], vec![external]);
        read_in(&folder, &model)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for location in [
        "../secret.bin",
        secret.to_str().unwrap(),
        "",
        "a/../../secret.bin",
    ] {
        let error = outside(location, "4").unwrap_err();
        assert!(
            error.contains("in the file's folder"),
            "{location}: {error}"
        );
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, folder.join("link.bin")).unwrap();
        let error = outside("link.bin", "4").unwrap_err();
        assert!(error.contains("in the file's folder"), "{error}");
    }
    std::fs::write(folder.join("weights.bin"), 2f32.to_le_bytes()).unwrap();
    assert_eq!(outside("weights.bin", "4"), Ok(()));
    let error = outside("weights.bin", "400").unwrap_err();
    assert!(error.contains("within the 4 bytes"), "{error}");
    let error = outside("weights.bin", "all").unwrap_err();
    assert!(error.contains("found 'all'"), "{error}");
    let error = outside("gone.bin", "4").unwrap_err();
    assert!(error.contains("'gone.bin'"), "{error}");
}

#[test]
fn files_of_other_tasks_are_refused() {
    let relu = || vec![node("Relu", &["images"], "x")];
    let mut maps = model(vec![node("Relu", &["images"], "logits")], vec![]);
    refused(
        &maps,
        &[
            "expected the output to be that of a linear layer",
            "'the_logits'",
        ],
    );
    let graph = |model: &mut ModelProto| model.graph.take().unwrap();
    let mut of_texts = with_head(relu(), vec![]);
    let mut texts = graph(&mut of_texts);
    texts.input = vec![info("tokens", &[None, Some(77)])];
    of_texts.graph = Some(texts);
    refused(
        &of_texts,
        &["expected images [N, 3, S, S]", "'tokens'", "77"],
    );
    let mut pairs = with_head(relu(), vec![]);
    let mut two = graph(&mut pairs);
    two.input.push(info("mask", &[None, Some(1)]));
    pairs.graph = Some(two);
    refused(&pairs, &["expected one input", "mask"]);
    let mut several = with_head(relu(), vec![]);
    let mut two = graph(&mut several);
    two.output.push(info("features", &[None, Some(3)]));
    several.graph = Some(two);
    refused(&several, &["expected one output", "features"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    std::fs::write(&path, several.encode_to_vec()).unwrap();
    let named = OnnxConfig::default().with_decision_layer("the_logits");
    assert!(OnnxModel::read(&path, &named).is_ok());
    let unknown = OnnxConfig::default().with_decision_layer("the_logit");
    let error = OnnxModel::read(&path, &unknown).unwrap_err().to_string();
    assert!(error.contains("did you mean 'the_logits'"), "{error}");
    let no_layer = OnnxConfig::default().with_decision_layer("the_x");
    let error = OnnxModel::read(&path, &no_layer).unwrap_err().to_string();
    assert!(error.contains("expected a linear layer"), "{error}");
    maps.graph = None;
    refused(&maps, &["it has no graph"]);
    maps = with_head(relu(), vec![]);
    maps.opset_import.clear();
    refused(&maps, &["version of its operators"]);
}

#[test]
fn an_export_for_training_says_what_to_do() {
    let vectors = ["s", "o", "m", "v"].map(|name| tensor(name, &[3], &[1.0; 3]));
    let inputs = ["images", "s", "o", "m", "v"];
    let norm = node("BatchNormalization", &inputs, "x").with(number("training_mode", 1));
    refused(
        &with_head(vec![norm], vectors.to_vec()),
        &["'the_x'", "model.eval()"],
    );
}

#[test]
fn what_is_no_onnx_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = with_head(vec![node("Relu", &["images"], "x")], vec![]).encode_to_vec();
    let path = folder.path().join("net.onnx");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        OnnxModel::read(&path, &OnnxConfig::default())
    };
    assert!(read(&whole).is_ok());
    for bytes in [&whole[..whole.len() / 2], b"", b"no protobuf at all"] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains("net.onnx"), "{error}");
    }
    // Any byte may be wrong: whatever comes of it, nothing panics.
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = read(&damaged);
        }
    }
    assert!(OnnxModel::read(folder.path(), &OnnxConfig::default()).is_err());
}

/// As above, of an export.
#[test]
fn a_damaged_export_does_not_panic() {
    let whole = include_bytes!("../../tests/golden/onnx/test_vit.dynamo.onnx");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let weights = include_bytes!("../../tests/golden/onnx/test_vit.dynamo.onnx.data");
    std::fs::write(folder.path().join("test_vit.dynamo.onnx.data"), weights).unwrap();
    std::fs::write(&path, whole).unwrap();
    assert!(OnnxModel::read(&path, &OnnxConfig::default()).is_ok());
    for at in (0..whole.len()).step_by(17) {
        for flip in [1, 4, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).unwrap();
            let _ = OnnxModel::read(&path, &OnnxConfig::default());
        }
    }
}

#[test]
fn a_free_size_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut free = with_head(vec![node("Relu", &["images"], "x")], vec![]);
    let mut graph = free.graph.take().unwrap();
    graph.input = vec![info("images", &[None, Some(3), None, None])];
    free.graph = Some(graph);
    let error = read_in(folder.path(), &free).unwrap_err().to_string();
    assert!(error.contains("size of its images free"), "{error}");
    let path = folder.path().join("net.onnx");
    let sized = OnnxModel::read(&path, &OnnxConfig::default().with_size(16)).unwrap();
    assert_eq!(sized.size(), 16);
    assert!(OnnxModel::read(&path, &OnnxConfig::default().with_size(0)).is_err());
}
