//! The pre-norm transformer both towers are made of.
//!
//! Fields are named as in open_clip, so that weights load under its names.

use burn::{
    module::{Module, Param},
    nn::{Initializer, LayerNorm, LayerNormConfig, Linear},
    tensor::{
        Device, Tensor,
        activation::{gelu, sigmoid, softmax},
        module::linear,
    },
};
use serde::{Deserialize, Serialize};

/// Which form of the Gaussian error linear unit a CLIP was trained with.
///
/// In open_clip's JSON it is the flag `quick_gelu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum Gelu {
    /// `x * Phi(x)` with the normal distribution function: LAION-2B's and DataComp's weights.
    #[default]
    Exact,
    /// `x * sigmoid(1.702 x)`: weights of OpenAI, MetaCLIP and DFN, and some of LAION-400M.
    Quick,
}

impl From<bool> for Gelu {
    fn from(quick: bool) -> Self {
        if quick { Self::Quick } else { Self::Exact }
    }
}

impl From<Gelu> for bool {
    fn from(gelu: Gelu) -> Self {
        gelu == Gelu::Quick
    }
}

impl Gelu {
    fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Exact => gelu(x),
            Self::Quick => x.clone() * sigmoid(x * 1.702),
        }
    }
}

/// What a [`Transformer`] is made from.
pub(super) struct TransformerConfig {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) gelu: Gelu,
    pub(super) weights: BlockWeights,
}

/// How the weight matrices of a block start; biases of the hidden layers start as PyTorch's.
pub(super) struct BlockWeights {
    pub(super) in_proj: Initializer,
    pub(super) out_proj: Initializer,
    pub(super) c_fc: Initializer,
    pub(super) c_proj: Initializer,
}

/// PyTorch's start for linear and convolution layers: uniform within `1 / sqrt(inputs)`.
pub(super) fn pytorch_uniform() -> Initializer {
    Initializer::KaimingUniform {
        gain: 1.0 / 3f64.sqrt(),
        fan_out_only: false,
    }
}

/// Normal of mean 0.
pub(super) fn normal(std: f64) -> Initializer {
    Initializer::Normal { mean: 0.0, std }
}

/// A stack of residual attention blocks.
#[derive(Module, Debug)]
pub(super) struct Transformer {
    resblocks: Vec<ResidualAttentionBlock>,
}

impl Transformer {
    pub(super) fn init(config: &TransformerConfig, device: &Device) -> Self {
        let block = |_| ResidualAttentionBlock::init(config, device);
        Self {
            resblocks: (0..config.layers).map(block).collect(),
        }
    }

    /// `[N, L, W]` to `[N, L, W]`; `mask` `[L, L]` is added to the attention scores.
    pub(super) fn forward(&self, x: Tensor<3>, mask: Option<&Tensor<2>>) -> Tensor<3> {
        let apply = |x, block: &ResidualAttentionBlock| block.forward(x, mask);
        self.resblocks.iter().fold(x, apply)
    }
}

#[derive(Module, Debug)]
struct ResidualAttentionBlock {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl ResidualAttentionBlock {
    fn init(config: &TransformerConfig, device: &Device) -> Self {
        let norm = LayerNormConfig::new(config.width);
        Self {
            ln_1: norm.init(device),
            attn: Attention::init(config, device),
            ln_2: norm.init(device),
            mlp: Mlp::init(config, device),
        }
    }

    fn forward(&self, x: Tensor<3>, mask: Option<&Tensor<2>>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln_1.forward(x), mask);
        x.clone() + self.mlp.forward(self.ln_2.forward(x))
    }
}

/// Multi-head self-attention with query, key and value made by one product.
#[derive(Module, Debug)]
struct Attention {
    /// `[3 W, W]`: PyTorch keeps the three stacked, outputs first.
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    fn init(config: &TransformerConfig, device: &Device) -> Self {
        let (w, weights) = (config.width, &config.weights);
        let in_proj = &weights.in_proj;
        Self {
            in_proj_weight: in_proj.init_with([3 * w, w], Some(w), Some(3 * w), device),
            in_proj_bias: Initializer::Zeros.init([3 * w], device),
            out_proj: Linear {
                weight: weights.out_proj.init_with([w, w], Some(w), Some(w), device),
                bias: Some(Initializer::Zeros.init([w], device)),
            },
            heads: config.heads,
        }
    }

    fn forward(&self, x: Tensor<3>, mask: Option<&Tensor<2>>) -> Tensor<3> {
        let [n, l, w] = x.dims();
        let head = w / self.heads;
        let qkv = linear(
            x,
            self.in_proj_weight.val().transpose(),
            Some(self.in_proj_bias.val()),
        );
        // [N, L, 3 W] to three times [N, heads, L, head].
        let [q, k, v] = [0, w, 2 * w].map(|start| {
            qkv.clone()
                .narrow(2, start, w)
                .reshape([n, l, self.heads, head])
                .swap_dims(1, 2)
        });
        let scale = (head as f64).powf(-0.5);
        let mut scores = (q * scale).matmul(k.swap_dims(2, 3));
        if let Some(mask) = mask {
            scores = scores + mask.clone().unsqueeze();
        }
        let mixed = softmax(scores, 3).matmul(v);
        self.out_proj
            .forward(mixed.swap_dims(1, 2).reshape([n, l, w]))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
    #[module(skip)]
    gelu: Gelu,
}

impl Mlp {
    fn init(config: &TransformerConfig, device: &Device) -> Self {
        let (width, hidden) = (config.width, config.hidden);
        let layer = |weight: &Initializer, inputs: usize, outputs: usize| Linear {
            weight: weight.init_with([inputs, outputs], Some(inputs), Some(outputs), device),
            bias: Some(pytorch_uniform().init_with([outputs], Some(inputs), Some(outputs), device)),
        };
        Self {
            c_fc: layer(&config.weights.c_fc, width, hidden),
            c_proj: layer(&config.weights.c_proj, hidden, width),
            gelu: config.gelu,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.c_proj.forward(self.gelu.forward(self.c_fc.forward(x)))
    }
}
