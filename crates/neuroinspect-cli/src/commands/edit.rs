//! `edit`: the decision layer, away from given neurons.

use anyhow::Result;
use neuroinspect::{
    EditData,
    core::{Metrics, NeuronId, Seed, class_by_name_or_index},
    datasets::ImageDataset,
    editing::{Comparison, Edit, EditConfig, EditScope, Edited, edit},
    report::Run,
};
use serde::Serialize;

use super::debug::EDIT_FILE;
use crate::{
    args::{Common, EditArgs},
    inputs::{Inputs, Setup},
    model,
    output::{self, accuracies},
    session::{Outcome, Session},
};

/// `edit.json`.
#[derive(Serialize)]
struct Record<'a> {
    neurons: &'a [NeuronId],
    scope: EditScope,
    edited: &'a Edited,
    #[serde(flatten)]
    comparison: Comparison,
    /// How many of the samples measured were also trained on.
    trained_on: usize,
    /// After the same training without the ratio; `None` when that was stopped.
    control: Option<Metrics>,
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

    let mut session = Session::start()?;
    let features = inputs.features(&mut session)?;
    let table = features.table();
    let data = features.edit_data(seed)?;
    let config = model::editing(&args.training, seed);
    let mut run = inputs.run(&features);
    run.configs
        .insert("editing".into(), serde_json::to_value(&config)?);
    let EditData {
        train,
        validation,
        evaluation,
    } = &data;
    let mut train_layer = |config: &EditConfig| {
        edit(
            train,
            validation,
            &layer,
            &neurons,
            scope,
            config,
            device,
            &mut session,
        )
        .map_err(neuroinspect::Error::from)
    };
    // One from an earlier run would pass for this one's.
    out.remove(EDIT_FILE)?;
    let edited = train_layer(&config)?;
    Edit::between(&layer, &edited.layer, edited.recipe())?.save(out.join(EDIT_FILE))?;
    // The edit is kept, whatever becomes of its control.
    let control = match train_layer(&config.control()) {
        Ok(control) => Some(Comparison::new(evaluation, &layer, &control.layer)?.after),
        Err(error) if error.is_cancellation() => None,
        Err(error) => return Err(error.into()),
    };
    session.clear();

    let class = match scope {
        EditScope::Class(class) => Some((class, table.class_names()[class.0].as_str())),
        EditScope::AllClasses => None,
    };
    let record = Record {
        neurons: &neurons,
        scope,
        comparison: Comparison::new(evaluation, &layer, &edited.layer)?,
        trained_on: data.evaluated_and_trained_on(),
        control,
        edited: &edited,
        file: EDIT_FILE,
        run,
    };
    out.write_json("edit.json", &record)?;
    output::print(common.json, &record, |record| {
        let Comparison { before, after } = &record.comparison;
        format!(
            "{}\nedit file: {}\n",
            accuracies(class, before, after, record.control.as_ref()),
            out.join(EDIT_FILE).display(),
        )
    })?;
    Ok(match record.control {
        Some(_) => Outcome::Finished,
        None => Outcome::Interrupted,
    })
}
