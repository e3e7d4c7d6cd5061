//! Passes: the values are the same.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use neuroinspect_core::{Classifier, CopyClassifier, Precision};
use neuroinspect_models::{
    Checkpoint, Error, PretrainedClassifier, Strictness,
    graph::{
        Attention, BatchNorm, Conv2d, Graph, GraphBuilder, LayerNorm, Network, Node, Op, Permute,
        Reduce, Reduction, Slice, Value, ValueId,
        passes::{fold_batch_norm, join_rectifiers, only_tokens_read},
    },
};

use crate::{
    classifiers_golden::made_up,
    graphs::{read, tower_network},
    support::{images, made_up_weights, make_up, safetensors_of},
};

fn close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        let scale = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= tolerance * scale, "{a} {b} of {scale}");
        }
    }
}

fn batch_norms(network: &Network) -> usize {
    let nodes = network.graph().nodes().iter();
    nodes
        .filter(|node| matches!(node.op, Op::BatchNorm(_)))
        .count()
}

#[test]
fn folding_keeps_every_value_and_its_name() {
    for name in ["cifar_resnet20", "resnet18", "tf_efficientnet_lite0"] {
        let model = made_up(name);
        let network = model.network();
        let folded = fold_batch_norm(network).unwrap();
        assert!(batch_norms(network) > 0);
        assert_eq!(batch_norms(&folded), 0, "{name}");
        let layers: Vec<_> = model
            .layers()
            .unwrap()
            .into_iter()
            .map(|it| it.name)
            .collect();
        let layers: Vec<_> = layers.iter().map(String::as_str).collect();
        let inputs = || vec![("images", Value::from(images(32, &Device::flex())))];
        close(
            &read(&folded, inputs(), &layers),
            &read(network, inputs(), &layers),
            2e-5,
        );
        // Once is enough.
        let twice = fold_batch_norm(&folded).unwrap();
        assert_eq!(twice.graph(), folded.graph());
    }
}

/// Values of every layer, those that the joined nodes stood on among them, and the images' gradient.
#[test]
fn joining_rectifiers_keeps_every_value_its_name_and_gradient() {
    for (name, joined_nodes) in [
        ("cifar_resnet20", 19),
        ("resnet18", 17),
        ("tf_efficientnet_lite0", 33),
    ] {
        let model = made_up(name);
        let network = fold_batch_norm(model.network()).unwrap();
        let joined = join_rectifiers(&network).unwrap();
        let nodes = joined.graph().nodes().iter();
        let count = nodes
            .filter(|it| matches!(it.op, Op::RectifiedConv2d(_)))
            .count();
        assert_eq!(count, joined_nodes, "{name}");
        let names = network
            .graph()
            .nodes()
            .iter()
            .filter(|it| it.name != "images");
        let names: Vec<_> = names.map(|it| it.name.as_str()).collect();
        let device = Device::flex();
        let inputs = || vec![("images", Value::from(images(32, &device)))];
        close(
            &read(&joined, inputs(), &names),
            &read(&network, inputs(), &names),
            2e-5,
        );
        let last = names[names.len() - 1];
        let gradient = |network: &Network| {
            let images = images(32, &device).autodiff().require_grad();
            let tap = network.graph().find(last).unwrap();
            let inputs = vec![("images", Value::from(images.clone()))];
            let values = network.evaluate(inputs, &[tap]).unwrap();
            let Some(Value::Rank2(value)) = values.into_iter().next() else {
                panic!("{last} is no matrix");
            };
            let mut gradients = value.sum().backward();
            let gradient = images.grad_remove(&mut gradients).unwrap();
            gradient.into_data().try_into_vec_as::<f32>().unwrap()
        };
        close(&[gradient(&joined)], &[gradient(&network)], 1e-4);
        assert_eq!(join_rectifiers(&joined).unwrap().graph(), joined.graph());
    }
}

