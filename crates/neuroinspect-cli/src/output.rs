//! Where results go: the folder, and standard output.

use std::{
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use neuroinspect::core::write_atomically;
use serde::Serialize;

/// The folder results are written into, known to be writable.
#[derive(Debug)]
pub(crate) struct OutFolder(PathBuf);

impl OutFolder {
    /// Makes the folder and tries to write into it, before any work is done for it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let context = || {
            format!(
                "cannot write results into '{}'; choose another --out",
                path.display()
            )
        };
        std::fs::create_dir_all(path).with_context(context)?;
        tempfile::tempfile_in(path).with_context(context)?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec_pretty(value)?;
        write_atomically(self.join(name), |out| {
            out.write_all(&json)?;
            out.write_all(b"\n")
        })?;
        Ok(())
    }
}

/// Prints the result of a command: as JSON, or as the text that `text` makes of it.
pub(crate) fn print<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        false => write!(out, "{}", text(value))?,
    }
    out.flush()?;
    Ok(())
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}

/// A share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
