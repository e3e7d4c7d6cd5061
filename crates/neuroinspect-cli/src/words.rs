//! Lists of words, and the labels that units get of them.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, bail};
use neuroinspect::{
    ImageSource,
    concepts::{LabelConfig, LabelRequest, UnitLabels, embed_words, label_units},
    core::{ActivationTable, io::read_text},
    models::prompts::PromptTemplates,
};

use crate::{console::Console, inputs::Setup, model::TextGuide};

/// What is labelled.
pub(crate) struct Labelling<'a> {
    pub(crate) words: Vec<String>,
    /// Of the words, those whose units are looked for.
    pub(crate) queries: &'a [String],
    /// What a layer makes of the images.
    pub(crate) activations: &'a ActivationTable,
    pub(crate) images: ImageSource<'a>,
    pub(crate) config: &'a LabelConfig,
}

/// The words of a file, one a line, each once, and others after them.
pub(crate) fn read(file: &Path, others: &[String]) -> Result<Vec<String>> {
    let text = read_text(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut seen = BTreeSet::new();
    let mut words: Vec<String> = lines.map(str::to_owned).collect();
    if words.is_empty() {
        bail!("'{}' has no words; give one a line", file.display());
    }
    words.extend_from_slice(others);
    words.retain(|word| seen.insert(word.clone()));
    Ok(words)
}

/// Labels units. A word is embedded as it is, unless `--prompts` says otherwise.
pub(crate) fn label(
    setup: &Setup<'_>,
    guide: &TextGuide,
    labelling: &Labelling<'_>,
    console: &mut Console,
) -> Result<UnitLabels> {
    let encoder = guide.encoder();
    let embedded = setup.embeddings(encoder, labelling.images, console)?;
    let templates = word_templates(guide)?;
    let words = embed_words(encoder, &templates, labelling.words.clone(), console)?;
    let images = embedded.values()?;
    let request = LabelRequest {
        activations: labelling.activations,
        images: images.view(),
        words: &words,
        queries: labelling.queries,
    };
    let labels = label_units(&request, labelling.config, console)?;
    console.clear();
    Ok(labels)
}

/// The templates given, or the bare word.
fn word_templates(guide: &TextGuide) -> Result<PromptTemplates> {
    let given = &guide.prompts.templates;
    match *given == PromptTemplates::parts32() {
        true => Ok(PromptTemplates::new(["{}"])?),
        false => Ok(given.clone()),
    }
}
