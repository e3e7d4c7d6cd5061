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

    /// Removes the pictures of neurons that an earlier run left in a folder within this one.
    pub(crate) fn remove_pictures(&self, folder: &str) -> Result<()> {
        let path = self.join(folder);
        let context = || format!("cannot clear '{}'", path.display());
        let files = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            files => files.with_context(context)?,
        };
        for file in files {
            let name = file.with_context(context)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_picture(name)) {
                self.remove([&*Path::new(folder).join(name).to_string_lossy()])?;
            }
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

/// Whether a file is called as pictures of neurons are: `neuron-3-class-7.png`, or `-masked.png`.
fn is_picture(name: &str) -> bool {
    let numbers = |name: &str| {
        let (neuron, class) = name.strip_prefix("neuron-")?.split_once("-class-")?;
        let class = class.strip_suffix("-masked").unwrap_or(class);
        Some(neuron.parse::<usize>().is_ok() && class.parse::<usize>().is_ok())
    };
    name.strip_suffix(".png").and_then(numbers) == Some(true)
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

#[cfg(test)]
mod tests {
    use neuroinspect::core::Groups;

    use super::*;

    #[test]
    fn only_pictures_of_neurons_are_called_so() {
        for name in ["neuron-3-class-7.png", "neuron-30-class-12-masked.png"] {
            assert!(is_picture(name), "{name}");
        }
        for name in [
            "neuron-3-best.png",
            "neuron-3-class-cat.png",
            "neuron-3-class-7.jpg",
            "my-neuron-3-class-7.png",
            "neurons.png",
        ] {
            assert!(!is_picture(name), "{name}");
        }
    }

    /// Half of four samples right before, all but one after, and the control's class as before.
    #[test]
    fn accuracies_are_a_table_with_a_column_for_the_control() {
        let labels = [0, 0, 1, 1].map(ClassId);
        let groups = Groups {
            names: vec!["in".into(), "out".into()],
            of_sample: vec![0, 1, 0, 1],
        };
        let metrics = |predictions: [usize; 4], groups| {
            Metrics::new(&labels, &predictions.map(ClassId), 2, groups).unwrap()
        };
        let groups = Some(&groups);
        let (before, after) = (metrics([1, 1, 1, 1], groups), metrics([0, 1, 1, 1], groups));
        let control = metrics([1, 1, 0, 1], groups);
        let table = accuracies(Some((ClassId(0), "cat")), &before, &after, Some(&control));
        let expected = "\
            accuracy                   before    after  control\n\
            average                    50.0 %   75.0 %   25.0 %\n\
            cat                         0.0 %   50.0 %    0.0 %\n\
            worst class                 0.0 %   50.0 %    0.0 %\n\
            worst group                50.0 %   50.0 %    0.0 %\n\
            (control: the same training without the probability ratio)\n";
        assert_eq!(table, expected);

        let (before, after) = (metrics([1, 1, 1, 1], None), metrics([0, 1, 1, 1], None));
        let table = accuracies(None, &before, &after, None);
        let expected = "\
            accuracy                   before    after\n\
            average                    50.0 %   75.0 %\n\
            worst class                 0.0 %   50.0 %\n";
        assert_eq!(table, expected);
    }
}
