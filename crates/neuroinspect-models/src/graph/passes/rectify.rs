//! Rectifiers, and the sums before them, joined to convolutions.

use crate::{
    Result,
    graph::{Arithmetic, Function, Graph, Network, Node, Op, RectifiedConv2d, ValueId},
};

/// Joins each ReLU and ReLU6 to the convolution that it is of, or to the one that is the last to be added to what it
/// is of, as in a residual block: a pass over the values less, or two.
///
/// No value goes: the rectifier's node computes all of it by itself, from the convolution's inputs. What it stood on is computed
/// only where it is asked for. A convolution or sum that others in the graph read as well stays by itself.
///
/// # Errors
///
/// [`Error::Graph`](crate::Error::Graph) where the graph does not fit.
pub fn join_rectifiers(network: &Network) -> Result<Network> {
    let graph = network.graph();
    let mut readers = vec![0; graph.nodes().len()];
    for input in graph.nodes().iter().flat_map(|node| &node.inputs) {
        readers[input.0] += 1;
    }
    let joined: Vec<_> = graph
        .nodes()
        .iter()
        .map(|node| join(graph, &readers, node).unwrap_or_else(|| node.clone()))
        .collect();
    if joined == graph.nodes() {
        return Ok(network.clone());
    }
    let graph = Graph::new(joined, graph.parameters().to_vec())?;
    let mut joined = Network::of(graph, network.parameters.clone());
    joined.rewritten = network.rewritten;
    Ok(joined)
}

/// The node with what it stands on; none of one that stands on no convolution of its own.
fn join(graph: &Graph, readers: &[usize], node: &Node) -> Option<Node> {
    let Op::Activation(activation) = &node.op else {
        return None;
    };
    let function = activation.function;
    if !matches!(function, Function::Relu | Function::Relu6) {
        return None;
    }
    let convolution = |value: ValueId| {
        let node = graph.node(value);
        match &node.op {
            Op::Conv2d(options) if readers[value.0] == 1 => Some((node, options.clone())),
            _ => None,
        }
    };
    let of = *node.inputs.first()?;
    let (place, added) = match &graph.node(of).op {
        Op::Binary(sum) if sum.arithmetic == Arithmetic::Add && readers[of.0] == 1 => {
            let [a, b] = *graph.node(of).inputs.as_slice() else {
                return None;
            };
            if graph.shape(a) != graph.shape(b) {
                return None;
            }
            // Of two the later one, the block's last.
            let (last, other) = match a.0 > b.0 {
                true => (a, b),
                false => (b, a),
            };
            match (convolution(last), convolution(other)) {
                (Some(_), _) => (last, Some(other)),
                (None, Some(_)) => (other, Some(last)),
                (None, None) => return None,
            }
        }
        _ => (of, None),
    };
    let (convolved, options) = convolution(place)?;
    Some(Node {
        op: RectifiedConv2d {
            convolution: options,
            function,
            of: graph.node(of).name.clone(),
        }
        .into(),
        inputs: convolved.inputs.iter().copied().chain(added).collect(),
        parameters: convolved.parameters.clone(),
        ..node.clone()
    })
}
