//! Which layer decides, and where its features come from.

use super::import::{Imported, LinearSource};
use crate::{
    classifier::Head,
    graph::{Graph, Node, Op, Permute, Reduce, Reduction, Reshape, Slice, ValueId},
};

/// Most tokens before those of the patches: a class token, and registers.
const MOST_PREFIX_TOKENS: usize = 16;

/// What was found of a head.
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) source: LinearSource,
}

/// The decision layer by name or by rule, what it reads, and a map beside that.
pub(super) fn find(
    imported: &mut Imported,
    graph: &Graph,
    decision_layer: Option<&str>,
    map: Option<&str>,
) -> Result<Found, String> {
    let layer = match decision_layer {
        Some(name) => named(graph, name)?,
        None => last_linear(graph, imported.output)?,
    };
    let source = imported.linears.get(&layer.0).copied();
    let node = graph.node(layer);
    let (Some(source), &[features], [_, _]) = (source, &node.inputs[..], graph.shape(layer)) else {
        return Err(format!(
            "expected a linear layer [N, D] to [N, K] as decision layer, found '{}', {} to {:?}",
            node.name,
            node.op.kind(),
            graph.shape(layer),
        ));
    };
    let neurons = graph.shape(features)[1];
    let found = match map {
        Some(name) => {
            let id = named(graph, name)?;
            let found = shape_of_map(graph, id, neurons);
            Some(found.ok_or_else(|| {
                format!(
                    "expected a map or tokens of {neurons} channels, those of the features, found '{name}' of shape {:?}",
                    graph.shape(id)
                )
            })?)
        }
        None => pooled(graph, features, neurons),
    };
    let name = format!("{}.map", graph.node(features).name);
    let map = found.map(|found| found.emit(imported, &name));
    let head = Head {
        layer,
        features,
        map,
    };
    Ok(Found { head, source })
}

fn named(graph: &Graph, name: &str) -> Result<ValueId, String> {
    graph.find(name).map_err(|error| error.to_string())
}

/// The linear layer whose value the output is but for its shape, or a softmax.
fn last_linear(graph: &Graph, output: ValueId) -> Result<ValueId, String> {
    let mut at = output;
    loop {
        let node = graph.node(at);
        let passes = match &node.op {
            Op::Linear(_) if graph.shape(at).len() == 2 => return Ok(at),
            Op::Softmax(_) | Op::Reshape(_) | Op::Identity(_) => true,
            // Of a logarithm of a softmax.
            Op::Activation(it) => it.function == crate::graph::Function::Log,
            _ => false,
        };
        match (passes, &node.inputs[..]) {
            (true, &[input]) => at = input,
            _ => {
                return Err(format!(
                    "expected the output to be that of a linear layer [N, D] to [N, K], found '{}' ({} to {:?}) before it; a classifier of one such layer can be looked at, and where it is another one its node can be named (--decision-layer NODE of the program, OnnxConfig::with_decision_layer in code)",
                    node.name,
                    node.op.kind(),
                    graph.shape(at)
                ));
            }
        }
    }
}

/// A value out of which a map is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// `[N, C, h, w]`.
    Map(ValueId),
    /// `[N, h, w, C]`.
    ChannelsLast(ValueId),
    /// `[N, T, C]`, of which the last `side^2` are those of patches.
    Tokens {
        id: ValueId,
        prefix: usize,
        side: usize,
    },
}

/// What a value is as a map of so many channels.
fn shape_of_map(graph: &Graph, id: ValueId, neurons: usize) -> Option<Source> {
    match *graph.shape(id) {
        // One pixel tells nothing of where.
        [_, _, 1, 1] | [_, 1, 1, _] => None,
        [_, channels, _, _] if channels == neurons => Some(Source::Map(id)),
        [_, _, _, channels] if channels == neurons => Some(Source::ChannelsLast(id)),
        [_, tokens, channels] if channels == neurons => {
            let side = tokens.isqrt();
            let prefix = tokens - side * side;
            let tokens = Source::Tokens { id, prefix, side };
            (prefix <= MOST_PREFIX_TOKENS).then_some(tokens)
        }
        _ => None,
    }
}

