//! The record of a run: what was done, on what, by which command line.

use std::ffi::OsStr;

use neuroinspect::{core::Seed, report::Run};

use crate::args::Common;

/// The part of a run's record that every command on a model has.
pub(crate) fn run(common: &Common, model: &str, weights_sha256: &str, data: &str) -> Run {
    let mut run = Run::new(model, data, common.device.to_string(), Seed(common.seed));
    run.command = Some(command_line());
    run.weights_sha256 = Some(weights_sha256.to_owned());
    run
}

/// A word as a shell reads it; one that is no Unicode only resembles it.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    match word.contains(|c: char| c.is_whitespace() || "'\"\\$&|;<>()*?#~`![]{}".contains(c)) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.into_owned(),
    }
}

/// The command line as it was typed, near enough to be typed again.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(quoted);
    std::iter::once("neuroinspect".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}
