//! The table of classifiers.

use crate::{
    Result,
    families::{
        BlockKind::{Basic, Bottleneck},
        ConvNextConfig, EfficientNetConfig, Pool, ResNetConfig, Size, VitConfig, cifar_resnet,
        stl_resnet, vgg,
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
}

/// What the members of a family have in common.
#[derive(Debug)]
pub(super) struct Family {
    /// The kind of network.
    pub(super) name: &'static str,
    /// Whose implementation it computes the same as, and whose checkpoints it reads.
    pub(super) source: &'static str,
    /// For a family that timm does not have: size of its images, normalised as ImageNet's, and number of
    /// classes.
    pub(super) own: Option<(usize, usize)>,
}

const CIFAR: Family = Family {
    name: "CIFAR ResNet",
    source: "akamaster/pytorch_resnet_cifar10",
    own: Some((32, 10)),
};
const STL: Family = Family {
    name: "STL ResNet",
    source: "neuroinspect",
    own: Some((96, 10)),
};
const RESNET: Family = Family {
    name: "ResNet",
    source: "torchvision, timm",
    own: None,
};
const VGG: Family = Family {
    name: "VGG",
    ..TIMM
};
const EFFICIENTNET: Family = Family {
    name: "EfficientNet",
    ..TIMM
};
const CONVNEXT: Family = Family {
    name: "ConvNeXt",
    ..TIMM
};
const VIT: Family = Family {
    name: "ViT",
    ..TIMM
};
/// Of a family whose names are timm's alone.
const TIMM: Family = Family {
    name: "",
    source: "timm",
    own: None,
};

macro_rules! rows {
    ($($name:literal: $family:ident, $graph:expr;)*) => {
        &[$(Row {
            name: $name,
            family: &$family,
            graph: $graph,
        }),*]
    };
}

/// Other names that timm has, or had, for some of them.
pub(super) const ALIASES: [(&str, &str); 2] = [
    ("efficientnet_b2a", "efficientnet_b2"),
    ("efficientnet_b3a", "efficientnet_b3"),
];

/// One row a model: name, family, the family's arguments.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = rows! {
    "cifar_resnet20": CIFAR, |size| cifar_resnet(20, size);
    "cifar_resnet32": CIFAR, |size| cifar_resnet(32, size);
    "cifar_resnet44": CIFAR, |size| cifar_resnet(44, size);
    "cifar_resnet56": CIFAR, |size| cifar_resnet(56, size);
    "stl_resnet14": STL, |size| stl_resnet(14, size);
    "resnet18": RESNET, |size| ResNetConfig::new(Basic, [2, 2, 2, 2]).graph(size);
    "resnet18d": RESNET, |size| ResNetConfig::new(Basic, [2, 2, 2, 2]).d().graph(size);
    "resnet26": RESNET, |size| ResNetConfig::new(Bottleneck, [2, 2, 2, 2]).graph(size);
    "resnet26d": RESNET, |size| ResNetConfig::new(Bottleneck, [2, 2, 2, 2]).d().graph(size);
    "resnet34": RESNET, |size| ResNetConfig::new(Basic, [3, 4, 6, 3]).graph(size);
    "resnet34d": RESNET, |size| ResNetConfig::new(Basic, [3, 4, 6, 3]).d().graph(size);
    "resnet50": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).graph(size);
    "resnet50d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).d().graph(size);
    "resnet101": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).graph(size);
    "resnet101d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).d().graph(size);
    "resnet152": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 8, 36, 3]).graph(size);
    "resnet152d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 8, 36, 3]).d().graph(size);
    "resnet200d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 24, 36, 3]).d().graph(size);
    "resnext50_32x4d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).with_groups(32, 4).graph(size);
    "resnext50d_32x4d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).with_groups(32, 4).d().graph(size);
    "resnext101_32x4d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(32, 4).graph(size);
    "resnext101_32x8d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(32, 8).graph(size);
    "resnext101_32x16d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(32, 16).graph(size);
    "resnext101_32x32d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(32, 32).graph(size);
    "resnext101_64x4d": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(64, 4).graph(size);
    "wide_resnet50_2": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 6, 3]).with_groups(1, 128).graph(size);
    "wide_resnet101_2": RESNET, |size| ResNetConfig::new(Bottleneck, [3, 4, 23, 3]).with_groups(1, 128).graph(size);
    "vgg11": VGG, |size| vgg([1, 1, 2, 2, 2], false, size);
    "vgg11_bn": VGG, |size| vgg([1, 1, 2, 2, 2], true, size);
    "vgg13": VGG, |size| vgg([2, 2, 2, 2, 2], false, size);
    "vgg13_bn": VGG, |size| vgg([2, 2, 2, 2, 2], true, size);
    "vgg16": VGG, |size| vgg([2, 2, 3, 3, 3], false, size);
    "vgg16_bn": VGG, |size| vgg([2, 2, 3, 3, 3], true, size);
    "vgg19": VGG, |size| vgg([2, 2, 4, 4, 4], false, size);
    "vgg19_bn": VGG, |size| vgg([2, 2, 4, 4, 4], true, size);
    "efficientnet_b0": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.0).graph(size);
    "efficientnet_b1": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.1).graph(size);
    "efficientnet_b2": EFFICIENTNET, |size| EfficientNetConfig::new(1.1, 1.2).graph(size);
    "efficientnet_b3": EFFICIENTNET, |size| EfficientNetConfig::new(1.2, 1.4).graph(size);
    "efficientnet_b4": EFFICIENTNET, |size| EfficientNetConfig::new(1.4, 1.8).graph(size);
    "efficientnet_b5": EFFICIENTNET, |size| EfficientNetConfig::new(1.6, 2.2).graph(size);
    "efficientnet_b6": EFFICIENTNET, |size| EfficientNetConfig::new(1.8, 2.6).graph(size);
    "efficientnet_b7": EFFICIENTNET, |size| EfficientNetConfig::new(2.0, 3.1).graph(size);
    "efficientnet_b8": EFFICIENTNET, |size| EfficientNetConfig::new(2.2, 3.6).graph(size);
    "efficientnet_l2": EFFICIENTNET, |size| EfficientNetConfig::new(4.3, 5.3).graph(size);
    "efficientnet_lite0": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.0).lite().graph(size);
    "efficientnet_lite1": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.1).lite().graph(size);
    "efficientnet_lite2": EFFICIENTNET, |size| EfficientNetConfig::new(1.1, 1.2).lite().graph(size);
    "efficientnet_lite3": EFFICIENTNET, |size| EfficientNetConfig::new(1.2, 1.4).lite().graph(size);
    "efficientnet_lite4": EFFICIENTNET, |size| EfficientNetConfig::new(1.4, 1.8).lite().graph(size);
    "tf_efficientnet_b0": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.0).tensorflow().graph(size);
    "tf_efficientnet_b1": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.1).tensorflow().graph(size);
    "tf_efficientnet_b2": EFFICIENTNET, |size| EfficientNetConfig::new(1.1, 1.2).tensorflow().graph(size);
    "tf_efficientnet_b3": EFFICIENTNET, |size| EfficientNetConfig::new(1.2, 1.4).tensorflow().graph(size);
    "tf_efficientnet_b4": EFFICIENTNET, |size| EfficientNetConfig::new(1.4, 1.8).tensorflow().graph(size);
    "tf_efficientnet_b5": EFFICIENTNET, |size| EfficientNetConfig::new(1.6, 2.2).tensorflow().graph(size);
    "tf_efficientnet_b6": EFFICIENTNET, |size| EfficientNetConfig::new(1.8, 2.6).tensorflow().graph(size);
    "tf_efficientnet_b7": EFFICIENTNET, |size| EfficientNetConfig::new(2.0, 3.1).tensorflow().graph(size);
    "tf_efficientnet_b8": EFFICIENTNET, |size| EfficientNetConfig::new(2.2, 3.6).tensorflow().graph(size);
    "tf_efficientnet_l2": EFFICIENTNET, |size| EfficientNetConfig::new(4.3, 5.3).tensorflow().graph(size);
    "tf_efficientnet_lite0": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.0).lite().tensorflow().graph(size);
    "tf_efficientnet_lite1": EFFICIENTNET, |size| EfficientNetConfig::new(1.0, 1.1).lite().tensorflow().graph(size);
    "tf_efficientnet_lite2": EFFICIENTNET, |size| EfficientNetConfig::new(1.1, 1.2).lite().tensorflow().graph(size);
    "tf_efficientnet_lite3": EFFICIENTNET, |size| EfficientNetConfig::new(1.2, 1.4).lite().tensorflow().graph(size);
    "tf_efficientnet_lite4": EFFICIENTNET, |size| EfficientNetConfig::new(1.4, 1.8).lite().tensorflow().graph(size);
    "test_convnext": CONVNEXT, |size| ConvNextConfig::new([1, 2, 4, 2], [24, 32, 48, 64]).test().graph(size);
    "convnext_tiny": CONVNEXT, |size| ConvNextConfig::new([3, 3, 9, 3], [96, 192, 384, 768]).graph(size);
    "convnext_small": CONVNEXT, |size| ConvNextConfig::new([3, 3, 27, 3], [96, 192, 384, 768]).graph(size);
    "convnext_base": CONVNEXT, |size| ConvNextConfig::new([3, 3, 27, 3], [128, 256, 512, 1024]).graph(size);
    "convnext_large": CONVNEXT, |size| ConvNextConfig::new([3, 3, 27, 3], [192, 384, 768, 1536]).graph(size);
    "convnext_xlarge": CONVNEXT, |size| ConvNextConfig::new([3, 3, 27, 3], [256, 512, 1024, 2048]).graph(size);
    "vit_tiny_patch16_224": VIT, |size| VitConfig::tiny(16).graph(size);
    "vit_tiny_patch16_384": VIT, |size| VitConfig::tiny(16).graph(size);
    "vit_small_patch8_224": VIT, |size| VitConfig::small(8).graph(size);
    "vit_small_patch16_224": VIT, |size| VitConfig::small(16).graph(size);
    "vit_small_patch16_384": VIT, |size| VitConfig::small(16).graph(size);
    "vit_small_patch32_224": VIT, |size| VitConfig::small(32).graph(size);
    "vit_small_patch32_384": VIT, |size| VitConfig::small(32).graph(size);
    "vit_base_patch8_224": VIT, |size| VitConfig::base(8).graph(size);
    "vit_base_patch16_224": VIT, |size| VitConfig::base(16).graph(size);
    "vit_base_patch16_384": VIT, |size| VitConfig::base(16).graph(size);
    "vit_base_patch32_224": VIT, |size| VitConfig::base(32).graph(size);
    "vit_base_patch32_384": VIT, |size| VitConfig::base(32).graph(size);
    "vit_base_patch16_224_miil": VIT, |size| VitConfig::base(16).without_bias().graph(size);
    "vit_large_patch14_224": VIT, |size| VitConfig::large(14).graph(size);
    "vit_large_patch16_224": VIT, |size| VitConfig::large(16).graph(size);
    "vit_large_patch16_384": VIT, |size| VitConfig::large(16).graph(size);
    "vit_large_patch32_224": VIT, |size| VitConfig::large(32).graph(size);
    "vit_large_patch32_384": VIT, |size| VitConfig::large(32).graph(size);
    "vit_huge_patch14_224": VIT, |size| VitConfig::huge(14).graph(size);
    "vit_huge_patch14_gap_224": VIT, |size| VitConfig::huge(14).pool(Pool::MeanOfNorm).graph(size);
    "vit_huge_patch16_gap_448": VIT, |size| VitConfig::huge(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_giant_patch16_gap_224": VIT, |size| VitConfig::new(1408, 40, 16).heads(16).ratio(48.0 / 11.0).pool(Pool::MeanOfNorm).graph(size);
    "vit_medium_patch16_gap_240": VIT, |size| VitConfig::new(512, 12, 16).scaled(1e-6).without_bias().pool(Pool::MeanOfNorm).graph(size);
    "vit_medium_patch16_gap_256": VIT, |size| VitConfig::new(512, 12, 16).scaled(1e-6).without_bias().pool(Pool::MeanOfNorm).graph(size);
    "vit_wee_patch16_reg1_gap_256": VIT, |size| VitConfig::new(256, 14, 16).ratio(5.0).scaled(1e-5).registers(1).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_little_patch16_reg1_gap_256": VIT, |size| VitConfig::new(320, 14, 16).ratio(5.6).scaled(1e-5).registers(1).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_little_patch16_reg4_gap_256": VIT, |size| VitConfig::new(320, 14, 16).ratio(5.6).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_medium_patch16_reg1_gap_256": VIT, |size| VitConfig::new(512, 12, 16).scaled(1e-5).registers(1).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_medium_patch16_reg4_gap_256": VIT, |size| VitConfig::new(512, 12, 16).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_mediumd_patch16_reg4_gap_256": VIT, |size| VitConfig::new(512, 20, 16).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_mediumd_patch16_reg4_gap_384": VIT, |size| VitConfig::new(512, 20, 16).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_betwixt_patch16_reg1_gap_256": VIT, |size| VitConfig::new(640, 12, 16).scaled(1e-5).registers(1).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_betwixt_patch16_reg4_gap_256": VIT, |size| VitConfig::new(640, 12, 16).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_betwixt_patch16_reg4_gap_384": VIT, |size| VitConfig::new(640, 12, 16).scaled(1e-5).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_base_patch16_reg4_gap_256": VIT, |size| VitConfig::base(16).registers(4).patches_alone().pool(Pool::NormOfMean).graph(size);
    "vit_base_patch16_siglip_gap_224": VIT, |size| VitConfig::base(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_base_patch16_siglip_gap_256": VIT, |size| VitConfig::base(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_base_patch16_siglip_gap_384": VIT, |size| VitConfig::base(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_base_patch16_siglip_gap_512": VIT, |size| VitConfig::base(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_large_patch16_siglip_gap_256": VIT, |size| VitConfig::large(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_large_patch16_siglip_gap_384": VIT, |size| VitConfig::large(16).pool(Pool::MeanOfNorm).graph(size);
    "vit_so400m_patch14_siglip_gap_224": VIT, |size| VitConfig::so400m(14).pool(Pool::MeanOfNorm).graph(size);
    "vit_so400m_patch14_siglip_gap_378": VIT, |size| VitConfig::so400m(14).pool(Pool::MeanOfNorm).graph(size);
    "vit_so400m_patch14_siglip_gap_384": VIT, |size| VitConfig::so400m(14).pool(Pool::MeanOfNorm).graph(size);
    "vit_so400m_patch14_siglip_gap_448": VIT, |size| VitConfig::so400m(14).pool(Pool::MeanOfNorm).graph(size);
    "vit_so400m_patch14_siglip_gap_896": VIT, |size| VitConfig::so400m(14).pool(Pool::MeanOfNorm).graph(size);
    "flexivit_small": VIT, |size| VitConfig::small(16).patches_alone().graph(size);
    "flexivit_base": VIT, |size| VitConfig::base(16).patches_alone().graph(size);
    "flexivit_large": VIT, |size| VitConfig::large(16).patches_alone().graph(size);
    "vit_small_patch14_dinov2": VIT, |size| VitConfig::small(14).dinov2().graph(size);
    "vit_base_patch14_dinov2": VIT, |size| VitConfig::base(14).dinov2().graph(size);
    "vit_large_patch14_dinov2": VIT, |size| VitConfig::large(14).dinov2().graph(size);
    "vit_small_patch14_reg4_dinov2": VIT, |size| VitConfig::small(14).dinov2().registers(4).patches_alone().graph(size);
    "vit_base_patch14_reg4_dinov2": VIT, |size| VitConfig::base(14).dinov2().registers(4).patches_alone().graph(size);
    "vit_large_patch14_reg4_dinov2": VIT, |size| VitConfig::large(14).dinov2().registers(4).patches_alone().graph(size);
    "deit_tiny_patch16_224": VIT, |size| VitConfig::tiny(16).graph(size);
    "deit_small_patch16_224": VIT, |size| VitConfig::small(16).graph(size);
    "deit_base_patch16_224": VIT, |size| VitConfig::base(16).graph(size);
    "deit_base_patch16_384": VIT, |size| VitConfig::base(16).graph(size);
    "deit3_small_patch16_224": VIT, |size| VitConfig::small(16).deit3().graph(size);
    "deit3_small_patch16_384": VIT, |size| VitConfig::small(16).deit3().graph(size);
    "deit3_medium_patch16_224": VIT, |size| VitConfig::new(512, 12, 16).deit3().graph(size);
    "deit3_base_patch16_224": VIT, |size| VitConfig::base(16).deit3().graph(size);
    "deit3_base_patch16_384": VIT, |size| VitConfig::base(16).deit3().graph(size);
    "deit3_large_patch16_224": VIT, |size| VitConfig::large(16).deit3().graph(size);
    "deit3_large_patch16_384": VIT, |size| VitConfig::large(16).deit3().graph(size);
    "deit3_huge_patch14_224": VIT, |size| VitConfig::huge(14).deit3().graph(size);
};
