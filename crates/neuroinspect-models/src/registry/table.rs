//! The table of classifiers.

use crate::{
    Result,
    families::{
        BlockKind::{Basic, Bottleneck},
        ResNetConfig, Size, cifar_resnet, efficientnet_lite0,
    },
    graph::Graph,
};

/// A classifier that can be loaded by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) family: &'static Family,
    /// Emits its graph.
    pub(super) graph: fn(Size) -> Result<Graph>,
    /// The weights that the name alone stands for.
    pub(super) weights: DefaultWeights,
}

/// Which weights of a classifier are meant where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(super) enum DefaultWeights {
    /// Those of a tag of timm's, which says their input and classes.
    Tag(&'static str),
    /// Of a network that timm does not have: for images of a size, normalised as ImageNet's, and a
    /// number of classes.
    Own { size: usize, classes: usize },
}

/// What the members of a family have in common.
#[derive(Debug)]
pub(super) struct Family {
    /// The kind of network.
    pub(super) name: &'static str,
    /// Whose implementation it computes the same as, and whose checkpoints it reads.
    pub(super) source: &'static str,
}

use DefaultWeights::Tag;

const CIFAR: Family = Family {
    name: "CIFAR ResNet",
    source: "akamaster/pytorch_resnet_cifar10",
};
const RESNET: Family = Family {
    name: "ResNet",
    source: "torchvision, timm",
};
const LITE: Family = Family {
    name: "EfficientNet-Lite",
    source: "timm",
};

macro_rules! rows {
    ($($name:literal: $family:ident, $graph:expr, $weights:expr;)*) => {
        &[$(Row {
            name: $name,
            family: &$family,
            graph: $graph,
            weights: $weights,
        }),*]
    };
}

/// The weights of akamaster's networks.
const CIFAR10: DefaultWeights = DefaultWeights::Own {
    size: 32,
    classes: 10,
};

/// One row a model: name, family, the family's arguments, which weights the name alone stands for.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = rows! {
    "cifar_resnet20": CIFAR, |size| cifar_resnet(20, size), CIFAR10;
    "cifar_resnet32": CIFAR, |size| cifar_resnet(32, size), CIFAR10;
    "cifar_resnet44": CIFAR, |size| cifar_resnet(44, size), CIFAR10;
    "cifar_resnet56": CIFAR, |size| cifar_resnet(56, size), CIFAR10;
    "resnet18": RESNET, |size| ResNetConfig::new(Basic, [2, 2, 2, 2]).graph(size), Tag("tv_in1k");
    "resnet34": RESNET, |size| ResNetConfig::new(Basic, [3, 4, 6, 3]).graph(size), Tag("tv_in1k");
    "resnet50": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).graph(size), Tag("tv_in1k");
    "resnet101": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).graph(size), Tag("tv_in1k");
    "resnet152": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 8, 36, 3]).graph(size), Tag("tv_in1k");
    "resnext50_32x4d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).with_groups(32, 4).graph(size), Tag("tv_in1k");
    "wide_resnet50_2": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).with_groups(1, 128).graph(size), Tag("tv_in1k");
    "tf_efficientnet_lite0": LITE, efficientnet_lite0, Tag("in1k");
};
