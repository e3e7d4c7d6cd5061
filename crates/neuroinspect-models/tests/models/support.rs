//! What the tests of classifiers and checkpoints share.

use std::path::{Path, PathBuf};

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use neuroinspect_models::{
    Checkpoint, Strictness,
    checkpoint::parameter_shapes,
    clip::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu},
};
pub(crate) use neuroinspect_testing::{
    files::{Tensors, safetensors_of},
    fill::{self, formula, weight},
};

/// A file made by `tools/golden_classifiers.py`.
pub(crate) fn golden(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(file)
}

/// Normalised images `[2, 3, size, size]`.
pub(crate) fn images(size: usize, device: &Device) -> Tensor<4> {
    let shape = [2, 3, size, size];
    let values = formula("images", shape.iter().product()).map(|u| (4.0 * u - 2.0) as f32);
    Tensor::from_data(TensorData::new(values.collect(), shape), device)
}

/// All weights of a module, made up.
pub(crate) fn made_up_weights(module: &impl Module) -> Tensors {
    fill::made_up_weights(parameter_shapes(module))
}

/// Loads made-up weights.
pub(crate) fn make_up(module: &mut impl Module) {
    let weights = safetensors_of(&made_up_weights(module));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    let report = weights.apply(module, "it", Strictness::Strict).unwrap();
    assert!(report.is_complete());
}

/// All values of a checkpoint.
pub(crate) fn contents(checkpoint: &Checkpoint) -> Tensors {
    checkpoint
        .names()
        .map(|name| {
            let shape = checkpoint.shape(name).unwrap().to_vec();
            (name.to_owned(), (shape, checkpoint.read(name).unwrap()))
        })
        .collect()
}

/// The config of a CLIP of one narrow block a tower.
pub(crate) fn small_clip() -> ClipConfig {
    ClipConfig {
        embed_dim: 8,
        gelu: Gelu::Exact,
        vision: ClipVisionConfig {
            image_size: 8,
            layers: ClipBlocks::Transformer(1),
            width: 8,
            head_width: 4,
            patch_size: 4,
            ..Default::default()
        },
        text: ClipTextConfig {
            context_length: 8,
            width: 4,
            heads: 2,
            layers: 1,
            ..Default::default()
        },
        input: None,
        siglip: None,
    }
}