/// What the pooling before the features reads: a map, or the tokens among which the features' is chosen.
///
/// Between the two may be what keeps the features one number a channel: another shape, a normalisation.
fn pooled(graph: &Graph, features: ValueId, neurons: usize) -> Option<Source> {
    let mut at = features;
    loop {
        let node = graph.node(at);
        let &[input] = &node.inputs[..] else {
            return None;
        };
        let shape = graph.shape(input);
        let images = graph.shape(features)[0];
        let one_number_a_channel = shape.iter().product::<usize>() == images * neurons;
        match &node.op {
            Op::Identity(_)
            | Op::LayerNorm(_)
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::BatchNorm(_)
                if one_number_a_channel => {}
            Op::Select(select) if select.axis == 1 && shape.len() == 3 => {
                return shape_of_map(graph, input, neurons);
            }
            Op::Slice(slice) if slice.axis == 1 && slice.length == 1 && shape.len() == 3 => {
                return shape_of_map(graph, input, neurons);
            }
            Op::Reduce(Reduce {
                to: Reduction::Mean | Reduction::Max,
                axes,
                ..
            }) => return reduced(graph, input, axes, neurons),
            Op::AvgPool2d(_) | Op::GlobalMean(_) | Op::MaxPool2d(_)
                if graph.shape(at)[1..].iter().product::<usize>() == neurons =>
            {
                return shape_of_map(graph, input, neurons);
            }
            _ => return None,
        }
        at = input;
    }
}

/// What a mean over these axes of a value reads.
fn reduced(graph: &Graph, id: ValueId, axes: &[usize], neurons: usize) -> Option<Source> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    let found = shape_of_map(graph, id, neurons);
    match (found, graph.shape(id).len(), &axes[..]) {
        (Some(Source::Map(_)), _, [2, 3]) | (Some(Source::Tokens { .. }), _, [1]) => found,
        (_, 4, [1, 2]) if graph.shape(id)[3] == neurons => Some(Source::ChannelsLast(id)),
        // A map whose pixels were put in a row.
        (_, 3, [2]) => {
            let node = graph.node(id);
            let &[input] = &node.inputs[..] else {
                return None;
            };
            match (&node.op, shape_of_map(graph, input, neurons)) {
                (Op::Reshape(_), map @ Some(Source::Map(_))) => map,
                _ => None,
            }
        }
        _ => None,
    }
}

impl Source {
    /// The map, by nodes that are added where it is none yet.
    fn emit(self, imported: &mut Imported, name: &str) -> ValueId {
        let mut push = |name: String, op: Op, input: ValueId, module: bool| {
            imported.nodes.push(Node {
                name,
                op,
                inputs: vec![input],
                parameters: Vec::new(),
                module,
            });
            ValueId(imported.nodes.len() - 1)
        };
        match self {
            Self::Map(id) => id,
            Self::ChannelsLast(id) => {
                let axes = vec![0, 3, 1, 2];
                push(name.to_owned(), Permute { axes }.into(), id, true)
            }
            Self::Tokens { id, prefix, side } => {
                let mut id = id;
                if prefix > 0 {
                    let slice = Slice {
                        axis: 1,
                        start: prefix,
                        length: side * side,
                    };
                    id = push(format!("{name}.patches"), slice.into(), id, false);
                }
                let axes = vec![0, 2, 1];
                let channels = push(
                    format!("{name}.channels"),
                    Permute { axes }.into(),
                    id,
                    false,
                );
                let side = side as i64;
                // 0 keeps the number of images, and that of channels.
                let shape = vec![0, 0, side, side];
                push(name.to_owned(), Reshape { shape }.into(), channels, true)
            }
        }
    }
}
