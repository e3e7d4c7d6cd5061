//! Classifiers that are graphs.

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor},
};
use neuroinspect_core::{
    Activations, Classifier, DecisionLayer, InputSpec, LayerInfo, LayerValues, unknown_layer,
};

use crate::{
    Error, Result,
    families::{IMAGES, MAP},
    graph::{
        Graph, Network, Node, Op, Parameter, Permute, Reshape, Slice, Value, ValueId,
        module_of_network,
        passes::{fold_batch_norm, join_rectifiers},
    },
    layers::Layers,
};

/// A classifier whose network is a [`Graph`]: every network of the registry, and any graph of images
/// whose last linear layer gives the logits.
///
/// The decision layer is the last linear layer, its neurons are the numbers it reads, and the map, where
/// there is one, is what the spatial mean before it reads. Every module of the network is a layer that
/// can be looked at, under its name in timm.
///
/// It is a Burn [`Module`](burn::module::Module), to be trained with
/// [`forward`](Self::forward); as a [`Classifier`] it always goes by running statistics.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::Classifier;
/// use neuroinspect_models::init_classifier;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let model = init_classifier("cifar_resnet20", 10, &device)?;
/// let layers = model.layers()?;
/// assert!(layers.iter().any(|layer| layer.name == "layer2.0.conv1" && layer.channels == 32));
///
/// let images = Tensor::zeros([1, 3, 32, 32], &device);
/// let values = model.activations_at(images, &["layer1", "layer2.0.conv1"])?;
/// assert_eq!(values[1].channels(), 32);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GraphClassifier {
    network: Network,
    name: String,
    input: InputSpec,
    head: Head,
    /// The layer of the map, where one was chosen.
    map_layer: Option<String>,
}

module_of_network!(GraphClassifier, network);

/// The decision layer of a classifier and what it reads, by places in the graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) layer: ValueId,
    pub(crate) features: ValueId,
    pub(crate) map: Option<ValueId>,
}

impl Head {
    pub(crate) fn of(graph: &Graph) -> Result<Self> {
        let linear = |node: &Node| matches!(node.op, Op::Linear(_));
        let head = graph.nodes().iter().rposition(linear).map(ValueId);
        let features = head
            .filter(|head| graph.shape(*head).len() == 2)
            .and_then(|head| graph.node(head).inputs.first());
        let (Some(head), Some(&features)) = (head, features) else {
            let reason = match head {
                Some(head) => format!(
                    "expected a decision layer [N, D] to [N, K] as its last linear layer, found one to {:?}",
                    graph.shape(head)
                ),
                None => "expected a linear layer as decision layer, found none".to_owned(),
            };
            return Err(Error::Graph { reason });
        };
        let mut pooled = features;
        while let (Op::Identity(_), [input]) =
            (&graph.node(pooled).op, &graph.node(pooled).inputs[..])
        {
            pooled = *input;
        }
        let map = graph.find(MAP).ok();
        let map = map.filter(|map| {
            let channels = graph.shape(*map).get(1);
            graph.shape(*map).len() == 4 && channels == graph.shape(features).get(1)
        });
        let map = map.or_else(
            || match (&graph.node(pooled).op, &graph.node(pooled).inputs[..]) {
                (Op::GlobalMean(_), [map]) => Some(*map),
                _ => None,
            },
        );
        Ok(Self {
            layer: head,
            features,
            map,
        })
    }

    pub(crate) fn layer(&self) -> ValueId {
        self.layer
    }

    /// Number of neurons.
    pub(crate) fn neurons(&self, graph: &Graph) -> usize {
        graph.shape(self.features)[1]
    }
}

impl GraphClassifier {
    /// A graph as a classifier with random weights, drawn when first used.
    ///
    /// Its input is named `images`, `[N, 3, S, S]`; its last linear layer is the decision layer.
    ///
    /// # Errors
    ///
    /// [`Error::Graph`] for a graph without such a layer, or one that is not computed of the images alone;
    /// [`Error::Node`] for one that cannot take images of the input's size; and as
    /// [`InputSpec::validate`].
    pub fn new(
        name: impl Into<String>,
        graph: Graph,
        input: InputSpec,
        device: &Device,
    ) -> Result<Self> {
        let head = Head::of(&graph)?;
        Self::of_network(name, Network::new(graph, device)?, input, head)
    }

