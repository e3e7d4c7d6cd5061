//! Tokens that nobody reads not computed.

use std::collections::BTreeMap;

use crate::{
    Result,
    graph::{Graph, Network, Node, Op, Slice, ValueId},
};

/// The axis of tokens in `[N, T, C]`.
const TOKENS: usize = 1;

/// How many tokens of a value are read, counted from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Read {
    Nothing,
    First(usize),
    All,
}

/// Computes of tokens only those that are read on the way to these values.
///
/// A vision transformer's class token is read after its last block: there, all but the keys and values
/// of the last attention is needed for that token alone, an eighth and more of the work of ViT-B. What
/// treats every token alike (normalisation, linear layers, activations, sums) is computed for the
/// tokens read, and attention is asked by those alone. The nodes that compute less stand for no module
/// any longer.
///
/// # Errors
///
/// [`Error::UnknownNode`](crate::Error::UnknownNode) for a name that no node has.
pub fn only_tokens_read(network: &Network, taps: &[&str]) -> Result<Network> {
    let graph = network.graph();
    let read = tokens_read(graph, taps)?;
    let mut rewriting = Rewriting::default();
    for (index, node) in graph.nodes().iter().enumerate() {
        let first = match read[index] {
            Read::First(count)
                if narrows(graph, node) && count < graph.shape(ValueId(index))[1] =>
            {
                Some(count)
            }
            _ => None,
        };
        let mut node = node.clone();
        let inputs = std::mem::take(&mut node.inputs);
        let alone = matches!(node.op, Op::Attention(_));
        if let (Op::Attention(attention), Some(count)) = (&mut node.op, first) {
            attention.queries = Some(count);
        }
        node.module &= first.is_none();
        node.inputs = inputs
            .into_iter()
            .map(|input| match first {
                Some(count) if !alone && of_tokens(graph, input) => rewriting.first(input, count),
                _ => rewriting.whole(input),
            })
            .collect();
        rewriting.push(node, first);
    }
    let graph = Graph::new(rewriting.nodes, graph.parameters().to_vec())?;
    let mut narrow = Network::of(graph, network.parameters.clone());
    narrow.rewritten = network.rewritten;
    Ok(narrow)
}

/// How much of each node's value is read.
fn tokens_read(graph: &Graph, taps: &[&str]) -> Result<Vec<Read>> {
    let mut read = vec![Read::Nothing; graph.nodes().len()];
    for tap in taps {
        read[graph.find(tap)?.0] = Read::All;
    }
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        let of_inputs = match (&node.op, read[index]) {
            (_, Read::Nothing) => continue,
            (Op::Select(select), _) if select.axis == TOKENS => Read::First(select.index + 1),
            (Op::Slice(slice), _) if slice.axis == TOKENS => {
                Read::First(slice.start + slice.length)
            }
            (Op::Attention(_), _) => Read::All,
            (_, read) if narrows(graph, node) => read,
            _ => Read::All,
        };
        for input in &node.inputs {
            read[input.0] = read[input.0].max(of_inputs);
        }
    }
    Ok(read)
}

/// Whether a value is one of tokens; numbers for each channel are the same for all tokens.
fn of_tokens(graph: &Graph, value: ValueId) -> bool {
    graph.shape(value).len() > 1
}

/// Whether a node's value can be computed for some tokens alone.
fn narrows(graph: &Graph, node: &Node) -> bool {
    let count_of = |input: &ValueId| match graph.shape(*input) {
        &[_, tokens, _] => Some(tokens),
        _ => None,
    };
    let inputs = node.inputs.iter();
    let mut tokens = inputs
        .filter(|input| of_tokens(graph, **input))
        .map(count_of);
    let Some(Some(count)) = tokens.next() else {
        return false;
    };
    let alike = matches!(
        node.op,
        Op::Attention(_)
            | Op::Linear(_)
            | Op::LayerNorm(_)
            | Op::Activation(_)
            | Op::Binary(_)
            | Op::Scale(_)
            | Op::Identity(_)
    );
    alike && tokens.all(|other| other == Some(count))
}

/// The new graph, and where the old one's values are in it.
#[derive(Default)]
struct Rewriting {
    nodes: Vec<Node>,
    /// Of each old value, its place, and how many tokens it has if not all.
    places: Vec<(ValueId, Option<usize>)>,
    /// The first tokens of values that are there with more.
    slices: BTreeMap<(ValueId, usize), ValueId>,
}

impl Rewriting {
    fn push(&mut self, node: Node, tokens: Option<usize>) {
        self.places.push((ValueId(self.nodes.len()), tokens));
        self.nodes.push(node);
    }

    /// A value as it is there.
    fn whole(&self, old: ValueId) -> ValueId {
        self.places[old.0].0
    }

    /// The first `count` tokens of a value.
    fn first(&mut self, old: ValueId, count: usize) -> ValueId {
        let (place, tokens) = self.places[old.0];
        if tokens == Some(count) {
            return place;
        }
        if let Some(slice) = self.slices.get(&(place, count)) {
            return *slice;
        }
        let name = format!("{}.first_{count}", self.nodes[place.0].name);
        let slice = Slice {
            axis: TOKENS,
            start: 0,
            length: count,
        };
        let id = ValueId(self.nodes.len());
        self.nodes.push(Node {
            name,
            op: slice.into(),
            inputs: vec![place],
            parameters: Vec::new(),
            module: false,
        });
        self.slices.insert((place, count), id);
        id
    }
}
