//! What nobody asks for dropped.

use super::read_by;
use crate::{
    Result,
    graph::{Graph, Network, Node, ValueId, run::uses},
};

/// Keeps the nodes that these values need, by their names, and their weights.
///
/// The result is for evaluation alone: without all weights it is neither trained nor saved
/// ([`Error::Rewritten`](crate::Error::Rewritten)).
///
/// # Errors
///
/// [`Error::UnknownNode`](crate::Error::UnknownNode) for a name that no node has.
pub fn without_unused(network: &Network, taps: &[&str]) -> Result<Network> {
    let graph = network.graph();
    let taps = taps.iter().map(|name| graph.find(name));
    let uses = uses(graph, &taps.collect::<Result<Vec<_>>>()?)?;
    let mut nodes: Vec<Node> = Vec::new();
    let mut places = vec![ValueId(0); uses.len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        if uses[index] == 0 {
            continue;
        }
        places[index] = ValueId(nodes.len());
        let inputs = node.inputs.iter().map(|input| places[input.0]).collect();
        nodes.push(Node {
            inputs,
            ..node.clone()
        });
    }
    let specs = read_by(&nodes, graph.parameters());
    let graph = Graph::new(nodes, specs)?;
    Ok(Network::of(graph, network.parameters.clone()).rewritten())
}