    /// A network as a classifier, with a head that is known.
    pub(crate) fn of_network(
        name: impl Into<String>,
        network: Network,
        input: InputSpec,
        head: Head,
    ) -> Result<Self> {
        let classifier = Self {
            network,
            name: name.into(),
            input: input.clone(),
            head,
            map_layer: None,
        };
        classifier.with_input(input)
    }

    /// Sets which pixels the model wants to see.
    ///
    /// # Errors
    ///
    /// As [`InputSpec::validate`], [`Error::Graph`] for logits that are not of the images alone, and
    /// [`Error::Node`] naming the layer that cannot take images of this
    /// size.
    pub fn with_input(mut self, input: InputSpec) -> Result<Self> {
        input.validate()?;
        let shape = [1, 3, input.size, input.size];
        let shapes = self.network.graph().shapes(&[(IMAGES, &shape)])?;
        let found = &shapes[self.head.layer.0];
        if !matches!(found[..], [1, _]) {
            let reason = match found.is_empty() {
                true => {
                    let inputs = self.network.graph().nodes().iter();
                    let inputs = inputs.filter(|node| matches!(node.op, Op::Input(_)));
                    let inputs: Vec<_> = inputs.map(|node| node.name.as_str()).collect();
                    format!(
                        "expected logits that need the input '{IMAGES}' alone, found the inputs {inputs:?}"
                    )
                }
                false => format!("expected logits [1, K] of one image, found {found:?}"),
            };
            return Err(Error::Graph { reason });
        }
        self.input = input;
        Ok(self)
    }

    /// Sets which layer shows where in the image the neurons are active, its channels one by one: a map
    /// `[N, D, h, w]`, or tokens `[N, T, D]`, of which the last are the patches'.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`] for a name that no layer has, [`Error::Node`] for one that has not one channel
    /// for each neuron.
    pub fn with_map(mut self, layer: &str) -> Result<Self> {
        let graph = self.network.graph();
        let neurons = self.head.neurons(graph);
        let own = self.head.map.map(|map| graph.shape(map));
        let id = graph.find(layer)?;
        self.head.map = Some(match (graph.shape(id), own) {
            (&[_, channels, _, _], _) if channels == neurons => id,
            (&[_, tokens, channels], Some(&[_, _, height, width]))
                if channels == neurons && tokens >= height * width =>
            {
                let length = height * width;
                let patches = Slice {
                    axis: 1,
                    start: tokens - length,
                    length,
                };
                let axes = vec![0, 2, 1];
                let shape = vec![0, 0, height as i64, width as i64];
                let steps: [Op; 3] = [
                    patches.into(),
                    Permute { axes }.into(),
                    Reshape { shape }.into(),
                ];
                let (network, map) = self.network.with_steps(id, steps)?;
                self.network = network;
                map
            }
            (found, _) => {
                let reason = format!(
                    "expected a map [N, {neurons}, h, w] or tokens [N, T, {neurons}] of the {neurons} neurons, found {found:?}"
                );
                return Err(Error::node(layer, reason));
            }
        });
        self.map_layer = Some(layer.to_owned());
        Ok(self)
    }

