//! `evaluate`: accuracy on average, per class, worst class.

use anyhow::Result;
use neuroinspect::{
    core::Metrics,
    editing::percent,
    report::{Evaluation, Schema},
};

use crate::{
    args::{Common, EvaluateArgs},
    console::Console,
    exit::Exit,
    inputs::Asked,
    options::Options,
    output::print,
    source::Source,
};

/// Of more classes than this, the worst are printed.
const CLASSES_SHOWN: usize = 20;

pub(crate) fn run(common: &Common, options: &Options, args: &EvaluateArgs) -> Result<Exit> {
    let source = Source::open(common, options, &args.source, Asked::default())?;
    let folder = source.folder();
    let seen = source.see(args.part.as_deref(), &mut Console::start(common.quiet)?)?;
    let table = &seen.table;

    let evaluation = Evaluation {
        metrics: table.predicted_by(&source.layer)?.metrics()?,
        class_names: table.class_names().to_vec(),
        group_names: (table.groups()).map_or_else(Vec::new, |it| it.names().to_vec()),
        run: seen.run,
    };
    evaluation.write(folder.path())?;
    print(common.json, Schema::EVALUATION, &evaluation, |evaluation| {
        let Metrics {
            accuracy,
            worst_class,
            worst_class_accuracy,
            samples,
            worst_group,
            worst_group_accuracy,
            ..
        } = &evaluation.metrics;
        let worst_group = match (worst_group, worst_group_accuracy) {
            (Some(group), Some(accuracy)) => {
                let name = &evaluation.group_names[*group];
                format!("; worst group {name} ({})", percent(*accuracy))
            }
            _ => String::new(),
        };
        format!(
            "accuracy {} on {samples} images; worst class {} ({}){worst_group}\n{}written to {}\n",
            percent(*accuracy),
            evaluation.class_names[worst_class.0],
            percent(*worst_class_accuracy),
            by_class(evaluation),
            folder.path().display(),
        )
    })?;
    Ok(Exit::Finished)
}

/// The accuracy of each class, or of the worst where there are many.
fn by_class(evaluation: &Evaluation) -> String {
    let accuracies = evaluation.metrics.class_accuracy.iter();
    let mut classes: Vec<_> = evaluation.class_names.iter().zip(accuracies).collect();
    let mut text = String::new();
    if classes.len() > CLASSES_SHOWN {
        classes.retain(|(_, accuracy)| accuracy.is_some());
        classes.sort_by(|a, b| a.1.unwrap_or(1.0).total_cmp(&b.1.unwrap_or(1.0)));
        classes.truncate(CLASSES_SHOWN);
        text += &format!(
            "the {} worst classes, of {}:\n",
            classes.len(),
            evaluation.class_names.len()
        );
    }
    let width = classes.iter().map(|(name, _)| name.chars().count());
    let width = width.max().unwrap_or(0);
    for (name, accuracy) in classes {
        let accuracy = accuracy.map_or("no images".to_owned(), percent);
        text += &format!("  {name:<width$}  {accuracy:>9}\n");
    }
    text
}
