//! Decision layers, of one head or several, and what goes back into the file.

use super::*;

#[test]
fn an_edited_layer_goes_back_whatever_nodes_it_is() {
    let gemm =
        |inputs: &[&str], output: &str| node("Gemm", inputs, output).with(number("transB", 1));
    let matrix = || vec![tensor("m", &[3, 2], &[1.0; 6])];
    for (tail, weights) in [
        (vec![gemm(&["features", "w"], "logits")], vec![]),
        (
            vec![
                gemm(&["features", "w"], "p"),
                node("Add", &["p", "b"], "logits"),
            ],
            vec![],
        ),
        (
            vec![
                node("MatMul", &["features", "m"], "p"),
                node("Add", &["b", "p"], "logits"),
            ],
            matrix(),
        ),
        (vec![node("MatMul", &["features", "m"], "logits")], matrix()),
        (
            vec![
                node("Conv", &["pooled", "k"], "c"),
                node("Flatten", &["c"], "logits"),
            ],
            vec![tensor("k", &[2, 3, 1, 1], &[1.0; 6])],
        ),
    ] {
        let mut nodes = vec![node("Relu", &["images"], "x")];
        nodes.extend(head().into_iter().take(2));
        nodes.extend(tail);
        let folder = tempfile::tempdir().unwrap();
        let onnx = read_in(folder.path(), &model(nodes, weights)).unwrap();
        let layer = DecisionLayer::new(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], array![7.0, 8.0]);
        let layer = layer.unwrap();
        let path = folder.path().join("edited.onnx");
        onnx.save(&path, &layer).unwrap();
        let again = OnnxModel::read(&path, &OnnxConfig::default()).unwrap();
        let again = again.classifier(&LoadConfig::default(), &Device::flex());
        assert_eq!(again.unwrap().decision_layer().unwrap(), layer);
    }
}

/// The layer that is named, not the one that the rule finds.
#[test]
fn a_decision_layer_that_is_named_is_the_one() {
    let mut nodes = vec![node("Relu", &["images"], "x")];
    nodes.extend(head().into_iter().take(2));
    nodes.push(node("Gemm", &["features", "w", "b"], "first").with(number("transB", 1)));
    nodes.push(node("Relu", &["first"], "hidden"));
    nodes.push(node("Gemm", &["hidden", "v"], "logits").with(number("transB", 1)));
    let folder = tempfile::tempdir().unwrap();
    let file = model(nodes, vec![tensor("v", &[4, 2], &[1.0; 8])]);
    let by_rule = read_in(folder.path(), &file).unwrap();
    let path = folder.path().join("named.onnx");
    std::fs::write(&path, file.encode_to_vec()).unwrap();
    let config = OnnxConfig::default().with_decision_layer("the_first");
    let named = OnnxModel::read(&path, &config).unwrap();
    for (onnx, expected) in [(by_rule, [4, 2]), (named, [2, 3])] {
        let model = onnx
            .classifier(&LoadConfig::default(), &Device::flex())
            .unwrap();
        let layer = model.decision_layer().unwrap();
        assert_eq!([layer.classes(), layer.neurons()], expected);
    }
}

/// Two heads are two outputs, or one that is their mean: neither says which of them decides.
#[test]
fn of_two_heads_one_has_to_be_named() {
    let mut nodes = vec![node("Relu", &["images"], "x")];
    nodes.extend(head().into_iter().take(2));
    for (weight, output) in [("w", "first"), ("w2", "second")] {
        nodes.push(node("Gemm", &["features", weight, "b"], output).with(number("transB", 1)));
    }
    let other = || vec![tensor("w2", &[2, 3], &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0])];
    let outputs = |model: &mut ModelProto, names: &[&str]| {
        let outputs = names.iter().map(|name| info(name, &[None, Some(2)]));
        model.graph.as_mut().unwrap().output = outputs.collect();
    };
    let mut two = model(nodes.clone(), other());
    outputs(&mut two, &["first", "second"]);
    refused(
        &two,
        &[
            "expected one output",
            "\"first\", \"second\"",
            "--decision-layer NODE",
        ],
    );
    let mut mean = nodes;
    mean.push(node("Sum", &["first", "second"], "logits"));
    let mean = model(mean, other());
    refused(&mean, &["expected the output to be that of a linear layer"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    for file in [two, mean] {
        std::fs::write(&path, file.encode_to_vec()).unwrap();
        let read = |name: &str| {
            let config = OnnxConfig::default().with_decision_layer(name);
            let model = OnnxModel::read(&path, &config).unwrap();
            let head = model.head();
            assert_eq!(
                (&head.decision_layer[..], &head.features[..]),
                (name, "the_features")
            );
            let model = model.classifier(&LoadConfig::default(), &Device::flex());
            model.unwrap().decision_layer().unwrap()
        };
        let [first, second] = ["the_first", "the_second"].map(read);
        assert_eq!(second.weight().row(0).to_vec(), [4.0, 5.0, 6.0]);
        assert_ne!(first, second);
    }
}

/// By the product's name the layer would be without its bias.
#[test]
fn a_layer_whose_bias_is_a_node_of_its_own_is_not_named_by_its_product() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let read =
        |name: &str| OnnxModel::read(&path, &OnnxConfig::default().with_decision_layer(name));
    let gemm = node("Gemm", &["features", "w"], "p").with(number("transB", 1));
    for product in [node("MatMul", &["features", "m"], "p"), gemm] {
        for inputs in [["p", "b"], ["b", "p"]] {
            let mut nodes = vec![node("Relu", &["images"], "x")];
            nodes.extend(head().into_iter().take(2));
            nodes.extend([product.clone(), node("Add", &inputs, "logits")]);
            let file = model(nodes, vec![tensor("m", &[3, 2], &[1.0; 6])]);
            std::fs::write(&path, file.encode_to_vec()).unwrap();
            let error = read("the_p").unwrap_err().to_string();
            assert!(error.contains("'the_logits': name that node"), "{error}");
            assert!(read("the_logits").is_ok());
        }
    }
}

/// A network that gives logarithms of probabilities.
#[test]
fn a_softmax_and_its_logarithm_after_the_decision_layer_are_looked_through() {
    for operator in ["Softmax", "LogSoftmax"] {
        let mut nodes = vec![node("Relu", &["images"], "x")];
        nodes.extend(head());
        nodes.last_mut().unwrap().output = vec!["scores".to_owned()];
        nodes.push(node(operator, &["scores"], "logits"));
        let folder = tempfile::tempdir().unwrap();
        let onnx = read_in(folder.path(), &model(nodes, vec![])).unwrap();
        assert_eq!(onnx.head().features, "the_features", "{operator}");
        let model = onnx
            .classifier(&LoadConfig::default(), &Device::flex())
            .unwrap();
        assert_eq!(model.decision_layer().unwrap().bias().to_vec(), [0.5; 2]);
    }
}
