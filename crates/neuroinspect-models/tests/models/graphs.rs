//! Graphs: what is refused, what is computed and kept, what is the same.

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::Initializer,
    tensor::{Device, Int, Tensor},
};
use neuroinspect_models::{
    Checkpoint, Error, GraphClassifier, Result, Strictness,
    graph::{
        AddPositions, ArgmaxPool, Attention, Concat, Conv2d, Embedding, Expand, Flatten, Function,
        GlobalMean, Graph, GraphBuilder, GroupNorm, LayerNorm, Linear, MatMul, MaxPool2d, Network,
        Padding, ParameterSpec, Permute, Reshape, Slice, Value,
    },
};

use crate::support::{images, made_up_weights, safetensors_of};

/// Two convolutions and a decision layer.
pub(crate) fn small() -> Result<Graph> {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let x = g.layer("conv1", Conv2d::new(4, 3), [x]);
    let x = g.batch_norm("bn1", x);
    let x = g.relu("act1", x);
    let y = g.layer("conv2", Conv2d::new(4, 3).with_bias(true), [x]);
    let y = g.batch_norm("bn2", y);
    let x = g.add(x, y);
    let x = g.layer("pool", GlobalMean {}, [x]);
    g.linear("fc", 2, x);
    g.finish()
}

fn network(graph: Graph) -> Network {
    let device = Device::flex();
    device.seed(3);
    Network::new(graph, &device).unwrap()
}

/// The values of some nodes, flat.
pub(crate) fn read(network: &Network, inputs: Vec<(&str, Value)>, names: &[&str]) -> Vec<Vec<f32>> {
    let taps: Vec<_> = names
        .iter()
        .map(|name| network.graph().find(name).unwrap())
        .collect();
    let values = network.evaluate(inputs, &taps).unwrap();
    let flat = |value: Value| match value {
        Value::Rank1(x) => x.into_data(),
        Value::Rank2(x) => x.into_data(),
        Value::Rank3(x) => x.into_data(),
        Value::Rank4(x) => x.into_data(),
        other => panic!("{other:?}"),
    };
    values
        .into_iter()
        .map(|value| flat(value).try_into_vec_as().unwrap())
        .collect()
}

