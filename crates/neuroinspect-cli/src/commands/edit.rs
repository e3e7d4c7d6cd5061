//! `edit`: the decision layer, so that given neurons influence it less, or by another method.

use anyhow::Result;
use neuroinspect::{
    core::{ClassId, NeuronId, class_by_name_or_index},
    editing::{EditResult, EditScope, EditSession, MethodArguments, RatioEdit},
    report::{Run, Schema},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    args::{Common, EditArgs},
    console::Console,
    exit::Exit,
    inputs::Asked,
    options::{self, Options},
    output::{LayerFiles, accuracies_of, print},
    record,
    source::Source,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.edit", 2);
const FILES: LayerFiles = LayerFiles {
    record: "edit.json",
    edit: "edit.safetensors",
    layer: "decision-layer.safetensors",
};

/// `edit.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// The class that it is for, or all.
    scope: EditScope,
    /// Names of the `K` classes.
    class_names: &'a [String],
    /// What was done, and what it came to.
    edit: EditResult,
    /// The edit, which `apply` takes.
    file: &'static str,
    /// The edited layer: `weight` `[K, D]` and `bias` `[K]`.
    decision_layer_file: &'static str,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &EditArgs) -> Result<Exit> {
    let config = options.editing(&args.editing)?;
    config.validate()?;
    let asked = Asked {
        train: args.train.as_deref(),
        class: args.class.as_deref(),
        ..Asked::default()
    };
    let source = Source::open(common, options, &args.source, asked)?;
    let names = source.class_names();
    let class = args.class.as_deref();
    let class = class.map(|class| class_by_name_or_index(names, class));
    let arguments = MethodArguments {
        class: class.transpose()?,
        neurons: options::neurons(&args.neurons, &source.layer)?,
        ..MethodArguments::default()
    };
    let method = options::method(args, &config, arguments)?;
    source.check_parts()?;

    let mut console = Console::start(common.quiet)?;
    let seen = source.see_with(args.views.views.as_deref(), &mut console)?;
    let data = source.edit_data(&seen)?;
    let mut run = seen.run;
    match method.name() {
        RatioEdit::NAME => record::add(&mut run, "editing", &config)?,
        // The other options are those of the ratio, and of no other method.
        _ => record::add(&mut run, "editing", &json!({ "training": config.training }))?,
    }
    let session = EditSession::new(data, &source.layer, source.device())?;
    let edited = session.edit(method.as_ref(), &mut console)?;
    console.clear();
    let folder = source.folder();
    FILES.save(folder, &edited)?;

    let record = Record {
        scope: EditScope::of(method.class()),
        class_names: names,
        edit: edited.result,
        file: FILES.edit,
        decision_layer_file: FILES.layer,
        run,
    };
    folder.write_json(FILES.record, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        text(record) + &FILES.lines(folder)
    })?;
    Ok(Exit::of_control(record.edit.control.as_ref()))
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
    let mut text = match edit.method.name.as_str() {
        RatioEdit::NAME => ratio_edit(class, record),
        _ => format!("{}\n\n", edit.method),
    };
    text += &accuracies_of(class, edit);
    let sentence = edit.verdict.sentence(&edit.neurons, class_names);
    text += &format!("{}\n{sentence}\n", edit.verdict.headline(class_names));
    text + &format!("measured on {}\n\n", edit.measured_on())
}

/// What a ratio edit is, in words for people.
fn ratio_edit(class: Option<(ClassId, &str)>, record: &Record<'_>) -> String {
    let edit = &record.edit;
    let neurons: Vec<_> = edit.neurons.iter().map(NeuronId::to_string).collect();
    let neurons = neurons.join(", ");
    let influence = match class {
        Some((_, name)) => format!("'{name}' less: its probability ratio"),
        None => format!(
            "all {} classes less, as no --class was given: the mean of their probability ratios",
            record.class_names.len()
        ),
    };
    let target = match edit.derived(RatioEdit::TARGET) {
        Some(target) => format!("{target:.4}"),
        None => "its target".to_owned(),
    };
    format!("edited so that neurons {neurons} influence {influence} is pulled to {target}\n\n")
}
