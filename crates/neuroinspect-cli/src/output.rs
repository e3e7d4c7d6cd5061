//! Results: their folder, and standard output.

use std::{
    io::{self, ErrorKind, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use neuroinspect::{
    RunFolder,
    core::{ClassId, Metrics},
    editing::{Comparison, EditResult, Edited, Mend, percent},
    report::{Schema, to_json},
};
use serde::Serialize;

use crate::{args::Common, console::warn, record::command_line};

/// The folder that `--out` names, made if it is missing, writable and this program's alone.
pub(crate) fn open_folder(common: &Common) -> Result<RunFolder> {
    let folder = RunFolder::open(&common.out, Some(command_line())).context("--out")?;
    if !folder.keeps_for_later() {
        warn(
            "the state of this program's file cannot be told: no run will take up what this one makes",
        );
    }
    Ok(folder)
}

/// Refuses a folder of results within one of images, where results would be taken for classes and images.
pub(crate) fn check_apart(out: &Path, images: &Path) -> Result<()> {
    let (resolved_out, resolved_images) = (resolved(out), resolved(images));
    let within = resolved_out.strip_prefix(resolved_images);
    // Hidden folders are passed over.
    let is_hidden = |part: Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
    if within.is_ok_and(|within| !within.components().any(is_hidden)) {
        bail!(
            "results would be written to '{}', in the folder of images '{}', and be taken for classes and images there: name \
             another folder with --out",
            out.display(),
            images.display()
        );
    }
    Ok(())
}

/// A path without links and dots, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let known = |ancestor: &Path| Some((ancestor.to_owned(), ancestor.canonicalize().ok()?));
    let Some((ancestor, mut resolved)) = path.ancestors().find_map(known) else {
        return path;
    };
    // Of what is not there yet.
    for part in path.strip_prefix(ancestor).unwrap_or(&path).components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
    }
    resolved
}

/// Says that pictures were taken from the folder, or went on after so many steps.
pub(crate) fn warn_of_reused(folder: &RunFolder, pictures: usize, resumed_at: Option<usize>) {
    if pictures > 0 {
        let path = folder.path().display();
        warn(format_args!(
            "{pictures} pictures taken from '{path}': nothing has changed"
        ));
    }
    if let Some(steps) = resumed_at {
        warn(format_args!(
            "pictures under way went on after step {steps}, the last that the run before had kept"
        ));
    }
}

/// Prints the result of a command: as JSON, or as the text that `text` makes of it.
pub(crate) fn print<T: Serialize>(
    json: bool,
    schema: Schema,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<()> {
    let text = match json {
        true => to_json(schema, value)?,
        false => text(value),
    };
    print_text(text.as_bytes())
}

/// Prints a text. A reader that has gone has read enough.
pub(crate) fn print_text(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the result")
        }
        _ => Ok(()),
    }
}

/// The title of the layer that an edit is compared with.
pub(crate) const CONTROL: &str = "control";

/// The names of what an edited layer leaves in a folder.
pub(crate) struct LayerFiles {
    pub(crate) record: &'static str,
    /// Applied and reverted by `apply`.
    pub(crate) edit: &'static str,
    /// The layer as plain tensors: `weight` `[K, D]` and `bias` `[K]`.
    pub(crate) layer: &'static str,
}

impl LayerFiles {
    /// Removes what an earlier run left, the record first: it would speak of other files.
    pub(crate) fn remove(&self, folder: &RunFolder) -> Result<()> {
        Ok(folder.remove(&[self.record, self.edit, self.layer])?)
    }

    /// Writes edit and layer.
    pub(crate) fn save(&self, folder: &RunFolder, edited: &Edited) -> Result<()> {
        folder.remove(&[self.record])?;
        edited.patch.save(folder.join(self.edit))?;
        edited.layer.save(folder.join(self.layer))?;
        Ok(())
    }

    /// Where they are, in lines for people.
    pub(crate) fn lines(&self, folder: &RunFolder) -> String {
        let (edit, layer) = (folder.join(self.edit), folder.join(self.layer));
        let (edit, layer) = (edit.display(), layer.display());
        format!("edit file: {edit}\ndecision layer: {layer}\n")
    }
}

