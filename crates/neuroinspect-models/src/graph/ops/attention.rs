//! Self-attention.

use burn::{
    nn::Initializer,
    tensor::{Tensor, module, ops::AttentionModuleOptions},
};
use derive_setters::Setters;
use neuroinspect_core::attention;

use super::{linear::affine, tokens, value};
use crate::graph::{InitialValues, Slot, Value, op::Operation, run::NodeParameters};

/// Self-attention of several heads (Vaswani et al. 2017): `[N, T, W]` to `[N, T, W]`.
///
/// Parameters as PyTorch's `MultiheadAttention` has them: `in_proj_weight` `[3 W, W]` (query, key and
/// value stacked), `in_proj_bias` `[3 W]` where they have one, `out_proj.weight` `[W, W]`, `out_proj.bias` `[W]`.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_")]
pub struct Attention {
    /// Number of heads, a divisor of the width.
    #[setters(skip)]
    pub heads: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// Whether query, key and value have a bias.
    pub bias: bool,
    /// How many tokens, counted from the first, ask; all where there is none. The value then has as
    /// many.
    #[setters(skip)]
    pub queries: Option<usize>,
}

impl Attention {
    /// Attention in which every token sees all.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            causal: false,
            bias: true,
            queries: None,
        }
    }
}

impl Operation for Attention {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let [_, tokens, width] = tokens(inputs)?;
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            return Err(format!(
                "expected a number of heads that divides the width {width}, found {}",
                self.heads
            ));
        }
        if let Some(queries) = self.queries
            && (queries == 0 || queries > tokens)
        {
            return Err(format!("expected 1 to {tokens} queries, found {queries}"));
        }
        let start = |outputs| {
            InitialValues::random(Initializer::XavierUniform { gain: 1.0 }, width, outputs)
        };
        let weight = Slot::new("in_proj_weight", [3 * width, width], start(3 * width));
        let bias = || Slot::new("in_proj_bias", [3 * width], InitialValues::zeros());
        let after = [
            Slot::new("out_proj.weight", [width, width], start(width)),
            Slot::new("out_proj.bias", [width], InitialValues::zeros()),
        ];
        let bias = self.bias.then(bias);
        Ok([weight].into_iter().chain(bias).chain(after).collect())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [images, tokens, width] = tokens(inputs)?;
        Ok(vec![images, self.queries.unwrap_or(tokens), width])
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?.rank3()?;
        // The first tokens see none of those after them, which are left out; with fewer queries than
        // keys, Burn's causal mask would be that of the last tokens.
        let (x, queries) = match self.queries {
            Some(queries) if self.causal => (x.narrow(1, 0, queries), None),
            queries => (x, queries),
        };
        let [images, length, width] = x.dims();
        let head = width / self.heads;
        let weight = parameters.rank2(0)?;
        let (bias, after) = match self.bias {
            true => (Some(parameters.rank1(1)?), 2),
            false => (None, 1),
        };
        let project = |x: Tensor<3>, start: usize, parts: usize| {
            let weight = weight.clone().narrow(0, start * width, parts * width);
            let bias = bias.clone();
            let bias = bias.map(|bias| bias.narrow(0, start * width, parts * width));
            affine(x, weight, bias)
        };
        // [N, T, W] to [N, heads, T, head].
        let split = |x: Tensor<3>, part: usize| {
            let [_, length, _] = x.dims();
            let x = x.narrow(2, part * width, width);
            x.reshape([images, length, self.heads, head])
                .swap_dims(1, 2)
        };
        let (asking, [query, key, value]) = match queries {
            None => {
                let all = project(x, 0, 3);
                (length, [0, 1, 2].map(|part| split(all.clone(), part)))
            }
            Some(asking) => {
                let query = split(project(x.clone().narrow(1, 0, asking), 0, 1), 0);
                let seen = project(x, 1, 2);
                (asking, [query, split(seen.clone(), 0), split(seen, 1)])
            }
        };
        let heads = match self.causal {
            true => {
                let options = AttentionModuleOptions {
                    is_causal: true,
                    ..Default::default()
                };
                module::attention(query, key, value, None, None, options)
            }
            false => attention(query, key, value),
        };
        let heads = heads.swap_dims(1, 2).reshape([images, asking, width]);
        let (weight, bias) = (parameters.rank2(after)?, parameters.rank1(after + 1)?);
        Ok(affine(heads, weight, Some(bias)).into())
    }
}
