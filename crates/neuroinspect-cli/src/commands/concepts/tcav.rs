//! `concepts tcav`: the concepts that sway a class.

use anyhow::{Result, bail};
use neuroinspect::{
    concepts::{Tcav, TcavRequest, concept_samples, tcav},
    core::class_by_name_or_index,
    editing::percent,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, TcavArgs},
    console::Console,
    exit::Exit,
    inputs::Asked,
    options::Options,
    output::print,
    record,
    source::{Seen, Source},
};

pub(in crate::commands) const SCHEMA: Schema = Schema::new("neuroinspect.tcav", 1);
const RECORD_FILE: &str = "tcav.json";

/// `tcav.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::commands) struct Record<'a> {
    /// The class's name.
    class_name: &'a str,
    #[serde(flatten)]
    tcav: Tcav,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &TcavArgs) -> Result<Exit> {
    let config = options.tcav(args.runs)?;
    let asked = Asked {
        class: Some(&args.class),
        ..Asked::default()
    };
    let source = Source::open(common, options, &args.source, asked)?;
    let class = class_by_name_or_index(source.class_names(), &args.class)?;
    let mut console = Console::start(common.quiet)?;
    let Seen { table, mut run, .. } = source.see(None, &mut console)?;
    let concepts = source.see_others(&args.concepts, &mut console)?;
    let random = (args.random.as_deref())
        .map(|path| source.see_others(path, &mut console))
        .transpose()?;
    record::add(&mut run, "tcav", &config)?;
    for others in [Some(&concepts), random.as_ref()].into_iter().flatten() {
        run.skipped_images.extend(others.skipped.iter().cloned());
    }

    let samples = table.samples_of(class)?;
    if samples.is_empty() {
        bail!("there are no images of class '{}'", args.class);
    }
    let samples = table.activations().select(&samples)?;
    let positives = concept_samples(&concepts.activations, &concepts.labels, &concepts.names)?
        .into_iter()
        .map(|it| Ok((it.name, concepts.activations.select(&it.positives)?)))
        .collect::<Result<Vec<_>>>()?;
    let positives: Vec<_> = positives
        .iter()
        .map(|(name, table)| Ok((name, table.values()?)))
        .collect::<Result<_>>()?;
    let positives: Vec<_> = positives
        .iter()
        .map(|(name, values)| ((*name).clone(), values.view()))
        .collect();
    let samples = samples.values()?;
    let random = match &random {
        Some(others) => others.activations.values()?,
        None => table.features()?,
    };
    let request = TcavRequest {
        layer: &source.layer,
        class,
        samples: samples.view(),
        concepts: &positives,
        random: random.view(),
    };
    let found = tcav(&request, &config, &mut console)?;
    console.clear();
    let record = Record {
        class_name: &table.class_names()[class.0],
        tcav: found,
        run,
    };
    let folder = source.folder();
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        text(record) + &format!("\nwritten to {}\n", folder.join(RECORD_FILE).display())
    })?;
    Ok(Exit::Finished)
}

fn text(record: &Record<'_>) -> String {
    let Tcav {
        samples,
        threshold,
        concepts,
        random_scores,
        ..
    } = &record.tcav;
    let random = random_scores.iter().sum::<f64>() / random_scores.len() as f64;
    let mut text = format!(
        "share of {samples} images of '{}' that more of a concept makes more probably so; of random \
         concepts {}\n\n",
        record.class_name,
        percent(random)
    );
    let width = concepts.iter().map(|it| it.name.chars().count()).max();
    let width = width.unwrap_or(0).max("concept".len());
    text += &format!("{:<width$}    score    p-value\n", "concept");
    for concept in concepts {
        let word = if concept.significant {
            "  significant"
        } else {
            ""
        };
        text += &format!(
            "{:<width$} {:>8} {:>10.2e}{word}\n",
            concept.name,
            percent(concept.score),
            concept.p_value
        );
    }
    text + &format!(
        "(Welch's t-test against random concepts, two-sided; significant below {threshold:.2e}, \
         Bonferroni)\n"
    )
}