    /// The network: its graph and its weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The logits, for training: batch normalisation goes by the statistics of the batch where the
    /// images are on a device that differentiates and training is enabled, and by the running ones
    /// elsewhere.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, K]`.
    ///
    /// # Errors
    ///
    /// [`Error::Node`] naming the layer that cannot take the images.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        let values = self
            .network
            .forward(vec![(IMAGES, images.into())], &[self.head.layer])?;
        let reason = |reason| Error::node(&self.head().name, reason);
        last(values).and_then(Value::rank2).map_err(reason)
    }

    /// The decision layer.
    pub(crate) fn head(&self) -> &Node {
        self.network.graph().node(self.head.layer)
    }

    fn modules(&self) -> Layers<'_> {
        Layers {
            model: &self.name,
            network: &self.network,
            within: "",
        }
    }

    fn head_values(&self, images: Tensor<4>) -> Result<Activations, String> {
        let taps: Vec<_> = self
            .head
            .map
            .into_iter()
            .chain([self.head.features])
            .collect();
        let values = self.network.evaluate(vec![(IMAGES, images.into())], &taps);
        let mut values = values.map_err(|error| error.to_string())?;
        let features = last(values.split_off(values.len().saturating_sub(1)))?.rank2()?;
        let map = values.pop().map(Value::rank4).transpose()?;
        // One pixel tells nothing of where.
        let map = map.filter(|map| !matches!(map.dims(), [_, _, 1, 1]));
        Ok(Activations { features, map })
    }

    /// The decision layer as Burn has it, with the weight `[D, K]`.
    fn linear(&self) -> neuroinspect_core::Result<Linear> {
        let parameter = |index: usize| {
            let name = self.head().parameters.get(index)?;
            self.network.parameter(name)
        };
        let Some(Parameter::Rank2(weight)) = parameter(0) else {
            return Err(unknown_layer(&self.name, &self.head().name, []));
        };
        let bias = match parameter(1) {
            Some(Parameter::Rank1(bias)) => Some(bias.clone()),
            _ => None,
        };
        let weight = transposed(weight.clone());
        Ok(Linear { weight, bias })
    }
}

/// A parameter with its axes exchanged, otherwise as it is.
fn transposed(weight: Param<Tensor<2>>) -> Param<Tensor<2>> {
    weight.map(|weight| {
        let requires = weight.is_require_grad();
        weight.transpose().detach().set_require_grad(requires)
    })
}

fn last(mut values: Vec<Value>) -> Result<Value, String> {
    values
        .pop()
        .ok_or_else(|| "no value was computed".to_owned())
}

impl Classifier for GraphClassifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    /// # Panics
    ///
    /// On images of a shape that the network cannot take, as Burn does.
    fn activations(&self, images: Tensor<4>) -> Activations {
        match self.head_values(images) {
            Ok(activations) => activations,
            #[allow(
                clippy::panic,
                reason = "the trait has no error for it, and Burn panics"
            )]
            Err(reason) => panic!("{}: {reason}", self.name),
        }
    }

    fn decision_layer(&self) -> neuroinspect_core::Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.linear()?)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> neuroinspect_core::Result<()> {
        let mut linear = self.linear()?;
        layer.replace(&mut linear)?;
        let weight = transposed(linear.weight);
        let network = self
            .network
            .with_linear(self.head.layer, weight, linear.bias);
        self.network = network.map_err(|error| error.of_model(&self.name))?;
        Ok(())
    }

    fn device(&self) -> Device {
        match self.network.device() {
            Some(device) => device,
            None => unreachable!("the decision layer has a weight"),
        }
    }

    fn penultimate(&self) -> &str {
        &self.network.graph().node(self.head.features).name
    }

    fn map_layer(&self) -> Option<&str> {
        self.map_layer.as_deref()
    }

    fn layers(&self) -> neuroinspect_core::Result<Vec<LayerInfo>> {
        Ok(self.modules().list())
    }

    fn activations_at(
        &self,
        images: Tensor<4>,
        layers: &[&str],
    ) -> neuroinspect_core::Result<Vec<LayerValues>> {
        self.modules().read(images, layers)
    }

    fn before_activation(&self, layer: &str) -> Option<String> {
        self.modules().before_activation(layer)
    }

    fn fold(&mut self) -> neuroinspect_core::Result<()> {
        let folded = fold_batch_norm(&self.network);
        let folded = folded.and_then(|network| join_rectifiers(&network));
        self.network = folded.map_err(|error| error.of_model(&self.name))?;
        Ok(())
    }
}
