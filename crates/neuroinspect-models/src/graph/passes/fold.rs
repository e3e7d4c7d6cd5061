//! Batch normalisation folded into the convolution before it.

use std::collections::BTreeMap;

use burn::{
    module::{Param, ParamId},
    tensor::{DType, Tensor},
};
use neuroinspect_core::read_back;

use super::read_by;
use crate::{
    Error, Result,
    graph::{
        BatchNorm, Conv2d, Graph, InitialValues, Network, Node, Op, Parameter, ParameterSpec,
        ScaledConv2d,
    },
};

/// Folds each batch normalisation whose input is a convolution into that convolution.
///
/// By running statistics a normalisation is affine in the convolution's output,
/// `(conv(x) + b - mean) s + beta` with `s = gamma / sqrt(var + epsilon)`: a convolution by `s` times
/// the weights and of bias `(b - mean) s + beta`, which saves a pass over the activations, and two with
/// a gradient. The scale is computed in `f32`, whatever the format of the weights.
///
/// The result is for evaluation alone: its weights are no longer those that are trained and saved, and
/// it refuses both ([`Error::Rewritten`]).
///
/// No value goes: the normalisation's node becomes the folded convolution, and the convolution by
/// itself is computed only where it is asked for, by the folded weights divided by `s`. So there is one
/// copy of the weights. A normalisation stays as it is where the weights cannot be had back so, as some
/// `s` is zero or too small for the number format.
///
/// # Errors
///
/// [`Error::Node`] where the network's own parameters do not fit, and
/// [`neuroinspect_core::Error::Device`] when the device does not give them.
pub fn fold_batch_norm(network: &Network) -> Result<Network> {
    let graph = network.graph();
    let mut parameters = network.parameters.clone();
    let mut specs = BTreeMap::new();
    let mut nodes = graph.nodes().to_vec();
    for (index, node) in graph.nodes().iter().enumerate() {
        let Some((norm, place, options)) = convolution_before(graph, node) else {
            continue;
        };
        let conv = &graph.nodes()[place];
        let Some(folded) = Folded::new(network, (node, norm), (conv, options))? else {
            continue;
        };
        let mut own = |part: &str, shape: &[usize], parameter| {
            let name = format!("{}.folded.{part}", node.name);
            let spec = ParameterSpec {
                name: name.clone(),
                shape: shape.to_vec(),
                initial: InitialValues::zeros(),
            };
            specs.insert(name.clone(), spec);
            parameters.insert(name.clone(), parameter);
            name
        };
        let Folded {
            weight,
            scale,
            bias,
        } = folded;
        let weight = own("weight", &weight.dims(), Parameter::Rank4(constant(weight)));
        let scale = own("scale", &scale.dims(), Parameter::Rank1(constant(scale)));
        let bias = own("bias", &bias.dims(), Parameter::Rank1(constant(bias)));
        let by_itself = ScaledConv2d {
            convolution: options.clone(),
        };
        nodes[place].op = by_itself.into();
        let of_convolution = conv.parameters.iter().skip(1).cloned();
        nodes[place].parameters = [weight.clone(), scale]
            .into_iter()
            .chain(of_convolution)
            .collect();
        nodes[index] = Node {
            op: options.clone().with_bias(true).into(),
            inputs: conv.inputs.clone(),
            parameters: vec![weight, bias],
            ..node.clone()
        };
    }
    if specs.is_empty() {
        return Ok(network.clone());
    }
    // Normalisations may share their parameters with others that are not folded.
    let specs = read_by(&nodes, graph.parameters().iter().chain(specs.values()));
    let graph = Graph::new(nodes, specs)?;
    Ok(Network::of(graph, parameters).rewritten())
}

fn constant<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), tensor)
}

/// The normalisation that a node is, and where the convolution is whose value it reads.
fn convolution_before<'a>(
    graph: &'a Graph,
    node: &'a Node,
) -> Option<(&'a BatchNorm, usize, &'a Conv2d)> {
    let Op::BatchNorm(norm) = &node.op else {
        return None;
    };
    let place = *node.inputs.first()?;
    match &graph.node(place).op {
        Op::Conv2d(options) => Some((norm, place.0, options)),
        _ => None,
    }
}

/// A convolution with the normalisation after it in its weights.
struct Folded {
    /// `s` times the convolution's.
    weight: Tensor<4>,
    /// `s`.
    scale: Tensor<1>,
    bias: Tensor<1>,
}

impl Folded {
    /// None where the convolution's own weights cannot be had back.
    fn new(
        network: &Network,
        (node, norm): (&Node, &BatchNorm),
        (conv, options): (&Node, &Conv2d),
    ) -> Result<Option<Self>> {
        let parameter = |of: &Node, index: usize| {
            let name = of.parameters.get(index);
            let parameter = name.and_then(|name| network.parameters.get(name));
            parameter.ok_or_else(|| Error::node(&of.name, "a parameter of it is missing"))
        };
        let unfit = |of: &Node| Error::node(&of.name, "a parameter of it has too many axes");
        let rank1 = |of: &Node, index: usize| match parameter(of, index)? {
            Parameter::Rank1(x) => Ok(x.val().detach().cast(DType::F32)),
            Parameter::Buffer(x) => Ok(x.value_sync().detach().cast(DType::F32)),
            _ => Err(unfit(of)),
        };
        let Parameter::Rank4(own) = parameter(conv, 0)? else {
            return Err(unfit(conv));
        };
        let own = own.val().detach();
        let dtype = own.dtype();
        let (gamma, beta) = (rank1(node, 0)?, rank1(node, 1)?);
        let (mean, variance) = (rank1(node, 2)?, rank1(node, 3)?);
        let scale = gamma / (variance + norm.epsilon).sqrt();
        let shift = match options.bias {
            true => rank1(conv, 1)? - mean,
            false => -mean,
        };
        let bias = shift * scale.clone() + beta;
        let own = own.cast(DType::F32);
        let weight = (own.clone() * of_channels(scale.clone())).cast(dtype);
        let folded = Self {
            weight,
            scale: scale.cast(dtype),
            bias: bias.cast(dtype),
        };
        Ok(folded.keeps(own)?.then_some(folded))
    }

    /// Whether each channel's weights, divided by the scale again, are those given but for rounding.
    fn keeps(&self, own: Tensor<4>) -> Result<bool> {
        // Two roundings to 24, 11 or 8 bits, and some.
        let share = match self.weight.dtype() {
            DType::F32 => 1e-6,
            DType::F16 => 2e-3,
            _ => 1.6e-2,
        };
        let [weight, scale] = [
            self.weight.clone().cast(DType::F32),
            of_channels(self.scale.clone()).cast(DType::F32),
        ];
        let size = |x: Tensor<4>| {
            let sums = x.abs().flatten::<2>(1, 3).sum_dim(1);
            read_back(sums, "weights of a convolution")
        };
        let lost = size(weight / scale - own.clone())?;
        let mut pairs = lost.iter().zip(size(own)?);
        // Not of NaN, which is what division by zero leaves.
        Ok(pairs.all(|(lost, whole)| *lost <= share * whole))
    }
}

/// One number a channel, along the channels of a weight.
fn of_channels(x: Tensor<1>) -> Tensor<4> {
    x.reshape([-1, 1, 1, 1])
}
