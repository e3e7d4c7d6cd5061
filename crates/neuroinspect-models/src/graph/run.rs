//! The interpreter.

use burn::{
    module::RunningState,
    tensor::{DType, Device, Tensor},
};

use super::{
    Graph, Network, Node, Parameter, Value, ValueId, network::training_flag, value::each_rank,
};
use crate::{Error, Result};

/// By which statistics batch normalisation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The running ones, always.
    Evaluation,
    /// Those of the batch, which move the running ones, where the images are on a device that
    /// differentiates and the normalisation's training is enabled; otherwise the running ones.
    Training,
}

impl Network {
    /// Values of the graph, by running statistics, in the order of `taps`.
    ///
    /// Keeps the gradient to the inputs, and to weights that require one, on a device that
    /// differentiates. Inputs of floats are cast to the number format of the weights, and values to that of
    /// the inputs; values of integers alone, as those of texts, are in the format of the weights.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming the node that cannot take its inputs, or an input that is needed and not
    /// given.
    pub fn evaluate(&self, inputs: Vec<(&str, Value)>, taps: &[ValueId]) -> Result<Vec<Value>> {
        self.run(inputs, taps, Mode::Evaluation, |_| {})
    }

    /// Values of the graph for training, in the order of `taps`.
    ///
    /// Batch normalisation follows Burn's rule: where the images are on a device that differentiates and
    /// the normalisation's training is enabled, it takes the statistics of the batch, which move the
    /// running ones; elsewhere it takes the running ones.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate), and [`Error::Rewritten`] for a network without the weights of
    /// the one it was made of.
    pub fn forward(&self, inputs: Vec<(&str, Value)>, taps: &[ValueId]) -> Result<Vec<Value>> {
        if self.rewritten {
            return Err(Error::Rewritten);
        }
        self.run(inputs, taps, Mode::Training, |_| {})
    }

    /// Runs what the taps need, and says after each node how many values are held.
    pub(super) fn run(
        &self,
        inputs: Vec<(&str, Value)>,
        taps: &[ValueId],
        mode: Mode,
        mut after_node: impl FnMut(usize),
    ) -> Result<Vec<Value>> {
        let graph = self.graph();
        let mut uses = uses(graph, taps)?;
        let given = |node: &Node| {
            let input = inputs.iter().find(|(name, _)| *name == node.name);
            input.map(|(_, value)| value.dims())
        };
        graph.infer(|index| uses[index] > 0, given)?;

        let dtype = self.dtype();
        let outside = inputs.iter().find_map(|(_, value)| value.dtype());
        let mut inputs = inputs;
        let mut values: Vec<Option<Value>> = vec![None; graph.nodes().len()];
        for (index, node) in graph.nodes().iter().enumerate() {
            if uses[index] == 0 {
                continue;
            }
            let failed = |reason: String| Error::node(&node.name, reason);
            let value = match node.op.operation() {
                None => {
                    let position = inputs.iter().position(|(name, _)| *name == node.name);
                    let missing = || failed("this input was not given".to_owned());
                    let (_, value) = inputs.swap_remove(position.ok_or_else(missing)?);
                    cast(value, dtype)
                }
                Some(operation) => {
                    let arguments = node.inputs.iter();
                    let arguments = arguments
                        .map(|input| take(&mut values, &mut uses, *input))
                        .collect::<Option<Vec<_>>>()
                        .ok_or_else(|| failed("a value it reads is gone".to_owned()))?;
                    let network = self;
                    let bound = NodeParameters {
                        network,
                        node,
                        mode,
                    };
                    operation.apply(arguments, &bound).map_err(failed)?
                }
            };
            values[index] = Some(value);
            after_node(values.iter().flatten().count());
        }
        let gone = |tap: &ValueId| Error::node(&graph.node(*tap).name, "its value is gone");
        taps.iter()
            .map(|tap| {
                let value = take(&mut values, &mut uses, *tap).ok_or_else(|| gone(tap))?;
                Ok(match outside {
                    Some(dtype) => cast(value, dtype),
                    None => value,
                })
            })
            .collect()
    }
}

/// How often each value is read on the way to the taps, those included; 0 of what is not needed.
pub(super) fn uses(graph: &Graph, taps: &[ValueId]) -> Result<Vec<usize>> {
    let nodes = graph.nodes();
    let mut uses = vec![0; nodes.len()];
    for tap in taps {
        let count = uses.get_mut(tap.0).ok_or_else(|| {
            let (expected, found) = (nodes.len(), tap.0);
            Error::Graph {
                reason: format!("expected one of its {expected} values, found value {found}"),
            }
        })?;
        *count += 1;
    }
    for (index, node) in nodes.iter().enumerate().rev() {
        if uses[index] > 0 {
            for input in &node.inputs {
                uses[input.0] += 1;
            }
        }
    }
    Ok(uses)
}

