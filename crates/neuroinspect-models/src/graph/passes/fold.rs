//! Batch normalisation folded into the convolution before it.

use burn::{
    module::{Param, ParamId},
    tensor::{DType, Tensor},
};

use super::read_by;
use crate::{
    Result,
    graph::{BatchNorm, Conv2d, Graph, Initial, Network, Node, Op, Parameter, ParameterSpec},
};

/// Folds each batch normalisation whose input is a convolution into that convolution.
///
/// By running statistics a normalisation is affine in the convolution's output,
/// `(conv(x) + b - mean) s + beta` with `s = gamma / sqrt(var + epsilon)`: a convolution by `s` times
/// the weights and of bias `(b - mean) s + beta`, which saves a pass over the activations, and two with
/// a gradient. The scale is computed in `f32`, whatever the format of the weights.
///
/// The result is for evaluation alone: its weights are no longer those that are trained and saved, and
/// it refuses both ([`Error::Rewritten`](crate::Error::Rewritten)).
///
/// No value goes: the normalisation's node becomes the folded convolution, and the convolution by
/// itself stays and is computed only where it is asked for.
/// [`without_unused`](super::without_unused) drops it and its weights.
///
/// # Errors
///
/// None but [`Error::Node`](crate::Error::Node) where the network's own shapes do not fit.
pub fn fold_batch_norm(network: &Network) -> Result<Network> {
    let graph = network.graph();
    let mut parameters = network.parameters.clone();
    let mut folded: Vec<[ParameterSpec; 2]> = Vec::new();
    let mut nodes = graph.nodes().to_vec();
    for (node, new) in graph.nodes().iter().zip(&mut nodes) {
        let Some((norm, conv, options)) = convolution_before(graph, node) else {
            continue;
        };
        let Some((weight, bias)) = product(network, (node, norm), (conv, options)) else {
            continue;
        };
        let spec = |part: &str, shape: &[usize]| ParameterSpec {
            name: format!("{}.folded.{part}", node.name),
            shape: shape.to_vec(),
            initial: Initial::zeros(),
        };
        let specs = [spec("weight", &weight.dims()), spec("bias", &bias.dims())];
        let [weight_name, bias_name] = specs.each_ref().map(|spec| spec.name.clone());
        let weight = Param::initialized(ParamId::new(), weight);
        let bias = Param::initialized(ParamId::new(), bias);
        parameters.insert(weight_name.clone(), Parameter::Rank4(weight));
        parameters.insert(bias_name.clone(), Parameter::Rank1(bias));
        *new = Node {
            op: options.clone().with_bias(true).into(),
            inputs: conv.inputs.clone(),
            parameters: vec![weight_name, bias_name],
            ..node.clone()
        };
        folded.push(specs);
    }
    if folded.is_empty() {
        return Ok(network.clone());
    }
    let specs = graph.parameters().iter().chain(folded.iter().flatten());
    // Normalisations may share their parameters with others that are not folded.
    let specs = read_by(&nodes, specs);
    let graph = Graph::new(nodes, specs)?;
    Ok(Network::of(graph, parameters).rewritten())
}

/// The normalisation that a node is, and the convolution whose value it reads.
fn convolution_before<'a>(
    graph: &'a Graph,
    node: &'a Node,
) -> Option<(&'a BatchNorm, &'a Node, &'a Conv2d)> {
    let Op::BatchNorm(norm) = &node.op else {
        return None;
    };
    let conv = graph.node(*node.inputs.first()?);
    match &conv.op {
        Op::Conv2d(options) => Some((norm, conv, options)),
        _ => None,
    }
}

/// Weight and bias of the folded convolution; none where a parameter is not of the kind expected.
fn product(
    network: &Network,
    (node, norm): (&Node, &BatchNorm),
    (conv, options): (&Node, &Conv2d),
) -> Option<(Tensor<4>, Tensor<1>)> {
    let parameter = |of: &Node, index: usize| {
        let name = of.parameters.get(index)?;
        network.parameters.get(name)
    };
    let rank1 = |of: &Node, index: usize| match parameter(of, index)? {
        Parameter::Rank1(x) => Some(x.val().detach().cast(DType::F32)),
        Parameter::Buffer(x) => Some(x.value_sync().detach().cast(DType::F32)),
        _ => None,
    };
    let Parameter::Rank4(weight) = parameter(conv, 0)? else {
        return None;
    };
    let weight = weight.val().detach();
    let dtype = weight.dtype();
    let (gamma, beta) = (rank1(node, 0)?, rank1(node, 1)?);
    let (mean, variance) = (rank1(node, 2)?, rank1(node, 3)?);
    let scale = gamma / (variance + norm.epsilon).sqrt();
    let shift = match options.bias {
        true => rank1(conv, 1)? - mean,
        false => -mean,
    };
    let bias = shift * scale.clone() + beta;
    let [channels, ..] = weight.dims();
    let weight = weight.cast(DType::F32) * scale.reshape([channels, 1, 1, 1]);
    Some((weight.cast(dtype), bias.cast(dtype)))
}
