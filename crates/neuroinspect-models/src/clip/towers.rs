//! The two towers as one graph, under open_clip's names.

use burn::nn::Initializer;

use super::{
    ClipBlocks, ClipConfig, ClipTextConfig, config::hidden_width, resnet::resnet_tower,
    siglip_tower::siglip_tower,
};
use crate::{
    Result,
    families::{
        IMAGES,
        transformer::{BlockInitial, BlockNames, TransformerBlock, tokens_of_map, with_tokens},
    },
    graph::{
        AddPositions, ArgmaxPool, Attention, Conv2d, Embedding, Graph, GraphBuilder, LayerNorm,
        MatMul, Padding, Reshape, ValueId, pytorch_uniform,
    },
};

/// What goes into the text tower: tokens `[T, L]`.
pub(super) const TOKENS: &str = "tokens";
/// Logarithm of the factor on similarities, a parameter of neither tower.
pub(super) const LOGIT_SCALE: &str = "logit_scale";
/// What is added to similarities times that factor, a SigLIP's parameter.
const LOGIT_BIAS: &str = "logit_bias";
/// What comes out of the image tower, and what the names of its layers start with.
pub(super) const VISUAL: &str = "visual";

/// A graph of both towers, and what comes out of each.
pub(super) struct Towers {
    pub(super) graph: Graph,
    /// `[N, E]`.
    pub(super) image: ValueId,
    /// `[T, E]`.
    pub(super) text: ValueId,
}

impl Towers {
    pub(super) fn new(config: &ClipConfig) -> Result<Self> {
        let mut g = GraphBuilder::new();
        let size = config.vision.image_size;
        let images = g.input(IMAGES, [3, size, size]);
        let image = match config.vision.layers {
            ClipBlocks::Transformer(blocks) if config.siglip.is_some() => {
                siglip_tower(&mut g, &config.vision, config.gelu, blocks, images)
            }
            ClipBlocks::Transformer(blocks) => image_tower(&mut g, config, blocks, images),
            ClipBlocks::ResNet(stages) => resnet_tower(&mut g, config, stages, images),
        };
        let image = g.module(VISUAL, image);
        let text = text_tower(&mut g, config);
        // As open_clip has it for CLIP, and the paper's for SigLIP.
        let (scale, bias) = match config.siglip {
            None => (1.0 / 0.07, None),
            Some(_) => (10.0, Some(-10.0)),
        };
        let value = f64::ln(scale);
        g.drawn(LOGIT_SCALE, [1], Initializer::Constant { value });
        if let Some(value) = bias {
            g.drawn(LOGIT_BIAS, [1], Initializer::Constant { value });
        }
        let graph = g.finish()?;
        Ok(Self { graph, image, text })
    }
}

/// open_clip's `VisionTransformer` with its defaults: learned positions, class-token pooling.
fn image_tower(
    g: &mut GraphBuilder,
    config: &ClipConfig,
    count: usize,
    images: ValueId,
) -> ValueId {
    let vision = &config.vision;
    let (width, patch, size) = (vision.width, vision.patch_size, vision.image_size);
    let tokens = (size / patch).pow(2) + 1;
    let scaled = normal((width as f64).powf(-0.5));

    let patches = Conv2d::new(width, patch)
        .with_stride(patch)
        .with_padding(Padding::both(0));
    let x = g.layer("visual.conv1", patches, [images]);
    g.initialize("visual.conv1.weight", pytorch_uniform());
    let x = tokens_of_map(g, x);
    let class = g.drawn("visual.class_embedding", [width], scaled.clone());
    let shape = vec![1, 1, -1];
    let class = g.step(Reshape { shape }, [class]);
    let x = with_tokens(g, class, x);
    // Images of another size than `S` have more or fewer tokens than there are positions: an error.
    let positions = g.drawn(
        "visual.positional_embedding",
        [tokens, width],
        scaled.clone(),
    );
    let x = g.add(x, positions);
    let x = g.layer("visual.ln_pre", LayerNorm::default(), [x]);
    let block = TransformerBlock {
        attention: Attention::new(width / vision.head_width),
        hidden: hidden_width(width, vision.mlp_ratio),
        function: config.gelu.into(),
        norm: LayerNorm::default(),
        scale: None,
        names: BlockNames::OPEN_CLIP,
        initial: BlockInitial {
            heads: Initializer::XavierUniform { gain: 1.0 },
            projection: pytorch_uniform(),
            hidden: pytorch_uniform(),
            output: pytorch_uniform(),
        },
    };
    let x = blocks(g, &block, "visual.transformer", count, x);
    let x = g.layer("visual.ln_post", LayerNorm::default(), [x]);
    let x = g.select(1, 0, x);
    let projection = g.drawn("visual.proj", [width, config.embed_dim], scaled);
    g.step(MatMul {}, [x, projection])
}

