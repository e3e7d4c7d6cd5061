//! Where results go: the folder, and standard output.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use neuroinspect::core::{ClassId, Metrics, write_atomically};
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

    /// Removes files of an earlier run, where they are there: they would pass for this one's.
    pub(crate) fn remove<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        for name in names {
            let path = self.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("cannot remove '{}'", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the pictures of neurons that an earlier run left in a folder of this one.
    pub(crate) fn remove_pictures(&self, folder: &str) -> Result<()> {
        let Ok(files) = std::fs::read_dir(self.join(folder)) else {
            return Ok(());
        };
        let names = files.flatten().filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let is_picture = name.starts_with("neuron-") && name.ends_with(".png");
            is_picture.then(|| Path::new(folder).join(name))
        });
        for name in names {
            self.remove([name.to_string_lossy().as_ref()])?;
        }
        Ok(())
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

/// Prints the result of a command: as JSON, or as the text that `text` makes of it. A reader that has
/// gone has read enough.
pub(crate) fn print<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(value)? + "\n",
        false => text(value),
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the result")
        }
        _ => Ok(()),
    }
}

/// Says something on standard error; one that is closed is no reason to stop.
pub(crate) fn tell(message: impl Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// A share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Accuracies before and after an edit, and of its control, as a table: average, `class` by its
/// name, worst class, and worst group where there are groups.
pub(crate) fn accuracies(
    class: Option<(ClassId, &str)>,
    before: &Metrics,
    after: &Metrics,
    control: Option<&Metrics>,
) -> String {
    let columns: Vec<_> = [("before", before), ("after", after)]
        .into_iter()
        .chain(control.map(|control| ("control", control)))
        .collect();
    let line = |title: &str, cells: Vec<String>| {
        let cells = cells.iter().map(|cell| format!(" {cell:>8}"));
        format!("{title:<24}{}\n", cells.collect::<String>())
    };
    let row = |title: &str, accuracy: &dyn Fn(&Metrics) -> Option<f64>| {
        let cell = |&(_, metrics): &(_, &Metrics)| accuracy(metrics).map_or("-".into(), percent);
        line(title, columns.iter().map(cell).collect())
    };
    let titles = columns.iter().map(|(title, _)| (*title).to_owned());
    let mut text = line("accuracy", titles.collect());
    text += &row("average", &|metrics| Some(metrics.accuracy));
    if let Some((class, name)) = class {
        text += &row(name, &|metrics| metrics.class_accuracy[class.0]);
    }
    text += &row("worst class", &|metrics| Some(metrics.worst_class_accuracy));
    if before.worst_group_accuracy.is_some() {
        text += &row("worst group", &|metrics| metrics.worst_group_accuracy);
    }
    if control.is_some() {
        text += "(control: the same training without the probability ratio)\n";
    }
    text
}
