//! EfficientNet-Lite0.

use burn::{
    module::Module,
    nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, conv::Conv2d},
    tensor::{Device, Tensor, activation::relu},
};
use neuroinspect_core::{Classifier, DecisionLayer, InputSpec, Interpolation, ResizeRule};

use crate::{
    Result,
    layers::{check_classes, conv, conv_bn_padded},
};

/// Channels of the stem.
const STEM: usize = 32;

/// TensorFlow's batch normalisation constant.
const EPSILON: f64 = 1e-3;

/// A stage of equal blocks; the first has the stride and changes the channels.
struct Stage {
    blocks: usize,
    kernel: usize,
    stride: usize,
    /// Channels inside a block for each channel into it.
    expansion: usize,
    channels_out: usize,
}

/// The stages of B0; Lite0 keeps their widths.
const STAGES: [Stage; 7] = [
    Stage {
        blocks: 1,
        kernel: 3,
        stride: 1,
        expansion: 1,
        channels_out: 16,
    },
    Stage {
        blocks: 2,
        kernel: 3,
        stride: 2,
        expansion: 6,
        channels_out: 24,
    },
    Stage {
        blocks: 2,
        kernel: 5,
        stride: 2,
        expansion: 6,
        channels_out: 40,
    },
    Stage {
        blocks: 3,
        kernel: 3,
        stride: 2,
        expansion: 6,
        channels_out: 80,
    },
    Stage {
        blocks: 3,
        kernel: 5,
        stride: 1,
        expansion: 6,
        channels_out: 112,
    },
    Stage {
        blocks: 4,
        kernel: 5,
        stride: 2,
        expansion: 6,
        channels_out: 192,
    },
    Stage {
        blocks: 1,
        kernel: 3,
        stride: 1,
        expansion: 6,
        channels_out: 320,
    },
];

/// EfficientNet-Lite0, timm's `tf_efficientnet_lite0`: 1280 neurons, the channels after the head's
/// convolution, normalisation and ReLU6.
///
/// Tan and Le, *EfficientNet*, ICML 2019, without squeeze-and-excitation and with ReLU6 for Swish;
/// padded as TensorFlow does (`SAME`), like timm's `tf_` models (`_efficientnet_blocks.py`,
/// `padding.py`), whose names the weights go by. Always in evaluation mode.
#[derive(Module, Debug)]
pub struct EfficientNetLite0 {
    conv_stem: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Vec<Block>>,
    conv_head: Conv2d,
    bn2: BatchNorm,
    classifier: Linear,
    #[module(skip)]
    input: InputSpec,
}

impl EfficientNetLite0 {
    /// Number of neurons `D`: channels of the head's convolution.
    pub const NEURONS: usize = 1280;

    /// A network of random weights for `classes` classes, to be loaded into.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for no classes.
    pub fn new(classes: usize, device: &Device) -> Result<Self> {
        check_classes(classes)?;
        let mut channels = STEM;
        let blocks = STAGES
            .iter()
            .map(|stage| {
                (0..stage.blocks)
                    .map(|index| {
                        let stride = if index == 0 { stage.stride } else { 1 };
                        let block = Block::new(stage, channels, stride, device);
                        channels = stage.channels_out;
                        block
                    })
                    .collect()
            })
            .collect();
        Ok(Self {
            conv_stem: conv([3, STEM], 3, 2, 1, device),
            bn1: batch_norm(STEM, device),
            blocks,
            conv_head: conv([channels, Self::NEURONS], 1, 1, 1, device),
            bn2: batch_norm(Self::NEURONS, device),
            classifier: LinearConfig::new(Self::NEURONS, classes).init(device),
            input: Self::default_input(),
        })
    }

