//! CLIP against open_clip; `tools/golden_clip.py` writes the golden values.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{ImageTextEncoder, io::sha256_of_bytes};
use neuroinspect_models::{
    Checkpoint,
    checkpoint::parameter_shapes,
    clip::{Clip, ClipBlocks, ClipConfig, Gelu, tokenize},
};
use neuroinspect_testing::real_data;
use safetensors::{Dtype, tensor::TensorView};
use serde::Deserialize;

use crate::support::{Tensors, make_up, safetensors_of, weight};

type Rows = Vec<Vec<f32>>;

#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) config: ClipConfig,
    pub(crate) prompts: Vec<String>,
    exact: Features,
    quick: Features,
    resnet: Resnet,
    presets: BTreeMap<String, Preset>,
    tokens: Vec<(String, Vec<u16>)>,
}

/// A small CLIP with a ResNet, of weights by the formula of `tools/golden_classifiers.py`.
#[derive(Deserialize)]
struct Resnet {
    config: ClipConfig,
    image: Rows,
}

/// Number of a preset's parameters and buffers, the hash of their names and shapes, and the heads of its
/// image tower and its text tower, which no shape shows.
#[derive(Debug, PartialEq, Deserialize)]
struct Preset {
    count: usize,
    sha256: String,
    heads: [usize; 2],
}

#[derive(Deserialize)]
struct Features {
    image: Rows,
    text: Rows,
}

#[derive(Deserialize)]
struct MiniClip {
    prompts: Vec<String>,
    image: Rows,
    text: Rows,
}

pub(crate) fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/clip.json")).unwrap()
}

/// The script's `fill`: `count` numbers in `[-0.5, 0.5)`.
pub(crate) fn fill(count: usize, key: usize) -> Vec<f32> {
    let value = |i: usize| (i * i * 7919 + i * key * 31 + key * 104_729) % 10_007;
    (0..count)
        .map(|i| (value(i) as f64 / 10_007.0 - 0.5) as f32)
        .collect()
}

