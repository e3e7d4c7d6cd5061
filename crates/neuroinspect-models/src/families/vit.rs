//! Vision transformers.

use burn::nn::Initializer;

use super::{
    IMAGES, MAP, Size, check_classes,
    transformer::{
        BlockInitial, BlockNames, TransformerBlock, map_of_tokens, tokens_of_map, with_tokens,
    },
};
use crate::{
    Result,
    graph::{
        Attention, Conv2d, Function, GlobalMean, Graph, GraphBuilder, Identity, LayerNorm, Padding,
        pytorch_uniform,
    },
};

/// A vision transformer (Dosovitskiy et al., ICLR 2021). As timm (`vision_transformer.py`) has it, whose
/// names it bears: DeiT (Touvron et al., ICML 2021), DeiT III (ECCV 2022), DINO (Caron et al., ICCV 2021)
/// and DINOv2 (Oquab et al. 2024), with registers (Darcet et al., ICLR 2024) or without.
///
/// The neurons are what the head reads: the coordinates of the class token after the last normalisation,
/// or of the mean of the patches' tokens. The map of a neuron is its coordinate over the patches' tokens
/// of the last block but one, which NeuroInspect shows (arXiv 2310.07184): before the last block and the
/// last normalisation, so that its values are not on the scale of the neuron's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VitConfig {
    /// Side of a patch, in pixels.
    patch: usize,
    /// Width of a token.
    width: usize,
    /// Blocks.
    depth: usize,
    heads: usize,
    /// Width of a hidden layer over that of a token.
    ratio: f64,
    /// Whether query, key and value have a bias.
    bias: bool,
    /// First value of the layer scale, where there is one.
    scale: Option<f64>,
    registers: usize,
    pool: Pool,
    /// Whether positions are added to the patches' tokens alone.
    patches_alone: bool,
}

/// What the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// A class token, after the last normalisation.
    ClassToken,
    /// The mean of the patches' tokens, each normalised.
    MeanOfNorm,
    /// The mean of the patches' tokens, normalised: timm's `fc_norm`.
    NormOfMean,
}

impl VitConfig {
    /// Tokens so wide, so many blocks, patches of so many pixels a side; heads of 64.
    pub(crate) fn new(width: usize, depth: usize, patch: usize) -> Self {
        Self {
            patch,
            width,
            depth,
            heads: width / 64,
            ratio: 4.0,
            bias: true,
            scale: None,
            registers: 0,
            pool: Pool::ClassToken,
            patches_alone: false,
        }
    }

    /// The smallest, ViT-Ti.
    pub(crate) fn tiny(patch: usize) -> Self {
        Self::new(192, 12, patch)
    }

    /// ViT-S.
    pub(crate) fn small(patch: usize) -> Self {
        Self::new(384, 12, patch)
    }

    /// ViT-B.
    pub(crate) fn base(patch: usize) -> Self {
        Self::new(768, 12, patch)
    }

    /// ViT-L.
    pub(crate) fn large(patch: usize) -> Self {
        Self::new(1024, 24, patch)
    }

    /// ViT-H.
    pub(crate) fn huge(patch: usize) -> Self {
        Self::new(1280, 32, patch).heads(16)
    }

    /// The shape of 400 million weights (Alabdulmohsin et al., NeurIPS 2023).
    pub(crate) fn so400m(patch: usize) -> Self {
        Self::new(1152, 27, patch).heads(16).ratio(4304.0 / 1152.0)
    }

    /// Sets the number of heads.
    pub(crate) fn heads(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }

    /// Sets the width of a hidden layer over that of a token.
    pub(crate) fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = ratio;
        self
    }

    /// Gives it a layer scale, with its first value.
    pub(crate) fn scaled(mut self, scale: f64) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Leaves out the bias of query, key and value.
    pub(crate) fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Gives it register tokens.
    pub(crate) fn registers(mut self, registers: usize) -> Self {
        self.registers = registers;
        self
    }

    /// Sets what the head reads.
    pub(crate) fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Adds positions to the patches' tokens alone.
    pub(crate) fn patches_alone(mut self) -> Self {
        self.patches_alone = true;
        self
    }

    /// DeiT III: a layer scale, and positions of patches alone.
    pub(crate) fn deit3(self) -> Self {
        self.scaled(1e-6).patches_alone()
    }

    /// DINOv2: a layer scale.
    pub(crate) fn dinov2(self) -> Self {
        self.scaled(1e-5)
    }

    /// The network as a graph, for images of the size alone: its positions are so many.
    pub(crate) fn graph(&self, size: Size) -> Result<Graph> {
        check_classes(size.classes)?;
        let Self { patch, width, .. } = *self;
        let side = size.image / patch;
        let class = usize::from(self.pool == Pool::ClassToken);
        let before = class + self.registers;
        let norm = || LayerNorm::new(1e-6);
        let normal = || Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        let mut g = GraphBuilder::new();
        let images = g.input(IMAGES, [3, size.image, size.image]);
        let patches = Conv2d::new(width, patch)
            .with_stride(patch)
            .with_padding(Padding::both(0))
            .with_bias(true);
        let x = g.layer("patch_embed.proj", patches, [images]);
        let x = tokens_of_map(&mut g, x);
        let mut x = g.module("patch_embed", x);
        let count = match self.patches_alone {
            true => side * side,
            false => before + side * side,
        };
        let positions = g.drawn("pos_embed", [1, count, width], normal());
        if self.patches_alone {
            x = g.add(x, positions);
        }
        for (name, count) in [("reg_token", self.registers), ("cls_token", class)] {
            if count > 0 {
                let tokens = g.drawn(name, [1, count, width], normal());
                x = with_tokens(&mut g, tokens, x);
            }
        }
        if !self.patches_alone {
            x = g.add(x, positions);
        }
        let block = TransformerBlock {
            attention: Attention::new(self.heads).with_bias(self.bias),
            hidden: (width as f64 * self.ratio) as usize,
            function: Function::Gelu,
            norm: norm(),
            scale: self.scale,
            names: BlockNames::TIMM,
            initial: BlockInitial {
                heads: normal(),
                projection: normal(),
                hidden: pytorch_uniform(),
                output: pytorch_uniform(),
            },
        };
        for index in 0..self.depth {
            x = block.emit(&mut g, &format!("blocks.{index}"), x);
            if index + 2 == self.depth {
                let map = map_of_tokens(&mut g, before, side, x);
                g.unlisted(MAP, Identity {}, [map], None);
            }
        }
        let mut x = g.module("blocks", x);
        if self.pool != Pool::NormOfMean {
            x = g.layer("norm", norm(), [x]);
        }
        let x = match self.pool {
            Pool::ClassToken => g.select(1, 0, x),
            Pool::MeanOfNorm | Pool::NormOfMean => {
                let map = map_of_tokens(&mut g, before, side, x);
                g.step(GlobalMean {}, [map])
            }
        };
        let x = match self.pool {
            Pool::NormOfMean => g.layer("fc_norm", norm(), [x]),
            _ => g.module("fc_norm", x),
        };
        g.linear("head", size.classes, x);
        g.finish()
    }
}
