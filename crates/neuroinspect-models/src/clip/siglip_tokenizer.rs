//! From a text to SigLIP's tokens, by the `tokenizer.json` that is published beside its weights.

#[cfg(feature = "siglip")]
pub(super) use with_tokenizers::SiglipTokenizer;
#[cfg(not(feature = "siglip"))]
pub(super) use without_tokenizers::SiglipTokenizer;

/// The file that cuts texts into tokens, beside the weights.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// The file that names the token to fill up with, beside it.
#[cfg(any(feature = "siglip", feature = "hub"))]
pub(crate) const OPTIONS: &str = "tokenizer_config.json";

#[cfg(feature = "siglip")]
mod with_tokenizers {
    use std::path::Path;

    use neuroinspect_core::{catch_panic, io::read_text};
    use serde::Deserialize;
    use tokenizers::{Tokenizer, TruncationParams};

    use super::OPTIONS;
    use crate::{Error, Result};

    /// transformers' `tokenizer_config.json`, so far as it decides something.
    #[derive(Deserialize)]
    struct Options {
        pad_token: Special,
    }

    /// A token by its text.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Special {
        Text(String),
        Described { content: String },
    }

    /// A tokenizer of transformers, and what it fills up with.
    #[derive(Clone, Debug)]
    pub(in super::super) struct SiglipTokenizer {
        tokenizer: Tokenizer,
        padding: u32,
        length: usize,
        file: String,
    }

    impl SiglipTokenizer {
        /// The tokenizer of a `tokenizer.json`, for texts of so many tokens.
        pub(in super::super) fn open(path: &Path, length: usize) -> Result<Self> {
            let options = path.with_file_name(OPTIONS);
            let wrong = |path: &Path, reason: String| Error::Tokenizer {
                file: path.display().to_string(),
                reason,
            };
            let json = read_text(path)?;
            let truncation = TruncationParams {
                max_length: length,
                ..TruncationParams::default()
            };
            let tokenizer = attempt(|| {
                let mut tokenizer = Tokenizer::from_bytes(json)?;
                tokenizer
                    .with_truncation(Some(truncation))?
                    .with_padding(None);
                Ok(tokenizer)
            });
            let tokenizer = tokenizer.map_err(|reason| wrong(path, reason))?;
            let given: Options = serde_json::from_str(&read_text(&options)?)
                .map_err(|error| wrong(&options, error.to_string()))?;
            let (Special::Text(token) | Special::Described { content: token }) = given.pad_token;
            let padding = tokenizer.token_to_id(&token).ok_or_else(|| {
                wrong(
                    &options,
                    format!("the pad_token '{token}' is no token of {}", path.display()),
                )
            })?;
            Ok(Self {
                tokenizer,
                padding,
                length,
                file: path.display().to_string(),
            })
        }

        /// Tokens of a text, as many as every text has.
        pub(in super::super) fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
            let found = attempt(|| self.tokenizer.encode_fast(canonical(text), true));
            let found = found.map_err(|reason| Error::Tokenizer {
                file: self.file.clone(),
                reason: format!("'{text}' cannot be cut into tokens: {reason}"),
            })?;
            let mut ids = found.get_ids().to_vec();
            ids.resize(self.length, self.padding);
            Ok(ids)
        }
    }

    /// What `tokenizers` makes of a file or a text, or why not. It panics at files that are damaged in some
    /// places: a table of characters, a template that names a token it does not have.
    fn attempt<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
        match catch_panic(work) {
            Ok(made) => made.map_err(|error| error.to_string()),
            Err(_) => Err("the tokenizer panicked: the file is damaged".to_owned()),
        }
    }

    /// A text in lower case, without ASCII's punctuation, with single spaces: big_vision's
    /// `canonicalize_text`.
    fn canonical(text: &str) -> String {
        let text = text.replace('_', " ");
        let kept = text.chars().filter(|it| !it.is_ascii_punctuation());
        let lower = kept.collect::<String>().to_lowercase();
        lower.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(not(feature = "siglip"))]
mod without_tokenizers {
    use std::path::Path;

    use crate::{Error, Result};

    /// No tokenizer: there is none in a build without the feature.
    #[derive(Clone, Debug)]
    pub(in super::super) enum SiglipTokenizer {}

    impl SiglipTokenizer {
        pub(in super::super) fn open(path: &Path, _: usize) -> Result<Self> {
            Err(Error::Tokenizer {
                file: path.display().to_string(),
                reason: "this build has no tokenizer of SigLIP: build it with the feature siglip"
                    .to_owned(),
            })
        }

        pub(in super::super) fn tokenize(&self, _: &str) -> Result<Vec<u32>> {
            match *self {}
        }
    }
}
