//! `evaluate`: accuracy on average, per class, worst class.

use anyhow::Result;
use neuroinspect::{core::Metrics, datasets::ImageDataset, report::EvaluationSummary};

use crate::{
    args::{Common, EvaluateArgs},
    data::{self, Reader},
    model,
    output::{self, OutFolder, percent},
    session::{Outcome, Session},
};

pub(crate) fn run(common: &Common, args: &EvaluateArgs) -> Result<Outcome> {
    let out = OutFolder::create(&common.out)?;
    let device = common.device.open()?;
    let dataset = data::folder(&args.data.data, &args.data.reading)?;
    let loaded = model::classifier(&args.model, &device)?;
    let mut session = Session::start()?;
    let reader = Reader {
        common,
        args: &args.data.reading,
        out: &out,
        loaded: &loaded,
    };
    let features = reader.features(&dataset, &mut session)?;

    let summary = EvaluationSummary {
        metrics: Metrics::of(&features.extracted.table)?,
        class_names: dataset.class_names().to_vec(),
        group_names: Vec::new(),
        run: reader.run(dataset.name(), &[&features]),
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
