//! ImageNet ResNets.

use burn::{
    module::Module,
    nn::{BatchNorm, Linear, LinearConfig, conv::Conv2d},
    tensor::{Device, Tensor, activation::relu, module::max_pool2d, ops::MaxPoolOptions},
};
use neuroinspect_core::{Classifier, DecisionLayer, InputSpec, ResizeRule};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    layers::{batch_norm, check_classes, conv, conv_bn},
};

/// Channels of the stem.
const STEM: usize = 64;

/// Channels inside the blocks of the four stages.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// How many layers a [`ResNet`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResNetDepth {
    /// ResNet-18: basic blocks, 512 neurons.
    ResNet18,
    /// ResNet-34: basic blocks, 512 neurons.
    ResNet34,
    /// ResNet-50: bottlenecks, 2048 neurons.
    ResNet50,
    /// ResNet-101: bottlenecks, 2048 neurons.
    ResNet101,
    /// ResNet-152: bottlenecks, 2048 neurons.
    ResNet152,
}

impl ResNetDepth {
    /// Name in timm and torchvision.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
        }
    }

    /// Number of neurons `D`: channels of `layer4`.
    pub fn neurons(self) -> usize {
        let [.., width] = WIDTHS;
        width * self.kind().expansion()
    }

    /// Blocks in each stage.
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::ResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
            Self::ResNet101 => [3, 4, 23, 3],
            Self::ResNet152 => [3, 8, 36, 3],
        }
    }

    /// Whether torchvision has second weights of it, as of all with bottlenecks.
    pub(crate) fn has_second_weights(self) -> bool {
        matches!(self.kind(), BlockKind::Bottleneck)
    }

    fn kind(self) -> BlockKind {
        match self {
            Self::ResNet18 | Self::ResNet34 => BlockKind::Basic,
            Self::ResNet50 | Self::ResNet101 | Self::ResNet152 => BlockKind::Bottleneck,
        }
    }
}

/// A ResNet for ImageNet-sized images; the channels of `layer4` are the neurons.
///
/// He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, CVPR 2016, with the
/// stride of a bottleneck in its 3 x 3 convolution, as torchvision and timm (`resnet.py`) have it
/// and name it. Always in evaluation mode.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::Classifier;
/// use neuroinspect_models::{ResNet, ResNetDepth};
///
/// # fn main() -> neuroinspect_models::Result<()> {
/// let device = Device::flex();
/// let model = ResNet::new(ResNetDepth::ResNet18, 10, &device)?;
/// let images = Tensor::zeros([1, 3, 64, 64], &device);
/// assert_eq!(model.activations(images).map.dims(), [1, 512, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    fc: Linear,
    #[module(skip)]
    depth: ResNetDepth,
    #[module(skip)]
    input: InputSpec,
}

impl ResNet {
    /// A network of random weights for `classes` classes, to be loaded into.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for no classes.
    pub fn new(depth: ResNetDepth, classes: usize, device: &Device) -> Result<Self> {
        check_classes(classes)?;
        let kind = depth.kind();
        let [n1, n2, n3, n4] = depth.blocks();
        let [w1, w2, w3, w4] = WIDTHS;
        let stage = |blocks, channels_in, width, stride| {
            stage(kind, blocks, channels_in, width, stride, device)
        };
        let out = |width| width * kind.expansion();
        Ok(Self {
            conv1: conv([3, STEM], 7, 2, 1, device),
            bn1: batch_norm(STEM, device),
            layer1: stage(n1, STEM, w1, 1),
            layer2: stage(n2, out(w1), w2, 2),
            layer3: stage(n3, out(w2), w3, 2),
            layer4: stage(n4, out(w3), w4, 2),
            fc: LinearConfig::new(out(w4), classes).init(device),
            depth,
            input: Self::torchvision_input(),
        })
    }

    /// The input that torchvision's first weights were evaluated with (`IMAGENET1K_V1`; `tv_in1k` in
    /// timm), and the default: shorter side 256, bilinear, centre crop 224, ImageNet's mean and
    /// standard deviation.
    ///
    /// These are the only weights of ResNet-18 and 34 there. What torchvision loads by default for
    /// ResNet-50, 101 and 152 are its second ones: [`torchvision_v2_input`](Self::torchvision_v2_input).
    pub fn torchvision_input() -> InputSpec {
        InputSpec::imagenet(224).with_resize(ResizeRule::ShorterSide { to: 256 })
    }

