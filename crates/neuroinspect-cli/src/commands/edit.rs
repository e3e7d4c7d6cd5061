//! `edit`: the decision layer, so that given neurons influence it less.

use anyhow::Result;
use neuroinspect::{
    core::{NeuronId, class_by_name_or_index},
    datasets::ImageDataset,
    editing::{Comparison, Control, EditResult, EditScope, EditSession, RatioEdit},
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, EditArgs},
    console::{Console, warn},
    exit::Exit,
    inputs::Inputs,
    options::{self, Options},
    output::{accuracies, print},
    record,
};

const SCHEMA: Schema = Schema::new("neuroinspect.edit", 2);
const EDIT_FILE: &str = "edit.safetensors";
const RECORD_FILE: &str = "edit.json";

/// `edit.json`.
#[derive(Serialize)]
struct Record<'a> {
    scope: EditScope,
    class_names: &'a [String],
    edit: EditResult,
    file: &'static str,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &EditArgs) -> Result<Exit> {
    let train = args.train.as_deref();
    let inputs = Inputs::open(common, options, &args.model, &args.data, train)?;
    let setup = &inputs.setup;
    let layer = setup.loaded.model.decision_layer()?;
    let neurons = options::neurons(&args.neurons, &layer)?;
    let names = inputs.dataset.class_names();
    let scope = match &args.class {
        Some(class) => EditScope::Class(class_by_name_or_index(names, class)?),
        None => EditScope::AllClasses,
    };
    let config = options.editing(&args.editing)?;

    let mut console = Console::start(common.quiet)?;
    let features = inputs.features(&mut console)?;
    let data = inputs.edit_data(&features)?;
    let mut run = inputs.run(&features)?;
    record::add(&mut run, "editing", &config)?;
    let session = EditSession::new(data, &layer, &setup.device)?;
    let method = RatioEdit::new(neurons, scope).with_config(config);
    let edited = session.edit(&method, &mut console)?;
    console.clear();
    // Of an earlier edit, which stands until there is this one.
    setup.folder.remove(&[RECORD_FILE])?;
    edited.patch.save(setup.folder.join(EDIT_FILE))?;

    let record = Record {
        scope,
        class_names: names,
        edit: edited.result,
        file: EDIT_FILE,
        run,
    };
    setup.folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    if let Some(Control::Failed(reason)) = &record.edit.control {
        warn(format_args!(
            "warning: training the control failed: {reason}"
        ));
    }
    print(common.json, SCHEMA, &record, |record| {
        let file = setup.folder.join(EDIT_FILE);
        text(record) + &format!("edit file: {}\n", file.display())
    })?;
    Ok(match record.edit.control {
        Some(Control::Stopped) => Exit::Stopped,
        Some(Control::Failed(_)) => Exit::Incomplete,
        _ => Exit::Finished,
    })
}

fn text(record: &Record<'_>) -> String {
    let Record {
        scope,
        class_names,
        edit,
        ..
    } = record;
    let class = match scope {
        EditScope::Class(class) => Some((*class, class_names[class.0].as_str())),
        EditScope::AllClasses => None,
    };
    let neurons: Vec<_> = edit.neurons.iter().map(NeuronId::to_string).collect();
    let neurons = neurons.join(", ");
    let influence = match class {
        Some((_, name)) => format!("'{name}' less: its probability ratio"),
        None => format!(
            "all {} classes less, as no --class was given: the mean of their probability ratios",
            class_names.len()
        ),
    };
    let target = match edit.derived("target") {
        Some(target) => format!("{target:.4}"),
        None => "its target".to_owned(),
    };
    let mut text =
        format!("edited so that neurons {neurons} influence {influence} is pulled to {target}\n\n");
    let Comparison { before, after } = &edit.comparison;
    text += &accuracies(class, before, after, edit.control_metrics());
    let sentence = edit.verdict.sentence(&edit.neurons, class_names);
    text += &format!("{}\n{sentence}\n", edit.verdict.headline(class_names));
    text + &format!("measured on {}\n\n", edit.measured_on())
}
