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

/// The spatial mean of a map: `[N, C, h, w]` to `[N, C]`.
pub(crate) fn spatial_mean(map: Tensor<4>) -> Tensor<2> {
    let [n, channels, height, width] = map.dims();
    map.reshape([n, channels, height * width])
        .mean_dim(2)
        .reshape([n, channels])
}
