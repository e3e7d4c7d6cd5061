//! What is maximised, and what it is made of.

use burn::tensor::Tensor;

use crate::{Coupling, Error, IllusionConfig, Objective, Result};

/// What the networks make of a batch of images, for each image's own neuron and class.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// Activation `a_n` of the neuron: `[N]`.
    pub(crate) activation: Tensor<1>,
    /// Logit `z_c` of the class: `[N]`.
    pub(crate) logit: Tensor<1>,
    /// Similarity `s` of the image and the class text, where an encoder looked: `[N]`.
    pub(crate) similarity: Option<Tensor<1>>,
}

/// The losses to be minimised (Eq. 2, 4, 10): `[N]`, one per image, or `[1]` where the objective
/// couples the batch. Their sum is differentiated.
pub(crate) fn losses(response: &Response, config: &IllusionConfig) -> Result<Tensor<1>> {
    let weight = match config.objective {
        Objective::Guided | Objective::ClassConditional => config.class_gamma,
        Objective::FeatureVisualization { logit_weight } => logit_weight,
    };
    let fires = response.activation.clone() + response.logit.clone() * weight;
    let guide = match config.objective {
        Objective::Guided => {
            let similarity = response.similarity.clone().ok_or(Error::MissingGuide)?;
            Some(similarity + config.domain_eps)
        }
        Objective::ClassConditional | Objective::FeatureVisualization { .. } => None,
    };
    Ok(match (config.coupling, guide) {
        (Coupling::PerImage, Some(guide)) => -(guide * fires),
        (Coupling::PerImage, None) => -fires,
        (Coupling::WholeBatch, Some(guide)) => -(guide.mean() * fires.mean()),
        (Coupling::WholeBatch, None) => -fires.mean(),
    })
}

/// Similarity `s` of images and their class texts (Eq. 3): the image embeddings are normalised,
/// the text embeddings are taken as they are.
///
/// # Shapes
///
/// Twice `[N, E]` to `[N]`.
pub(crate) fn similarity(images: Tensor<2>, texts: Tensor<2>) -> Tensor<1> {
    let length = images.clone().square().sum_dim(1).sqrt();
    (images * texts).sum_dim(1).div(length).squeeze_dim(1)
}
