//! `mend`: the decision layer, where samples that were not fitted on show that it helps.

use anyhow::Result;
use neuroinspect::{
    core::{class_by_name_or_index, io::write_atomically, is_cancellation},
    editing::{Comparison, EditResult, EditSession, Mend, MendResult, Suspect, percent},
    report::{Run, Schema, recommendation_html, recommendation_svg},
};
use serde::Serialize;

use crate::{
    args::{Common, MendArgs},
    console::{Console, warn},
    exit::Exit,
    inputs::Asked,
    options::Options,
    output::{CONTROL, LayerFiles, accuracies, control_of, print},
    source::Source,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.mend", 2);
const FILES: LayerFiles = LayerFiles {
    record: "mend.json",
    edit: "mend.safetensors",
    layer: "mended-layer.safetensors",
};
/// What was chosen among, drawn.
const PAGE_FILE: &str = "mend.html";
/// The drawing of the page by itself.
const DRAWING_FILE: &str = "mend-frontier.svg";
/// Suspects that are printed.
const SHOWN: usize = 10;

/// `mend.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// Names of the `K` classes.
    class_names: &'a [String],
    /// What was tried, and what is recommended.
    mend: MendResult,
    /// What it came to, on samples that nothing was learnt from or chosen on, looked at once.
    edit: EditResult,
    /// The edit, where one is recommended.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'static str>,
    /// The mended layer: `weight` `[K, D]` and `bias` `[K]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_layer_file: Option<&'static str>,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &MendArgs) -> Result<Exit> {
    let asked = Asked {
        train: args.train.as_deref(),
        class: args.class.as_deref(),
        outlines: args.outlines.as_deref(),
    };
    let source = Source::open(common, options, &args.source, asked)?;
    let names = source.class_names();
    let class = args.class.as_deref();
    let class = class.map(|class| class_by_name_or_index(names, class));
    let mut mend = Mend::new(class.transpose()?);
    mend.yardstick = args.by.unwrap_or_default();
    mend.training.seed = options.seed;
    source.check_parts()?;

    let mut console = Console::start(common.quiet)?;
    let seen = source.see_with(args.views.views.as_deref(), &mut console)?;
    let data = source.mend_data(&seen)?;
    let session = EditSession::new(data, &source.layer, source.device())?;
    let (edited, mut chosen) = session.mend(&mend, &mut console)?;
    let validation = session.data().validation();
    let looked = source.look_outside_objects(&seen, validation, &mut chosen, &mut console);
    console.clear();
    // The mend stands without that reason, after Ctrl-C as well.
    let is_stopped = match looked {
        Err(error) => {
            warn(format_args!(
                "warning: what lies outside of objects is not known: {error:#}"
            ));
            is_cancellation(error.as_ref())
        }
        Ok(()) => false,
    };
    let folder = source.folder();
    FILES.remove(folder)?;
    folder.remove(&[PAGE_FILE, DRAWING_FILE])?;
    // A layer left as it is needs no edit: a file of one would be taken for a mend.
    let is_mended = chosen.recommended.is_some();
    if is_mended {
        FILES.save(folder, &edited)?;
    }

    let record = Record {
        class_names: names,
        mend: chosen,
        edit: edited.result,
        file: is_mended.then_some(FILES.edit),
        decision_layer_file: is_mended.then_some(FILES.layer),
        run: seen.run,
    };
    let page = recommendation_html(&record.mend, names, &record.run)?;
    let drawing = recommendation_svg(&record.mend, names)?;
    for (file, text) in [(DRAWING_FILE, &drawing), (PAGE_FILE, &page)] {
        write_atomically(folder.join(file), |out| out.write_all(text.as_bytes()))?;
    }
    folder.write_json(FILES.record, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        let files = match is_mended {
            true => FILES.lines(folder),
            false => "no edit file is written, as nothing changes\n".to_owned(),
        };
        let page = folder.join(PAGE_FILE);
        text(record) + &files + &format!("all that was tried: {}\n", page.display())
    })?;
    let exit = Exit::of_control(record.edit.control.as_ref());
    Ok(if is_stopped { Exit::Stopped } else { exit })
}

fn text(record: &Record<'_>) -> String {
    let Record {
        class_names,
        mend,
        edit,
        ..
    } = record;
    let Comparison { before, after } = &edit.comparison;
    let lead = match mend.recommended {
        Some(_) => "recommended",
        None => "The layer is left as it is",
    };
    let mut text = format!("{lead}: {}\n", mend.headline());
    text += &format!("expected: {}\n", mend.expectation(class_names));
    for reason in mend.reasons() {
        text += &format!("{reason}\n");
    }
    text += "(docs/mend.md explains the words)\n\n";
    let mut layers = vec![("before", before)];
    if mend.recommended.is_some() {
        layers.push(("after", after));
    }
    layers.extend(edit.control_metrics().map(|control| (CONTROL, control)));
    let class = mend.class;
    let class = class.map(|class| (class, class_names[class.0].as_str()));
    text += &accuracies(class, &layers, control_of(edit));
    text += &format!("measured on {}\n\n", edit.measured_on());
    text + &of_suspects(&mend.suspects[..mend.suspects.len().min(SHOWN)]) + "\n"
}

fn of_suspects(suspects: &[Suspect]) -> String {
    if suspects.is_empty() {
        return String::new();
    }
    let mut text = "suspected neurons, their share of what mistakes lack to be right, and by how many deviations they \
                    are more active in right samples"
        .to_owned();
    // Where outlines are known, a neuron that is active in no image has none all the same.
    let outlined = suspects.iter().any(|it| it.outside_object.is_some());
    if outlined {
        text += ", and the share of where they are active that lies outside of the object";
    }
    text += "\n";
    for suspect in suspects {
        let (share, contrast) = (percent(suspect.share_of_deficit), suspect.contrast);
        text += &format!("{:>8}  {share:>9}  {contrast:>9.2}", suspect.neuron);
        if outlined {
            let outside = suspect
                .outside_object
                .map_or_else(|| "-".to_owned(), percent);
            text += &format!("  {outside:>9}");
        }
        text += "\n";
    }
    text
}
