//! `evaluate`: accuracy on average, per class, worst class.

use anyhow::Result;
use neuroinspect::{core::Metrics, datasets::ImageDataset, report::EvaluationSummary};

use crate::{
    args::{Common, EvaluateArgs},
    inputs::Inputs,
    output::{self, percent},
    session::{Outcome, Session},
};

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
            "accuracy {} on {samples} images; worst class {} ({})\nwritten to {}\n",
            percent(*accuracy),
            summary.class_names[worst_class.0],
            percent(*worst_class_accuracy),
            out.path().display(),
        )
    })?;
    Ok(Outcome::Finished)
}
