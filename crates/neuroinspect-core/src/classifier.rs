//! What a model implements to be debugged.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{
    DecisionLayer, Error, InputSpec, LayerInfo, LayerKind, LayerValues, Precision, Result,
    layer::spatial_mean, nearest_name,
};

/// A classifier whose last step is a linear decision layer over features.
///
/// Implement it for a Burn model of your own in a dozen lines: say what the model wants to see,
/// how an image becomes features, and where the last linear layer is. Everything else has a
/// default. The trait is dyn-safe: neuroinspect works on `&dyn Classifier`.
///
/// neuroinspect never changes your model: every stage computes on an
/// [evaluation copy](CopyClassifier::evaluation_copy), which every Burn [`Module`] has. Burn's batch
/// normalisation takes the statistics of the batch, and overwrites its running ones, whenever its
/// input can be differentiated and it has not been told otherwise by [`Module::valid`]; the copy has
/// been told.
///
/// ```
/// use burn::{
///     module::Module,
///     nn::{Linear, LinearConfig, conv::{Conv2d, Conv2dConfig}},
///     tensor::{Device, Tensor, activation::relu},
/// };
/// use neuroinspect_core::{Activations, Classifier, DecisionLayer, InputSpec, Result};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     conv: Conv2d,
///     head: Linear,
///     #[module(skip)]
///     input: InputSpec,
/// }
///
/// impl Classifier for Net {
///     fn name(&self) -> &str {
///         "net"
///     }
///     fn input(&self) -> &InputSpec {
///         &self.input
///     }
///     fn activations(&self, images: Tensor<4>) -> Activations {
///         Activations::pooled(relu(self.conv.forward(images)))
///     }
///     fn decision_layer(&self) -> Result<DecisionLayer> {
///         DecisionLayer::from_linear(&self.head)
///     }
///     fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
///         layer.replace(&mut self.head)
///     }
///     fn device(&self) -> Device {
///         self.head.weight.val().device()
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let device = Device::flex();
/// let net: Box<dyn Classifier> = Box::new(Net {
///     conv: Conv2dConfig::new([3, 8], [3, 3]).init(&device),
///     head: LinearConfig::new(8, 2).init(&device),
///     input: InputSpec::new(16),
/// });
/// let images = Tensor::zeros([1, 3, 16, 16], &device);
/// assert_eq!(net.activations(images).features.dims(), [1, 8]);
/// # Ok(())
/// # }
/// ```
pub trait Classifier: CopyClassifier + Send + Sync {
    /// Name of the model, for reports and provenance.
    fn name(&self) -> &str;

    /// The pixels the model wants to see.
    fn input(&self) -> &InputSpec;

    /// The features, the input of the decision layer, and where in the image they come from.
    ///
    /// Must keep the gradient with respect to `images` when they are tracked. It is called as [work](crate::among_workers): it must
    /// not hold a lock while it computes that another call asks for.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to features `[N, D]` and, where there is one, a map
    /// `[N, D, h, w]`.
    fn activations(&self, images: Tensor<4>) -> Activations;

    /// Reads the decision layer.
    ///
    /// # Errors
    ///
    /// When its weights cannot be read from the device, or are not finite.
    fn decision_layer(&self) -> Result<DecisionLayer>;

    /// Replaces the decision layer; the backbone stays as it is.
    ///
    /// # Errors
    ///
    /// When `layer` does not have the model's number of classes and neurons.
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()>;

    /// The device the weights are on.
    fn device(&self) -> Device;

    /// Name of the layer that the decision layer reads: where the neurons are.
    fn penultimate(&self) -> &str {
        "features"
    }

    /// Name of the layer that the [map](Activations::map) is of, where another one was chosen than the
    /// model has by itself.
    fn map_layer(&self) -> Option<&str> {
        None
    }

    /// The layers that [`activations_at`](Self::activations_at) can read; the
    /// [penultimate](Self::penultimate) alone unless overridden.
    ///
    /// # Errors
    ///
    /// When the decision layer, which tells the number of neurons, cannot be read.
    fn layers(&self) -> Result<Vec<LayerInfo>> {
        Ok(vec![LayerInfo {
            name: self.penultimate().to_owned(),
            kind: LayerKind::Features,
            channels: self.decision_layer()?.neurons(),
        }])
    }

    /// The values of layers by name, in the order asked for, in one forward pass.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to values of `N` images for each layer.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownLayer`] for a name that is none of [`layers`](Self::layers).
    fn activations_at(&self, images: Tensor<4>, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let penultimate = self.penultimate();
        if let Some(layer) = layers.iter().find(|&&layer| layer != penultimate) {
            return Err(unknown_layer(self.name(), layer, [penultimate]));
        }
        let features = self.activations(images).features;
        Ok(vec![LayerValues::Features(features); layers.len()])
    }

    /// Name of the value that a layer's activation function reads, with the layer's channels, where the
    /// layer is such a function of it or a mean over positions of one. [`activations_at`](Self::activations_at)
    /// reads it, though it need not be one of [`layers`](Self::layers). Where the function is flat, as a
    /// ReLU is below 0, a gradient passes through this value alone.
    fn before_activation(&self, _layer: &str) -> Option<String> {
        None
    }

