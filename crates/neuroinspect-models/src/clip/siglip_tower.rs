//! SigLIP's image tower, under open_clip's and timm's names.

use burn::nn::Initializer;

use super::{ClipVisionConfig, Gelu, config::hidden_width, towers::normal};
use crate::{
    families::transformer::{BlockInitial, BlockNames, TransformerBlock, tokens_of_map},
    graph::{
        Attention, Conv2d, Expand, GraphBuilder, LayerNorm, MatMul, Padding, Permute, Reshape,
        Scale, Slice, Softmax, ValueId, pytorch_uniform,
    },
};

/// What timm's names are behind in open_clip's.
const TRUNK: &str = "visual.trunk";

/// timm's `VisionTransformer` without a class token, with `global_pool='map'`: images `[N, 3, S, S]` to
/// `[N, W]`.
pub(super) fn siglip_tower(
    g: &mut GraphBuilder,
    vision: &ClipVisionConfig,
    gelu: Gelu,
    blocks: usize,
    images: ValueId,
) -> ValueId {
    let named = |part: &str| format!("{TRUNK}.{part}");
    let &ClipVisionConfig {
        width, patch_size, ..
    } = vision;
    let patches = Conv2d::new(width, patch_size)
        .with_stride(patch_size)
        .with_padding(Padding::both(0))
        .with_bias(true);
    let x = g.layer(named("patch_embed.proj"), patches, [images]);
    let x = tokens_of_map(g, x);
    let x = g.module(named("patch_embed"), x);
    let shape = [1, (vision.image_size / patch_size).pow(2), width];
    let positions = g.drawn(&named("pos_embed"), shape, normal(0.02));
    let mut x = g.add(x, positions);
    let heads = width / vision.head_width;
    let block = TransformerBlock {
        attention: Attention::new(heads),
        hidden: hidden_width(width, vision.mlp_ratio),
        function: gelu.into(),
        norm: LayerNorm::new(1e-6),
        scale: None,
        names: BlockNames::TIMM,
        initial: BlockInitial {
            heads: Initializer::XavierUniform { gain: 1.0 },
            projection: Initializer::XavierUniform { gain: 1.0 },
            hidden: pytorch_uniform(),
            output: pytorch_uniform(),
        },
    };
    for index in 0..blocks {
        x = block.emit(g, &named(&format!("blocks.{index}")), x);
    }
    let x = g.module(named("blocks"), x);
    let x = g.layer(named("norm"), LayerNorm::new(1e-6), [x]);
    let x = attention_pool(g, &block, heads, x);
    g.module(TRUNK, x)
}

/// timm's `AttentionPoolLatent`: a learned token attends to those of the patches, `[N, T, W]` to `[N, W]`.
fn attention_pool(
    g: &mut GraphBuilder,
    block: &TransformerBlock,
    heads: usize,
    tokens: ValueId,
) -> ValueId {
    let width = g.shape(tokens).last().copied().unwrap_or_default();
    let named = |part: &str| format!("{TRUNK}.attn_pool.{part}");
    let start = normal((width as f64).powf(-0.5));
    let latent = g.drawn(&named("latent"), [1, 1, width], start);
    let latent = g.step(Expand {}, [latent, tokens]);
    let query = g.linear(named("q"), width, latent);
    let both = g.linear(named("kv"), 2 * width, tokens);
    // [N, T, W] of some of the channels to [N, heads, T, W / heads], or its last two axes exchanged.
    let mut of_heads = |x, start, axes: [usize; 4]| {
        let part = Slice {
            axis: 2,
            start,
            length: width,
        };
        let x = g.step(part, [x]);
        let shape = vec![0, 0, heads as i64, -1];
        let x = g.step(Reshape { shape }, [x]);
        let axes = axes.to_vec();
        g.step(Permute { axes }, [x])
    };
    let query = of_heads(query, 0, [0, 2, 1, 3]);
    let key = of_heads(both, 0, [0, 2, 3, 1]);
    let value = of_heads(both, width, [0, 2, 1, 3]);
    let factor = ((width / heads.max(1)) as f64).powf(-0.5);
    let query = g.step(Scale { factor }, [query]);
    let weights = g.step(MatMul {}, [query, key]);
    let weights = g.step(Softmax { axis: 3 }, [weights]);
    // [N, heads, 1, W / heads], of one token.
    let x = g.step(MatMul {}, [weights, value]);
    let shape = vec![0, 1, width as i64];
    let x = g.step(Reshape { shape }, [x]);
    let x = g.linear(named("proj"), width, x);
    let y = g.layer(named("norm"), block.norm.clone(), [x]);
    let y = g.linear(named("mlp.fc1"), block.hidden, y);
    let y = g.activation(named("mlp.act"), block.function, y);
    let y = g.linear(named("mlp.fc2"), width, y);
    let y = g.module(named("mlp"), y);
    let x = g.add(x, y);
    let x = g.select(1, 0, x);
    g.module(format!("{TRUNK}.attn_pool"), x)
}
