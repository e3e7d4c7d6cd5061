//! The block that transformers are made of.

use burn::nn::Initializer;

use crate::graph::{Attention, Function, GraphBuilder, LayerNorm, ValueId};

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
}

impl BlockNames {
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
    };
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
        let parameters = names
            .attention_parameters
            .map(|parameter| format!("{attention}.{parameter}"));
        let y = g.layer(named(names.attention_norm), self.norm.clone(), [x]);
        let y = g.layer_of(&attention, self.attention.clone(), [y], &parameters);
        g.initialize(&parameters[0], initial.heads.clone());
        g.initialize(&parameters[2], initial.projection.clone());
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
        let x = g.add(x, y);
        g.module(path, x)
    }
}
