//! VGG networks.

use super::{IMAGES, Size, check_classes};
use crate::{
    Result,
    graph::{Conv2d, GlobalMean, Graph, GraphBuilder, MaxPool2d, Padding},
};

/// Channels of the convolutions in the five stages.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// Numbers that the two layers before the decision layer give, convolutions of the last map: the
/// neurons.
const HIDDEN: usize = 4096;

/// A VGG network (Simonyan and Zisserman, ICLR 2015), with a number of convolutions in each of its
/// stages, and batch normalisation after them or not. As timm (`vgg.py`) has it, whose names it bears:
/// what were linear layers are convolutions, of 7 x 7 pixels and of one, so that images may be larger
/// than 224 pixels. At 224 there is one pixel of a neuron, and so no map of where it is active.
pub(crate) fn vgg(convolutions: [usize; 5], normalised: bool, size: Size) -> Result<Graph> {
    check_classes(size.classes)?;
    let mut g = GraphBuilder::new();
    let mut x = g.input(IMAGES, [3, size.image, size.image]);
    let mut names = (0..).map(|index| format!("features.{index}"));
    let mut name = || names.next().unwrap_or_default();
    for (count, width) in convolutions.into_iter().zip(WIDTHS) {
        for _ in 0..count {
            x = g.layer(name(), Conv2d::new(width, 3).with_bias(true), [x]);
            if normalised {
                x = g.batch_norm(name(), x);
            }
            x = g.relu(name(), x);
        }
        x = g.layer(name(), MaxPool2d::new(2, 2), [x]);
    }
    let mut x = g.module("features", x);
    for (number, kernel) in [(1, 7), (2, 1)] {
        let layer = Conv2d::new(HIDDEN, kernel).with_bias(true);
        let layer = layer.with_padding(Padding::both(0));
        x = g.layer(format!("pre_logits.fc{number}"), layer, [x]);
        x = g.relu(format!("pre_logits.act{number}"), x);
    }
    let x = g.module("pre_logits", x);
    let x = g.layer("head.global_pool", GlobalMean {}, [x]);
    g.linear("head.fc", size.classes, x);
    g.finish()
}
