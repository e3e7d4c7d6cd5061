//! Lists of prompt templates.

use std::path::Path;

use neuroinspect_core::io::read_text;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What stands in a template for the class.
const PLACEHOLDER: &str = "{}";

/// A list of captions with `{}` where the class goes; at least one.
///
/// ```
/// use neuroinspect_models::prompts::{PromptTemplates, class_text};
///
/// # fn main() -> Result<(), neuroinspect_models::Error> {
/// let templates = PromptTemplates::new(["a photo of a {}.", "a drawing of a {}."])?;
/// let prompts = templates.fill(&class_text(Some("food"), "apple_pie"));
/// assert_eq!(prompts[1], "a drawing of a food, apple pie.");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PromptTemplates(Vec<String>);

impl PromptTemplates {
    /// A list of one's own.
    ///
    /// # Errors
    ///
    /// When the list is empty, or a template has no `{}`.
    pub fn new(templates: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let numbered = (1..).zip(templates.into_iter().map(Into::into));
        Self::checked(numbered, "the list given")
    }

    /// Templates of a text file, one a line; empty lines and lines that begin with `#` are
    /// skipped.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds no template, or a line has no `{}`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Self::checked(lines(&text), &format!("'{}'", path.display()))
    }

    /// The 80 templates of CLIP's zero-shot evaluation on ImageNet.
    ///
    /// Radford et al. 2021, arXiv 2103.00020; notebook `Prompt_Engineering_for_ImageNet` of
    /// OpenAI's CLIP repository.
    pub fn imagenet80() -> Self {
        Self::embedded(include_str!("imagenet80.txt"))
    }

    /// 32 templates about parts of things, patterns and abstract renderings: what the picture of
    /// a neuron looks like.
    pub fn parts32() -> Self {
        Self::embedded(include_str!("parts32.txt"))
    }

    /// The prompts for one class: each template with `class_text` in place of every `{}`.
    pub fn fill(&self, class_text: &str) -> Vec<String> {
        let fill = |template: &String| template.replace(PLACEHOLDER, class_text);
        self.0.iter().map(fill).collect()
    }

    /// The templates; at least one.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// A list of this crate's, which its tests check.
    fn embedded(text: &str) -> Self {
        Self(lines(text).map(|(_, template)| template).collect())
    }

    fn checked(templates: impl Iterator<Item = (usize, String)>, origin: &str) -> Result<Self> {
        let origin = || origin.to_owned();
        let check = |(line, template): (usize, String)| {
            if template.contains(PLACEHOLDER) {
                return Ok(template);
            }
            Err(Error::Template {
                origin: origin(),
                line,
                template,
            })
        };
        let templates = templates.map(check).collect::<Result<Vec<_>>>()?;
        if templates.is_empty() {
            return Err(Error::NoTemplates { origin: origin() });
        }
        Ok(Self(templates))
    }
}

impl TryFrom<Vec<String>> for PromptTemplates {
    type Error = Error;

    fn try_from(templates: Vec<String>) -> Result<Self> {
        Self::new(templates)
    }
}

impl From<PromptTemplates> for Vec<String> {
    fn from(templates: PromptTemplates) -> Self {
        templates.0
    }
}

/// The templates of a text with their line numbers, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number, line.to_owned()))
}

/// The text for a class: its name with spaces for underscores, after the domain where one is
/// given ("food, steak").
///
/// The domain tells an image-text encoder which of a word's senses is meant.
pub fn class_text(domain: Option<&str>, name: &str) -> String {
    let name = name.replace('_', " ");
    match domain {
        Some(domain) => format!("{domain}, {name}"),
        None => name,
    }
}