/// A sum that another node reads as well is computed once, by itself.
#[test]
fn what_others_read_too_is_not_joined() {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let y = g.layer("conv", Conv2d::new(3, 3), [x]);
    let rectified = g.relu("act", y);
    let sum = g.add(rectified, y);
    g.relu("last", sum);
    let network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
    assert_eq!(join_rectifiers(&network).unwrap().graph(), network.graph());
}

#[test]
fn a_product_of_convolutions_is_not_joined() {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let a = g.layer("a", Conv2d::new(3, 3), [x]);
    let b = g.layer("b", Conv2d::new(3, 3), [x]);
    let product = g.multiply("product", a, b);
    g.relu("act", product);
    let network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
    assert_eq!(join_rectifiers(&network).unwrap().graph(), network.graph());
}

/// Of two convolutions that are added the later one: in a residual block that is its last, beside which the shortcut's
/// is computed before.
#[test]
fn of_two_convolutions_the_later_is_joined() {
    for in_order in [true, false] {
        let mut g = GraphBuilder::new();
        let x = g.input("images", [3, 8, 8]);
        let shortcut = g.layer("shortcut", Conv2d::new(3, 1), [x]);
        let last = g.layer("last", Conv2d::new(3, 3), [x]);
        let sum = match in_order {
            true => g.add(shortcut, last),
            false => g.add(last, shortcut),
        };
        g.relu("act", sum);
        let network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
        let joined = join_rectifiers(&network).unwrap();
        let graph = joined.graph();
        let act = graph.node(graph.find("act").unwrap());
        assert_eq!(act.parameters[0], "last.weight");
    }
}

/// At the size that the graph was made for both are one pixel; of a larger image one is repeated.
#[test]
fn what_is_added_is_repeated_where_images_are_larger() {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let windows = Conv2d::new(3, 3).with_stride(8);
    let y = g.layer("conv", windows, [x]);
    let mean = Reduce {
        to: Reduction::Mean,
        axes: vec![2, 3],
        keep: true,
    };
    let mean = g.step(mean, [x]);
    let sum = g.add(mean, y);
    g.relu("act", sum);
    let mut network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
    make_up(&mut network);
    let joined = join_rectifiers(&network).unwrap();
    assert_ne!(joined.graph(), network.graph());
    for size in [8, 16, 32] {
        let inputs = || vec![("images", Value::from(images(size, &Device::flex())))];
        let expected = read(&network, inputs(), &["act"]);
        assert_eq!(expected[0].len(), 2 * 3 * (size / 8).pow(2));
        close(&read(&joined, inputs(), &["act"]), &expected, 1e-5);
    }
}

/// A bias before the normalisation goes through it.
#[test]
fn the_bias_of_a_convolution_is_folded_too() {
    let mut network = Network::new(crate::graphs::small().unwrap(), &Device::flex()).unwrap();
    // Statistics and biases that are none of those a network starts with.
    make_up(&mut network);
    let inputs = || vec![("images", Value::from(images(8, &Device::flex())))];
    let before = read(&network, inputs(), &["bn2", "fc"]);
    let folded = fold_batch_norm(&network).unwrap();
    close(&read(&folded, inputs(), &["bn2", "fc"]), &before, 1e-5);
}

/// The convolution by itself is computed by the folded weights.
#[test]
fn a_folded_network_has_one_copy_of_its_weights() {
    let model = made_up("resnet18");
    let folded = fold_batch_norm(model.network()).unwrap();
    // In place of the four numbers of a channel there are its scale and its bias.
    assert!(folded.num_params() < model.num_params());
    let names = folded.graph().parameters().iter().map(|it| &it.name);
    let names: Vec<_> = names.filter(|name| name.starts_with("bn1")).collect();
    assert_eq!(
        names,
        ["bn1.folded.bias", "bn1.folded.scale", "bn1.folded.weight"]
    );
}

