//! What nobody asks for dropped.

use crate::{
    Result,
    graph::{Graph, Network, Node, ValueId, run::uses},
};

/// Keeps the nodes that these values need, by their names, and their weights.
///
/// # Errors
///
/// [`Error::UnknownLayer`](crate::Error::UnknownLayer) for a name that no node has.
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
    let read = |name: &String| nodes.iter().any(|node| node.parameters.contains(name));
    let specs = graph.parameters().iter();
    let specs = specs.filter(|spec| read(&spec.name)).cloned().collect();
    let graph = Graph::new(nodes, specs)?;
    Ok(Network::of(graph, network.parameters.clone()))
}
