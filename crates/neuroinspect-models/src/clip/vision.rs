//! The image tower: a vision transformer read at its class token.

use burn::{
    module::{Module, Param},
    nn::{
        Initializer, LayerNorm, LayerNormConfig,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor},
};

use super::{
    ClipConfig,
    config::hidden_width,
    transformer::{BlockWeights, Transformer, TransformerConfig, normal, pytorch_uniform},
};

/// open_clip's `VisionTransformer` with its defaults: learned positions, class-token pooling.
#[derive(Module, Debug)]
pub(super) struct VisionTransformer {
    conv1: Conv2d,
    class_embedding: Param<Tensor<1>>,
    positional_embedding: Param<Tensor<2>>,
    ln_pre: LayerNorm,
    transformer: Transformer,
    ln_post: LayerNorm,
    proj: Param<Tensor<2>>,
}

impl VisionTransformer {
    pub(super) fn init(config: &ClipConfig, device: &Device) -> Self {
        let vision = &config.vision;
        let (width, patch) = (vision.width, vision.patch_size);
        let tokens = (vision.image_size / patch).pow(2) + 1;
        let scale = normal((width as f64).powf(-0.5));
        let norm = LayerNormConfig::new(width);
        let transformer = TransformerConfig {
            layers: vision.layers,
            width,
            heads: width / vision.head_width,
            hidden: hidden_width(width, vision.mlp_ratio),
            gelu: config.gelu,
            weights: BlockWeights {
                in_proj: Initializer::XavierUniform { gain: 1.0 },
                out_proj: pytorch_uniform(),
                c_fc: pytorch_uniform(),
                c_proj: pytorch_uniform(),
            },
        };
        Self {
            conv1: Conv2dConfig::new([3, width], [patch, patch])
                .with_stride([patch, patch])
                .with_bias(false)
                .with_initializer(pytorch_uniform())
                .init(device),
            class_embedding: scale.init([width], device),
            positional_embedding: scale.init([tokens, width], device),
            ln_pre: norm.init(device),
            transformer: Transformer::init(&transformer, device),
            ln_post: norm.init(device),
            proj: scale.init([width, config.embed_dim], device),
        }
    }

    /// Normalised images `[N, 3, S, S]` to `[N, E]`.
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        // [N, W, S / patch, S / patch] to [N, patches, W].
        let patches = self
            .conv1
            .forward(images)
            .flatten::<3>(2, 3)
            .swap_dims(1, 2);
        let [n, _, width] = patches.dims();
        let class = self.class_embedding.val().reshape([1, 1, width]);
        let x = Tensor::cat(vec![class.expand([n, 1, width]), patches], 1)
            + self.positional_embedding.val().unsqueeze();
        let x = self.transformer.forward(self.ln_pre.forward(x), None);
        let class = x.narrow(1, 0, 1).reshape([n, width]);
        self.ln_post.forward(class).matmul(self.proj.val())
    }

    pub(super) fn device(&self) -> Device {
        self.proj.val().device()
    }
}
