//! A graph with its weights on a device.

use std::{collections::BTreeMap, sync::Arc};

use burn::{
    module::{
        Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
        Param,
    },
    tensor::{DType, Device, Tensor},
};

use super::{
    Graph, InitialValues, Node, Op, Parameter, ParameterSpec, ValueId,
    parameters::{each_parameter, map_parameter},
};
use crate::{Error, Result};

/// What burn-store is told that every part of a name is. It knows no such module, and leaves names and
/// layouts as they are: they are PyTorch's already.
const CONTAINER: &str = "Struct:Network";
/// What it is told instead where the weights are no longer those of the network as it was built.
pub(crate) const REWRITTEN: &str = "Struct:RewrittenNetwork";

/// A [`Graph`] with its weights on a device: a Burn [`Module`] whose parameters go by the names they
/// have in checkpoints.
///
/// The running statistics of batch normalisations are buffers, which no optimiser trains. As in Burn's
/// own modules, a clone shares them, and what [`valid`](Module::valid) gives does not; and each batch
/// normalisation has a flag (`bn1.training`) that [`freeze`](Module::freeze) and the like clear.
#[derive(Clone)]
pub struct Network {
    graph: Arc<Graph>,
    /// The names of the parameters, then those of the flags, in the order of the nodes.
    order: Arc<[String]>,
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// Whether a pass has put other weights in place of its own, so that it is neither trained, nor
    /// loaded, nor saved.
    pub(super) rewritten: bool,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("nodes", &self.graph.nodes().len())
            .field("parameters", &self.graph.parameters().len())
            .finish_non_exhaustive()
    }
}

