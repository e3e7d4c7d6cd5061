//! `debug`: all three stages, and a report.

use std::time::Instant;

use anyhow::{Result, bail};
use neuroinspect::{
    DebugConfig, EditFile, Findings, GuideSource, NeuronChoice, Presentation, Subject,
    core::{Seed, class_by_name_or_index},
    datasets::ImageDataset,
    debug_each,
    models::LoadedClassifier,
    report::{DebugSummary, Report, StageFailure},
};

use crate::{
    args::{Common, DebugArgs, ModelArgs, NeuronList},
    inputs::{Inputs, Setup},
    model,
    output::{self, OutFolder, accuracies, percent},
    record,
    session::{Outcome, Session},
};

/// Fewer mistakes than this are too few to find what they have in common.
const FEW: usize = 10;
/// Neurons that `auto` takes.
const COUNT: usize = 5;
/// The edit file of the report beside it; that of `edit` has another name.
pub(super) const EDIT_FILE: &str = "report-edit.safetensors";

pub(crate) fn run(common: &Common, args: &DebugArgs) -> Result<Outcome> {
    let seed = Seed(common.seed);
    let inputs = Inputs::open(common, &args.model, &args.data, args.train.as_deref())?;
    let Setup {
        out,
        device,
        loaded,
        ..
    } = &inputs.setup;
    let guide = model::TextGuide::load(&args.clip, device)?;
    // Whatever can be refused is, before the long part begins.
    let class = class_by_name_or_index(inputs.dataset.class_names(), &args.class)?;
    let mut config = DebugConfig::new()
        .with_neurons(match &args.neurons {
            NeuronList::Auto => NeuronChoice::Auto {
                count: args.count.unwrap_or(COUNT),
            },
            _ if args.count.is_some() => bail!("--count goes with --neurons auto alone"),
            NeuronList::All => NeuronChoice::Listed,
            NeuronList::Given(neurons) => {
                let layer = loaded.model.decision_layer()?;
                NeuronChoice::Given(model::neurons(neurons, &layer)?)
            }
        })
        .with_editing(model::editing(&args.training, seed)?);
    config.pictures = args.pictures;
    config.illusion = model::illusion(&args.picture, guide.is_some(), seed)?;

    let mut session = Session::start()?;
    let features = inputs.features(&mut session)?;
    let table = features.table();
    let edit_data = features.edit_data(seed);
    let texts = guide.as_ref().map(|guide| guide.texts(table.class_names()));
    let subject = Subject {
        classifier: loaded.model.as_ref(),
        table,
        guide: texts.as_ref().map(|texts| texts as &dyn GuideSource),
        edit_data: edit_data.as_ref().ok(),
    };
    let mut run = inputs.run(&features);
    run.configs
        .insert("debug".into(), serde_json::to_value(&config)?);
    let presentation = Presentation {
        dataset: &inputs.dataset,
        extracted: &features.data.extracted,
        run,
        edit_file: Some(EditFile {
            path: EDIT_FILE.into(),
            how_to_apply: how_to_apply(out, &args.model, loaded),
        }),
        context_responses: Default::default(),
    };
    // A run that is killed while it pictures leaves the rest; what cannot be written now is
    // complained of at the end. Pictures come slowly, so that writing takes a tenth of the time at
    // most.
    let mut forgotten = Ok(());
    let mut begun = false;
    let stop = session.stopper();
    let mut next = Instant::now();
    let mut keep = |findings: &Findings| {
        if !begun {
            begun = true;
            forgotten = forget(out);
        }
        // There is no sense in work beside files that cannot be told from this run's.
        if forgotten.is_err() {
            stop();
        }
        let start = Instant::now();
        if findings.illusions.is_empty() || start >= next {
            let _ = save(out, &presentation, findings);
            next = Instant::now() + 10 * start.elapsed();
        }
    };
    let mut findings = debug_each(subject, class, &config, &mut session, &mut keep)?;
    // Too few images to edit on: what is left is still worth having.
    if let Err(error) = &edit_data {
        findings.fail_with("editing", error);
    }
    session.clear();
    let outcome = finish(common, out, &presentation, &findings, "");
    forgotten.and(outcome)
}

/// The command line that applies the edit; none where weights are missing, which nothing is written in
/// the place of.
fn how_to_apply(out: &OutFolder, model: &ModelArgs, loaded: &LoadedClassifier) -> Option<String> {
    if !loaded.report.missing.is_empty() || !loaded.report.mismatched.is_empty() {
        return None;
    }
    Some(format!(
        "neuroinspect apply --edit {} --model {} --weights {}{}{}",
        record::quoted(out.join(EDIT_FILE)),
        record::quoted(&model.model),
        record::quoted(&model.weights),
        match &model.input {
            Some(file) => format!(" --input {}", record::quoted(file)),
            None => String::new(),
        },
        if model.partial { " --partial" } else { "" },
    ))
}

/// Removes what an earlier run left, now that there is something of this one: shared with `demo`.
pub(super) fn forget(out: &OutFolder) -> Result<()> {
    out.remove([
        EDIT_FILE,
        Report::SUMMARY_FILE,
        Report::HTML_FILE,
        Report::SHEET_FILE,
    ])?;
    out.remove_pictures(Report::PICTURES_FOLDER)
}

/// Writes what has been found.
fn save(out: &OutFolder, presentation: &Presentation<'_>, findings: &Findings) -> Result<Report> {
    if let Some(mending) = &findings.mending {
        mending.edit.save(out.join(EDIT_FILE))?;
    }
    let report = presentation.report(findings)?;
    report.write(out.path())?;
    Ok(report)
}

/// Writes what was found, and says so after `heading`: shared with `demo`.
pub(super) fn finish(
    common: &Common,
    out: &OutFolder,
    presentation: &Presentation<'_>,
    findings: &Findings,
    heading: &str,
) -> Result<Outcome> {
    let report = save(out, presentation, findings)?;
    let failures = &report.summary.failures;
    for StageFailure { stage, reason } in failures {
        output::tell(format_args!("warning: {stage} failed: {reason}"));
    }
    output::print(common.json, &report.summary, |summary| {
        heading.to_owned() + &text(summary, out)
    })?;
    Ok(match (findings.interrupted, failures.is_empty()) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Finished,
        (false, false) => Outcome::Incomplete,
    })
}

fn text(summary: &DebugSummary, out: &OutFolder) -> String {
    let DebugSummary {
        class_name,
        mistakes,
        samples,
        ranking,
        ..
    } = summary;
    let mut text = format!("{mistakes} of {samples} images of '{class_name}' are mistaken\n");
    if *mistakes < FEW {
        text += "so few mistakes say little about the neurons behind them\n";
    }
    for (title, list) in [
        ("too weak", &ranking.insufficient),
        ("too strong", &ranking.excessive),
    ] {
        let neurons = list
            .iter()
            .take(5)
            .map(|ranked| format!("{} ({})", ranked.neuron, percent(ranked.prec_at_5)));
        text += &format!(
            "neurons {title} (in what share of the mistakes): {}\n",
            neurons.collect::<Vec<_>>().join(", ")
        );
    }
    if let Some(edit) = &summary.edit {
        let neurons: Vec<_> = edit.neurons.iter().map(ToString::to_string).collect();
        text += &format!("edited away from neurons {}\n\n", neurons.join(", "));
        let class = Some((summary.class, class_name.as_str()));
        text += &accuracies(class, &edit.before, &edit.after, edit.control.as_ref());
        text += &format!("measured on {}\n", edit.evaluated_on);
    }
    text + &format!("\nreport: {}\n", out.join(Report::HTML_FILE).display())
}
