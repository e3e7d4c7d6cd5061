//! Networks as graphs: named operations in order, and the weights by name.
//!
//! A [`Graph`] is data: a list of nodes, each an operation ([`Op`]) with its configuration, the values
//! it reads and the names of its parameters. A node's value can be read by the node's name, and the
//! name of a node that stands for a module is the module's path in timm (open_clip, torchvision), so
//! that *layers, parameters in checkpoints and what a user probes are the same strings*: the value of
//! `layer3.5.conv2` is made with `layer3.5.conv2.weight`. What a forward pass does between modules has
//! a name of its own, as `add_3`, and is not listed.
//!
//! A family of networks is a function that emits a graph with a [`GraphBuilder`], and reads like the
//! forward pass it stands for:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_models::graph::{Conv2d, GlobalMean, GraphBuilder, Linear, Network};
//!
//! # fn main() -> neuroinspect_models::Result<()> {
//! let mut g = GraphBuilder::new();
//! let x = g.input("images", [3, 32, 32]);
//! let x = g.layer("conv1", Conv2d::new(16, 3).with_stride(2), [x]);
//! let x = g.batch_norm("bn1", x);
//! let x = g.relu("act1", x);
//! let x = g.layer("global_pool", GlobalMean {}, [x]);
//! g.layer("fc", Linear::new(10), [x]);
//! let graph = g.finish()?;
//!
//! let network = Network::new(graph, &Device::flex())?;
//! let images = Tensor::<4>::zeros([4, 3, 32, 32], &Device::flex());
//! let taps = [network.graph().find("act1")?, network.graph().find("fc")?];
//! let values = network.evaluate(vec![("images", images.into())], &taps)?;
//! assert_eq!(values[0].dims(), [4, 16, 16, 16]);
//! assert_eq!(values[1].dims(), [4, 10]);
//! # Ok(())
//! # }
//! ```
//!
//! Shapes are checked before anything runs: when the graph is made, for the size of input it is made
//! with, and again for the inputs of each run, so that Burn does not panic in the middle. How many
//! images there are is free, and so is their size, as far as the operations allow.
//!
//! A [`Network`] is a graph with its weights on a device, and a Burn
//! [`Module`](burn::module::Module): its parameters are visited under their names, so that Burn's
//! optimisers, device moves and stores work on it. One interpreter runs it, in two ways:
//! [`evaluate`](Network::evaluate) always uses running statistics, whatever device the images are on,
//! and [`forward`](Network::forward) follows Burn's rule, so that it takes the statistics of the batch
//! where the images' device differentiates and training is enabled. Either stops at the last value
//! asked for, computes only what it needs, frees a value after its last use, and can be asked for
//! several values in one pass.
//!
//! [`passes`] rewrite graphs: they fold batch normalisation, drop what is not needed, and compute
//! only those tokens of a transformer's last block that are read.

mod builder;
mod network;
mod op;
mod ops;
mod parameters;
pub mod passes;
mod run;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use neuroinspect_core::nearest_name;

pub use builder::GraphBuilder;
pub use network::Network;
pub(crate) use network::{REWRITTEN, module_of_network};
use op::Slot;
pub use op::{Input, Op};
use ops::product;
pub use ops::*;
pub(crate) use parameters::Parameter;
pub use parameters::{InitialValues, ParameterSpec, he_normal, pytorch_uniform};
pub use value::Value;

use crate::{Error, Result};

/// How many images a graph is checked with; 2, as 1 would be taken for an axis that is repeated.
const CHECKED_IMAGES: usize = 2;

/// Which node's value: its place in the list of [nodes](Graph::nodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

/// One operation of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name, unlike all others: of a module its path.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// The values it reads, of nodes before it.
    pub inputs: Vec<ValueId>,
    /// Names of its parameters, in the order in which the operation reads them.
    pub parameters: Vec<String>,
    /// Whether it stands for a module of the original, under that module's name.
    pub module: bool,
}

/// A network without its weights: nodes in order, and what parameters they need.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<ParameterSpec>,
    /// Shapes of all values for [`CHECKED_IMAGES`] inputs of the size the graph was made with.
    shapes: Vec<Vec<usize>>,
    /// Where a parameter is in the list.
    places: BTreeMap<String, usize>,
}

impl Graph {
    /// A graph of these nodes and parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming the first node that cannot be: its name is there already, it reads a
    /// value that is not before it, its inputs have other shapes than it can take, or a parameter is
    /// missing, of another shape, of no elements or more than can be addressed, or read by no node.
    pub fn new(nodes: Vec<Node>, parameters: Vec<ParameterSpec>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (place, spec) in parameters.iter().enumerate() {
            if places.insert(spec.name.clone(), place).is_some() {
                return Err(Error::node(
                    &spec.name,
                    "a parameter of this name is there already",
                ));
            }
        }
        for spec in &parameters {
            spec.check()
                .map_err(|reason| Error::node(&spec.name, reason))?;
        }
        let read = nodes.iter().flat_map(|node| &node.parameters);
        let read: BTreeSet<&str> = read.map(String::as_str).collect();
        if let Some(spec) = parameters
            .iter()
            .find(|spec| !read.contains(&spec.name[..]))
        {
            return Err(Error::node(&spec.name, "no node reads this parameter"));
        }
        let mut names = BTreeSet::new();
        for (index, node) in nodes.iter().enumerate() {
            if !names.insert(node.name.as_str()) {
                return Err(Error::node(
                    &node.name,
                    "a node of this name is there already",
                ));
            }
            if node.inputs.iter().any(|input| input.0 >= index) {
                return Err(Error::node(
                    &node.name,
                    "expected inputs of nodes before it, found a later one",
                ));
            }
        }
        let given = |node: &Node| match &node.op {
            Op::Input(input) => Some([&[CHECKED_IMAGES], &input.shape[..]].concat()),
            _ => None,
        };
        let mut graph = Self {
            nodes,
            parameters,
            shapes: Vec::new(),
            places,
        };
        graph.shapes = graph.infer(|_| true, given)?;
        Ok(graph)
    }

