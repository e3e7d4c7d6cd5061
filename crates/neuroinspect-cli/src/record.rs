//! The record of a run: what was done, on what, by which command line.

use std::ffi::OsStr;

use anyhow::Result;
use neuroinspect::{datasets::LoaderConfig, report::Run};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{args::Common, options::Options};

/// The part of a run's record that every command on a model has.
pub(crate) fn run(common: &Common, options: &Options, model: &str, data: &str) -> Run {
    let mut run = Run::new(model, data, common.device().to_string(), options.seed);
    run.command = Some(command_line());
    run.configs.insert("seed".into(), json!(options.seed));
    run
}

/// Notes the options of a stage, as `--config` takes them.
pub(crate) fn add(run: &mut Run, name: &str, options: &impl Serialize) -> Result<()> {
    let options = serde_json::to_value(options)?;
    run.configs.insert(name.into(), options);
    Ok(())
}

/// Of how images are loaded, what results depend on: not how many threads do it.
pub(crate) fn loader(config: &LoaderConfig) -> Value {
    json!({ "batch_size": config.batch_size, "on_corrupt": config.on_corrupt })
}

/// A word as a shell reads it; one that is no Unicode only resembles it.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let special = |c: char| c.is_whitespace() || "'\"\\$&|;<>()*?#~`![]{}".contains(c);
    match word.is_empty() || word.contains(special) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.into_owned(),
    }
}

/// The command line as it was typed, near enough to be typed again.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(quoted);
    std::iter::once("neuroinspect".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        for (word, expected) in [
            ("plain/path-1.png", "plain/path-1.png"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
