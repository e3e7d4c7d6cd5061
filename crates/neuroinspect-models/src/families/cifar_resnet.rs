//! The CIFAR ResNets of He et al. 2016, section 4.2.

use burn::tensor::Device;
use neuroinspect_core::{InputSpec, check_option};

use super::{IMAGES, Size, check_classes};
use crate::{
    GraphClassifier, Result,
    graph::{
        Activation, AvgPool2d, Conv2d, Function, GlobalMean, Graph, GraphBuilder, Pad, ValueId,
    },
};

const RELU: Activation = Activation {
    function: Function::Relu,
};

/// Channels of the three stages; the last are the neurons.
const WIDTHS: [usize; 3] = [16, 32, 64];

/// A residual network for small images: a convolution, three stages of residual blocks, a linear
/// decision layer over the 64 channels of `layer3`, the neurons.
///
/// He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, CVPR 2016, section
/// 4.2, with the parameter-free shortcuts of option A. Computes what akamaster's
/// `pytorch_resnet_cifar10` does, and reads its checkpoints. Fully convolutional up to the spatial
/// mean, so the size of its input can be chosen: see [`GraphClassifier::with_input`].
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::Classifier;
/// use neuroinspect_models::CifarResNetConfig;
///
/// # fn main() -> neuroinspect_models::Result<()> {
/// let device = Device::flex();
/// let model = CifarResNetConfig::new(8, 10).init(&device)?;
/// let images = model.input().normalize(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(model.forward(images.clone())?.dims(), [2, 10]);
/// assert_eq!(model.activations(images).features.dims(), [2, 64]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CifarResNetConfig {
    /// Number of weighted layers, `6 n + 2` with `n` of at least 1: 20, 32, 44, 56, ...
    pub depth: usize,
    /// Number of classes `K`, at least 1.
    pub classes: usize,
}

impl CifarResNetConfig {
    /// A network of `depth` layers for `classes` classes.
    pub fn new(depth: usize, classes: usize) -> Self {
        Self { depth, classes }
    }

    /// Checks that such a network exists.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for a depth that is not `6 n + 2`, or no classes.
    pub fn validate(&self) -> Result<()> {
        let allowed = self.depth >= 8 && self.depth % 6 == 2;
        let expected = "6 n + 2 with n of at least 1, as 20, 32, 44 or 56";
        check_option("depth", self.depth, allowed, expected)?;
        check_classes(self.classes)
    }

    /// The input the published weights were evaluated with, and the default: 32 px, ImageNet's
    /// mean and standard deviation.
    pub fn default_input() -> InputSpec {
        InputSpec::imagenet(32)
    }

    /// A network with random weights, ready to be trained or loaded into.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<GraphClassifier> {
        let input = Self::default_input();
        let graph = self.graph(input.size)?;
        GraphClassifier::new(format!("cifar_resnet{}", self.depth), graph, input, device)
    }

    /// The network as a graph, for images of `size` pixels; names are akamaster's.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate), and [`Error::Node`](crate::Error::Node) for images too small.
    pub fn graph(&self, size: usize) -> Result<Graph> {
        self.of_stem(1, size)
    }

    /// With a stride of the first convolution.
    fn of_stem(&self, stride: usize, size: usize) -> Result<Graph> {
        self.validate()?;
        let mut g = GraphBuilder::new();
        let x = g.input(IMAGES, [3, size, size]);
        let stem = Conv2d::new(WIDTHS[0], 3).with_stride(stride);
        let x = g.layer("conv1", stem, [x]);
        let x = g.batch_norm("bn1", x);
        let mut x = g.step(RELU, [x]);
        for (stage, width) in (1..).zip(WIDTHS) {
            let name = format!("layer{stage}");
            for index in 0..(self.depth - 2) / 6 {
                let stride = if stage > 1 && index == 0 { 2 } else { 1 };
                x = block(&mut g, &format!("{name}.{index}"), [width, stride], x);
            }
            x = g.module(name, x);
        }
        let x = g.layer("features", GlobalMean {}, [x]);
        g.linear("linear", self.classes, x);
        g.finish()
    }
}

/// The same network, as the registry has it.
pub(crate) fn cifar_resnet(depth: usize, size: Size) -> Result<Graph> {
    CifarResNetConfig::new(depth, size.classes).graph(size.image)
}

/// The same for images of STL-10's size, 96 px: the first convolution takes a stride of 2.
pub(crate) fn stl_resnet(depth: usize, size: Size) -> Result<Graph> {
    CifarResNetConfig::new(depth, size.classes).of_stem(2, size.image)
}

/// Two 3 x 3 convolutions beside a shortcut.
fn block(g: &mut GraphBuilder, name: &str, [width, stride]: [usize; 2], x: ValueId) -> ValueId {
    let conv = Conv2d::new(width, 3);
    let y = g.layer(
        format!("{name}.conv1"),
        conv.clone().with_stride(stride),
        [x],
    );
    let y = g.batch_norm(format!("{name}.bn1"), y);
    let y = g.step(RELU, [y]);
    let y = g.layer(format!("{name}.conv2"), conv, [y]);
    let y = g.batch_norm(format!("{name}.bn2"), y);
    let shortcut = shortcut(g, width, stride, x);
    let shortcut = g.module(format!("{name}.shortcut"), shortcut);
    let sum = g.add(y, shortcut);
    let out = g.step(RELU, [sum]);
    g.module(name, out)
}

/// Option A: every `stride`-th pixel, and zeros for the channels the input does not have, half of
/// them before and half after its own.
fn shortcut(g: &mut GraphBuilder, width: usize, stride: usize, x: ValueId) -> ValueId {
    let channels = g.shape(x).get(1).copied().unwrap_or(width);
    if channels == width {
        return x;
    }
    // Means of single pixels: every backend has them and their gradient, unlike strided slices.
    let pixels = g.step(AvgPool2d::new(1, stride), [x]);
    let beside = (width - channels) / 2;
    let pad = Pad {
        axis: 1,
        before: beside,
        after: beside,
    };
    g.step(pad, [pixels])
}
