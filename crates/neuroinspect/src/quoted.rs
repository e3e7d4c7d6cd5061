//! Words of a command line.

use std::ffi::OsStr;

/// A word as a shell reads it; one that is no Unicode only resembles it.
///
/// ```
/// assert_eq!(neuroinspect::quoted("plain/path-1.png"), "plain/path-1.png");
/// assert_eq!(neuroinspect::quoted("two words"), "'two words'");
/// assert_eq!(neuroinspect::quoted("it's"), r"'it'\''s'");
/// assert_eq!(neuroinspect::quoted(""), "''");
/// ```
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let special = |c: char| c.is_whitespace() || "'\"\\$&|;<>()*?#~`![]{}".contains(c);
    match word.is_empty() || word.contains(special) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.into_owned(),
    }
}