impl Network {
    /// A graph with random weights, drawn when first used from the device's generator
    /// ([`Device::seed`]).
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming a parameter of more than four axes.
    pub fn new(graph: Graph, device: &Device) -> Result<Self> {
        let specs = graph.parameters().iter();
        let parameters = specs.map(|spec| match Parameter::new(spec, device) {
            Ok(parameter) => Ok((spec.name.clone(), parameter)),
            Err(reason) => Err(Error::node(&spec.name, reason)),
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Ok(Self::of(graph, parameters))
    }

    /// A graph with these weights, by the names of its parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming a parameter without values of its shape.
    #[cfg(feature = "onnx")]
    pub(crate) fn with_weights(
        graph: Graph,
        weights: &BTreeMap<String, burn::tensor::TensorData>,
        device: &Device,
    ) -> Result<Self> {
        let specs = graph.parameters().iter();
        let parameters = specs.map(|spec| {
            let values = weights.get(&spec.name).ok_or("it has no values".to_owned());
            let parameter = values.and_then(|values| Parameter::with_values(spec, values, device));
            let parameter = parameter.map_err(|reason| Error::node(&spec.name, reason))?;
            Ok((spec.name.clone(), parameter))
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Ok(Self::of(graph, parameters))
    }

    /// A graph with those of these parameters and flags that it has; training is allowed where there is
    /// no flag.
    pub(super) fn of(graph: Graph, mut parameters: BTreeMap<String, Parameter>) -> Self {
        let names = graph.parameters().iter().map(|spec| spec.name.clone());
        let mut order: Vec<String> = names.collect();
        for node in graph.nodes() {
            if matches!(node.op, Op::BatchNorm(_)) {
                let name = training_flag(&node.name);
                let allowed = || Parameter::Flag(Param::from_bool(true));
                parameters.entry(name.clone()).or_insert_with(allowed);
                order.push(name);
            }
        }
        let mut given = parameters;
        let keep = |name: &String| given.remove_entry(name);
        let parameters = order.iter().filter_map(keep).collect();
        Self {
            graph: Arc::new(graph),
            order: order.into(),
            parameters,
            rewritten: false,
        }
    }

    /// The network as one that a pass has made of another, with other weights.
    pub(super) fn rewritten(mut self) -> Self {
        self.rewritten = true;
        self
    }

    fn container(&self) -> &'static str {
        match self.rewritten {
            true => REWRITTEN,
            false => CONTAINER,
        }
    }

    /// A parameter by its name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)
    }

    /// The same network with other weights, of the same shapes, in a linear layer; one without a bias
    /// gets one where there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] when the node is no linear layer, or a weight or bias has another shape.
    pub(crate) fn with_linear(
        &self,
        id: ValueId,
        weight: Param<Tensor<2>>,
        bias: Option<Param<Tensor<1>>>,
    ) -> Result<Self> {
        let mut nodes = self.graph.nodes().to_vec();
        let mut specs = self.graph.parameters().to_vec();
        let mut parameters = self.parameters.clone();
        let node = &mut nodes[id.0];
        let (Op::Linear(linear), Some(name)) = (&mut node.op, node.parameters.first()) else {
            return Err(Error::node(&node.name, "expected a linear layer"));
        };
        let outputs = linear.outputs;
        let expected = specs.iter().find(|spec| spec.name == *name);
        let expected = expected.map_or(&[][..], |spec| &spec.shape);
        let unfit = |what: &str, expected: &[usize], found: &[usize]| {
            let reason = format!("expected a {what} of shape {expected:?}, found {found:?}");
            Err(Error::node(&node.name, reason))
        };
        let found = weight.lazy_shape();
        if found.as_slice() != expected {
            return unfit("weight", expected, found.as_slice());
        }
        if let Some(found) = bias.as_ref().map(Param::lazy_shape)
            && found.as_slice() != [outputs]
        {
            return unfit("bias", &[outputs], found.as_slice());
        }
        parameters.insert(name.clone(), Parameter::Rank2(weight));
        if let Some(bias) = bias {
            if !linear.bias {
                linear.bias = true;
                let name = format!("{}.bias", node.name);
                node.parameters.push(name.clone());
                specs.push(ParameterSpec {
                    name,
                    shape: vec![linear.outputs],
                    initial: InitialValues::zeros(),
                });
            }
            parameters.insert(node.parameters[1].clone(), Parameter::Rank1(bias));
        }
        let network = Self::of(Graph::new(nodes, specs)?, parameters);
        Ok(Self {
            rewritten: self.rewritten,
            ..network
        })
    }

    /// The same network with operations on one of its values after each other, and the last one's value.
    pub(crate) fn with_steps<const N: usize>(
        &self,
        of: ValueId,
        steps: [Op; N],
    ) -> Result<(Self, ValueId)> {
        let mut nodes = self.graph.nodes().to_vec();
        let mut last = of;
        for op in steps {
            let name = format!("{}.{}", nodes[last.0].name, op.kind());
            let inputs = vec![last];
            last = ValueId(nodes.len());
            nodes.push(Node {
                name,
                op,
                inputs,
                parameters: Vec::new(),
                module: false,
            });
        }
        let graph = Graph::new(nodes, self.graph.parameters().to_vec())?;
        let network = Self::of(graph, self.parameters.clone());
        let rewritten = self.rewritten;
        Ok((
            Self {
                rewritten,
                ..network
            },
            last,
        ))
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The device the weights are, or will be, on; none of a graph without weights.
    pub fn device(&self) -> Option<Device> {
        self.devices().into_iter().next()
    }

    /// The number format of the weights.
    pub fn dtype(&self) -> DType {
        let dtype = |parameter: &Parameter| match parameter {
            Parameter::Rank1(x) if x.is_initialized() => Some(x.val().dtype()),
            Parameter::Rank2(x) if x.is_initialized() => Some(x.val().dtype()),
            Parameter::Rank3(x) if x.is_initialized() => Some(x.val().dtype()),
            Parameter::Rank4(x) if x.is_initialized() => Some(x.val().dtype()),
            _ => None,
        };
        let mut parameters = self.parameters.values();
        parameters.find_map(dtype).unwrap_or(DType::F32)
    }

    /// The network with something else in place of every parameter and flag, in order.
    fn map_each(mut self, mut map: impl FnMut(&str, Parameter) -> Parameter) -> Self {
        for name in self.order.iter() {
            if let Some((name, parameter)) = self.parameters.remove_entry(name) {
                let parameter = map(&name, parameter);
                self.parameters.insert(name, parameter);
            }
        }
        self
    }
}

/// The name of a node's flag.
pub(super) fn training_flag(node: &str) -> String {
    format!("{node}.training")
}

impl Module for Network {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let in_order = self
            .order
            .iter()
            .filter_map(|name| self.parameters.get(name));
        in_order.fold(
            devices,
            |devices, parameter| each_parameter!(parameter, x => x.collect_devices(devices)),
        )
    }

    fn fork(self, device: &Device) -> Self {
        self.map_each(|_, parameter| map_parameter!(parameter, x => x.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_each(|_, parameter| map_parameter!(parameter, x => x.to_device(device)))
    }

    fn train(self) -> Self {
        self.map_each(|_, parameter| map_parameter!(parameter, x => x.train()))
    }

    fn valid(&self) -> Self {
        let own = self.clone();
        own.map_each(|_, parameter| map_parameter!(parameter, x => x.valid()))
    }

    fn materialize(self) -> Self {
        self.map_each(|_, parameter| map_parameter!(parameter, x => x.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let container = self.container();
        for name in self.order.iter() {
            if let Some(parameter) = self.parameters.get(name) {
                for part in name.split('.') {
                    visitor.enter_module(part, container);
                }
                each_parameter!(parameter, x => x.visit(visitor));
                for part in name.rsplit('.') {
                    visitor.exit_module(part, container);
                }
            }
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let container = self.container();
        self.map_each(|name, parameter| {
            for part in name.split('.') {
                mapper.enter_module(part, container);
            }
            let mapped = map_parameter!(parameter, x => Module::map(x, mapper));
            for part in name.rsplit('.') {
                mapper.exit_module(part, container);
            }
            mapped
        })
    }
}

impl ModuleDisplayDefault for Network {
    fn content(&self, content: Content) -> Option<Content> {
        content.add("nodes", &self.graph.nodes().len()).optional()
    }
}

impl ModuleDisplay for Network {}

/// Makes a structure around a [`Network`] a Burn module, whose parameters are the network's under the
/// same names: the derived one would put the field's name before them.
macro_rules! module_of_network {
    ($name:ident, $network:ident) => {
        impl burn::module::Module for $name {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                burn::module::Module::collect_devices(&self.$network, devices)
            }

            fn fork(mut self, device: &burn::tensor::Device) -> Self {
                self.$network = self.$network.fork(device);
                self
            }

            fn to_device(mut self, device: &burn::tensor::Device) -> Self {
                self.$network = self.$network.to_device(device);
                self
            }

            fn train(mut self) -> Self {
                self.$network = self.$network.train();
                self
            }

            fn valid(&self) -> Self {
                Self {
                    $network: self.$network.valid(),
                    ..self.clone()
                }
            }

            fn materialize(mut self) -> Self {
                self.$network = self.$network.materialize();
                self
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                self.$network.visit(visitor);
            }

            fn map<M: burn::module::ModuleMapper>(mut self, mapper: &mut M) -> Self {
                self.$network = self.$network.map(mapper);
                self
            }
        }
    };
}
pub(crate) use module_of_network;
