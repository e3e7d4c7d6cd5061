//! What a CLIP-like model implements to guide visualization.

use burn::tensor::{Device, Tensor};

use crate::{InputSpec, Result};

/// A joint image-text encoder: images and texts in one space, compared by cosine similarity.
///
/// Embeddings are as the model gives them; callers normalise. The trait is dyn-safe.
pub trait ImageTextEncoder: Send + Sync {
    /// Name of the model, for reports and provenance.
    fn name(&self) -> &str;

    /// The pixels the image tower wants to see.
    fn input(&self) -> &InputSpec;

    /// Embeds images; keeps the gradient with respect to them when they are tracked.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, E]`.
    fn encode_images(&self, images: Tensor<4>) -> Tensor<2>;

    /// Embeds texts.
    ///
    /// # Shapes
    ///
    /// `T` texts to `[T, E]`.
    ///
    /// # Errors
    ///
    /// When a text cannot be tokenized.
    fn encode_texts(&self, texts: &[String]) -> Result<Tensor<2>>;

    /// The device the weights are on.
    fn device(&self) -> Device;
}
