//! The texts that guide pictures, embedded when it is known which are needed.

use std::fmt;

use neuroinspect_core::{
    ClassEmbeddings, ClassId, Error as CoreError, ImageTextEncoder, Observer, Progress,
};
use neuroinspect_illusion::Guide;
use neuroinspect_models::prompts::{ClassEmbeddingConfig, PromptTemplates, class_embeddings};

use crate::Result;

const STAGE: &str = "embedding class names";

/// Makes the guide of pictures, once it is known within which classes they are.
pub trait GuideSource {
    /// A guide whose class embeddings are valid for `classes` at least.
    ///
    /// # Errors
    ///
    /// When a class does not exist, the encoder fails, or the observer asks to stop.
    fn guide(&self, classes: &[ClassId], observer: &mut dyn Observer) -> Result<Guide<'_>>;
}

/// A guide that is there already.
impl GuideSource for Guide<'_> {
    fn guide(&self, _: &[ClassId], _: &mut dyn Observer) -> Result<Guide<'_>> {
        Ok(self.clone())
    }
}

/// An image-text encoder and a text per class, not embedded yet.
///
/// A text tower on a CPU takes a second or so for the prompts of one class, so that the thousand
/// classes of ImageNet would take longer than the handful of pictures that are wanted.
#[derive(Clone)]
pub struct ClassTexts<'a> {
    /// The encoder.
    pub encoder: &'a dyn ImageTextEncoder,
    /// The prompts a text is put into.
    pub templates: &'a PromptTemplates,
    /// One per class, as [`class_text`](neuroinspect_models::prompts::class_text) makes them.
    pub texts: Vec<String>,
}

impl fmt::Debug for ClassTexts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassTexts")
            .field("encoder", &self.encoder.name())
            .field("texts", &self.texts.len())
            .finish_non_exhaustive()
    }
}

impl GuideSource for ClassTexts<'_> {
    /// Embeds the texts of `classes`, each once.
    fn guide(&self, classes: &[ClassId], observer: &mut dyn Observer) -> Result<Guide<'_>> {
        let mut needed = classes.to_vec();
        needed.sort_unstable();
        needed.dedup();
        let config = ClassEmbeddingConfig::default();
        let mut embeddings: Option<ClassEmbeddings> = None;
        for (index, &class) in needed.iter().enumerate() {
            class.check(self.texts.len())?;
            let text = std::slice::from_ref(&self.texts[class.0]);
            let row = class_embeddings(self.encoder, self.templates, text, &config)?;
            let of_class = ClassEmbeddings::new(&[class], row)?;
            match &mut embeddings {
                Some(embeddings) => embeddings.extend(of_class)?,
                None => embeddings = Some(of_class),
            }
            observer.proceed(Progress {
                stage: STAGE,
                done: index + 1,
                total: needed.len(),
            })?;
        }
        Ok(Guide {
            encoder: self.encoder,
            class_embeddings: embeddings.ok_or_else(|| CoreError::empty("classes to picture"))?,
        })
    }
}
