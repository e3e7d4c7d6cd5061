//! `edit`: the decision layer, away from given neurons.

use anyhow::Result;
use neuroinspect::{
    Control,
    core::{Metrics, NeuronId, Seed, class_by_name_or_index},
    datasets::ImageDataset,
    editing::{Comparison, EditScope, Edited},
    mend,
    report::Run,
};
use serde::Serialize;

use crate::{
    args::{Common, EditArgs},
    inputs::{Inputs, Setup},
    model,
    output::{self, accuracies},
    session::{Outcome, Session},
};

const EDIT_FILE: &str = "edit.safetensors";
const RECORD_FILE: &str = "edit.json";

/// `edit.json`.
#[derive(Serialize)]
struct Record<'a> {
    neurons: &'a [NeuronId],
    scope: EditScope,
    edited: &'a Edited,
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// How many of the samples measured were trained on as well.
    also_trained_on: usize,
    /// After the same training without the ratio; `None` when that was stopped or failed.
    control: Option<&'a Metrics>,
    file: &'static str,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, args: &EditArgs) -> Result<Outcome> {
    let seed = Seed(common.seed);
    let inputs = Inputs::open(common, &args.model, &args.data, args.train.as_deref())?;
    let Setup {
        out,
        device,
        loaded,
        ..
    } = &inputs.setup;
    let layer = loaded.model.decision_layer()?;
    let neurons = model::neurons(&args.neurons, &layer)?;
    let scope = match &args.class {
        Some(class) => {
            EditScope::Class(class_by_name_or_index(inputs.dataset.class_names(), class)?)
        }
        None => EditScope::AllClasses,
    };

    let config = model::editing(&args.training, seed)?;

    let mut session = Session::start()?;
    let features = inputs.features(&mut session)?;
    let table = features.table();
    let data = features.edit_data(seed)?;
    let mut run = inputs.run(&features);
    run.configs
        .insert("editing".into(), serde_json::to_value(&config)?);
    out.remove([EDIT_FILE, RECORD_FILE])?;
    let mending = mend(
        &layer,
        &data,
        &neurons,
        scope,
        &config,
        device,
        &mut session,
    )?;
    session.clear();
    mending.edit.save(out.join(EDIT_FILE))?;

    let class = match scope {
        EditScope::Class(class) => Some((class, table.class_names()[class.0].as_str())),
        EditScope::AllClasses => None,
    };
    let record = Record {
        neurons: &neurons,
        scope,
        edited: &mending.edited,
        comparison: &mending.comparison,
        also_trained_on: mending.also_trained_on,
        control: mending.control.metrics(),
        file: EDIT_FILE,
        run,
    };
    out.write_json(RECORD_FILE, &record)?;
    if let Control::Failed(reason) = &mending.control {
        output::tell(format_args!(
            "warning: training the control failed: {reason}"
        ));
    }
    output::print(common.json, &record, |record| {
        let Comparison { before, after } = record.comparison;
        format!(
            "{}\nedit file: {}\n",
            accuracies(class, before, after, record.control),
            out.join(EDIT_FILE).display(),
        )
    })?;
    Ok(match mending.control {
        Control::Measured(_) => Outcome::Finished,
        Control::Failed(_) => Outcome::Incomplete,
        Control::Stopped => Outcome::Interrupted,
    })
}
