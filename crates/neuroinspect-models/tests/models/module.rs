//! A network as a Burn module: what Burn does to it, it does to a derived module of the same layers.

use std::collections::BTreeMap;

use burn::{
    module::{Flag, Module, ModuleVisitor, Param},
    nn::{
        BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor},
};
use neuroinspect_models::{
    Checkpoint,
    checkpoint::{Precision, save},
    graph::{self, GlobalMean, GraphBuilder, Network},
};
use tempfile::tempdir;

use crate::support::{images, make_up};

/// The layers, as one writes them in Burn.
#[derive(Module, Debug)]
struct Derived {
    conv: Conv2d,
    bn: BatchNorm,
    fc: Linear,
}

/// What both are asked for.
trait Model: Module {
    fn logits(&self, images: Tensor<4>) -> Tensor<2>;
}

impl Model for Derived {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.bn.forward(self.conv.forward(images));
        let [images, channels, height, width] = x.dims();
        let x = x.reshape([images, channels, height * width]).mean_dim(2);
        self.fc.forward(x.reshape([images, channels]))
    }
}

impl Model for Network {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let fc = [self.graph().find("fc").unwrap()];
        let values = self.forward(vec![("images", images.into())], &fc).unwrap();
        values.into_iter().next().unwrap().rank2().unwrap()
    }
}

fn derived(device: &Device) -> Derived {
    let conv = Conv2dConfig::new([3, 4], [3, 3]).with_padding(PaddingConfig2d::Same);
    loaded(Derived {
        conv: conv.with_bias(false).init(device),
        bn: BatchNormConfig::new(4).init(device),
        fc: LinearConfig::new(4, 2).init(device),
    })
}

fn network(device: &Device) -> Network {
    let mut g = GraphBuilder::new();
    let x = g.input("images", [3, 8, 8]);
    let x = g.layer("conv", graph::Conv2d::new(4, 3), [x]);
    let x = g.batch_norm("bn", x);
    let x = g.layer("pool", GlobalMean {}, [x]);
    g.linear("fc", 2, x);
    loaded(Network::new(g.finish().unwrap(), device).unwrap())
}

/// With the same weights, by their names.
fn loaded<M: Module>(mut module: M) -> M {
    make_up(&mut module);
    module
}

/// What a visitor sees.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Of each float parameter its id, and whether it requires a gradient.
    floats: Vec<(u64, bool)>,
    /// Of each flag its id, and whether it is enabled.
    flags: Vec<(u64, bool)>,
}

impl ModuleVisitor for Seen {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.floats.push((param.id.val(), param.is_require_grad()));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.flags.push((flag.id.val(), flag.val().is_enabled()));
    }
}

fn seen(module: &impl Module) -> Seen {
    let mut seen = Seen::default();
    module.visit(&mut seen);
    seen
}

/// Which parameters require a gradient, how many there are, and whether flags are enabled; sorted, as the
/// names of a graph's are in another order than a derived module's fields.
fn state(module: &impl Module) -> (Vec<bool>, Vec<bool>, usize) {
    let Seen { floats, flags } = seen(module);
    let mut requires: Vec<bool> = floats.into_iter().map(|(_, requires)| requires).collect();
    requires.sort_unstable();
    let enabled = flags.into_iter().map(|(_, enabled)| enabled).collect();
    (requires, enabled, module.num_params())
}

fn ids(module: &impl Module) -> Vec<u64> {
    let Seen { floats, flags } = seen(module);
    floats.into_iter().chain(flags).map(|(id, _)| id).collect()
}

/// All weights and buffers, as they are saved.
fn weights(module: &impl Module) -> BTreeMap<String, Vec<f32>> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("module.safetensors");
    save(module, None, Precision::F32, &path).unwrap();
    let saved = Checkpoint::open(&path).unwrap();
    let names = saved.names();
    names
        .map(|name| (name.to_owned(), saved.read(name).unwrap()))
        .collect()
}

fn assert_near(found: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Vec<f32>>) {
    assert!(found.keys().eq(expected.keys()), "{found:?} {expected:?}");
    for (name, values) in expected {
        for (a, b) in found[name].iter().zip(values) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
}

/// What is done to a module, and what comes out: of each step the state, and at the end the weights.
type Outcome = (
    Vec<(Vec<bool>, Vec<bool>, usize)>,
    BTreeMap<String, Vec<f32>>,
);

fn put_through<M: Model>(module: M) -> Outcome {
    let plain = Device::flex();
    let training = plain.clone().autodiff();
    let mut states = vec![state(&module)];

    let frozen = module.clone().freeze();
    states.push(state(&frozen));
    states.push(state(&frozen.clone().unfreeze()));
    states.push(state(&frozen.valid()));
    states.push(state(&frozen.valid().train()));
    states.push(state(&module.clone().no_grad()));
    states.push(state(&module.valid()));
    states.push(state(&module.valid().train()));
    states.push(state(&module.clone().fork(&training)));
    states.push(state(&module.clone().to_device(&training)));
    let moved = module.valid().to_device(&plain);
    states.push(state(&moved));

    // Evaluation moves no statistics, training does.
    let images = images(8, &training).require_grad();
    let before = weights(&module);
    module.valid().logits(images.clone());
    frozen.logits(images.clone());
    assert_eq!(weights(&module), before);
    module.logits(images.clone());
    let trained = weights(&module);
    assert_ne!(trained["bn.running_mean"], before["bn.running_mean"]);
    assert_ne!(trained["bn.running_var"], before["bn.running_var"]);
    assert_eq!(weights(&moved), before);

    // A clone trains the statistics of the original, and a copy on another device of its own device.
    let clone = module.clone();
    clone.logits(images);
    assert_eq!(weights(&clone), weights(&module));
    (states, weights(&module))
}

#[test]
fn a_network_is_put_through_what_a_derived_module_is() {
    let device = Device::flex().autodiff();
    let (expected, derived) = put_through(derived(&device));
    let (found, network) = put_through(network(&device));
    for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "step {step}");
    }
    assert_near(&network, &derived);
}

#[test]
fn ids_stay_through_evaluation_and_back() {
    let device = Device::flex().autodiff();
    let network = network(&device);
    let before = seen(&network);
    assert_eq!(before.floats.len(), 7);
    assert_eq!(before.flags.len(), 1);
    assert_eq!(ids(&network.valid()), ids(&network));
    assert_eq!(seen(&network.valid().train()), before);
    assert_eq!(ids(&network.clone().to_device(&device)), ids(&network));
    assert_eq!(ids(&network.clone().fork(&device)), ids(&network));
}

/// A record holds weights, statistics and flags, and goes into another network of the same graph.
#[test]
fn a_record_holds_all_of_it() {
    let device = Device::flex().autodiff();
    let trained = network(&device);
    trained.logits(images(8, &device).require_grad());
    let expected = weights(&trained);
    let record = trained.clone().into_record();
    let fresh = Network::new(trained.graph().clone(), &device).unwrap();
    let fresh = fresh.materialize();
    assert_ne!(weights(&fresh), expected);
    let fresh = fresh.load_record(record);
    assert_eq!(weights(&fresh), expected);
}
