//! What the tests of classifiers and checkpoints share.

#![allow(dead_code)] // Each test binary uses a part of it.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use neuroinspect_models::{
    Checkpoint,
    checkpoint::parameter_shapes,
    clip::{ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu},
};
use safetensors::{Dtype, serialize, tensor::TensorView};

/// A file made by `tools/golden_classifiers.py`.
pub(crate) fn golden(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(file)
}

/// A file of the folder of real weights.
pub(crate) fn shared(file: &str) -> PathBuf {
    let folder = env::var("NEUROINSPECT_SHARED").expect("NEUROINSPECT_SHARED names a folder");
    Path::new(&folder).join(file)
}

/// Numbers in `[0, 1)` out of a tensor's name (FNV-1a) and flat index (a 32-bit mixer).
pub(crate) fn formula(name: &str, len: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (0..len as u32).map(move |index| {
        let mut x = seed.wrapping_add(index.wrapping_mul(0x9E37_79B1));
        x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
        x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
        x ^= x >> 16;
        f64::from(x >> 8) / f64::from(1 << 24)
    })
}

/// The made-up values of a weight.
pub(crate) fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let vector = shape.len() == 1;
    let fan_in: usize = shape.iter().skip(1).product();
    formula(name, shape.iter().product())
        .map(|u| {
            let value = if name.ends_with("running_var") {
                0.5 + u
            } else if name.ends_with("weight") && vector {
                0.25 + u
            } else if vector {
                0.2 * u - 0.1
            } else {
                (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt()
            };
            value as f32
        })
        .collect()
}

/// Normalised images `[2, 3, size, size]`.
pub(crate) fn images(size: usize, device: &Device) -> Tensor<4> {
    let shape = [2, 3, size, size];
    let values = formula("images", shape.iter().product()).map(|u| (4.0 * u - 2.0) as f32);
    Tensor::from_data(TensorData::new(values.collect(), shape), device)
}

/// Named tensors, as shape and values.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// All weights of a module, made up.
pub(crate) fn made_up_weights(module: &impl Module) -> Tensors {
    let made = |(name, shape): (String, Vec<usize>)| {
        let values = weight(&name, &shape);
        (name, (shape, values))
    };
    parameter_shapes(module).into_iter().map(made).collect()
}

/// The bytes of a safetensors file.
pub(crate) fn safetensors_of(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|it| it.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    serialize(views, None).unwrap()
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
            layers: 1,
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
    }
}