/// A CLIP whose parameters, numbered by name, follow the script's formula.
pub(crate) fn filled(config: &ClipConfig) -> Clip {
    let device = Device::flex();
    let shapes = parameter_shapes(&config.init(&device).unwrap());
    let tensors: Vec<_> = (0..)
        .zip(shapes)
        .map(|(key, (name, shape))| {
            let norm = ["1", "2", "pre", "post", "final"]
                .iter()
                .any(|which| name.ends_with(&format!("ln_{which}.weight")));
            let center = if norm { 1.0 } else { 0.0 };
            let bytes: Vec<u8> = fill(shape.iter().product(), key)
                .iter()
                .flat_map(|value| (0.5 * value + center).to_le_bytes())
                .collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name, view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    let checkpoint = Checkpoint::from_bytes("filled", bytes).unwrap();
    Clip::from_checkpoint(&checkpoint, Some(config), &device).unwrap()
}

pub(crate) fn images(size: usize, device: &Device) -> Tensor<4> {
    let values: Vec<_> = fill(2 * 3 * size * size, 1000)
        .iter()
        .map(|value| 4.0 * value)
        .collect();
    Tensor::from_data(TensorData::new(values, [2, 3, size, size]), device)
}

fn rows(tensor: Tensor<2>) -> Rows {
    let [_, width] = tensor.dims();
    let values = tensor.try_into_vec_as::<f32>().unwrap();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

fn largest_difference(found: &Rows, expected: &Rows) -> f32 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .flat_map(|(found, expected)| {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).map(|(a, b)| (a - b).abs())
        })
        .fold(0.0, f32::max)
}

/// Both compute in f32 with sums in another order: some 100 roundings of 6e-8 of values up to 2.
const TOLERANCE: f32 = 1e-5;

#[test]
fn features_are_those_of_open_clip() {
    let golden = golden();
    for (gelu, expected) in [(Gelu::Exact, &golden.exact), (Gelu::Quick, &golden.quick)] {
        let clip = filled(&golden.config.clone().with_gelu(gelu));
        let images = images(clip.input().size, &clip.device());
        let image = rows(clip.encode_images(images));
        let text = rows(clip.encode_texts(&golden.prompts).unwrap());
        let difference = largest_difference(&image, &expected.image);
        assert!(difference < TOLERANCE, "{gelu:?} images: {difference}");
        let difference = largest_difference(&text, &expected.text);
        assert!(difference < TOLERANCE, "{gelu:?} texts: {difference}");
    }
    // The two activations are told apart by far more than the tolerance.
    let apart = largest_difference(&golden.exact.image, &golden.quick.image);
    assert!(apart > 100.0 * TOLERANCE, "{apart}");
}

#[test]
fn tokens_are_those_of_open_clip() {
    for (text, expected) in golden().tokens {
        let mut found = tokenize(&text, 77);
        found.resize(77, 0);
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn padding_does_not_change_a_text() {
    let golden = golden();
    let clip = filled(&golden.config);
    let alone = rows(clip.encode_texts(&golden.prompts[2..3]).unwrap());
    let among = rows(clip.encode_texts(&golden.prompts).unwrap());
    let difference = largest_difference(&alone, &among[2..3].to_vec());
    // Masked tokens have weight exactly 0; only the grouping of the sums can differ.
    assert!(difference < TOLERANCE, "{difference}");
}

/// The small CLIP with a ResNet.
pub(crate) fn resnet() -> Clip {
    let mut clip = golden().resnet.config.init(&Device::flex()).unwrap();
    make_up(&mut clip);
    clip
}

#[test]
fn features_of_a_resnet_are_those_of_open_clip() {
    let expected = golden().resnet.image;
    let mut clip = resnet();
    let images = images(clip.input().size, &clip.device());
    for state in ["as it is", "folded"] {
        let found = rows(clip.encode_images(images.clone()));
        let difference = largest_difference(&found, &expected);
        let largest = largest_difference(&expected, &vec![vec![0.0; 24]; 2]);
        assert!(
            difference < TOLERANCE * largest,
            "{state}: {difference} of {largest}"
        );
        clip.fold().unwrap();
    }
}

/// A checkpoint of transformers' `CLIPModel`, and its embeddings with the quick GELU.
#[derive(Deserialize)]
struct HuggingFace {
    prompts: Vec<String>,
    image: Rows,
    text: Rows,
    shapes: BTreeMap<String, Vec<usize>>,
}

#[test]
fn weights_of_hugging_faces_clip_give_its_features() {
    let golden: HuggingFace =
        serde_json::from_str(include_str!("../golden/clip_hugging_face.json")).unwrap();
    let config = self::golden().config.with_gelu(Gelu::Quick);
    let made = |(name, shape): (String, Vec<usize>)| {
        let values = weight(&name, &shape);
        (name, (shape, values))
    };
    let mut tensors: Tensors = golden.shapes.into_iter().map(made).collect();
    let load = |tensors: &Tensors| {
        let checkpoint = Checkpoint::from_bytes("transformers'", safetensors_of(tensors)).unwrap();
        Clip::from_checkpoint(&checkpoint, Some(&config), &Device::flex())
    };
    let clip = load(&tensors).unwrap();
    let image = rows(clip.encode_images(images(clip.input().size, &clip.device())));
    let text = rows(clip.encode_texts(&golden.prompts).unwrap());
    for (found, expected) in [(&image, &golden.image), (&text, &golden.text)] {
        let difference = largest_difference(found, expected);
        // Values up to 4.
        assert!(difference < 3.0 * TOLERANCE, "{difference}");
    }
    // Older files have the numbers of the positions beside them.
    let positions = "text_model.embeddings.position_ids".to_owned();
    tensors.insert(positions, (vec![1, 77], vec![0.0; 77]));
    load(&tensors).unwrap();
    // One part of three that are stacked is missing.
    tensors.remove("vision_model.encoder.layers.1.self_attn.k_proj.weight");
    let error = load(&tensors).unwrap_err().to_string();
    let missing = "visual.transformer.resblocks.1.attn.in_proj_weight";
    assert!(error.contains(missing), "{error}");
}

#[test]
fn parameters_of_presets_are_named_and_shaped_as_open_clips() {
    for (name, expected) in golden().presets {
        for name in [name.clone(), format!("{name}-quickgelu")] {
            // Parameters are allocated when first used: none here.
            let clip = ClipConfig::preset(&name)
                .unwrap()
                .init(&Device::flex())
                .unwrap();
            let shapes = parameter_shapes(&clip);
            let line = |(parameter, shape)| format!("{parameter} {shape:?}\n");
            let ClipConfig { vision, text, .. } = clip.config();
            let width = match vision.layers {
                ClipBlocks::Transformer(_) => vision.width,
                // Its last stage is that wide.
                ClipBlocks::ResNet(_) => 32 * vision.width,
            };
            let found = Preset {
                count: shapes.len(),
                sha256: sha256_of_bytes(shapes.iter().map(line).collect::<String>().as_bytes()),
                heads: [width / vision.head_width, text.heads],
            };
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// Directional derivative of a random combination of features, by autodiff and by central
/// differences.
#[test]
fn image_gradient_agrees_with_finite_differences() {
    let golden = golden();
    for gelu in [Gelu::Exact, Gelu::Quick] {
        let clip = filled(&golden.config.clone().with_gelu(gelu));
        let device = clip.device();
        let images = images(clip.input().size, &device);
        let tensor = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let weights = tensor(fill(2 * 24, 2000), [2, 24]);
        let direction = tensor(fill(2 * 3 * 24 * 24, 3000), [6, 24 * 24]).reshape([2, 3, 24, 24]);

        let tracked = images.clone().autodiff().require_grad();
        let weighted = clip.image_features(tracked.clone()) * weights.clone();
        let gradients = weighted.sum().backward();
        let gradient = tracked.grad(&gradients).unwrap();
        let analytic = (gradient * direction.clone())
            .sum()
            .try_into_scalar::<f32>()
            .unwrap();

        let step = 1e-2;
        let at = |offset: f32| {
            let moved = images.clone() + direction.clone() * offset;
            let weighted = clip.image_features(moved) * weights.clone();
            weighted.sum().try_into_scalar::<f32>().unwrap()
        };
        let numeric = (at(step) - at(-step)) / (2.0 * step);
        // f32 rounding of the sums (1e-6) over twice the step, and the third derivative times the
        // step's square.
        let tolerance = 5e-4;
        assert!(
            (analytic - numeric).abs() < tolerance,
            "{gelu:?}: {analytic} and {numeric}"
        );
        assert!(
            analytic.abs() > 0.05,
            "a gradient worth comparing: {analytic}"
        );
    }
}

#[test]
#[ignore = "needs real weights"]
fn mini_clip_gives_the_features_of_open_clip() {
    let path = real_data::path("weights/mini_clip_cifar10.safetensors");
    let clip = Clip::load(path, None, &Device::flex()).unwrap();
    assert_eq!(clip.name(), "mini_clip_cifar10");
    let golden: MiniClip = serde_json::from_str(include_str!("../golden/mini_clip.json")).unwrap();
    let text = rows(clip.encode_texts(&golden.prompts).unwrap());
    let image = rows(clip.encode_images(images(32, &clip.device())));
    // Larger sums than the small model's (values up to 5 over 512 hidden units).
    for (found, expected) in [(&text, &golden.text), (&image, &golden.image)] {
        let difference = largest_difference(found, expected);
        assert!(difference < 5e-5, "{difference}");
    }
}