/// What was multiplied by zero cannot be had back.
#[test]
fn a_normalisation_that_silences_a_channel_stays() {
    let mut model = made_up("cifar_resnet20");
    let mut weights = made_up_weights(&model);
    weights.get_mut("layer1.0.bn1.weight").unwrap().1[3] = 0.0;
    let weights = Checkpoint::from_bytes("silent", safetensors_of(&weights)).unwrap();
    model.load(&weights, Strictness::Strict).unwrap();
    let folded = fold_batch_norm(model.network()).unwrap();
    assert_eq!(batch_norms(&folded), 1);
    let inputs = || vec![("images", Value::from(images(32, &Device::flex())))];
    let names = ["layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "linear"];
    close(
        &read(&folded, inputs(), &names),
        &read(model.network(), inputs(), &names),
        1e-5,
    );
}

/// Two normalisations of the same parameters, of which one follows a convolution.
#[test]
fn parameters_that_a_normalisation_shares_stay() {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let x = g.layer("conv", Conv2d::new(3, 3), [x]);
    let x = g.batch_norm("bn", x);
    let x = g.relu("act", x);
    let parameters = ["weight", "bias", "running_mean", "running_var"];
    let parameters = parameters.map(|part| format!("bn.{part}"));
    let graph = g.finish().unwrap();
    let mut nodes = graph.nodes().to_vec();
    nodes.push(Node {
        name: "again".to_owned(),
        op: BatchNorm::default().into(),
        inputs: vec![x],
        parameters: parameters.to_vec(),
        module: true,
    });
    let graph = Graph::new(nodes, graph.parameters().to_vec()).unwrap();
    let mut network = Network::new(graph, &Device::flex()).unwrap();
    make_up(&mut network);
    let folded = fold_batch_norm(&network).unwrap();
    assert_eq!(batch_norms(&folded), 1);
    let inputs = || vec![("images", Value::from(images(8, &Device::flex())))];
    let names = ["bn", "again"];
    close(
        &read(&folded, inputs(), &names),
        &read(&network, inputs(), &names),
        1e-5,
    );
}

/// Its weights are others, under other names.
#[test]
fn a_folded_network_is_neither_trained_nor_saved_nor_loaded() {
    let model = made_up("cifar_resnet20");
    let mut folded = model.clone();
    folded.fold().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folded.safetensors");
    let error = folded.save(&path).unwrap_err();
    assert!(matches!(error, Error::Rewritten), "{error:?}");
    assert!(!path.exists());
    let weights = safetensors_of(&made_up_weights(&model));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    let error = folded.load(&weights, Strictness::Partial).unwrap_err();
    assert!(matches!(error, Error::Rewritten), "{error:?}");
    let images = images(32, &model.device());
    let error = folded.forward(images.clone()).unwrap_err();
    assert!(matches!(error, Error::Rewritten), "{error:?}");
    // A copy of it is one too; the model it was made of is not.
    assert!(folded.valid().forward(images.clone()).is_err());
    model.save(&path).unwrap();
    model.forward(images).unwrap();
}

/// The first token of a text sees itself alone.
#[test]
fn of_a_causal_block_only_the_token_read_is_computed() {
    let mut g = GraphBuilder::new();
    let x = g.input("tokens", [5, 8]);
    let y = g.layer("ln_1", LayerNorm::default(), [x]);
    let y = g.layer("attn", Attention::new(2).with_causal(true), [y]);
    let x = g.add(x, y);
    let x = g.module("block", x);
    let x = g.select(1, 0, x);
    g.linear("fc", 3, x);
    let mut network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
    make_up(&mut network);
    let narrow = only_tokens_read(&network, &["fc"]).unwrap();
    let attention = narrow.graph().find("attn").unwrap();
    assert_eq!(narrow.graph().shape(attention)[1], 1);
    let values = images(8, &Device::flex()).reshape([384]).narrow(0, 0, 80);
    let tokens = values.reshape([2, 5, 8]);
    let inputs = || vec![("tokens", Value::from(tokens.clone()))];
    close(
        &read(&narrow, inputs(), &["fc"]),
        &read(&network, inputs(), &["fc"]),
        1e-5,
    );
}

/// Tokens that have met before are all computed, whichever are read.
#[test]
fn values_of_tokens_that_have_met_stay_as_they_are() {
    type Reading = fn(&mut GraphBuilder, ValueId) -> ValueId;
    let first: Reading = |g, x| g.select(1, 0, x);
    let second_and_third: Reading = |g, x| {
        let some = Slice {
            axis: 1,
            start: 1,
            length: 2,
        };
        let some = g.step(some, [x]);
        let mean = Reduce {
            to: Reduction::Mean,
            axes: vec![1],
            keep: false,
        };
        g.step(mean, [some])
    };
    let channel: Reading = |g, x| g.select(2, 1, x);
    for reading in [first, second_and_third, channel] {
        let mut g = GraphBuilder::new();
        let x = g.input("tokens", [5, 8]);
        let turned = || Permute {
            axes: vec![0, 2, 1],
        };
        let y = g.step(turned(), [x]);
        let y = g.linear("mix", 5, y);
        let y = g.step(turned(), [y]);
        let y = g.add(x, y);
        let y = g.layer("ln", LayerNorm::default(), [y]);
        let y = reading(&mut g, y);
        g.linear("fc", 3, y);
        let mut network = Network::new(g.finish().unwrap(), &Device::flex()).unwrap();
        make_up(&mut network);
        let narrow = only_tokens_read(&network, &["fc"]).unwrap();
        let values = images(8, &Device::flex()).reshape([384]).narrow(0, 0, 80);
        let inputs = || vec![("tokens", Value::from(values.clone().reshape([2, 5, 8])))];
        close(
            &read(&narrow, inputs(), &["fc"]),
            &read(&network, inputs(), &["fc"]),
            1e-5,
        );
    }
}

#[test]
fn of_the_last_block_only_the_class_token_is_computed() {
    let network = tower_network();
    let narrow = only_tokens_read(&network, &["image"]).unwrap();
    let inputs = || vec![("images", Value::from(images(8, &Device::flex())))];
    close(
        &read(&narrow, inputs(), &["image"]),
        &read(&network, inputs(), &["image"]),
        1e-5,
    );
    let shape = |network: &Network, name: &str| {
        let graph = network.graph();
        graph.shape(graph.find(name).unwrap()).to_vec()
    };
    for name in ["visual.attn", "visual.mlp.c_fc", "visual.block"] {
        assert_eq!(shape(&network, name)[1], 5, "{name}");
        assert_eq!(shape(&narrow, name)[1], 1, "{name}");
    }
    // Where the block is looked at, all of it is there.
    let whole = only_tokens_read(&network, &["image", "visual.block"]).unwrap();
    assert_eq!(shape(&whole, "visual.block")[1], 5);
    let names = ["image", "visual.block"];
    close(
        &read(&whole, inputs(), &names),
        &read(&network, inputs(), &names),
        1e-5,
    );
}

/// A copy in another precision computes in it, and gives what it is given.
#[test]
fn a_copy_in_bf16_is_near() {
    let model = made_up("cifar_resnet20");
    let images = images(32, &model.device());
    let exact = model.activations(images.clone()).features;
    let mut copy = model
        .evaluation_copy(&model.device(), Precision::Bf16)
        .unwrap();
    for fold in [false, true] {
        if fold {
            copy.fold().unwrap();
        }
        let given = Precision::Bf16.cast(images.clone());
        let found = copy.activations(given).features;
        assert_eq!(found.dtype(), burn::tensor::DType::BF16);
        let found: Tensor<2> = Precision::F32.cast(found);
        let mean = |x: Tensor<2>| x.abs().mean().into_scalar::<f32>();
        let difference = mean(found - exact.clone()) / mean(exact.clone());
        assert!(difference > 0.0 && difference < 0.05, "{difference}");
        // And of f32, f32.
        let found = copy.activations(images.clone()).features;
        assert_eq!(found.dtype(), burn::tensor::DType::F32);
    }
}
