//! ConvNeXts.

use burn::nn::Initializer;

use super::{IMAGES, MAP, Size, check_classes};
use crate::{
    Result,
    graph::{
        Activation, Arithmetic, Binary, Conv2d, Function, GlobalMean, Graph, GraphBuilder,
        LayerNorm, Linear, Padding, Permute, ValueId,
    },
};

/// A ConvNeXt (Liu et al., *A ConvNet for the 2020s*, CVPR 2022). As timm (`convnext.py`) has it, whose names it
/// bears.
///
/// The neurons are the means of the last stage's channels, normalised over the channels; their map is the
/// last stage's, each of its pixels normalised likewise, so that its mean is not the neuron. Layers within a block's hidden layer have their
/// channels last, and are not listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvNextConfig {
    /// Blocks of the four stages.
    blocks: [usize; 4],
    /// Channels of the four stages.
    widths: [usize; 4],
    /// Epsilon of the normalisations.
    epsilon: f64,
    /// What follows a block's hidden layer.
    function: Function,
}

impl ConvNextConfig {
    /// So many blocks and channels in the four stages.
    pub(crate) fn new(blocks: [usize; 4], widths: [usize; 4]) -> Self {
        Self {
            blocks,
            widths,
            epsilon: 1e-6,
            function: Function::Gelu,
        }
    }

    /// As timm's small ones for tests have it: an epsilon of 1e-5, and GELU by its approximation with tanh.
    pub(crate) fn test(mut self) -> Self {
        (self.epsilon, self.function) = (1e-5, Function::GeluTanh);
        self
    }

    /// The network as a graph.
    pub(crate) fn graph(&self, size: Size) -> Result<Graph> {
        check_classes(size.classes)?;
        let Self { blocks, widths, .. } = *self;
        let norm = || LayerNorm::new(self.epsilon);
        let mut g = GraphBuilder::new();
        let images = g.input(IMAGES, [3, size.image, size.image]);
        let x = g.layer("stem.0", patches(widths[0], 4), [images]);
        let x = g.layer("stem.1", norm().with_axis(1), [x]);
        let mut x = g.module("stem", x);
        for (index, (count, width)) in blocks.into_iter().zip(widths).enumerate() {
            let stage = format!("stages.{index}");
            if index > 0 {
                x = g.layer(format!("{stage}.downsample.0"), norm().with_axis(1), [x]);
                x = g.layer(format!("{stage}.downsample.1"), patches(width, 2), [x]);
                x = g.module(format!("{stage}.downsample"), x);
            }
            for index in 0..count {
                x = self.block(&mut g, &format!("{stage}.blocks.{index}"), width, x);
            }
            x = g.module(format!("{stage}.blocks"), x);
            x = g.module(stage, x);
        }
        let last = g.module("stages", x);
        let x = g.layer("head.global_pool", GlobalMean {}, [last]);
        let x = g.layer("head.norm", norm(), [x]);
        let names = ["head.norm.weight", "head.norm.bias"].map(str::to_owned);
        g.unlisted(MAP, norm().with_axis(1), [last], Some(names.to_vec()));
        g.linear("head.fc", size.classes, x);
        g.finish()
    }

    fn block(&self, g: &mut GraphBuilder, name: &str, width: usize, x: ValueId) -> ValueId {
        let path = |part: &str| format!("{name}.{part}");
        let depthwise = Conv2d::new(width, 7).with_groups(width).with_bias(true);
        let y = g.layer(path("conv_dw"), depthwise, [x]);
        let axes = vec![0, 2, 3, 1];
        let y = g.step(Permute { axes }, [y]);
        let y = g.unlisted(path("norm"), LayerNorm::new(self.epsilon), [y], None);
        let y = g.unlisted(path("mlp.fc1"), Linear::new(4 * width), [y], None);
        let function = self.function;
        let y = g.unlisted(path("mlp.act"), Activation { function }, [y], None);
        let y = g.unlisted(path("mlp.fc2"), Linear::new(width), [y], None);
        let start = Initializer::Constant { value: 1e-6 };
        let gamma = g.drawn(&path("gamma"), [width], start);
        let arithmetic = Arithmetic::Multiply;
        let y = g.step(Binary { arithmetic }, [y, gamma]);
        let axes = vec![0, 3, 1, 2];
        let y = g.step(Permute { axes }, [y]);
        let y = g.add(y, x);
        g.module(name, y)
    }
}

/// Patches of a side, one beside the other.
fn patches(channels: usize, side: usize) -> Conv2d {
    let conv = Conv2d::new(channels, side)
        .with_stride(side)
        .with_bias(true);
    conv.with_padding(Padding::both(0))
}