    /// The input that torchvision's second weights were evaluated with (`IMAGENET1K_V2`; `tv2_in1k`
    /// in timm): shorter side 232, otherwise as the [first](Self::torchvision_input).
    pub fn torchvision_v2_input() -> InputSpec {
        InputSpec::imagenet(224).with_resize(ResizeRule::ShorterSide { to: 232 })
    }

    /// The input of timm's weights trained by the recipes A1 and A2 (`resnet50.a1_in1k`, ...):
    /// shorter side 235 (224 / 0.95), bicubic.
    pub fn timm_a1_input() -> InputSpec {
        InputSpec::imagenet(224)
            .with_resize(ResizeRule::ShorterSide { to: 235 })
            .with_interpolation(neuroinspect_core::Interpolation::Bicubic)
    }

    /// The input of timm's weights trained by the recipe A3 (`resnet50.a3_in1k`, ...): shorter side
    /// 168 (160 / 0.95), bicubic, centre crop 160.
    pub fn timm_a3_input() -> InputSpec {
        InputSpec::imagenet(160)
            .with_resize(ResizeRule::ShorterSide { to: 168 })
            .with_interpolation(neuroinspect_core::Interpolation::Bicubic)
    }

    /// Sets which pixels the model wants to see; [`torchvision_input`](Self::torchvision_input)
    /// unless set.
    ///
    /// # Errors
    ///
    /// As [`InputSpec::validate`].
    pub fn with_input(mut self, input: InputSpec) -> Result<Self> {
        input.validate()?;
        self.input = input;
        Ok(self)
    }
}

#[derive(Clone, Copy)]
enum BlockKind {
    Basic,
    Bottleneck,
}

impl BlockKind {
    /// Channels a block puts out for each channel inside it.
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Two 3 x 3 convolutions, or a 1 x 1, a 3 x 3 and another 1 x 1, beside a shortcut.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    downsample: Option<(Conv2d, BatchNorm)>,
}

fn stage(
    kind: BlockKind,
    blocks: usize,
    channels_in: usize,
    width: usize,
    stride: usize,
    device: &Device,
) -> Vec<Block> {
    let channels_out = width * kind.expansion();
    (0..blocks)
        .map(|index| match index {
            0 => Block::new(kind, channels_in, width, stride, device),
            _ => Block::new(kind, channels_out, width, 1, device),
        })
        .collect()
}

impl Block {
    fn new(
        kind: BlockKind,
        channels_in: usize,
        width: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let channels_out = width * kind.expansion();
        let downsample = (stride != 1 || channels_in != channels_out).then(|| {
            (
                conv([channels_in, channels_out], 1, stride, 1, device),
                batch_norm(channels_out, device),
            )
        });
        let bn1 = batch_norm(width, device);
        let bn2 = batch_norm(width, device);
        match kind {
            BlockKind::Basic => Self {
                conv1: conv([channels_in, width], 3, stride, 1, device),
                bn1,
                conv2: conv([width, width], 3, 1, 1, device),
                bn2,
                conv3: None,
                bn3: None,
                downsample,
            },
            BlockKind::Bottleneck => Self {
                conv1: conv([channels_in, width], 1, 1, 1, device),
                bn1,
                conv2: conv([width, width], 3, stride, 1, device),
                bn2,
                conv3: Some(conv([width, channels_out], 1, 1, 1, device)),
                bn3: Some(batch_norm(channels_out, device)),
                downsample,
            },
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut out = relu(conv_bn(&self.conv1, &self.bn1, x.clone()));
        out = conv_bn(&self.conv2, &self.bn2, out);
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            out = conv_bn(conv3, bn3, relu(out));
        }
        let shortcut = match &self.downsample {
            Some((conv, bn)) => conv_bn(conv, bn, x),
            None => x,
        };
        relu(out + shortcut)
    }
}

impl Classifier for ResNet {
    fn name(&self) -> &str {
        self.depth.name()
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn feature_map(&self, images: Tensor<4>) -> Tensor<4> {
        let stem = relu(conv_bn(&self.conv1, &self.bn1, images));
        let pool = MaxPoolOptions::new([3, 3]).with_stride([2, 2]);
        let stem = max_pool2d(stem, pool.with_padding([1, 1]));
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .fold(stem, |x, block| block.forward(x))
    }

    fn decision_layer(&self) -> neuroinspect_core::Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.fc)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> neuroinspect_core::Result<()> {
        layer.replace(&mut self.fc)
    }

    fn device(&self) -> Device {
        self.fc.weight.val().device()
    }
}
