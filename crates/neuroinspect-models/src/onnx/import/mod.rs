//! From the operators of a file to those of a graph.
//!
//! Every value is either known, as weights and the arithmetic of shapes are, or is made of the images.
//! What is known is computed here, and only the rest becomes nodes. Shapes are inferred for two numbers
//! of images at once: a size that differs is one per image, and one that does not is fixed.

mod arithmetic;
mod call;
mod constants;
mod einsum;
mod importer;
mod indexing;
mod layers;
mod layout;
mod pool;
mod resize;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    host::Host,
    proto::{GraphProto, NodeProto, TensorProto},
    tensors::Beside,
};
use crate::graph::{Node, ParameterSpec, ValueId};
use call::Call;
use importer::Importer;

/// The values of a weight, as PyTorch lays them out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weight {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Where a linear layer stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinearSource {
    /// Place of the node that multiplies.
    pub(super) product: usize,
    /// Place of the node that adds the bias, where it is another one.
    pub(super) sum: Option<usize>,
}

/// A graph out of a file, with its weights.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) nodes: Vec<Node>,
    pub(super) specs: Vec<ParameterSpec>,
    pub(super) weights: BTreeMap<String, Weight>,
    /// What the file's output is.
    pub(super) output: ValueId,
    /// The linear layers.
    pub(super) linears: BTreeMap<usize, LinearSource>,
}

/// Why a file cannot be imported.
#[derive(Debug)]
pub(super) enum Failure {
    /// Operators that are not known, each with the nodes that use it.
    Operators(BTreeMap<String, Vec<String>>),
    /// A node that cannot be followed.
    Node {
        node: String,
        operator: String,
        reason: String,
    },
    /// Anything else.
    Other(String),
}

/// A value that is known, under its name in the file.
#[derive(Debug)]
struct Constant {
    name: String,
    tensor: Host,
}

/// A value of the file.
#[derive(Clone, Debug)]
enum Value {
    Host(Rc<Constant>),
    Graph(ValueId),
}

type Outputs = Result<Vec<Value>, String>;

/// What follows an operator.
type Handler = fn(&mut Importer, &Call<'_>) -> Outputs;

/// The operators that are followed.
const OPERATORS: &[&[(&str, Handler)]] = &[
    arithmetic::OPERATORS,
    constants::OPERATORS,
    einsum::OPERATORS,
    indexing::OPERATORS,
    layers::OPERATORS,
    layout::OPERATORS,
    pool::OPERATORS,
    resize::OPERATORS,
];

fn handler(node: &NodeProto) -> Option<Handler> {
    if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) {
        return None;
    }
    let mut known = OPERATORS.iter().copied().flatten();
    let found = known.find(|(name, _)| *name == node.operator());
    found.map(|(_, handler)| *handler)
}

/// What the file takes: the name of its input, and the images that it is followed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Images<'a> {
    pub(super) input: &'a str,
    /// Side in pixels.
    pub(super) size: usize,
    /// The number of images that the export fixed; none where it is free.
    pub(super) fixed: Option<usize>,
    /// Where it fixed the number: whether axes of size 1 that come and go are never the images'. One that goes may be, with one
    /// image, and then one that comes is.
    pub(super) exact: bool,
}

/// Follows the nodes that a value needs.
pub(super) fn import(
    graph: &GraphProto,
    opset: i64,
    images: Images<'_>,
    output: &str,
    beside: &mut Beside,
) -> Result<Imported, Failure> {
    let needed = needed(graph, output, images.input)?;
    let mut unknown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in needed.iter().map(|&index| &graph.node[index]) {
        if handler(node).is_none() {
            let domain = node.domain.as_deref().unwrap_or_default();
            let operator = match domain {
                "" => node.operator().to_owned(),
                _ => format!("{domain}.{}", node.operator()),
            };
            let nodes = unknown.entry(operator).or_default();
            nodes.push(node.called().to_owned());
        }
    }
    if !unknown.is_empty() {
        return Err(Failure::Operators(unknown));
    }
    let mut reads: BTreeMap<&str, usize> = BTreeMap::from([(output, 1)]);
    for &index in &needed {
        for input in &graph.node[index].input {
            *reads.entry(input).or_default() += 1;
        }
    }
    let mut left = reads.clone();
    let weights = graph.initializer.iter();
    let weights: BTreeMap<&str, &TensorProto> = weights
        .filter_map(|tensor| Some((tensor.name.as_deref()?, tensor)))
        .collect();
    let (logits, after_logits) = layers::gives_logits(graph, output);

    let (mut importer, given) = Importer::new(images).map_err(Failure::Other)?;
    let mut values = BTreeMap::from([(images.input, Value::Graph(given))]);
    for &index in &needed {
        let node = &graph.node[index];
        let failed = |reason: String| Failure::Node {
            node: node.called().to_owned(),
            operator: node.operator().to_owned(),
            reason,
        };
        let mut inputs = Vec::new();
        for name in &node.input {
            if name.is_empty() {
                inputs.push(None);
                continue;
            }
            if !values.contains_key(&name[..]) {
                let tensor = weights.get(&name[..]).ok_or_else(|| {
                    failed(format!("it reads '{name}', which no node before it makes"))
                })?;
                let reason = |reason| failed(format!("tensor '{name}': {reason}"));
                let tensor = beside.read(tensor).map_err(reason)?;
                values.insert(name, known(name, tensor));
            }
            inputs.push(values.get(&name[..]).cloned());
            // Weights are let go after their last use.
            let left = left.entry(name).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                values.remove(&name[..]);
            }
        }
        let once = node
            .input
            .iter()
            .map(|name| reads.get(&name[..]) == Some(&1));
        let call = Call {
            node,
            place: index,
            inputs,
            read_once: once.collect(),
            opset,
            gives_logits: logits == Some(index),
            is_after_logits: after_logits.contains(&index),
        };
        let handler = handler(node).ok_or_else(|| failed("it is not known".to_owned()))?;
        importer.begin(node.called());
        let outputs = handler(&mut importer, &call).map_err(failed)?;
        importer.name_outputs(&node.output, &outputs);
        for (name, value) in node.output.iter().zip(outputs) {
            values.insert(name, value);
        }
    }
    match values.get(output) {
        Some(Value::Graph(id)) => Ok(importer.finish(*id)),
        _ => Err(Failure::Other(format!(
            "its output '{output}' does not depend on the images"
        ))),
    }
}

/// The places of the nodes that a value needs, in the order of the file.
fn needed(graph: &GraphProto, output: &str, input: &str) -> Result<Vec<usize>, Failure> {
    let mut made_by: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if name == input || made_by.insert(name, index).is_some() {
                return Err(Failure::Other(format!("two nodes make the value '{name}'")));
            }
        }
    }
    let mut needed = BTreeSet::new();
    let mut open = vec![output];
    while let Some(name) = open.pop() {
        if let Some(&index) = made_by.get(name)
            && needed.insert(index)
        {
            open.extend(graph.node[index].input.iter().map(String::as_str));
        }
    }
    Ok(needed.into_iter().collect())
}

fn known(name: &str, tensor: Host) -> Value {
    let name = name.to_owned();
    Value::Host(Rc::new(Constant { name, tensor }))
}
