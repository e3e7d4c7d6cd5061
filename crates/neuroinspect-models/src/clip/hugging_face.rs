//! Weights of transformers' `CLIPModel` under open_clip's names.

use std::collections::BTreeMap;

use crate::{
    Checkpoint,
    checkpoint::arrange::{stacked, transposed},
};

/// A tensor that `CLIPModel`s have and open_clip's do not.
const MARK: &str = "vision_model.embeddings.class_embedding";

/// Names in transformers (`modeling_clip.py`) and in open_clip, of tensors that are the same in both; the
/// towers' blocks are beside.
const SAME: [(&str, &str); 14] = [
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
    (MARK, "visual.class_embedding"),
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
];

/// Matrices that are turned.
const TURNED: [(&str, &str); 2] = [
    ("text_projection.weight", "text_projection"),
    ("visual_projection.weight", "visual.proj"),
];

/// The towers' blocks, before their numbers.
const BLOCKS: [(&str, &str); 2] = [
    ("text_model.encoder.layers.", "transformer.resblocks."),
    (
        "vision_model.encoder.layers.",
        "visual.transformer.resblocks.",
    ),
];

/// The layers of a block.
const LAYERS: [(&str, &str); 5] = [
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("self_attn.out_proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
];

/// A checkpoint of a `CLIPModel` under open_clip's names; any other one as it is.
///
/// Query, key and value, which are three there, are one below each other, and the projections to the
/// common space are turned. What is named otherwise keeps its name.
pub(super) fn under_open_clips_names(checkpoint: &Checkpoint) -> Checkpoint {
    let checkpoint = checkpoint.clone();
    if checkpoint.shape(MARK).is_none() {
        return checkpoint;
    }
    checkpoint.rearranged(|mut tensors| {
        let mut renamed = BTreeMap::new();
        for (from, to) in SAME {
            if let Some(tensor) = tensors.remove(from)
                && !to.is_empty()
            {
                renamed.insert(to.to_owned(), tensor);
            }
        }
        for (from, to) in TURNED {
            if let Some(tensor) = tensors.remove(from) {
                renamed.insert(to.to_owned(), transposed(&tensor));
            }
        }
        for (name, tensor) in &tensors {
            let block = BLOCKS.iter().find_map(|(from, to)| {
                let (number, part) = name.strip_prefix(from)?.split_once('.')?;
                Some((format!("{from}{number}"), format!("{to}{number}"), part))
            });
            let Some((from, to, part)) = block else {
                renamed.insert(name.clone(), tensor.clone());
                continue;
            };
            let (layer, kind) = part.rsplit_once('.').unwrap_or((part, ""));
            let parts = ["q_proj", "k_proj", "v_proj"].map(|it| format!("self_attn.{it}"));
            match parts.iter().position(|it| it == layer) {
                Some(0) => {
                    let names = parts.map(|part| format!("{from}.{part}.{kind}"));
                    let all = names.map(|name| tensors.get(&name));
                    if let [Some(query), Some(key), Some(value)] = all {
                        let stacked = stacked([query, key, value]);
                        renamed.insert(format!("{to}.attn.in_proj_{kind}"), stacked);
                    }
                }
                Some(_) => {}
                None => {
                    let known = LAYERS.iter().find(|(from, _)| *from == layer);
                    let layer = known.map_or(layer, |(_, to)| to);
                    renamed.insert(format!("{to}.{layer}.{kind}"), tensor.clone());
                }
            }
        }
        renamed
    })
}