    /// Makes what is constant from one forward pass to the next once and for all, such as
    /// convolutions with their batch normalisation. Called on an
    /// [evaluation copy](CopyClassifier::evaluation_copy) that is run many times; its activations
    /// must stay the same but for rounding.
    ///
    /// # Errors
    ///
    /// When that fails; the model is then as it was.
    fn fold(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The refusal of a layer that is none of `known`, with the nearest of them.
pub fn unknown_layer<'a>(
    model: &str,
    layer: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let hint = match nearest_name(layer, known) {
        Some(nearest) => format!(" did you mean '{nearest}'?"),
        None => {
            " its `layers`, or `neuroinspect models --layers`, lists those there are".to_owned()
        }
    };
    Error::UnknownLayer {
        model: model.to_owned(),
        layer: layer.to_owned(),
        hint,
    }
}

/// Copies a classifier for evaluation.
///
/// Every Burn [`Module`] that is a [`Classifier`] does. Implement it yourself for a classifier that
/// is no module; the copy must not share anything with the original that a forward pass changes, and its parameters
/// must not ask for gradients.
pub trait CopyClassifier {
    /// A copy in evaluation state on `device`, in the number format `precision`: batch
    /// normalisation by running statistics, no dropout, nothing to be trained, and nothing in common
    /// with the original that a forward pass could change.
    ///
    /// Its images must be in the same number format; what it gives out is.
    ///
    /// # Errors
    ///
    /// [`Error::Precision`] when the device does not compute in `precision`.
    fn evaluation_copy(&self, device: &Device, precision: Precision)
    -> Result<Box<dyn Classifier>>;
}

impl<M: Module + Classifier + 'static> CopyClassifier for M {
    fn evaluation_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(precision.copy_of(self, device)?))
    }
}

/// What a classifier's backbone makes of a batch of images.
#[derive(Clone, Debug)]
pub struct Activations {
    /// Activation of each neuron, the input of the decision layer: `[N, D]`.
    pub features: Tensor<2>,
    /// Where in the image each neuron is active, if that is known: `[N, D, h, w]`. Without it,
    /// pictures have no masks.
    pub map: Option<Tensor<4>>,
}

impl Activations {
    /// Features that are the spatial means of a map.
    ///
    /// # Shapes
    ///
    /// `[N, D, h, w]`.
    pub fn pooled(map: Tensor<4>) -> Self {
        Self {
            features: spatial_mean(map.clone()),
            map: Some(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{
            BatchNorm, BatchNormConfig, Linear, LinearConfig,
            conv::{Conv2d, Conv2dConfig},
        },
        tensor::Distribution,
    };

    use super::*;
    use crate::read_back;

    #[derive(Module, Debug)]
    struct Net {
        conv: Conv2d,
        norm: BatchNorm,
        head: Linear,
        #[module(skip)]
        input: InputSpec,
    }

    impl Net {
        fn new(device: &Device) -> Self {
            Self {
                conv: Conv2dConfig::new([3, 4], [3, 3]).init(device),
                norm: BatchNormConfig::new(4).init(device),
                head: LinearConfig::new(4, 2).init(device),
                input: InputSpec::new(8),
            }
        }
    }

    impl Classifier for Net {
        fn name(&self) -> &str {
            "net"
        }
        fn input(&self) -> &InputSpec {
            &self.input
        }
        fn activations(&self, images: Tensor<4>) -> Activations {
            Activations::pooled(self.norm.forward(self.conv.forward(images)))
        }
        fn decision_layer(&self) -> Result<DecisionLayer> {
            DecisionLayer::from_linear(&self.head)
        }
        fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
            layer.replace(&mut self.head)
        }
        fn device(&self) -> Device {
            self.head.weight.val().device()
        }
    }

    fn images(device: &Device) -> Tensor<4> {
        Tensor::random([4, 3, 8, 8], Distribution::Normal(1.0, 2.0), device)
    }

    #[test]
    fn a_copy_keeps_the_models_running_statistics_as_they_are() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let net = Net::new(&device);
            let mean = || read_back(net.norm.running_mean.value(), "the mean").unwrap();
            let before = mean();
            let plain = Device::flex();
            let copy = net.evaluation_copy(&plain, Precision::F32).unwrap();
            let images = images(&plain);
            let expected = read_back(copy.activations(images.clone()).features, "them").unwrap();
            let tracked = Tensor::from_inner(images).require_grad();
            for _ in 0..3 {
                let features = copy.activations(tracked.clone()).features;
                assert!(tracked.grad(&features.clone().sum().backward()).is_some());
                assert_eq!(read_back(features, "them").unwrap(), expected);
            }
            assert_eq!(mean(), before);
            assert_eq!(
                read_back(net.clone().valid().norm.running_mean.value(), "it").unwrap(),
                before
            );
        }
    }

    #[test]
    fn layers_go_by_name() {
        let net = Net::new(&Device::flex());
        let layers = net.layers().unwrap();
        assert_eq!((&*layers[0].name, layers[0].channels), ("features", 4));
        let images = images(&Device::flex());
        let values = net.activations_at(images.clone(), &["features"]).unwrap();
        assert_eq!(values[0].pooled().dims(), [4, 4]);
        let error = net
            .activations_at(images, &["feature"])
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("did you mean 'features'?"), "{error}");
    }
}
