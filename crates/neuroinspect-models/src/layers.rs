//! The modules of a network that sees images, as layers that can be looked at.

use burn::tensor::Tensor;
use neuroinspect_core::{Error, LayerInfo, LayerKind, LayerValues, Result, unknown_layer};

use crate::{
    families::IMAGES,
    graph::{Network, Node, Op, Value, ValueId},
};

/// The layers of a model: the modules of its network that lie within one of them, or all.
pub(crate) struct Layers<'a> {
    /// Name of the model.
    pub(crate) model: &'a str,
    /// Its network; what goes in is `images`.
    pub(crate) network: &'a Network,
    /// Path of the module that holds the layers; empty for all.
    pub(crate) within: &'a str,
}

impl Layers<'_> {
    fn is_layer(&self, node: &Node) -> bool {
        let inside = match node.name.strip_prefix(self.within) {
            Some(rest) => self.within.is_empty() || rest.is_empty() || rest.starts_with('.'),
            None => false,
        };
        node.module && inside
    }

    /// All of them, in the order in which they are computed.
    pub(crate) fn list(&self) -> Vec<LayerInfo> {
        let graph = self.network.graph();
        let nodes = graph.nodes().iter().enumerate();
        let layers = nodes.filter(|(_, node)| self.is_layer(node));
        let info = layers.filter_map(|(index, node)| {
            let (kind, channels) = match *graph.shape(ValueId(index)) {
                [_, channels] => (LayerKind::Features, channels),
                [_, _, channels] => (LayerKind::Tokens, channels),
                [_, channels, _, _] => (LayerKind::Map, channels),
                _ => return None,
            };
            let name = node.name.clone();
            Some(LayerInfo {
                name,
                kind,
                channels,
            })
        });
        info.collect()
    }

    /// Whether an activation function reads the value.
    fn feeds_activation(&self, id: ValueId) -> bool {
        let graph = self.network.graph();
        let name = &graph.node(id).name;
        graph.nodes().iter().any(|node| match &node.op {
            Op::RectifiedConv2d(joined) => joined.of == *name,
            op => is_activation(op) && node.inputs.contains(&id),
        })
    }

    /// Name of the value that the activation function of a layer reads, be the layer that function or a
    /// pooling of its values.
    pub(crate) fn before_activation(&self, layer: &str) -> Option<String> {
        let graph = self.network.graph();
        let mut node = graph.node(graph.find(layer).ok()?);
        loop {
            if let Op::RectifiedConv2d(joined) = &node.op {
                return Some(joined.of.clone());
            }
            let &[input] = &node.inputs[..] else {
                return None;
            };
            match &node.op {
                op if is_activation(op) => return Some(graph.node(input).name.clone()),
                Op::Identity(_) | Op::GlobalMean(_) | Op::AvgPool2d(_) | Op::MaxPool2d(_) => {
                    node = graph.node(input);
                }
                _ => return None,
            }
        }
    }

    /// The values of some of them for a batch of images, in one pass.
    pub(crate) fn read(&self, images: Tensor<4>, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let graph = self.network.graph();
        let unknown = |layer: &str| {
            let known = graph.nodes().iter().filter(|node| self.is_layer(node));
            unknown_layer(self.model, layer, known.map(|node| node.name.as_str()))
        };
        let find = |layer: &&str| {
            let id = graph.find(layer).ok();
            let id = id.filter(|id| self.is_layer(graph.node(*id)) || self.feeds_activation(*id));
            id.ok_or_else(|| unknown(layer))
        };
        let taps = layers.iter().map(find).collect::<Result<Vec<_>>>()?;
        let found = images.dims();
        let unfit = |reason: String| Error::Shape {
            what: format!("images for '{}'", self.model),
            expected: format!("[N, 3, S, S] that its layers can take ({reason})"),
            found: format!("{found:?}"),
        };
        let values = self.network.evaluate(vec![(IMAGES, images.into())], &taps);
        let values = values
            .map_err(|error| unfit(error.to_string()))?
            .into_iter();
        values
            .map(|value| match value {
                Value::Rank2(features) => Ok(LayerValues::Features(features)),
                Value::Rank3(tokens) => Ok(LayerValues::Tokens(tokens)),
                Value::Rank4(map) => Ok(LayerValues::Map(map)),
                other => Err(Error::Model {
                    model: self.model.to_owned(),
                    reason: format!("a layer of shape {:?} cannot be read", other.dims()),
                }),
            })
            .collect()
    }
}

/// Whether an operation is a function of each number that may be flat somewhere.
fn is_activation(op: &Op) -> bool {
    matches!(op, Op::Activation(_) | Op::Clamp(_))
}
