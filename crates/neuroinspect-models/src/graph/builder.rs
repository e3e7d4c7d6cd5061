//! Emitting a graph, one call an operation.

use std::collections::BTreeMap;

use burn::nn::Initializer;

use super::{
    Activation, Arithmetic, BatchNorm, Binary, CHECKED_IMAGES, Function, Graph, Identity,
    InitialValues, Input, Linear, Node, Op, ParameterSpec, Select, ValueId, slots,
};
use crate::{Error, Result};

/// Builds a [`Graph`] operation by operation, as a forward pass is written.
///
/// What goes wrong on the way is said by [`finish`](Self::finish): the first node that cannot be, by
/// name. Until then the builder goes on, with values of no shape.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    parameters: Vec<ParameterSpec>,
    shapes: Vec<Vec<usize>>,
    /// How many unnamed nodes of each kind there are.
    unnamed: BTreeMap<String, usize>,
    error: Option<Error>,
}

impl GraphBuilder {
    /// A graph without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// What goes into the graph under this name; `shape` without the first axis, images or texts, of
    /// which there may be any number.
    pub fn input(&mut self, name: &str, shape: impl Into<Vec<usize>>) -> ValueId {
        let input = Input {
            shape: shape.into(),
        };
        self.push(name.to_owned(), Op::Input(input), vec![], None, false)
    }

    /// A module by its path: an operation on values, with its parameters under `name.weight` and so
    /// on.
    pub fn layer(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: impl Into<Vec<ValueId>>,
    ) -> ValueId {
        self.push(name.into(), op.into(), inputs.into(), None, true)
    }

    /// [`layer`](Self::layer) whose parameters have names of their own, in the order in which the
    /// operation reads them; another layer's names stand for its parameters.
    pub fn layer_of(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: impl Into<Vec<ValueId>>,
        parameters: &[String],
    ) -> ValueId {
        let parameters = Some(parameters.to_vec());
        self.push(name.into(), op.into(), inputs.into(), parameters, true)
    }

    /// [`layer`](Self::layer) or, with names, [`layer_of`](Self::layer_of) that is no layer to be looked at:
    /// its value is laid out otherwise, or is no module's.
    pub fn unlisted(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: impl Into<Vec<ValueId>>,
        parameters: Option<Vec<String>>,
    ) -> ValueId {
        self.push(name.into(), op.into(), inputs.into(), parameters, false)
    }

    /// An operation between modules, which has no name in the original.
    pub fn step(&mut self, op: impl Into<Op>, inputs: impl Into<Vec<ValueId>>) -> ValueId {
        let op = op.into();
        let kind = op.kind();
        self.step_called(&kind, op, inputs.into())
    }

    fn step_called(&mut self, kind: &str, op: Op, inputs: Vec<ValueId>) -> ValueId {
        let count = self.unnamed.entry(kind.to_owned()).or_default();
        let name = format!("{kind}_{count}");
        *count += 1;
        self.push(name, op, inputs, None, false)
    }