    /// The nodes, each after those whose values it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What parameters there must be, each read by a node. Those of a [`GraphBuilder`]'s graph are in the
    /// order of the nodes that read them.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// A node.
    ///
    /// # Panics
    ///
    /// For a value of another graph, of which this one has no node.
    pub fn node(&self, id: ValueId) -> &Node {
        &self.nodes[id.0]
    }

    /// Shape of a value for two images of the size the graph was made with.
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// The value of the node with this name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`] when there is none.
    pub fn find(&self, name: &str) -> Result<ValueId> {
        let position = self.nodes.iter().position(|node| node.name == name);
        position.map(ValueId).ok_or_else(|| {
            let names = self.nodes.iter().map(|node| node.name.as_str());
            Error::UnknownNode {
                node: name.to_owned(),
                nearest: nearest_name(name, names).map(str::to_owned),
            }
        })
    }

    /// Shapes of the values for inputs of these shapes, the number of images or texts included;
    /// empty of those that need an input not given.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming the first node that cannot take its inputs.
    pub fn shapes(&self, inputs: &[(&str, &[usize])]) -> Result<Vec<Vec<usize>>> {
        let given = |node: &Node| {
            let mut inputs = inputs.iter();
            let input = inputs.find(|(name, _)| *name == node.name);
            input.map(|(_, shape)| shape.to_vec())
        };
        let mut known: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs = node.inputs.iter().all(|input| known[input.0]);
            known.push(inputs && (given(node).is_some() || !matches!(node.op, Op::Input(_))));
        }
        self.infer(|index| known[index], given)
    }

    /// Shapes of the values of nodes that are wanted; of the inputs those given.
    fn infer(
        &self,
        wanted: impl Fn(usize) -> bool,
        given: impl Fn(&Node) -> Option<Vec<usize>>,
    ) -> Result<Vec<Vec<usize>>> {
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            if !wanted(index) {
                shapes.push(Vec::new());
                continue;
            }
            let inputs = inputs_of(node, &shapes);
            let shape = match node.op.operation() {
                Some(operation) => {
                    self.check_parameters(node, &inputs)?;
                    operation.shape(&inputs)
                }
                None => given(node).ok_or_else(|| "this input was not given".to_owned()),
            };
            let shape = shape.and_then(checked);
            shapes.push(shape.map_err(|reason| Error::node(&node.name, reason))?);
        }
        Ok(shapes)
    }

    /// Checks that a node has the parameters that it needs for inputs of these shapes.
    fn check_parameters(&self, node: &Node, inputs: &[&[usize]]) -> Result<()> {
        let slots = slots(node, inputs)?;
        let unfit = |reason: String| Err(Error::node(&node.name, reason));
        if slots.len() != node.parameters.len() {
            let (expected, found) = (slots.len(), node.parameters.len());
            return unfit(format!("expected {expected} parameters, found {found}"));
        }
        for (slot, name) in slots.iter().zip(&node.parameters) {
            let expected = &slot.shape;
            match self
                .places
                .get(name)
                .map(|place| &self.parameters[*place].shape)
            {
                Some(found) if found == expected => {}
                Some(found) => {
                    return unfit(format!(
                        "parameter '{name}' has shape {found:?}, and inputs of shape {inputs:?} need {expected:?}"
                    ));
                }
                None => return unfit(format!("it has no parameter '{name}'")),
            }
        }
        Ok(())
    }
}

/// The shape of a value, if it can be computed: with elements, and no more than can be addressed.
fn checked(shape: Vec<usize>) -> Result<Vec<usize>, String> {
    product(shape.iter().copied())?;
    match shape.contains(&0) {
        true => Err(format!("expected axes of at least 1, found {shape:?}")),
        false => Ok(shape),
    }
}

fn inputs_of<'a>(node: &Node, shapes: &'a [Vec<usize>]) -> Vec<&'a [usize]> {
    let inputs = node.inputs.iter();
    inputs.map(|input| &shapes[input.0][..]).collect()
}

fn slots(node: &Node, inputs: &[&[usize]]) -> Result<Vec<Slot>> {
    match node.op.operation() {
        Some(operation) => operation
            .parameters(inputs)
            .map_err(|reason| Error::node(&node.name, reason)),
        None => Ok(Vec::new()),
    }
}