/// A value to be read, the last time by moving it, so that nothing holds it any longer.
fn take(values: &mut [Option<Value>], uses: &mut [usize], id: ValueId) -> Option<Value> {
    uses[id.0] -= 1;
    match uses[id.0] {
        0 => values[id.0].take(),
        _ => values[id.0].clone(),
    }
}

/// A value of floats in a number format; integers as they are.
fn cast(value: Value, dtype: DType) -> Value {
    match value.dtype() {
        Some(found) if found != dtype => {
            let cast: Result<Value, String> = each_rank!(value.clone(), x => x.cast(dtype));
            cast.unwrap_or(value)
        }
        _ => value,
    }
}

/// The parameters of one node while it is run.
pub(super) struct NodeParameters<'a> {
    network: &'a Network,
    node: &'a Node,
    mode: Mode,
}

impl NodeParameters<'_> {
    fn parameter(&self, index: usize) -> Result<&Parameter, String> {
        let name = self.node.parameters.get(index);
        let parameter = name.and_then(|name| self.network.parameters.get(name));
        parameter.ok_or_else(|| format!("its parameter {index} is missing"))
    }

    /// A parameter's value, whatever its rank.
    pub(super) fn value(&self, index: usize) -> Result<Value, String> {
        Ok(match self.parameter(index)? {
            Parameter::Rank1(x) => x.val().into(),
            Parameter::Rank2(x) => x.val().into(),
            Parameter::Rank3(x) => x.val().into(),
            Parameter::Rank4(x) => x.val().into(),
            Parameter::Buffer(x) => x.value_sync().into(),
            Parameter::Flag(_) => return Err(format!("its parameter {index} is a flag")),
        })
    }

    pub(super) fn rank1(&self, index: usize) -> Result<Tensor<1>, String> {
        self.value(index)?.rank1()
    }

    pub(super) fn rank2(&self, index: usize) -> Result<Tensor<2>, String> {
        self.value(index)?.rank2()
    }

    pub(super) fn rank4(&self, index: usize) -> Result<Tensor<4>, String> {
        self.value(index)?.rank4()
    }

    /// A buffer that training moves.
    pub(super) fn running(&self, index: usize) -> Result<&RunningState<Tensor<1>>, String> {
        match self.parameter(index)? {
            Parameter::Buffer(running) => Ok(running),
            _ => Err(format!("its parameter {index} is no buffer")),
        }
    }

    /// Whether the node takes the statistics of a batch on this device.
    pub(super) fn trains_on(&self, device: &Device) -> bool {
        let flag = self.network.parameters.get(&training_flag(&self.node.name));
        let enabled = matches!(flag, Some(Parameter::Flag(flag)) if flag.val().is_enabled());
        enabled && self.mode == Mode::Training && device.is_autodiff()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init_classifier;

    /// How many values are held after each node that is run.
    fn live_values(model: &str, taps: &[&str]) -> Vec<usize> {
        let device = Device::flex();
        let model = init_classifier(model, 2, &device).unwrap();
        let network = model.network();
        let taps: Vec<_> = taps
            .iter()
            .map(|tap| network.graph().find(tap).unwrap())
            .collect();
        let images = Tensor::<4>::zeros([1, 3, 32, 32], &device);
        let mut counts = Vec::new();
        let count = |values| counts.push(values);
        let inputs = vec![("images", images.into())];
        network.run(inputs, &taps, Mode::Evaluation, count).unwrap();
        counts
    }

    #[test]
    fn a_value_is_freed_after_its_last_use_and_nothing_runs_after_the_last_tap() {
        let whole = live_values("resnet18", &["fc"]);
        assert!(whole.len() > 80, "{}", whole.len());
        // The shortcut, what a block is at, and for a moment what the next operation makes of it.
        assert_eq!(whole.iter().max(), Some(&2), "{whole:?}");
        assert_eq!(whole.last(), Some(&1));
        let start = live_values("resnet18", &["layer1.0.conv1"]);
        // The images, conv1, bn1, act1, maxpool, and the layer itself.
        assert_eq!(start.len(), 6);
        // What is asked for is held until the end.
        assert_eq!(
            live_values("resnet18", &["conv1", "bn1", "fc"]).last(),
            Some(&3)
        );
    }
}