/// open_clip's text tower with its defaults: causal attention, read at the end of text. Or as SigLIP's is:
/// attention in both directions, read at the last token.
fn text_tower(g: &mut GraphBuilder, config: &ClipConfig) -> ValueId {
    let text = &config.text;
    let &ClipTextConfig { width, .. } = text;
    let attention = (width as f64).powf(-0.5);
    let projection = normal(attention * (2.0 * text.layers as f64).powf(-0.5));

    let siglip = config.siglip.as_ref();
    let (within, gelu, norm) = match siglip {
        None => ("", config.gelu, LayerNorm::default()),
        Some(siglip) => ("text.", siglip.text_gelu, LayerNorm::new(1e-6)),
    };
    let named = |part: &str| format!("{within}{part}");
    let tokens = g.input(TOKENS, [text.context_length]);
    let table = Embedding {
        rows: text.vocab_size,
        width,
    };
    let x = g.layer(named("token_embedding"), table, [tokens]);
    g.initialize(&named("token_embedding.weight"), normal(0.02));
    let positions = AddPositions::new(text.context_length);
    let x = g.layer(named("positional_embedding"), positions, [x]);
    g.initialize(&named("positional_embedding"), normal(0.01));
    let block = TransformerBlock {
        attention: Attention::new(text.heads).with_causal(siglip.is_none()),
        hidden: hidden_width(width, text.mlp_ratio),
        function: gelu.into(),
        norm: norm.clone(),
        scale: None,
        names: BlockNames::OPEN_CLIP,
        initial: BlockInitial {
            heads: normal(attention),
            projection: projection.clone(),
            hidden: normal((2.0 * width as f64).powf(-0.5)),
            output: projection,
        },
    };
    let x = blocks(g, &block, &named("transformer"), text.layers, x);
    let x = g.layer(named("ln_final"), norm, [x]);
    let projection = named("text_projection");
    match siglip {
        None => {
            let x = g.step(ArgmaxPool {}, [x, tokens]);
            let shape = [width, config.embed_dim];
            let projection = g.drawn(&projection, shape, normal(attention));
            g.step(MatMul {}, [x, projection])
        }
        Some(siglip) => {
            let x = g.select(1, text.context_length - 1, x);
            if !siglip.text_projection {
                return x;
            }
            let x = g.linear(projection, config.embed_dim, x);
            g.initialize(&named("text_projection.weight"), normal(attention));
            x
        }
    }
}

/// `count` blocks after each other, as open_clip's `Transformer`.
fn blocks(
    g: &mut GraphBuilder,
    block: &TransformerBlock,
    path: &str,
    count: usize,
    x: ValueId,
) -> ValueId {
    let emit = |x, index| block.emit(g, &format!("{path}.resblocks.{index}"), x);
    let x = (0..count).fold(x, emit);
    g.module(path, x)
}

/// Normal of mean 0.
pub(super) fn normal(std: f64) -> Initializer {
    Initializer::Normal { mean: 0.0, std }
}