fn node_error(result: Result<Graph>) -> (String, String) {
    match result.unwrap_err() {
        Error::Node { node, reason } => (node, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_layer_that_cannot_take_its_input_is_named() {
    type Emit = fn(&mut GraphBuilder);
    let cases: [(&str, &str, Emit); 15] = [
        ("conv", "expected a map", |g| {
            let x = g.input("features", [5]);
            g.layer("conv", Conv2d::new(4, 3), [x]);
        }),
        ("grouped", "divides 3 channels in and 4 out, found 2", |g| {
            let x = g.input("images", [3, 8, 8]);
            g.layer("grouped", Conv2d::new(4, 3).with_groups(2), [x]);
        }),
        (
            "wide",
            "at most 4 pixels, padding included, found one of 9",
            |g| {
                let x = g.input("images", [3, 4, 4]);
                let conv = Conv2d::new(4, 9).with_padding(Padding::both(0));
                g.layer("wide", conv, [x]);
            },
        ),
        ("add_0", "expected axes of the same size", |g| {
            let x = g.input("images", [3, 8, 8]);
            let y = g.layer("conv", Conv2d::new(4, 3), [x]);
            g.add(x, y);
        }),
        ("attn", "divides the width 8, found 3", |g| {
            let x = g.input("tokens", [5, 8]);
            g.layer("attn", Attention::new(3), [x]);
        }),
        ("positions", "at most 4 tokens, found 5", |g| {
            let x = g.input("tokens", [5, 8]);
            g.layer("positions", AddPositions::new(4), [x]);
        }),
        ("norm", "divides 8 channels, found 5", |g| {
            let x = g.input("images", [8, 2, 2]);
            g.layer("norm", GroupNorm::new(5), [x]);
        }),
        ("twice", "a node of this name", |g| {
            let x = g.input("features", [5]);
            g.relu("twice", x);
            g.relu("twice", x);
        }),
        ("still", "stride and dilation of at least 1", |g| {
            let x = g.input("images", [3, 8, 8]);
            let conv = Conv2d::new(4, 3).with_padding(Padding::Same);
            g.layer("still", conv.with_stride(0), [x]);
        }),
        ("pool", "a window, stride and dilation of at least 1", |g| {
            let x = g.input("images", [3, 8, 8]);
            let pool = MaxPool2d::new(0, 2).with_padding(Padding::Same);
            g.layer("pool", pool, [x]);
        }),
        ("alone", "an axis below 3", |g| {
            let x = g.input("tokens", [5, 8]);
            g.layer("alone", Concat { axis: 3 }, [x]);
        }),
        ("slice", "expected sizes of at most", |g| {
            let x = g.input("tokens", [5, 8]);
            let (start, length) = (usize::MAX, 2);
            let axis = 1;
            g.layer(
                "slice",
                Slice {
                    axis,
                    start,
                    length,
                },
                [x],
            );
        }),
        ("huge.weight", "expected sizes of at most", |g| {
            let x = g.input("features", [5]);
            g.linear("huge", usize::MAX / 2, x);
        }),
        ("empty.weight", "elements, found shape [0, 5]", |g| {
            let x = g.input("features", [5]);
            g.linear("empty", 0, x);
        }),
        ("nowhere.weight", "no such parameter", |g| {
            g.input("features", [5]);
            g.initialize("nowhere.weight", Initializer::Ones);
        }),
    ];
    for (node, reason, emit) in cases {
        let mut g = GraphBuilder::new();
        emit(&mut g);
        let (found, why) = node_error(g.finish());
        assert_eq!(found, node);
        assert!(why.contains(reason), "{node}: {why}");
    }
}

/// A graph of nodes and parameters is checked as one that is built.
#[test]
fn a_graph_is_checked_when_made_of_its_parts() {
    let graph = small().unwrap();
    let (nodes, parameters) = (graph.nodes(), graph.parameters());
    let of = |change: &dyn Fn(&mut Vec<ParameterSpec>)| {
        let mut parameters = parameters.to_vec();
        change(&mut parameters);
        Graph::new(nodes.to_vec(), parameters)
    };
    assert_eq!(of(&|_| ()).unwrap(), graph);
    let place = |name: &str| parameters.iter().position(|spec| spec.name == name);
    let (weight, mean) = (place("conv2.weight"), place("bn1.running_mean"));
    let (weight, mean) = (weight.unwrap(), mean.unwrap());

    let (node, why) = node_error(of(&|parameters| parameters[weight].shape[1] = 5));
    assert_eq!(node, "conv2");
    assert!(why.contains("[4, 4, 3, 3]"), "{why}");
    let unread = ParameterSpec {
        name: "other".to_owned(),
        ..parameters[mean].clone()
    };
    let (name, why) = node_error(of(&|parameters| parameters.push(unread.clone())));
    assert_eq!(name, "other");
    assert!(why.contains("no node reads"), "{why}");
    // Running statistics that no memory holds.
    let (name, _) = node_error(of(&|parameters| {
        parameters[mean].shape = vec![400_000_000_000]
    }));
    assert_eq!(name, "bn1.running_mean");
}

#[test]
fn other_images_than_it_was_made_with_fit_or_are_refused_by_name() {
    let network = network(small().unwrap());
    let fc = [network.graph().find("fc").unwrap()];
    let images = |shape: [usize; 4]| Value::from(Tensor::<4>::zeros(shape, &Device::flex()));
    let values = network
        .evaluate(vec![("images", images([5, 3, 20, 11]))], &fc)
        .unwrap();
    assert_eq!(values[0].dims(), [5, 2]);
    let error = network
        .evaluate(vec![("images", images([5, 1, 8, 8]))], &fc)
        .unwrap_err();
    assert!(
        matches!(error, Error::Node { ref node, .. } if node == "conv1"),
        "{error}"
    );
    let error = network
        .evaluate(vec![("texts", images([5, 3, 8, 8]))], &fc)
        .unwrap_err();
    assert!(error.to_string().contains("was not given"), "{error}");
}

#[test]
fn a_tap_is_what_a_run_to_it_alone_gives_and_runs_repeat_exactly() {
    let network = network(small().unwrap());
    let names = ["conv1", "bn1", "act1", "conv2", "bn2", "pool", "fc"];
    let images = || vec![("images", Value::from(images(8, &Device::flex())))];
    let together = read(&network, images(), &names);
    for (name, values) in names.iter().zip(&together) {
        assert_eq!(&read(&network, images(), &[name])[0], values, "{name}");
        assert!(values.iter().any(|&value| value != 0.0), "{name}");
    }
    assert_eq!(read(&network, images(), &names), together);
    // The same value twice.
    assert_eq!(read(&network, images(), &["fc", "fc"])[1], together[6]);
}

#[test]
fn weights_are_drawn_by_the_seed_of_the_device() {
    let images = || vec![("images", Value::from(images(8, &Device::flex())))];
    let drawn = |seed| {
        let device = Device::flex();
        device.seed(seed);
        let network = Network::new(small().unwrap(), &device).unwrap();
        read(&network, images(), &["conv2"])
    };
    // Another test may draw from the same generator in between: one of many pairs is alone.
    assert!((0..20).any(|seed| drawn(seed) == drawn(seed)));
    assert_ne!(drawn(5), drawn(6));
}

#[test]
fn gradients_reach_the_images_whatever_the_weights_are() {
    let network = network(small().unwrap());
    let images = images(8, &Device::flex()).autodiff().require_grad();
    let fc = [network.graph().find("fc").unwrap()];
    let logits = network
        .evaluate(vec![("images", images.clone().into())], &fc)
        .unwrap();
    let logits = logits.into_iter().next().unwrap().rank2().unwrap();
    let gradient = images
        .grad(&logits.narrow(1, 0, 1).sum().backward())
        .unwrap();
    let gradient: Vec<f32> = gradient.into_data().try_into_vec_as().unwrap();
    // A central difference along one pixel.
    let shifted = |by: f32| {
        let pixel = Tensor::<4>::zeros([2, 3, 8, 8], &Device::flex()).slice_assign(
            [0..1, 1..2, 3..4, 4..5],
            Tensor::full([1, 1, 1, 1], by, &Device::flex()),
        );
        let images = images.clone().without_autodiff() + pixel;
        read(&network, vec![("images", images.into())], &["fc"])[0].clone()
    };
    let (up, down) = (shifted(1e-2), shifted(-1e-2));
    let expected = (up[0] - down[0]) / 2e-2;
    let found = gradient[64 + 3 * 8 + 4];
    assert!(
        expected.abs() > 1e-5 && (found - expected).abs() < 2e-2 * expected.abs(),
        "{found} {expected}"
    );
}

/// A graph of every operation a text tower has, and tokens of an image beside it.
fn towers() -> Graph {
    let mut g = GraphBuilder::new();
    let texts = g.input("texts", [6]);
    let x = g.layer("token_embedding", Embedding { rows: 9, width: 8 }, [texts]);
    let x = g.layer("positional_embedding", AddPositions::new(6), [x]);
    let y = g.layer("ln_1", LayerNorm::default(), [x]);
    let y = g.layer("attn", Attention::new(2).with_causal(true), [y]);
    let x = g.add(x, y);
    let end = g.step(ArgmaxPool {}, [x, texts]);
    let projection = g.parameter("text_projection", [8, 3]);
    let text = g.step(MatMul {}, [end, projection]);
    g.module("text", text);

    let images = g.input("images", [3, 8, 8]);
    let patches = Conv2d::new(8, 4)
        .with_stride(4)
        .with_padding(Padding::both(0));
    let x = g.layer("visual.conv1", patches, [images]);
    let x = g.step(Flatten { from: 2, to: 3 }, [x]);
    let x = g.step(
        Permute {
            axes: vec![0, 2, 1],
        },
        [x],
    );
    let class = g.parameter("visual.class_embedding", [8]);
    let class = g.step(
        Reshape {
            shape: vec![1, 1, -1],
        },
        [class],
    );
    let class = g.step(Expand {}, [class, x]);
    let x = g.step(Concat { axis: 1 }, [class, x]);
    let y = g.layer("visual.attn", Attention::new(2), [x]);
    let x = g.add(x, y);
    let y = g.layer("visual.ln_2", LayerNorm::default(), [x]);
    let y = g.linear("visual.mlp.c_fc", 16, y);
    let y = g.activation("visual.mlp.gelu", Function::QuickGelu, y);
    let y = g.linear("visual.mlp.c_proj", 8, y);
    let x = g.add(x, y);
    let x = g.module("visual.block", x);
    let x = g.select(1, 0, x);
    let x = g.layer("visual.ln_post", LayerNorm::default(), [x]);
    g.layer("image", Linear::new(3).with_bias(false), [x]);
    g.parameter("logit_scale", [1]);
    g.finish().unwrap()
}

pub(crate) fn tower_network() -> Network {
    network(towers())
}

#[test]
fn one_of_two_towers_runs_by_itself_and_a_text_sees_nothing_after_its_end() {
    let network = tower_network();
    let device = Device::flex();
    let ids = |rows: [[i32; 6]; 2]| Tensor::<2, Int>::from_data(rows, &device);
    let text =
        |ids: Tensor<2, Int>| read(&network, vec![("texts", ids.into())], &["text"])[0].clone();
    let full = text(ids([[7, 1, 8, 0, 0, 0], [7, 2, 3, 4, 5, 8]]));
    assert_eq!(full.len(), 6);
    let padded = text(ids([[7, 1, 8, 3, 4, 5], [7, 2, 3, 4, 5, 8]]));
    let short = text(ids([[7, 1, 8, 0, 0, 0], [7, 1, 8, 0, 0, 0]]).narrow(1, 0, 3));
    for other in [&padded[..3], &short[..3], &short[3..]] {
        for (a, b) in full[..3].iter().zip(other) {
            assert!((a - b).abs() < 1e-5, "{full:?} {other:?}");
        }
    }
    let images = images(8, &device);
    assert_eq!(
        read(&network, vec![("images", images.into())], &["image"])[0].len(),
        6
    );
}

/// Burn computes its attention in another way where gradients are tracked.
#[test]
fn attention_is_the_same_with_and_without_gradients() {
    let network = tower_network();
    let names = ["visual.attn", "image"];
    let plain = images(8, &Device::flex());
    let expected = read(&network, vec![("images", plain.clone().into())], &names);
    let tracked = plain.autodiff().require_grad();
    let found = read(&network, vec![("images", tracked.into())], &names);
    for (a, b) in expected.iter().flatten().zip(found.iter().flatten()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn parameters_are_visited_under_their_names_and_flags_by_their_nodes() {
    #[derive(Default)]
    struct Names(Vec<String>, Vec<String>, Vec<String>);
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            self.1.push(self.0.join("."));
        }
        fn visit_flag(&mut self, _: &Param<burn::module::Flag>) {
            self.2.push(self.0.join("."));
        }
    }
    let network = network(small().unwrap());
    let mut names = Names::default();
    network.visit(&mut names);
    let specs = network
        .graph()
        .parameters()
        .iter()
        .map(|spec| spec.name.clone());
    assert_eq!(names.1, specs.collect::<Vec<_>>());
    assert_eq!(names.1[..2], ["conv1.weight", "bn1.weight"]);
    assert_eq!(names.2, ["bn1.training", "bn2.training"]);
}

#[test]
fn a_graph_without_a_decision_layer_is_no_classifier() {
    let refused = |emit: fn(&mut GraphBuilder)| {
        let mut g = GraphBuilder::new();
        emit(&mut g);
        let input = neuroinspect_core::InputSpec::new(8);
        let graph = g.finish().unwrap();
        let error = GraphClassifier::new("none", graph, input, &Device::flex()).unwrap_err();
        assert!(matches!(error, Error::Graph { .. }), "{error:?}");
        error.to_string()
    };
    let none = refused(|g| {
        let x = g.input("images", [3, 8, 8]);
        g.layer("conv", Conv2d::new(4, 3), [x]);
    });
    assert!(none.contains("decision layer"), "{none}");
    let of_tokens = refused(|g| {
        let x = g.input("images", [3, 8, 8]);
        let x = g.step(Flatten { from: 2, to: 3 }, [x]);
        g.linear("fc", 2, x);
    });
    assert!(of_tokens.contains("[2, 3, 2]"), "{of_tokens}");
    let of_others = refused(|g| {
        let x = g.input("pictures", [3, 8, 8]);
        let x = g.layer("pool", GlobalMean {}, [x]);
        g.linear("fc", 2, x);
    });
    assert!(of_others.contains(r#"["pictures"]"#), "{of_others}");
    let of_two = refused(|g| {
        let x = g.input("images", [3, 8, 8]);
        let x = g.layer("pool", GlobalMean {}, [x]);
        let y = g.input("more", [3]);
        let x = g.add(x, y);
        g.linear("fc", 2, x);
    });
    assert!(of_two.contains(r#"["images", "more"]"#), "{of_two}");
}

/// A token that sees itself and those before it, asked for alone.
#[test]
fn causal_attention_of_the_first_tokens_is_that_of_all() {
    let attention = |queries| Attention {
        queries,
        ..Attention::new(2).with_causal(true)
    };
    let graph = |queries| {
        let mut g = GraphBuilder::new();
        let x = g.input("tokens", [5, 8]);
        g.layer("attn", attention(queries), [x]);
        g.finish().unwrap()
    };
    let mut all = network(graph(None));
    let weights = safetensors_of(&made_up_weights(&all));
    let checkpoint = Checkpoint::from_bytes("weights", weights.clone()).unwrap();
    checkpoint
        .apply(&mut all, "all", Strictness::Strict)
        .unwrap();
    let values = images(8, &Device::flex()).reshape([384]);
    let tokens = values.narrow(0, 0, 80).reshape([2, 5, 8]);
    let read = |network: &Network, tokens: Tensor<3>| {
        let tap = [network.graph().find("attn").unwrap()];
        let values = network.evaluate(vec![("tokens", tokens.into())], &tap);
        values.unwrap().remove(0).rank3().unwrap()
    };
    for queries in [1, 3] {
        let mut some = Network::new(graph(Some(queries)), &Device::flex()).unwrap();
        let weights = Checkpoint::from_bytes("weights", weights.clone()).unwrap();
        weights
            .apply(&mut some, "some", Strictness::Strict)
            .unwrap();
        for tokens in [tokens.clone(), tokens.clone().autodiff().require_grad()] {
            let expected = read(&all, tokens.clone()).narrow(1, 0, queries);
            let found = read(&some, tokens);
            assert_eq!(found.dims(), [2, queries, 8]);
            let difference: f32 = (found - expected).abs().max().into_scalar();
            assert!(difference < 1e-5, "{queries} queries: {difference}");
        }
    }
}
