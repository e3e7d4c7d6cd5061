//! ImageNet ResNets, wide ones and ResNeXts among them.

use super::{IMAGES, Size, check_classes};
use crate::{
    Result,
    graph::{Conv2d, GlobalMean, Graph, GraphBuilder, MaxPool2d, Padding, ValueId},
};

/// Channels inside the blocks of the four stages, of a width per group of 64.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// A ResNet for ImageNet-sized images; the channels of `layer4` are the neurons.
///
/// He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, CVPR 2016, with the
/// stride of a bottleneck in its 3 x 3 convolution; Zagoruyko and Komodakis, *Wide residual networks*,
/// BMVC 2016; Xie et al., *Aggregated residual transformations*, CVPR 2017. As timm (`resnet.py`) and
/// torchvision have them; names are timm's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResNetConfig {
    block: BlockKind,
    /// Blocks in each stage.
    blocks: [usize; 4],
    /// Groups of a bottleneck's 3 x 3 convolution, timm's `cardinality`.
    groups: usize,
    /// Channels of each group in the first stage, timm's `base_width`.
    width: usize,
}

/// What a stage is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Two 3 x 3 convolutions.
    Basic,
    /// A 1 x 1, a 3 x 3 and another 1 x 1 convolution, the last to four times the channels.
    Bottleneck,
}

impl ResNetConfig {
    /// As many blocks in each stage.
    pub(crate) fn new(block: BlockKind, blocks: [usize; 4]) -> Self {
        Self {
            block,
            blocks,
            groups: 1,
            width: 64,
        }
    }

    /// Sets the groups of a bottleneck's 3 x 3 convolution, and the channels of each.
    pub(crate) fn with_groups(mut self, groups: usize, width: usize) -> Self {
        (self.groups, self.width) = (groups, width);
        self
    }

    /// The network as a graph.
    pub(crate) fn graph(&self, size: Size) -> Result<Graph> {
        check_classes(size.classes)?;
        let mut g = GraphBuilder::new();
        let x = g.input(IMAGES, [3, size.image, size.image]);
        let x = g.layer("conv1", Conv2d::new(64, 7).with_stride(2), [x]);
        let x = g.batch_norm("bn1", x);
        let x = g.relu("act1", x);
        let pool = MaxPool2d::new(3, 2).with_padding(Padding::both(1));
        let mut x = g.layer("maxpool", pool, [x]);
        for (stage, width) in WIDTHS.into_iter().enumerate() {
            let name = format!("layer{}", stage + 1);
            for index in 0..self.blocks[stage] {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                x = self.block(&mut g, &format!("{name}.{index}"), [width, stride], x);
            }
            x = g.module(name, x);
        }
        let x = g.layer("global_pool", GlobalMean {}, [x]);
        g.linear("fc", size.classes, x);
        g.finish()
    }

    fn block(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        [width, stride]: [usize; 2],
        x: ValueId,
    ) -> ValueId {
        let inside = width * self.width / 64 * self.groups;
        let (convolutions, channels) = match self.block {
            BlockKind::Basic => {
                let first = Conv2d::new(width, 3).with_stride(stride);
                (vec![first, Conv2d::new(width, 3)], width)
            }
            BlockKind::Bottleneck => {
                let middle = Conv2d::new(inside, 3).with_stride(stride);
                let middle = middle.with_groups(self.groups);
                let out = 4 * width;
                (
                    vec![Conv2d::new(inside, 1), middle, Conv2d::new(out, 1)],
                    out,
                )
            }
        };
        let (last, mut y) = (convolutions.len(), x);
        for (number, convolution) in (1..).zip(convolutions) {
            y = g.layer(format!("{name}.conv{number}"), convolution, [y]);
            y = g.batch_norm(format!("{name}.bn{number}"), y);
            if number < last {
                y = g.relu(format!("{name}.act{number}"), y);
            }
        }
        let shortcut = match g.shape(x).get(1) == Some(&channels) && stride == 1 {
            true => x,
            false => {
                let convolution = Conv2d::new(channels, 1).with_stride(stride);
                let x = g.layer(format!("{name}.downsample.0"), convolution, [x]);
                let x = g.batch_norm(format!("{name}.downsample.1"), x);
                g.module(format!("{name}.downsample"), x)
            }
        };
        let sum = g.add(y, shortcut);
        let out = g.relu(format!("{name}.act{last}"), sum);
        g.module(name, out)
    }
}
