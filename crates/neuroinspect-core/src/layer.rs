//! Layers that can be looked at, by name.

use burn::tensor::Tensor;
use derive_more::Display;
use serde::{Deserialize, Serialize};

/// A layer of a model whose values can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Its name: for models of the registry timm's module path, e.g. `layer3.5.conv2`.
    pub name: String,
    /// What its values are.
    pub kind: LayerKind,
    /// Number of channels `C`, or of neurons `D`.
    pub channels: usize,
}

/// What a layer's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// Feature maps: `[N, C, h, w]`.
    #[display("map [N, C, h, w]")]
    Map,
    /// Tokens: `[N, T, C]`.
    #[display("tokens [N, T, C]")]
    Tokens,
    /// One number per neuron: `[N, D]`.
    #[display("features [N, D]")]
    Features,
}

/// The values of a layer for a batch of images.
#[derive(Clone, Debug)]
pub enum LayerValues {
    /// Feature maps: `[N, C, h, w]`.
    Map(Tensor<4>),
    /// Tokens: `[N, T, C]`.
    Tokens(Tensor<3>),
    /// One number per neuron: `[N, D]`.
    Features(Tensor<2>),
}

impl LayerValues {
    /// What the values are.
    pub fn kind(&self) -> LayerKind {
        match self {
            Self::Map(_) => LayerKind::Map,
            Self::Tokens(_) => LayerKind::Tokens,
            Self::Features(_) => LayerKind::Features,
        }
    }

    /// Number of channels or neurons.
    pub fn channels(&self) -> usize {
        match self {
            Self::Map(map) => map.dims()[1],
            Self::Tokens(tokens) => tokens.dims()[2],
            Self::Features(features) => features.dims()[1],
        }
    }

    /// The values of one image of the batch, which has `N = 1`.
    pub fn image(&self, index: usize) -> Self {
        match self {
            Self::Map(map) => Self::Map(map.clone().narrow(0, index, 1)),
            Self::Tokens(tokens) => Self::Tokens(tokens.clone().narrow(0, index, 1)),
            Self::Features(features) => Self::Features(features.clone().narrow(0, index, 1)),
        }
    }

    /// The values of one channel, which are of the same kind.
    pub(crate) fn channel(&self, channel: usize) -> Self {
        match self {
            Self::Map(map) => Self::Map(map.clone().narrow(1, channel, 1)),
            Self::Tokens(tokens) => Self::Tokens(tokens.clone().narrow(2, channel, 1)),
            Self::Features(features) => Self::Features(features.clone().narrow(1, channel, 1)),
        }
    }

    /// Where in the image channels are active: `[N, C, h, w]`. Tokens are taken for those of a square of
    /// patches, at least 3 by 3, before which up to five others stand, such as a class token and
    /// registers. `None` where they are other tokens, or values have no place.
    pub(crate) fn map(&self) -> Option<Tensor<4>> {
        match self {
            Self::Map(map) => Some(map.clone()),
            Self::Tokens(tokens) => {
                let [n, count, channels] = tokens.dims();
                let side = count.isqrt();
                if side < 3 || count - side * side > MOST_BEFORE {
                    return None;
                }
                let patches = tokens
                    .clone()
                    .narrow(1, count - side * side, side * side)
                    .swap_dims(1, 2);
                Some(patches.reshape([n, channels, side, side]))
            }
            Self::Features(_) => None,
        }
    }

    /// One number per channel: the mean over positions or tokens.
    ///
    /// # Shapes
    ///
    /// `[N, C]`.
    pub fn pooled(&self) -> Tensor<2> {
        match self {
            Self::Map(map) => spatial_mean(map.clone()),
            Self::Tokens(tokens) => tokens.clone().mean_dim(1).squeeze_dim(1),
            Self::Features(features) => features.clone(),
        }
    }
}

/// Most tokens before those of patches: a class token and four registers.
const MOST_BEFORE: usize = 5;

/// The spatial mean of a map: `[N, C, h, w]` to `[N, C]`.
pub(crate) fn spatial_mean(map: Tensor<4>) -> Tensor<2> {
    let [n, channels, height, width] = map.dims();
    map.reshape([n, channels, height * width])
        .mean_dim(2)
        .reshape([n, channels])
}