/// Accuracies before and after an edit, and of its control.
pub(crate) fn accuracies_of(class: Option<(ClassId, &str)>, edit: &EditResult) -> String {
    let Comparison { before, after } = &edit.comparison;
    let mut layers = vec![("before", before), ("after", after)];
    layers.extend(edit.control_metrics().map(|control| (CONTROL, control)));
    accuracies(class, &layers, control_of(edit))
}

/// What the control of an edit is.
pub(crate) fn control_of(edit: &EditResult) -> &'static str {
    match edit.method.name.as_str() {
        Mend::NAME => "plain retraining on the same samples",
        _ => "plain retraining with the same options",
    }
}

/// Accuracies of layers, each under its title, as a table: average, `class` by its name, worst class, and worst
/// group where there are groups. Where one is [the control](CONTROL), what that is stands below.
pub(crate) fn accuracies(
    class: Option<(ClassId, &str)>,
    layers: &[(&str, &Metrics)],
    control: &str,
) -> String {
    let line = |title: &str, cells: Vec<String>| {
        let cells = cells.iter().map(|cell| format!(" {cell:>8}"));
        format!("{title:<24}{}\n", cells.collect::<String>())
    };
    let row = |title: &str, accuracy: &dyn Fn(&Metrics) -> Option<f64>| {
        let cell = |&(_, metrics): &(_, &Metrics)| accuracy(metrics).map_or("-".into(), percent);
        line(title, layers.iter().map(cell).collect())
    };
    let titles = layers.iter().map(|(title, _)| (*title).to_owned());
    let mut text = line("accuracy", titles.collect());
    text += &row("average", &|metrics| Some(metrics.accuracy));
    if let Some((class, name)) = class {
        text += &row(name, &|metrics| metrics.class_accuracy[class.0]);
    }
    text += &row("worst class", &|metrics| Some(metrics.worst_class_accuracy));
    let grouped = |(_, metrics): &(_, &Metrics)| metrics.worst_group_accuracy.is_some();
    if layers.first().is_some_and(grouped) {
        text += &row("worst group", &|metrics| metrics.worst_group_accuracy);
    }
    if layers.iter().any(|(title, _)| *title == CONTROL) {
        text += &format!("({CONTROL}: {control})\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use neuroinspect::core::Groups;

    use super::*;

    /// Half of four samples right before, all but one after, and the control's class as before.
    #[test]
    fn accuracies_are_a_table_with_a_column_for_the_control() {
        let labels = [0, 0, 1, 1].map(ClassId);
        let names = ["in", "out"].map(String::from).to_vec();
        let groups = Groups::new(names, vec![0, 1, 0, 1]).unwrap();
        let metrics = |predictions: [usize; 4], groups| {
            Metrics::new(&labels, &predictions.map(ClassId), 2, groups).unwrap()
        };
        let groups = Some(&groups);
        let (before, after) = (metrics([1, 1, 1, 1], groups), metrics([0, 1, 1, 1], groups));
        let control = metrics([1, 1, 0, 1], groups);
        let layers = [("before", &before), ("after", &after), (CONTROL, &control)];
        let retraining = "plain retraining with the same options";
        let table = accuracies(Some((ClassId(0), "cat")), &layers, retraining);
        let expected = "\
            accuracy                   before    after  control\n\
            average                     50.0%    75.0%    25.0%\n\
            cat                          0.0%    50.0%     0.0%\n\
            worst class                  0.0%    50.0%     0.0%\n\
            worst group                 50.0%    50.0%     0.0%\n\
            (control: plain retraining with the same options)\n";
        assert_eq!(table, expected);

        let (before, after) = (metrics([1, 1, 1, 1], None), metrics([0, 1, 1, 1], None));
        let table = accuracies(None, &[("before", &before), ("after", &after)], retraining);
        let expected = "\
            accuracy                   before    after\n\
            average                     50.0%    75.0%\n\
            worst class                  0.0%    50.0%\n";
        assert_eq!(table, expected);
    }
}
