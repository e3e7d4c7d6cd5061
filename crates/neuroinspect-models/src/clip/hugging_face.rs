//! Weights of transformers' `CLIPModel` and `SiglipModel` under open_clip's names.

use std::collections::BTreeMap;

use burn_store::burn_pack::Tensor;

use crate::{
    Checkpoint,
    checkpoint::arrange::{rows, stacked, transposed},
};

/// The names of one of transformers' models, and open_clip's.
struct Layout {
    /// A tensor that these models have and no other.
    mark: &'static str,
    /// Tensors that are the same in both; those without a name in open_clip are left out.
    same: &'static [(&'static str, &'static str)],
    /// Matrices that are turned.
    turned: &'static [(&'static str, &'static str)],
    /// The towers' blocks.
    blocks: [Blocks; 2],
}

/// The blocks of a tower.
struct Blocks {
    /// What is before their numbers.
    from: &'static str,
    to: &'static str,
    /// Query, key and value as one, before what of them it is.
    stacked: &'static str,
    layers: [(&'static str, &'static str); 5],
}

/// open_clip's names of a block's layers.
const OF_OPEN_CLIP: [(&str, &str); 5] = [
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("self_attn.out_proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
];

/// timm's.
const OF_TIMM: [(&str, &str); 5] = [
    ("layer_norm1", "norm1"),
    ("layer_norm2", "norm2"),
    ("self_attn.out_proj", "attn.proj"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
];

/// `modeling_clip.py`.
const CLIP: Layout = Layout {
    mark: "vision_model.embeddings.class_embedding",
    same: &[
        ("logit_scale", "logit_scale"),
        (
            "text_model.embeddings.token_embedding.weight",
            "token_embedding.weight",
        ),
        (
            "text_model.embeddings.position_embedding.weight",
            "positional_embedding",
        ),
        ("text_model.final_layer_norm.weight", "ln_final.weight"),
        ("text_model.final_layer_norm.bias", "ln_final.bias"),
        (
            "vision_model.embeddings.class_embedding",
            "visual.class_embedding",
        ),
        (
            "vision_model.embeddings.patch_embedding.weight",
            "visual.conv1.weight",
        ),
        (
            "vision_model.embeddings.position_embedding.weight",
            "visual.positional_embedding",
        ),
        // Spelt so.
        ("vision_model.pre_layrnorm.weight", "visual.ln_pre.weight"),
        ("vision_model.pre_layrnorm.bias", "visual.ln_pre.bias"),
        (
            "vision_model.post_layernorm.weight",
            "visual.ln_post.weight",
        ),
        ("vision_model.post_layernorm.bias", "visual.ln_post.bias"),
        // Numbers of the positions, which newer files leave out.
        ("text_model.embeddings.position_ids", ""),
        ("vision_model.embeddings.position_ids", ""),
    ],
    turned: &[
        ("text_projection.weight", "text_projection"),
        ("visual_projection.weight", "visual.proj"),
    ],
    blocks: [
        Blocks {
            from: "text_model.encoder.layers.",
            to: "transformer.resblocks.",
            stacked: "attn.in_proj_",
            layers: OF_OPEN_CLIP,
        },
        Blocks {
            from: "vision_model.encoder.layers.",
            to: "visual.transformer.resblocks.",
            stacked: "attn.in_proj_",
            layers: OF_OPEN_CLIP,
        },
    ],
};

/// `modeling_siglip.py`.
const SIGLIP: Layout = Layout {
    mark: "vision_model.head.probe",
    same: &[
        ("logit_scale", "logit_scale"),
        ("logit_bias", "logit_bias"),
        (
            "text_model.embeddings.token_embedding.weight",
            "text.token_embedding.weight",
        ),
        (
            "text_model.embeddings.position_embedding.weight",
            "text.positional_embedding",
        ),
        ("text_model.final_layer_norm.weight", "text.ln_final.weight"),
        ("text_model.final_layer_norm.bias", "text.ln_final.bias"),
        ("text_model.head.weight", "text.text_projection.weight"),
        ("text_model.head.bias", "text.text_projection.bias"),
        (
            "vision_model.embeddings.patch_embedding.weight",
            "visual.trunk.patch_embed.proj.weight",
        ),
        (
            "vision_model.embeddings.patch_embedding.bias",
            "visual.trunk.patch_embed.proj.bias",
        ),
        (
            "vision_model.post_layernorm.weight",
            "visual.trunk.norm.weight",
        ),
        ("vision_model.post_layernorm.bias", "visual.trunk.norm.bias"),
        ("vision_model.head.probe", "visual.trunk.attn_pool.latent"),
        (
            "vision_model.head.attention.out_proj.weight",
            "visual.trunk.attn_pool.proj.weight",
        ),
        (
            "vision_model.head.attention.out_proj.bias",
            "visual.trunk.attn_pool.proj.bias",
        ),
        (
            "vision_model.head.layernorm.weight",
            "visual.trunk.attn_pool.norm.weight",
        ),
        (
            "vision_model.head.layernorm.bias",
            "visual.trunk.attn_pool.norm.bias",
        ),
        (
            "vision_model.head.mlp.fc1.weight",
            "visual.trunk.attn_pool.mlp.fc1.weight",
        ),
        (
            "vision_model.head.mlp.fc1.bias",
            "visual.trunk.attn_pool.mlp.fc1.bias",
        ),
        (
            "vision_model.head.mlp.fc2.weight",
            "visual.trunk.attn_pool.mlp.fc2.weight",
        ),
        (
            "vision_model.head.mlp.fc2.bias",
            "visual.trunk.attn_pool.mlp.fc2.bias",
        ),
        ("text_model.embeddings.position_ids", ""),
        ("vision_model.embeddings.position_ids", ""),
    ],
    turned: &[],
    blocks: [
        Blocks {
            from: "text_model.encoder.layers.",
            to: "text.transformer.resblocks.",
            stacked: "attn.in_proj_",
            layers: OF_OPEN_CLIP,
        },
        Blocks {
            from: "vision_model.encoder.layers.",
            to: "visual.trunk.blocks.",
            stacked: "attn.qkv.",
            layers: OF_TIMM,
        },
    ],
};

/// Positions of SigLIP's patches, which timm has an axis before.
const POSITIONS: &str = "vision_model.embeddings.position_embedding.weight";
/// Query, key and value of SigLIP's attention pooling, of which timm has the first apart.
const POOLING: &str = "vision_model.head.attention.in_proj_";

/// A checkpoint of a `CLIPModel` or a `SiglipModel` under open_clip's names; any other one as it is.
///
/// Query, key and value, which are three there, are one below each other, and CLIP's projections to the
/// common space are turned. What is named otherwise keeps its name.
pub(super) fn under_open_clips_names(checkpoint: &Checkpoint) -> Checkpoint {
    let checkpoint = checkpoint.clone();
    let layouts = [CLIP, SIGLIP].into_iter();
    let mut known = layouts.filter(|it| checkpoint.shape(it.mark).is_some());
    match known.next() {
        Some(layout) => checkpoint.rearranged(|tensors| layout.renamed(tensors)),
        None => checkpoint,
    }
}

type Tensors = BTreeMap<String, Tensor>;

impl Layout {
    fn renamed(&self, mut tensors: Tensors) -> Tensors {
        let mut renamed = BTreeMap::new();
        for (from, to) in self.same {
            if let Some(tensor) = tensors.remove(*from)
                && !to.is_empty()
            {
                renamed.insert((*to).to_owned(), tensor);
            }
        }
        for (from, to) in self.turned {
            if let Some(tensor) = tensors.remove(*from) {
                renamed.insert((*to).to_owned(), transposed(&tensor));
            }
        }
        if self.mark == SIGLIP.mark {
            rearrange_siglip(&mut tensors, &mut renamed);
        }
        for (name, tensor) in &tensors {
            let block = self.blocks.iter().find_map(|blocks| {
                let (number, part) = name.strip_prefix(blocks.from)?.split_once('.')?;
                Some((blocks, number, part))
            });
            let Some((blocks, number, part)) = block else {
                renamed.insert(name.clone(), tensor.clone());
                continue;
            };
            let [from, to] = [blocks.from, blocks.to].map(|it| format!("{it}{number}"));
            let (layer, kind) = part.rsplit_once('.').unwrap_or((part, ""));
            let parts = ["q_proj", "k_proj", "v_proj"].map(|it| format!("self_attn.{it}"));
            match parts.iter().position(|it| it == layer) {
                Some(0) => {
                    let names = parts.map(|part| format!("{from}.{part}.{kind}"));
                    let all = names.map(|name| tensors.get(&name));
                    if let [Some(query), Some(key), Some(value)] = all {
                        let stacked = stacked([query, key, value]);
                        renamed.insert(format!("{to}.{}{kind}", blocks.stacked), stacked);
                    }
                }
                Some(_) => {}
                None => {
                    let known = blocks.layers.iter().find(|(from, _)| *from == layer);
                    let layer = known.map_or(layer, |(_, to)| to);
                    renamed.insert(format!("{to}.{layer}.{kind}"), tensor.clone());
                }
            }
        }
        renamed
    }
}

/// What of a `SiglipModel` is laid out otherwise.
fn rearrange_siglip(tensors: &mut Tensors, renamed: &mut Tensors) {
    if let Some(tensor) = tensors.remove(POSITIONS) {
        let count = tensor.shape.first().copied().unwrap_or(0);
        let shape = [&[1], &tensor.shape[..]].concat();
        let name = "visual.trunk.pos_embed".to_owned();
        renamed.insert(name, rows(&tensor, 0..count, shape));
    }
    for kind in ["weight", "bias"] {
        let Some(tensor) = tensors.remove(&format!("{POOLING}{kind}")) else {
            continue;
        };
        let count = tensor.shape.first().copied().unwrap_or(0);
        for (part, range) in [("q", 0..count / 3), ("kv", count / 3..count)] {
            let mut shape = tensor.shape.to_vec();
            if let Some(first) = shape.first_mut() {
                *first = range.len();
            }
            let name = format!("visual.trunk.attn_pool.{part}.{kind}");
            renamed.insert(name, rows(&tensor, range, shape));
        }
    }
}
