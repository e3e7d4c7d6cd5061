//! The CIFAR ResNets of He et al. 2016, section 4.2.

use burn::{
    module::Module,
    nn::{BatchNorm, Linear, LinearConfig, conv::Conv2d},
    tensor::{
        Device, Tensor,
        activation::relu,
        module::avg_pool2d,
        ops::{AvgPoolOptions, PadMode},
    },
};
use neuroinspect_core::{Classifier, DecisionLayer, InputSpec};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    layers::{ConvBn, batch_norm, check_classes, conv, conv_bn, conv_bn_training},
};

/// Channels of the three stages; the last are the neurons.
const WIDTHS: [usize; 3] = [16, 32, CifarResNet::NEURONS];

/// Which CIFAR ResNet: the options of [`CifarResNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
        if self.depth < 8 || self.depth % 6 != 2 {
            return Err(neuroinspect_core::Error::InvalidOption {
                option: "depth",
                value: self.depth.to_string(),
                expected: "6 n + 2 with n of at least 1, as 20, 32, 44 or 56",
            }
            .into());
        }
        Ok(check_classes(self.classes)?)
    }

    /// A network with random weights, ready to be trained or loaded into.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<CifarResNet> {
        self.validate()?;
        let blocks = (self.depth - 2) / 6;
        let [narrow, middle, wide] = WIDTHS;
        Ok(CifarResNet {
            conv1: conv([3, narrow], 3, 1, 1, device),
            bn1: batch_norm(narrow, device),
            layer1: stage(blocks, [narrow, narrow], 1, device),
            layer2: stage(blocks, [narrow, middle], 2, device),
            layer3: stage(blocks, [middle, wide], 2, device),
            linear: LinearConfig::new(wide, self.classes).init(device),
            name: format!("cifar_resnet{}", self.depth),
            input: CifarResNet::default_input(),
        })
    }
}

/// A residual network for small images: a convolution, three stages of residual blocks, a linear
/// decision layer over the 64 channels of `layer3`, the neurons.
///
/// He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, CVPR 2016, section
/// 4.2, with the parameter-free shortcuts of option A. Computes what akamaster's
/// `pytorch_resnet_cifar10` does, and reads its checkpoints. Fully convolutional up to the spatial
/// mean, so the size of its input can be chosen: see [`with_input`](Self::with_input).
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
/// assert_eq!(model.forward(images.clone()).dims(), [2, 10]);
/// assert_eq!(model.activations(images).map.dims(), [2, 64, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct CifarResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    linear: Linear,
    #[module(skip)]
    name: String,
    #[module(skip)]
    input: InputSpec,
}

/// Two 3 x 3 convolutions beside a shortcut.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
}

fn stage(
    blocks: usize,
    [channels_in, channels_out]: [usize; 2],
    stride: usize,
    device: &Device,
) -> Vec<Block> {
    (0..blocks)
        .map(|index| match index {
            0 => Block::new([channels_in, channels_out], stride, device),
            _ => Block::new([channels_out, channels_out], 1, device),
        })
        .collect()
}

impl CifarResNet {
    /// Number of neurons `D`: channels of `layer3`.
    pub const NEURONS: usize = 64;

    /// The input the published weights were evaluated with, and the default: 32 px, ImageNet's
    /// mean and standard deviation.
    pub fn default_input() -> InputSpec {
        InputSpec::imagenet(32)
    }

    /// Sets which pixels the model wants to see; [`default_input`](Self::default_input) unless
    /// set.
    ///
    /// # Errors
    ///
    /// As [`InputSpec::validate`].
    pub fn with_input(mut self, input: InputSpec) -> Result<Self> {
        input.validate()?;
        self.input = input;
        Ok(self)
    }

    /// The logits, for training: batch normalisation follows Burn's rule, so that it uses the
    /// statistics of the batch on a training device and the running ones elsewhere.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, K]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let map = self.map(images, conv_bn_training);
        self.linear.forward(self.pool(map))
    }

    fn map(&self, images: Tensor<4>, conv_bn: ConvBn) -> Tensor<4> {
        let stem = relu(conv_bn(&self.conv1, &self.bn1, images));
        [&self.layer1, &self.layer2, &self.layer3]
            .into_iter()
            .flatten()
            .fold(stem, |x, block| block.forward(x, conv_bn))
    }
}

impl Block {
    fn new([channels_in, channels_out]: [usize; 2], stride: usize, device: &Device) -> Self {
        Self {
            conv1: conv([channels_in, channels_out], 3, stride, 1, device),
            bn1: batch_norm(channels_out, device),
            conv2: conv([channels_out, channels_out], 3, 1, 1, device),
            bn2: batch_norm(channels_out, device),
        }
    }

    fn forward(&self, x: Tensor<4>, conv_bn: ConvBn) -> Tensor<4> {
        let out = relu(conv_bn(&self.conv1, &self.bn1, x.clone()));
        let out = conv_bn(&self.conv2, &self.bn2, out);
        let [.., channels_out, _, _] = out.dims();
        relu(out + shortcut(x, self.conv1.stride, channels_out))
    }
}

/// Option A: every `stride`-th pixel, and zeros for the channels the input does not have, half of
/// them before and half after its own.
fn shortcut(x: Tensor<4>, stride: [usize; 2], channels_out: usize) -> Tensor<4> {
    let [_, channels_in, _, _] = x.dims();
    if channels_in == channels_out {
        return x;
    }
    let pad = (channels_out - channels_in) / 2;
    // Means of single pixels: every backend has them and their gradient, unlike strided slices.
    avg_pool2d(x, AvgPoolOptions::new([1, 1]).with_stride(stride))
        .pad([(pad, pad), (0, 0), (0, 0)], PadMode::Constant(0.0))
}

impl Classifier for CifarResNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn feature_map(&self, images: Tensor<4>) -> Tensor<4> {
        self.map(images, conv_bn)
    }

    fn decision_layer(&self) -> neuroinspect_core::Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.linear)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> neuroinspect_core::Result<()> {
        layer.replace(&mut self.linear)
    }

    fn device(&self) -> Device {
        self.linear.weight.val().device()
    }
}
