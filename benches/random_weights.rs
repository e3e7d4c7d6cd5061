//! The networks of the visualization bench, with weights that come out of a seed: checkpoints in
//! memory under timm's and open_clip's names, so that nothing is downloaded and every version of
//! the library computes with the same numbers.

use std::collections::BTreeMap;

use neuroinspect::{
    burn::tensor::Device,
    core::Seed,
    models::{
        Checkpoint, LoadConfig, LoadedClassifier,
        clip::{Clip, ClipConfig},
        load_classifier_from_bytes,
    },
};
use rand::RngExt;
use safetensors::{Dtype, tensor::TensorView};

/// Classes of the classifier.
pub(crate) const CLASSES: usize = 1000;

/// Width of CLIP's text tower, of one block: no step of a visualization runs it.
const TEXT_WIDTH: usize = 64;

/// ResNet-18 for 224 px and 1000 classes.
pub(crate) fn resnet18(device: &Device) -> LoadedClassifier {
    let mut weights = Weights::default();
    weights.add("conv1.weight", &[64, 3, 7, 7]);
    weights.batch_norm("bn1", 64);
    let mut inputs = 64;
    for (stage, width) in [(1, 64), (2, 128), (3, 256), (4, 512)] {
        for block in 0..2 {
            let block = format!("layer{stage}.{block}");
            weights.add(&format!("{block}.conv1.weight"), &[width, inputs, 3, 3]);
            weights.batch_norm(&format!("{block}.bn1"), width);
            weights.add(&format!("{block}.conv2.weight"), &[width, width, 3, 3]);
            weights.batch_norm(&format!("{block}.bn2"), width);
            if inputs != width {
                let shape = [width, inputs, 1, 1];
                weights.add(&format!("{block}.downsample.0.weight"), &shape);
                weights.batch_norm(&format!("{block}.downsample.1"), width);
            }
            inputs = width;
        }
    }
    weights.linear("fc", CLASSES, inputs);
    let config = LoadConfig::default();
    load_classifier_from_bytes("resnet18", weights.checkpoint(), &config, device).unwrap()
}

/// CLIP with the image tower of ViT-B/32, and a small text tower.
pub(crate) fn clip_vit_b_32(device: &Device) -> Clip {
    let mut config = ClipConfig::preset("ViT-B-32").unwrap();
    config.text.width = TEXT_WIDTH;
    config.text.heads = 1;
    config.text.layers = 1;
    let (vision, text) = (&config.vision, &config.text);
    let tokens = (vision.image_size / vision.patch_size).pow(2) + 1;
    let patch = vision.patch_size;

    let mut weights = Weights::default();
    weights.add("visual.conv1.weight", &[vision.width, 3, patch, patch]);
    weights.add("visual.class_embedding", &[vision.width]);
    let positions = "visual.positional_embedding";
    weights.add(positions, &[tokens, vision.width]);
    weights.layer_norm("visual.ln_pre", vision.width);
    weights.transformer("visual.transformer", vision.layers, vision.width);
    weights.layer_norm("visual.ln_post", vision.width);
    weights.add("visual.proj", &[vision.width, config.embed_dim]);

    weights.add("token_embedding.weight", &[text.vocab_size, text.width]);
    weights.add("positional_embedding", &[text.context_length, text.width]);
    weights.transformer("transformer", text.layers, text.width);
    weights.layer_norm("ln_final", text.width);
    weights.add("text_projection", &[text.width, config.embed_dim]);
    weights.add("logit_scale", &[]);

    let checkpoint = Checkpoint::from_bytes("random CLIP", weights.checkpoint()).unwrap();
    Clip::from_checkpoint(&checkpoint, Some(&config), device).unwrap()
}

/// Tensors by name: shape, and values as little-endian bytes.
#[derive(Default)]
struct Weights(BTreeMap<String, (Vec<usize>, Vec<u8>)>);

impl Weights {
    /// Scales of norms and running variances are 1; biases, running means and the logit scale 0;
    /// all else is uniform with the standard deviation that keeps the size of activations.
    fn add(&mut self, name: &str, shape: &[usize]) {
        let count: usize = shape.iter().product();
        let one = name.ends_with("running_var") || (shape.len() == 1 && name.ends_with(".weight"));
        let values: Vec<f32> = if one {
            vec![1.0; count]
        } else if shape.len() < 2 && name != "visual.class_embedding" {
            vec![0.0; count]
        } else {
            let inputs: usize = shape.iter().skip(usize::from(shape.len() > 1)).product();
            let bound = (3.0 / inputs as f32).sqrt();
            let mut rng = Seed(0).rng(name, &[]);
            (0..count)
                .map(|_| rng.random_range(-bound..bound))
                .collect()
        };
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.0.insert(name.to_owned(), (shape.to_vec(), bytes));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.add(&format!("{name}.weight"), &[outputs, inputs]);
        self.add(&format!("{name}.bias"), &[outputs]);
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }

    fn batch_norm(&mut self, name: &str, channels: usize) {
        self.layer_norm(name, channels);
        self.add(&format!("{name}.running_mean"), &[channels]);
        self.add(&format!("{name}.running_var"), &[channels]);
    }

    fn transformer(&mut self, name: &str, blocks: usize, width: usize) {
        for block in 0..blocks {
            let block = format!("{name}.resblocks.{block}");
            self.layer_norm(&format!("{block}.ln_1"), width);
            self.add(&format!("{block}.attn.in_proj_weight"), &[3 * width, width]);
            self.add(&format!("{block}.attn.in_proj_bias"), &[3 * width]);
            self.linear(&format!("{block}.attn.out_proj"), width, width);
            self.layer_norm(&format!("{block}.ln_2"), width);
            self.linear(&format!("{block}.mlp.c_fc"), 4 * width, width);
            self.linear(&format!("{block}.mlp.c_proj"), width, 4 * width);
        }
    }

    /// A safetensors file.
    fn checkpoint(&self) -> Vec<u8> {
        let tensors = self.0.iter().map(|(name, (shape, bytes))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
            (name, view)
        });
        safetensors::serialize(tensors, None).unwrap()
    }
}
