//! From class texts to class embeddings, and from those to predictions.

use burn::tensor::Tensor;
use derive_setters::Setters;
use neuroinspect_core::{ClassId, Error as CoreError, ImageTextEncoder, Precision, check_option};
use serde::{Deserialize, Serialize};

use super::PromptTemplates;
use crate::Result;

/// How [`class_embeddings`] makes its means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default)]
#[setters(prefix = "with_")]
pub struct ClassEmbeddingConfig {
    /// Most prompts embedded at once; at least 1. Default 256.
    pub batch_size: usize,
}

impl Default for ClassEmbeddingConfig {
    fn default() -> Self {
        Self { batch_size: 256 }
    }
}

impl ClassEmbeddingConfig {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// When `batch_size` is 0.
    pub fn validate(&self) -> Result<()> {
        let size = self.batch_size;
        Ok(check_option("batch_size", size, size > 0, "at least 1")?)
    }
}

/// Mean over the templates of the unit-normalised embeddings of each class (method of arXiv
/// 2310.07184, section 3; the equation stands at [the module](super)). The less a class's prompts
/// agree, the shorter its mean, which is not scaled; [`zero_shot`] scales it.
///
/// The result is in `f32`, whatever the encoder computes in; it is on the encoder's device and has no
/// gradient to the encoder's weights where the encoder is on a plain device.
///
/// # Shapes
///
/// `K` class texts to `[K, E]`.
///
/// # Errors
///
/// When there are no classes, an option is out of range, or the encoder fails.
pub fn class_embeddings(
    encoder: &dyn ImageTextEncoder,
    templates: &PromptTemplates,
    class_texts: &[String],
    config: &ClassEmbeddingConfig,
) -> Result<Tensor<2>> {
    config.validate()?;
    if class_texts.is_empty() {
        return Err(CoreError::empty("class texts to embed").into());
    }
    // Whole classes per batch, as many as fit; a class of more prompts than that is split.
    let classes_at_once = (config.batch_size / templates.as_slice().len()).max(1);
    let means = class_texts
        .chunks(classes_at_once)
        .map(|classes| mean_embeddings(encoder, templates, classes, config.batch_size))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(means, 0))
}

fn mean_embeddings(
    encoder: &dyn ImageTextEncoder,
    templates: &PromptTemplates,
    class_texts: &[String],
    batch_size: usize,
) -> Result<Tensor<2>> {
    let fill = |text: &String| templates.fill(text);
    let prompts: Vec<_> = class_texts.iter().flat_map(fill).collect();
    let embeddings = prompts
        .chunks(batch_size)
        .map(|prompts| Ok(unit(encoder.encode_texts(prompts)?)))
        .collect::<Result<Vec<_>>>()?;
    let embeddings = Tensor::cat(embeddings, 0);
    let (classes, width) = (class_texts.len(), embeddings.dims()[1]);
    Ok(embeddings
        .reshape([classes, templates.as_slice().len(), width])
        .mean_dim(1)
        .reshape([classes, width]))
}

/// The class whose embedding is nearest each image's, by cosine.
///
/// # Shapes
///
/// Image embeddings `[N, E]` and class embeddings `[K, E]`, neither normalised, to `N` classes.
///
/// # Errors
///
/// When the widths differ, there are no classes, or the result cannot be read from the device.
pub fn zero_shot(images: Tensor<2>, classes: Tensor<2>) -> Result<Vec<ClassId>> {
    let ([_, width], [count, expected]) = (images.dims(), classes.dims());
    if width != expected || count == 0 {
        let found = classes.dims();
        return Err(
            CoreError::shape("class embeddings", ["K > 0", &width.to_string()], found).into(),
        );
    }
    // An image's own length does not move the maximum of its row.
    let nearest = Precision::F32
        .cast(images)
        .matmul(unit(classes).transpose())
        .argmax(1);
    let nearest = nearest
        .try_into_vec_as::<i64>()
        .map_err(|error| CoreError::Device {
            what: "zero-shot predictions",
            reason: error.to_string(),
        })?;
    Ok(nearest
        .into_iter()
        .map(|class| ClassId(class as usize))
        .collect())
}

/// Rows scaled to unit length, in `f32`; a row of zeros stays.
///
/// An encoder of texts gives the number format of its weights, in which squares may overflow and the
/// smallest length is 0.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let rows = Precision::F32.cast(rows);
    let length = rows.clone().square().sum_dim(1).sqrt();
    rows / length.clamp_min(1e-12)
}
