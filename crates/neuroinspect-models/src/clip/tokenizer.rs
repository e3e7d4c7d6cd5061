//! From a text to CLIP's tokens.

use std::sync::LazyLock;

use instant_clip_tokenizer::{Token, Tokenizer};

/// Number of tokens in CLIP's vocabulary.
pub(super) const VOCABULARY: usize = 49408;

/// The merge rules take a while to read: once per process, and only when a text is seen.
static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);

/// Tokens of a text, as CLIP's byte-pair encoding has them: start of text, the lower-cased text,
/// end of text.
///
/// A text of more than `context_length` tokens is cut there, the last token replaced by the end
/// of text. Unlike open_clip, which repairs mojibake and HTML entities first (ftfy), the text is
/// taken as it is; on clean text in Unicode's composed form both agree.
pub fn tokenize(text: &str, context_length: usize) -> Vec<u16> {
    let mut tokens = vec![TOKENIZER.start_of_text()];
    TOKENIZER.encode(text, &mut tokens);
    tokens.truncate(context_length.saturating_sub(1));
    tokens.push(TOKENIZER.end_of_text());
    tokens.into_iter().map(Token::to_u16).collect()
}
