//! What a CLIP-like model implements to guide visualization.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use crate::{InputSpec, Precision, Result};

/// A joint image-text encoder: images and texts in one space, compared by cosine similarity.
///
/// Embeddings are as the model gives them; callers normalise. The trait is dyn-safe.
pub trait ImageTextEncoder: CopyEncoder + Send + Sync {
    /// Name of the model, for reports and provenance.
    fn name(&self) -> &str;

    /// The pixels the image tower wants to see.
    fn input(&self) -> &InputSpec;

    /// Embeds images; keeps the gradient with respect to them when they are tracked. It is called as
    /// [work](crate::among_workers): it must not hold a lock while it computes that another call asks for.
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

    /// Makes what is constant from one forward pass to the next once and for all; as
    /// [`Classifier::fold`](crate::Classifier::fold).
    ///
    /// # Errors
    ///
    /// When that fails; the model is then as it was.
    fn fold(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Copies an encoder for evaluation; as [`CopyClassifier`](crate::CopyClassifier).
///
/// Every Burn [`Module`] that is an [`ImageTextEncoder`] does.
pub trait CopyEncoder {
    /// A copy in evaluation state on `device`, in the number format `precision`, that has nothing
    /// in common with the original that a forward pass could change.
    ///
    /// Its images must be in the same number format; what it gives out is.
    ///
    /// # Errors
    ///
    /// [`Error::Precision`](crate::Error::Precision) when the device does not compute in
    /// `precision`.
    fn encoder_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> Result<Box<dyn ImageTextEncoder>>;
}

impl<M: Module + ImageTextEncoder + 'static> CopyEncoder for M {
    fn encoder_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> Result<Box<dyn ImageTextEncoder>> {
        Ok(Box::new(precision.copy_of(self, device)?))
    }
}