    /// A parameter as a value, by its name in checkpoints. It need not be read by any node.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Vec<usize>>) -> ValueId {
        let op = super::ParameterValue::new(shape);
        self.push(name.to_owned(), op.into(), vec![], None, false)
    }

    /// A parameter as a value, drawn from a distribution.
    pub fn drawn(
        &mut self,
        name: &str,
        shape: impl Into<Vec<usize>>,
        initializer: Initializer,
    ) -> ValueId {
        let value = self.parameter(name, shape);
        self.initialize(name, initializer);
        value
    }

    /// Linear layer with a bias.
    pub fn linear(&mut self, name: impl Into<String>, outputs: usize, x: ValueId) -> ValueId {
        self.layer(name, Linear::new(outputs), [x])
    }

    /// Batch normalisation with PyTorch's constants.
    pub fn batch_norm(&mut self, name: impl Into<String>, x: ValueId) -> ValueId {
        self.layer(name, BatchNorm::default(), [x])
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: impl Into<String>, x: ValueId) -> ValueId {
        self.activation(name, Function::Relu, x)
    }

    /// A function of each number by itself.
    pub fn activation(
        &mut self,
        name: impl Into<String>,
        function: Function,
        x: ValueId,
    ) -> ValueId {
        self.layer(name, Activation { function }, [x])
    }

    /// Batch normalisation and an activation in one module, timm's `BatchNormAct2d`: its value is that
    /// after the activation.
    pub fn batch_norm_act(
        &mut self,
        name: &str,
        norm: BatchNorm,
        function: Function,
        x: ValueId,
    ) -> ValueId {
        let names = ["weight", "bias", "running_mean", "running_var"];
        let names = names.map(|part| format!("{name}.{part}")).to_vec();
        let normalised = format!("{name}.norm");
        let x = self.push(normalised, norm.into(), vec![x], Some(names), false);
        self.activation(name, function, x)
    }

    /// `a + b`.
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let arithmetic = Arithmetic::Add;
        self.step_called("add", Binary { arithmetic }.into(), vec![a, b])
    }

    /// `a b`.
    pub fn multiply(&mut self, name: impl Into<String>, a: ValueId, b: ValueId) -> ValueId {
        let arithmetic = Arithmetic::Multiply;
        self.layer(name, Binary { arithmetic }, [a, b])
    }

    /// One index of an axis, which goes.
    pub fn select(&mut self, axis: usize, index: usize, x: ValueId) -> ValueId {
        self.step(Select { axis, index }, [x])
    }

    /// The value of a module that holds others.
    pub fn module(&mut self, name: impl Into<String>, x: ValueId) -> ValueId {
        self.layer(name, Identity {}, [x])
    }

    /// Sets from what distribution a parameter is drawn.
    pub fn initialize(&mut self, parameter: &str, initializer: Initializer) {
        let mut parameters = self.parameters.iter_mut();
        match parameters.find(|spec| spec.name == parameter) {
            Some(spec) => match &mut spec.initial {
                InitialValues::Random {
                    initializer: old, ..
                } => *old = initializer,
                InitialValues::Buffer { .. } => self.fail(parameter, "a buffer is not drawn"),
            },
            None => self.fail(parameter, "there is no such parameter to initialise"),
        }
    }

    /// Shape of a value for two images; empty once something has gone wrong.
    pub fn shape(&self, x: ValueId) -> &[usize] {
        self.shapes.get(x.0).map_or(&[], Vec::as_slice)
    }

    /// The graph.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] for the first node that cannot be, as [`Graph::new`].
    pub fn finish(self) -> Result<Graph> {
        match self.error {
            Some(error) => Err(error),
            None => Graph::new(self.nodes, self.parameters),
        }
    }

    fn fail(&mut self, node: &str, reason: impl Into<String>) {
        self.error.get_or_insert_with(|| Error::node(node, reason));
    }

    fn push(
        &mut self,
        name: String,
        op: Op,
        inputs: Vec<ValueId>,
        parameters: Option<Vec<String>>,
        module: bool,
    ) -> ValueId {
        let id = ValueId(self.nodes.len());
        let mut node = Node {
            name,
            op,
            inputs,
            parameters: Vec::new(),
            module,
        };
        match self.checked(&node, parameters) {
            Ok((shape, specs)) => {
                node.parameters = specs.iter().map(|spec| spec.name.clone()).collect();
                // Of a name given by `layer_of`, what another node reads too.
                let known = |spec: &ParameterSpec| {
                    let mut parameters = self.parameters.iter();
                    parameters.any(|it| it.name == spec.name && it.shape == spec.shape)
                };
                let new: Vec<_> = specs.into_iter().filter(|spec| !known(spec)).collect();
                self.parameters.extend(new);
                self.shapes.push(shape);
            }
            Err(error) => {
                self.error.get_or_insert(error);
                self.shapes.push(Vec::new());
            }
        }
        self.nodes.push(node);
        id
    }

    /// Shape and parameters of a node to be added.
    fn checked(
        &self,
        node: &Node,
        names: Option<Vec<String>>,
    ) -> Result<(Vec<usize>, Vec<ParameterSpec>)> {
        let Some(operation) = node.op.operation() else {
            let shape = match &node.op {
                Op::Input(input) => [&[CHECKED_IMAGES], &input.shape[..]].concat(),
                _ => Vec::new(),
            };
            return Ok((shape, Vec::new()));
        };
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|&input| self.shape(input)).collect();
        let slots = slots(node, &inputs)?;
        let shape = operation
            .shape(&inputs)
            .map_err(|reason| Error::node(&node.name, reason))?;
        let own = |suffix: &str| match suffix {
            "" => node.name.clone(),
            _ => format!("{}.{suffix}", node.name),
        };
        let names = names.unwrap_or_else(|| slots.iter().map(|slot| own(slot.suffix)).collect());
        if names.len() != slots.len() {
            let (expected, found) = (slots.len(), names.len());
            let reason = format!("expected names of {expected} parameters, found {found}");
            return Err(Error::node(&node.name, reason));
        }
        let specs = slots.into_iter().zip(names);
        let specs = specs.map(|(slot, name)| ParameterSpec {
            name,
            shape: slot.shape,
            initial: slot.initial,
        });
        Ok((shape, specs.collect()))
    }
}
