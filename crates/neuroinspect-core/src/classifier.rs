//! What a model implements to be debugged.

use burn::tensor::{Device, Tensor};

use crate::{DecisionLayer, InputSpec, Result};

/// A classifier whose last step is a linear decision layer over pooled features.
///
/// Implement it for a Burn model of your own in a dozen lines: say what the model wants to see,
/// how an image becomes a feature map, and where the last linear layer is. Everything else has a
/// default. The trait is dyn-safe: neuroinspect works on `&dyn Classifier`.
///
/// ```
/// use burn::{
///     module::Module,
///     nn::{Linear, LinearConfig, conv::{Conv2d, Conv2dConfig}},
///     tensor::{Device, Tensor, activation::relu},
/// };
/// use neuroinspect_core::{Classifier, DecisionLayer, InputSpec, Result};
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
///     fn feature_map(&self, images: Tensor<4>) -> Tensor<4> {
///         relu(self.conv.forward(images))
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
pub trait Classifier: Send + Sync {
    /// Name of the model, for reports and provenance.
    fn name(&self) -> &str;

    /// The pixels the model wants to see.
    fn input(&self) -> &InputSpec;

    /// The feature map before pooling.
    ///
    /// Must run in evaluation mode (running statistics, no dropout) and keep the gradient with
    /// respect to `images` when they are tracked.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, D, h, w]`.
    fn feature_map(&self, images: Tensor<4>) -> Tensor<4>;

    /// Pools a feature map to one activation per neuron; the spatial mean unless overridden.
    ///
    /// # Shapes
    ///
    /// `[N, D, h, w]` to `[N, D]`.
    fn pool(&self, feature_map: Tensor<4>) -> Tensor<2> {
        let [n, d, h, w] = feature_map.dims();
        feature_map
            .reshape([n, d, h * w])
            .mean_dim(2)
            .reshape([n, d])
    }

    /// Features and feature map of the same forward pass.
    ///
    /// Override it where the features are not a pooled map: a vision transformer's features are
    /// its class token, and its map is read from patch tokens of an earlier block.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to features `[N, D]` and map `[N, D, h, w]`.
    fn activations(&self, images: Tensor<4>) -> Activations {
        let map = self.feature_map(images);
        Activations {
            features: self.pool(map.clone()),
            map,
        }
    }

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
}

/// What a classifier's backbone makes of a batch of images.
#[derive(Clone, Debug)]
pub struct Activations {
    /// Activation of each neuron, the input of the decision layer: `[N, D]`.
    pub features: Tensor<2>,
    /// Where in the image each neuron is active: `[N, D, h, w]`.
    pub map: Tensor<4>,
}
