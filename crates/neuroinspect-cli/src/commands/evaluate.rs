//! `evaluate`: accuracy on average, per class, worst class.

use anyhow::Result;
use neuroinspect::{core::Metrics, datasets::ImageDataset, report::EvaluationSummary};

use crate::{
    args::{Common, EvaluateArgs},
    inputs::Inputs,
    output::{self, percent},
    session::{Outcome, Session},
};

/// Of more classes than this, the worst are printed.
const CLASSES_SHOWN: usize = 20;

pub(crate) fn run(common: &Common, args: &EvaluateArgs) -> Result<Outcome> {
    let inputs = Inputs::open(common, &args.model, &args.data, None)?;
    let out = &inputs.setup.out;
    let features = inputs.features(&mut Session::start()?)?;

    let summary = EvaluationSummary {
        metrics: Metrics::of(features.table())?,
        class_names: inputs.dataset.class_names().to_vec(),
        group_names: Vec::new(),
        run: inputs.run(&features),
    };
    summary.save(out.join("summary.json"))?;
    output::print(common.json, &summary, |summary| {
        let Metrics {
            accuracy,
            worst_class,
            worst_class_accuracy,
            samples,
            ..
        } = &summary.metrics;
        format!(
            "accuracy {} on {samples} images; worst class {} ({})\n{}written to {}\n",
            percent(*accuracy),
            summary.class_names[worst_class.0],
            percent(*worst_class_accuracy),
            by_class(summary),
            out.path().display(),
        )
    })?;
    Ok(Outcome::Finished)
}

/// The accuracy of each class, or of the worst where there are many.
fn by_class(summary: &EvaluationSummary) -> String {
    let accuracies = summary.metrics.class_accuracy.iter();
    let mut classes: Vec<_> = summary.class_names.iter().zip(accuracies).collect();
    let mut text = String::new();
    if classes.len() > CLASSES_SHOWN {
        classes.retain(|(_, accuracy)| accuracy.is_some());
        classes.sort_by(|a, b| a.1.unwrap_or(1.0).total_cmp(&b.1.unwrap_or(1.0)));
        classes.truncate(CLASSES_SHOWN);
        text += &format!(
            "the {} worst classes, of {}:\n",
            classes.len(),
            summary.class_names.len()
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
