//! EfficientNet-Lite0.

use super::{IMAGES, Size, check_classes};
use crate::{
    Result,
    graph::{BatchNorm, Conv2d, Function, GlobalMean, Graph, GraphBuilder, Padding, ValueId},
};

/// Channels of the stem.
const STEM: usize = 32;

/// Channels of the head's convolution: the neurons.
const NEURONS: usize = 1280;

/// A stage of equal blocks; the first has the stride and changes the channels.
struct Stage {
    blocks: usize,
    kernel: usize,
    stride: usize,
    /// Channels inside a block for each channel into it.
    expansion: usize,
    channels: usize,
}

/// The stages of B0; Lite0 keeps their widths. `[blocks, kernel, stride, expansion, channels]`.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];

/// EfficientNet-Lite0, timm's `tf_efficientnet_lite0`: 1280 neurons, the channels after the head's
/// convolution, normalisation and ReLU6.
///
/// Tan and Le, *EfficientNet*, ICML 2019, without squeeze-and-excitation and with ReLU6 for Swish;
/// padded as TensorFlow does (`SAME`), like timm's `tf_` models (`_efficientnet_blocks.py`,
/// `padding.py`), whose names it has.
pub(crate) fn efficientnet_lite0(size: Size) -> Result<Graph> {
    check_classes(size.classes)?;
    let mut g = GraphBuilder::new();
    let x = g.input(IMAGES, [3, size.image, size.image]);
    let x = g.layer("conv_stem", conv(STEM, 3).with_stride(2), [x]);
    let mut x = norm_act(&mut g, "bn1", x);
    for (index, [blocks, kernel, stride, expansion, channels]) in STAGES.into_iter().enumerate() {
        let stage = Stage {
            blocks,
            kernel,
            stride,
            expansion,
            channels,
        };
        x = stage.emit(&mut g, &format!("blocks.{index}"), x);
    }
    let x = g.module("blocks", x);
    let x = g.layer("conv_head", conv(NEURONS, 1), [x]);
    let x = norm_act(&mut g, "bn2", x);
    let x = g.layer("global_pool", GlobalMean {}, [x]);
    g.linear("classifier", size.classes, x);
    g.finish()
}

impl Stage {
    fn emit(&self, g: &mut GraphBuilder, name: &str, mut x: ValueId) -> ValueId {
        for index in 0..self.blocks {
            let stride = if index == 0 { self.stride } else { 1 };
            x = self.block(g, &format!("{name}.{index}"), stride, x);
        }
        g.module(name, x)
    }

    /// A depthwise convolution between two pointwise ones, in the order `conv_pw`, `conv_dw`,
    /// `conv_pwl`; in the stage that does not expand, before the only one: `conv_dw`, `conv_pw`.
    fn block(&self, g: &mut GraphBuilder, name: &str, stride: usize, x: ValueId) -> ValueId {
        let channels = g.shape(x).get(1).copied().unwrap_or_default();
        let inside = channels * self.expansion;
        let depthwise = conv(inside, self.kernel).with_stride(stride);
        let depthwise = depthwise.with_groups(inside);
        let path = |part: &str| format!("{name}.{part}");
        let y = match self.expansion {
            1 => {
                let y = g.layer(path("conv_dw"), depthwise, [x]);
                let y = norm_act(g, &path("bn1"), y);
                let y = g.layer(path("conv_pw"), conv(self.channels, 1), [y]);
                g.layer(path("bn2"), norm(), [y])
            }
            _ => {
                let y = g.layer(path("conv_pw"), conv(inside, 1), [x]);
                let y = norm_act(g, &path("bn1"), y);
                let y = g.layer(path("conv_dw"), depthwise, [y]);
                let y = norm_act(g, &path("bn2"), y);
                let y = g.layer(path("conv_pwl"), conv(self.channels, 1), [y]);
                g.layer(path("bn3"), norm(), [y])
            }
        };
        // Only the first block of a stage changes the shape.
        let out = match g.shape(x) == g.shape(y) {
            true => g.add(y, x),
            false => y,
        };
        g.module(name, out)
    }
}

fn conv(channels: usize, kernel: usize) -> Conv2d {
    Conv2d::new(channels, kernel).with_padding(Padding::Same)
}

/// Batch normalisation with TensorFlow's constant.
fn norm() -> BatchNorm {
    BatchNorm::default().with_epsilon(1e-3)
}

fn norm_act(g: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    g.batch_norm_act(name, norm(), Function::Relu6, x)
}