    /// The input the weights were evaluated with: shorter side 256, bicubic, centre crop 224, mean
    /// and standard deviation 0.5.
    pub fn default_input() -> InputSpec {
        InputSpec::new(224)
            .with_normalization([0.5; 3], [0.5; 3])
            .with_resize(ResizeRule::ShorterSide { to: 256 })
            .with_interpolation(Interpolation::Bicubic)
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
}

/// A depthwise convolution between two pointwise ones, in the order `conv_pw`, `conv_dw`,
/// `conv_pwl`; in the stage that does not expand, before the only one: `conv_dw`, `conv_pw`.
#[derive(Module, Debug)]
struct Block {
    conv_dw: Conv2d,
    conv_pw: Conv2d,
    bn1: BatchNorm,
    bn2: BatchNorm,
    conv_pwl: Option<Conv2d>,
    bn3: Option<BatchNorm>,
}

impl Block {
    fn new(stage: &Stage, channels_in: usize, stride: usize, device: &Device) -> Self {
        let (kernel, channels_out) = (stage.kernel, stage.channels_out);
        let inside = channels_in * stage.expansion;
        let pointwise = |channels| conv(channels, 1, 1, 1, device);
        let expands = stage.expansion > 1;
        Self {
            conv_dw: conv([inside, inside], kernel, stride, inside, device),
            conv_pw: match expands {
                true => pointwise([channels_in, inside]),
                false => pointwise([inside, channels_out]),
            },
            bn1: batch_norm(inside, device),
            bn2: batch_norm(if expands { inside } else { channels_out }, device),
            conv_pwl: expands.then(|| pointwise([inside, channels_out])),
            bn3: expands.then(|| batch_norm(channels_out, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let out = match (&self.conv_pwl, &self.bn3) {
            (Some(conv_pwl), Some(bn3)) => {
                let out = relu6(conv_bn_same(&self.conv_pw, &self.bn1, x.clone()));
                let out = relu6(conv_bn_same(&self.conv_dw, &self.bn2, out));
                conv_bn_same(conv_pwl, bn3, out)
            }
            _ => {
                let out = relu6(conv_bn_same(&self.conv_dw, &self.bn1, x.clone()));
                conv_bn_same(&self.conv_pw, &self.bn2, out)
            }
        };
        // Only the first block of a stage changes the shape.
        if out.dims() == x.dims() { out + x } else { out }
    }
}

fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_epsilon(EPSILON)
        .init(device)
}

fn conv_bn_same(conv: &Conv2d, bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let [kernel, _] = conv.kernel_size;
    let [stride, _] = conv.stride;
    let padding = [height, width].map(|size| same_padding(size, kernel, stride));
    conv_bn_padded(conv, bn, x, padding)
}

/// TensorFlow's `SAME`: as many zeros as make `ceil(size / stride)` outputs, the odd one at the
/// end.
fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let covered = (size.div_ceil(stride) - 1) * stride + kernel;
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}

fn relu6(x: Tensor<4>) -> Tensor<4> {
    relu(x).clamp_max(6.0)
}

impl Classifier for EfficientNetLite0 {
    fn name(&self) -> &str {
        "tf_efficientnet_lite0"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn feature_map(&self, images: Tensor<4>) -> Tensor<4> {
        let stem = relu6(conv_bn_same(&self.conv_stem, &self.bn1, images));
        let blocks = self.blocks.iter().flatten();
        let x = blocks.fold(stem, |x, block| block.forward(x));
        relu6(conv_bn_same(&self.conv_head, &self.bn2, x))
    }

    fn decision_layer(&self) -> neuroinspect_core::Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.classifier)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> neuroinspect_core::Result<()> {
        layer.replace(&mut self.classifier)
    }

    fn device(&self) -> Device {
        self.classifier.weight.val().device()
    }
}

#[cfg(test)]
mod tests {
    use super::same_padding;

    #[test]
    fn same_padding_is_tensorflows() {
        // (size, kernel, stride) -> what tf.nn.conv2d(padding="SAME") pads.
        assert_eq!(same_padding(224, 3, 2), (0, 1));
        assert_eq!(same_padding(225, 3, 2), (1, 1));
        assert_eq!(same_padding(56, 5, 2), (1, 2));
        assert_eq!(same_padding(28, 5, 1), (2, 2));
        assert_eq!(same_padding(7, 1, 1), (0, 0));
    }
}
