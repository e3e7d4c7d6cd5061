//! EfficientNets, and their Lite versions.

use super::{IMAGES, Size, check_classes};
use crate::{
    Result,
    graph::{
        BatchNorm, Conv2d, Function, GlobalMean, Graph, GraphBuilder, Padding, Reshape, ValueId,
    },
};

/// Channels of the stem of B0.
const STEM: usize = 32;

/// Channels of the head's convolution in B0: the neurons.
const NEURONS: usize = 1280;

/// The stages of B0: `[blocks, kernel, stride, expansion, channels]`. Expansion is the number of
/// channels inside a block for each channel into it; the first block of a stage has the stride, and
/// changes the channels.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];

/// An EfficientNet (Tan and Le, ICML 2019), B0 made wider and deeper; the channels after the head's
/// convolution, normalisation and activation are the neurons. As timm has it (`efficientnet.py`,
/// `_efficientnet_blocks.py`), whose names it bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EfficientNetConfig {
    /// Multiples of B0's channels and blocks.
    width: f64,
    depth: f64,
    lite: bool,
    /// Whether it pads as TensorFlow, and normalises with its constant.
    tensorflow: bool,
}

impl EfficientNetConfig {
    /// B0, with so many times the channels and the blocks, padded as in PyTorch.
    pub(crate) fn new(width: f64, depth: f64) -> Self {
        Self {
            width,
            depth,
            lite: false,
            tensorflow: false,
        }
    }

    /// Makes it a Lite version: without squeeze-and-excitation, with ReLU6 for SiLU, and stem, head,
    /// first and last stage as those of B0.
    pub(crate) fn lite(mut self) -> Self {
        self.lite = true;
        self
    }

    /// Makes it as TensorFlow has it, timm's `tf_`: padded so that a map of an odd size has its last
    /// pixel seen (`SAME`), and normalised with 1e-3.
    pub(crate) fn tensorflow(mut self) -> Self {
        self.tensorflow = true;
        self
    }

    /// The network as a graph.
    pub(crate) fn graph(&self, size: Size) -> Result<Graph> {
        check_classes(size.classes)?;
        let fixed = |channels| match self.lite {
            true => channels,
            false => self.scaled(channels),
        };
        let mut g = GraphBuilder::new();
        let x = g.input(IMAGES, [3, size.image, size.image]);
        let stem = self.conv(fixed(STEM), 3).with_stride(2);
        let x = g.layer("conv_stem", stem, [x]);
        let mut x = self.norm_act(&mut g, "bn1", x);
        for (index, [blocks, kernel, stride, expansion, channels]) in STAGES.into_iter().enumerate()
        {
            let end = index == 0 || index == STAGES.len() - 1;
            let blocks = match self.lite && end {
                true => blocks,
                false => (blocks as f64 * self.depth).ceil() as usize,
            };
            let stage = format!("blocks.{index}");
            for index in 0..blocks {
                let block = Block {
                    net: *self,
                    kernel,
                    stride: if index == 0 { stride } else { 1 },
                    expansion,
                    channels: self.scaled(channels),
                };
                x = block.emit(&mut g, &format!("{stage}.{index}"), x);
            }
            x = g.module(stage, x);
        }
        let x = g.module("blocks", x);
        let x = g.layer("conv_head", self.conv(fixed(NEURONS), 1), [x]);
        let x = self.norm_act(&mut g, "bn2", x);
        let x = g.layer("global_pool", GlobalMean {}, [x]);
        g.linear("classifier", size.classes, x);
        g.finish()
    }

    /// So many channels of B0 times the width, to a multiple of 8, and not to less than nine tenths.
    fn scaled(&self, channels: usize) -> usize {
        let exact = channels as f64 * self.width;
        let nearest = ((exact + 4.0) as usize / 8 * 8).max(8);
        match (nearest as f64) < 0.9 * exact {
            true => nearest + 8,
            false => nearest,
        }
    }

    fn conv(&self, channels: usize, kernel: usize) -> Conv2d {
        let conv = Conv2d::new(channels, kernel);
        match self.tensorflow {
            true => conv.with_padding(Padding::Same),
            false => conv,
        }
    }

    fn function(&self) -> Function {
        match self.lite {
            true => Function::Relu6,
            false => Function::Silu,
        }
    }

    fn norm(&self) -> BatchNorm {
        match self.tensorflow {
            true => BatchNorm::default().with_epsilon(1e-3),
            false => BatchNorm::default(),
        }
    }

    fn norm_act(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
        g.batch_norm_act(name, self.norm(), self.function(), x)
    }
}

/// A depthwise convolution between two pointwise ones, in the order `conv_pw`, `conv_dw`, `conv_pwl`; in
/// a stage that does not expand, before the only one: `conv_dw`, `conv_pw`.
struct Block {
    net: EfficientNetConfig,
    kernel: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
}

impl Block {
    fn emit(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
        let Self { net, .. } = self;
        let channels = g.shape(x).get(1).copied().unwrap_or_default();
        let inside = channels * self.expansion;
        let depthwise = net.conv(inside, self.kernel).with_stride(self.stride);
        let depthwise = depthwise.with_groups(inside);
        let path = |part: &str| format!("{name}.{part}");
        let (mut y, mut norms) = (x, ["bn1", "bn2", "bn3"].into_iter().map(path));
        let mut norm = || norms.next().unwrap_or_default();
        if self.expansion > 1 {
            y = g.layer(path("conv_pw"), net.conv(inside, 1), [y]);
            y = net.norm_act(g, &norm(), y);
        }
        y = g.layer(path("conv_dw"), depthwise, [y]);
        y = net.norm_act(g, &norm(), y);
        if !net.lite {
            y = squeeze_excite(g, &path("se"), channels / 4, y);
        }
        let last = match self.expansion {
            1 => "conv_pw",
            _ => "conv_pwl",
        };
        y = g.layer(path(last), net.conv(self.channels, 1), [y]);
        y = g.layer(norm(), net.norm(), [y]);
        // Only the first block of a stage changes the shape.
        if g.shape(x) == g.shape(y) {
            y = g.add(y, x);
        }
        g.module(name, y)
    }
}

/// Channels weighted by what a small network makes of their means (Hu et al., CVPR 2018).
fn squeeze_excite(g: &mut GraphBuilder, name: &str, reduced: usize, x: ValueId) -> ValueId {
    let channels = g.shape(x).get(1).copied().unwrap_or_default();
    let path = |part: &str| format!("{name}.{part}");
    let conv = |channels| Conv2d::new(channels, 1).with_bias(true);
    let means = g.step(GlobalMean {}, [x]);
    let shape = vec![0, -1, 1, 1];
    let y = g.step(Reshape { shape }, [means]);
    let y = g.layer(path("conv_reduce"), conv(reduced), [y]);
    let y = g.activation(path("act1"), Function::Silu, y);
    let y = g.layer(path("conv_expand"), conv(channels), [y]);
    let y = g.activation(path("gate"), Function::Sigmoid, y);
    g.multiply(name, x, y)
}
