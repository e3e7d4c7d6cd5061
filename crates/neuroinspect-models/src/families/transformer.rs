//! What transformers are made of.

use burn::nn::Initializer;

use crate::graph::{
    Attention, Concat, Expand, Flatten, Function, GraphBuilder, LayerNorm, Permute, Reshape, Slice,
    ValueId,
};

/// What the parts of a block are called.
pub(crate) struct BlockNames {
    /// Layer normalisation before attention.
    pub(crate) attention_norm: &'static str,
    /// Attention.
    pub(crate) attention: &'static str,
    /// Attention's parameters after its own name: weight and bias of query, key and value, then those
    /// of what follows the heads.
    pub(crate) attention_parameters: [&'static str; 4],
    /// Layer normalisation before the hidden layer.
    pub(crate) mlp_norm: &'static str,
    /// The two linear layers and what is between.
    pub(crate) mlp: &'static str,
    /// Within it, the first linear layer.
    pub(crate) hidden: &'static str,
    /// Within it, the function between.
    pub(crate) function: &'static str,
    /// Within it, the second linear layer.
    pub(crate) output: &'static str,
    /// What attention and hidden layer are multiplied by, where they are.
    pub(crate) scales: [&'static str; 2],
}

impl BlockNames {
    /// The names of timm's `Block` (`vision_transformer.py`).
    pub(crate) const TIMM: Self = Self {
        attention_norm: "norm1",
        attention: "attn",
        attention_parameters: ["qkv.weight", "qkv.bias", "proj.weight", "proj.bias"],
        mlp_norm: "norm2",
        mlp: "mlp",
        hidden: "fc1",
        function: "act",
        output: "fc2",
        scales: ["ls1", "ls2"],
    };

    /// The names of open_clip's `ResidualAttentionBlock`.
    pub(crate) const OPEN_CLIP: Self = Self {
        attention_norm: "ln_1",
        attention: "attn",
        attention_parameters: [
            "in_proj_weight",
            "in_proj_bias",
            "out_proj.weight",
            "out_proj.bias",
        ],
        mlp_norm: "ln_2",
        mlp: "mlp",
        hidden: "c_fc",
        function: "gelu",
        output: "c_proj",
        scales: ["ls_1", "ls_2"],
    };
}

/// A map `[N, W, h, w]` as tokens, row by row: `[N, h * w, W]`.
pub(crate) fn tokens_of_map(g: &mut GraphBuilder, map: ValueId) -> ValueId {
    let x = g.step(Flatten { from: 2, to: 3 }, [map]);
    let axes = vec![0, 2, 1];
    g.step(Permute { axes }, [x])
}

/// Tokens of a square after `before` others, `[N, before + side * side, W]`, as a map
/// `[N, W, side, side]`.
pub(crate) fn map_of_tokens(
    g: &mut GraphBuilder,
    before: usize,
    side: usize,
    tokens: ValueId,
) -> ValueId {
    let patches = Slice {
        axis: 1,
        start: before,
        length: side * side,
    };
    let x = g.step(patches, [tokens]);
    let axes = vec![0, 2, 1];
    let x = g.step(Permute { axes }, [x]);
    let shape = vec![0, 0, side as i64, side as i64];
    g.step(Reshape { shape }, [x])
}

/// The same tokens `[1, P, W]` before those of every image: `[N, T, W]` to `[N, P + T, W]`.
pub(crate) fn with_tokens(g: &mut GraphBuilder, tokens: ValueId, x: ValueId) -> ValueId {
    let tokens = g.step(Expand {}, [tokens, x]);
    g.step(Concat { axis: 1 }, [tokens, x])
}

/// How the matrices of a block start. Biases of attention start at zero, those of the linear layers as
/// PyTorch's.
pub(crate) struct BlockInitial {
    /// Query, key and value of attention.
    pub(crate) heads: Initializer,
    /// What follows the heads.
    pub(crate) projection: Initializer,
    /// The first linear layer.
    pub(crate) hidden: Initializer,
    /// The second linear layer.
    pub(crate) output: Initializer,
}

/// A transformer block with normalisation before its parts (Vaswani et al. 2017; Xiong et al. 2020):
/// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
pub(crate) struct TransformerBlock {
    /// The attention.
    pub(crate) attention: Attention,
    /// Width of the hidden layer.
    pub(crate) hidden: usize,
    /// The function after the hidden layer.
    pub(crate) function: Function,
    /// Both normalisations.
    pub(crate) norm: LayerNorm,
    /// What attention and hidden layer are multiplied by at first, channel by channel, where they are
    /// (Touvron et al., *Going deeper with image transformers*, ICCV 2021).
    pub(crate) scale: Option<f64>,
    /// What the parts are called.
    pub(crate) names: BlockNames,
    /// How the matrices start.
    pub(crate) initial: BlockInitial,
}

impl TransformerBlock {
    /// Emits the block at a module path: tokens `[N, T, W]` to tokens `[N, T, W]`.
    pub(crate) fn emit(&self, g: &mut GraphBuilder, path: &str, x: ValueId) -> ValueId {
        let Self { names, initial, .. } = self;
        let width = g.shape(x).last().copied().unwrap_or_default();
        let named = |part: &str| format!("{path}.{part}");

        let attention = named(names.attention);
        let [weight, bias, projection, of_projection] = names
            .attention_parameters
            .map(|parameter| format!("{attention}.{parameter}"));
        let y = g.layer(named(names.attention_norm), self.norm.clone(), [x]);
        let mut parameters = vec![weight.clone(), bias, projection.clone(), of_projection];
        if !self.attention.bias {
            parameters.remove(1);
        }
        let y = g.layer_of(&attention, self.attention.clone(), [y], &parameters);
        g.initialize(&weight, initial.heads.clone());
        g.initialize(&projection, initial.projection.clone());
        let y = self.scaled(g, &named(names.scales[0]), y);
        let x = g.add(x, y);

        let mlp = named(names.mlp);
        let [hidden, function, output] =
            [names.hidden, names.function, names.output].map(|part| format!("{mlp}.{part}"));
        let y = g.layer(named(names.mlp_norm), self.norm.clone(), [x]);
        let y = g.linear(&hidden, self.hidden, y);
        let y = g.activation(function, self.function, y);
        let y = g.linear(&output, width, y);
        for (layer, initial) in [(hidden, &initial.hidden), (output, &initial.output)] {
            g.initialize(&format!("{layer}.weight"), initial.clone());
        }
        let y = g.module(mlp, y);
        let y = self.scaled(g, &named(names.scales[1]), y);
        let x = g.add(x, y);
        g.module(path, x)
    }

    fn scaled(&self, g: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
        let Some(value) = self.scale else { return x };
        let width = g.shape(x).last().copied().unwrap_or_default();
        let start = Initializer::Constant { value };
        let gamma = g.drawn(&format!("{name}.gamma"), [width], start);
        g.multiply(name, x, gamma)
    }
}
