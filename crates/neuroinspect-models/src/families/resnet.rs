//! ImageNet ResNets, wide ones, ResNeXts and ResNet-Ds among them.

use super::{IMAGES, Size, check_classes};
use crate::{
    Result,
    graph::{AvgPool2d, Conv2d, GlobalMean, Graph, GraphBuilder, MaxPool2d, Padding, ValueId},
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
    /// Whether it has ResNet-D's stem and shortcuts.
    d: bool,
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
            d: false,
        }
    }

    /// Sets the groups of a bottleneck's 3 x 3 convolution, and the channels of each.
    pub(crate) fn with_groups(mut self, groups: usize, width: usize) -> Self {
        (self.groups, self.width) = (groups, width);
        self
    }

    /// Makes it a ResNet-D (He et al., *Bag of tricks for image classification*, CVPR 2019): three 3 x 3
    /// convolutions for the first one, and shortcuts that take means before they change the channels.
    pub(crate) fn d(mut self) -> Self {
        self.d = true;
        self
    }

    /// The network as a graph.
    pub(crate) fn graph(&self, size: Size) -> Result<Graph> {
        check_classes(size.classes)?;
        let mut g = GraphBuilder::new();
        let x = g.input(IMAGES, [3, size.image, size.image]);
        let x = match self.d {
            true => deep_stem(&mut g, x),
            false => g.layer("conv1", Conv2d::new(64, 7).with_stride(2), [x]),
        };
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
            false => self.shortcut(g, &format!("{name}.downsample"), [channels, stride], x),
        };
        let sum = g.add(y, shortcut);
        let out = g.relu(format!("{name}.act{last}"), sum);
        g.module(name, out)
    }

    /// A shortcut that changes size or channels.
    fn shortcut(
        &self,
        g: &mut GraphBuilder,
        name: &str,
        [channels, stride]: [usize; 2],
        x: ValueId,
    ) -> ValueId {
        let (mut x, mut convolution, mut index) = (x, Conv2d::new(channels, 1), 0);
        if self.d {
            if stride > 1 {
                // Windows that reach over the edge take the mean of what is there.
                let means = AvgPool2d::new(2, stride).with_padding(Padding::Same, false);
                x = g.layer(format!("{name}.0"), means, [x]);
            }
            index = 1;
        } else {
            convolution = convolution.with_stride(stride);
        }
        let x = g.layer(format!("{name}.{index}"), convolution, [x]);
        let x = g.batch_norm(format!("{name}.{}", index + 1), x);
        g.module(name, x)
    }
}

/// ResNet-D's first convolution: three, of which all but the last are normalised and rectified.
fn deep_stem(g: &mut GraphBuilder, mut x: ValueId) -> ValueId {
    for (index, stride) in [(0, 2), (3, 1)] {
        let convolution = Conv2d::new(32, 3).with_stride(stride);
        x = g.layer(format!("conv1.{index}"), convolution, [x]);
        x = g.batch_norm(format!("conv1.{}", index + 1), x);
        x = g.relu(format!("conv1.{}", index + 2), x);
    }
    let x = g.layer("conv1.6", Conv2d::new(64, 3), [x]);
    g.module("conv1", x)
}
