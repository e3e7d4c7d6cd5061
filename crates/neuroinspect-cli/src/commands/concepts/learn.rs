//! `concepts learn`: a bank from images.

use anyhow::{Result, bail};
use neuroinspect::{
    concepts::{ConceptBank, ConceptVector, Margins, concept_samples, learn_bank},
    datasets::ImageDataset,
    editing::percent,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, LearnArgs, ModelArgs},
    console::Console,
    exit::Exit,
    images::{self, Reading},
    inputs::Setup,
    options::Options,
    output::{self, print},
    record,
    source::Others,
};

pub(in crate::commands) const SCHEMA: Schema = Schema::new("neuroinspect.concepts", 1);
const RECORD_FILE: &str = "concepts.json";
const BANK_FILE: &str = "concepts.safetensors";

/// `concepts.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::commands) struct Record {
    /// Where the bank is, relative to this file.
    file: &'static str,
    /// What was learned.
    concepts: Vec<Line>,
    /// How it was made.
    run: Run,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Line {
    /// The concept's name.
    name: String,
    /// How many images have it.
    positives: usize,
    /// How many do not.
    negatives: usize,
    /// Share of the images learned from that its direction tells apart.
    train_accuracy: Option<f32>,
    /// The same of others.
    test_accuracy: Option<f32>,
    /// How far images lie from the boundary.
    margins: Margins,
}

pub(crate) fn run(common: &Common, options: &Options, args: &LearnArgs) -> Result<Exit> {
    let config = options.learning(args)?;
    let source = &args.source;
    let mut console = Console::start(common.quiet)?;
    let (folder, others, mut run) = match (&source.table, &source.model, &source.data) {
        (Some(path), ..) => {
            if let Some(file) = &source.layer_file {
                let file = file.display();
                bail!(
                    "concepts are learned without a decision layer: leave --layer-file '{file}' out"
                );
            }
            let others = Others::of_table(path, common.memory())?;
            let model = &others.activations.provenance().model;
            let run = record::run(common, options, model, &path.to_string_lossy());
            (output::open_folder(common)?, others, run)
        }
        (None, Some(model), Some(data)) => {
            let model = ModelArgs {
                model: model.clone(),
                weights: source.weights.clone(),
                loading: source.loading.clone(),
            };
            let dataset = images::open(
                data,
                Reading::new(&source.reading, &common.out, options.seed),
            )?;
            let setup = Setup::open(common, options, &model, &source.reading)?;
            let others = Others::of_images(&setup, &*dataset, &mut console)?;
            let run = setup.run(dataset.name(), None)?;
            (setup.folder, others, run)
        }
        _ => bail!("there is neither a model with images nor a --table"),
    };
    run.skipped_images.clone_from(&others.skipped);
    record::add(&mut run, "concept_learning", &config)?;
    let samples = concept_samples(&others.activations, &others.labels, &others.names)?;
    let bank = learn_bank(&others.activations, &samples, &config, &mut console)?;
    console.clear();
    folder.remove(&[RECORD_FILE])?;
    bank.save(folder.join(BANK_FILE))?;

    let lines = bank.concepts().iter().zip(&samples);
    let record = Record {
        file: BANK_FILE,
        concepts: lines
            .map(|(concept, samples)| Line {
                name: concept.name.clone(),
                positives: samples.positives.len(),
                negatives: samples.negatives.len(),
                train_accuracy: concept.train_accuracy,
                test_accuracy: concept.test_accuracy,
                margins: concept.margins,
            })
            .collect(),
        run,
    };
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |_| {
        text(&bank) + &format!("\nwritten to {}\n", folder.join(BANK_FILE).display())
    })?;
    Ok(Exit::Finished)
}

fn text(bank: &ConceptBank) -> String {
    let width = bank.names().iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0).max("concept".len());
    let mut text = format!("{:<width$}  learned on  on others\n", "concept");
    for ConceptVector {
        name,
        train_accuracy,
        test_accuracy,
        ..
    } in bank.concepts()
    {
        let shown = |accuracy: &Option<f32>| accuracy.map_or("-".into(), |it| percent(it.into()));
        let (train, test) = (shown(train_accuracy), shown(test_accuracy));
        text += &format!("{name:<width$}  {train:>10}  {test:>9}\n");
    }
    text
}
