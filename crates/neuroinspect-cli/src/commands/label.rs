//! `label`: words for units, and units for words.

use anyhow::{Result, bail};
use neuroinspect::{
    ImageSource,
    concepts::{UnitLabel, UnitLabels},
    datasets::ImageDataset,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, LabelArgs},
    console::Console,
    exit::Exit,
    images::{self, Reading},
    inputs::Setup,
    model::TextGuide,
    options::Options,
    output::print,
    record,
    words::{self, Labelling},
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.labels", 1);
const RECORD_FILE: &str = "labels.json";
/// Units printed unless they are named.
const SHOWN: usize = 20;

/// `labels.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// The layer whose units are labelled.
    layer: &'a str,
    /// How many images were looked at.
    images: usize,
    /// How many words there were to choose from.
    words: usize,
    #[serde(flatten)]
    labels: UnitLabels,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &LabelArgs) -> Result<Exit> {
    let config = options.labels(Some(args))?;
    let words = words::read(&args.words, &args.find)?;
    if args.clip.domain.is_some() {
        bail!("--domain goes with class names; words are embedded as they are, or in --prompts");
    }
    let dataset = images::open(
        &args.data.data,
        Reading::new(&args.data.reading, &common.out, options.seed),
    )?;
    let setup = Setup::open(common, options, &args.model, &args.data.reading)?;
    let Some(guide) = TextGuide::load(&setup, &args.clip, None)? else {
        bail!("label needs an image-text encoder: give --clip-weights FILE");
    };
    let images = dataset.samples().len();
    if let Some(top) = config.similarity.top_images()
        && top > images
    {
        bail!(
            "the similarity looks at the {top} images that activate a unit most, but there are {images}: \
             give more images, or --top-images {images} or less"
        );
    }
    let mut console = Console::start(common.quiet)?;
    let layer = args.layer.as_deref();
    let (seen, skipped) = setup.activations(&*dataset, layer, &mut console)?;
    let units = seen.table.width();
    if let Some(unit) = args.units.iter().find(|unit| **unit >= units) {
        bail!("unit {unit} is out of range: the layer has {units}, counted from 0");
    }
    let labelling = Labelling {
        queries: &args.find,
        activations: &seen.table,
        images: ImageSource {
            dataset: &*dataset,
            indices: &seen.indices,
        },
        config: &config,
        words,
    };
    let labels = words::label(&setup, &guide, &labelling, &mut console)?;

    let mut run = setup.run(dataset.name(), None)?;
    run.skipped_images = skipped;
    record::add(&mut run, "labels", &config)?;
    record::add(&mut run, "prompts", &guide.prompts)?;
    let record = Record {
        layer: layer.unwrap_or_else(|| setup.loaded.model.penultimate()),
        images: seen.table.len(),
        words: labelling.words.len(),
        labels,
        run,
    };
    setup.folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        let mut text = format!(
            "{units} units of layer '{}', by {} words and {} images\n",
            record.layer, record.words, record.images
        );
        let shown = match args.units[..] {
            [] if record.labels.queries.is_empty() => (0..units.min(SHOWN)).collect(),
            _ => args.units.clone(),
        };
        for unit in shown {
            text += &line(&record.labels.units[unit]);
        }
        for query in &record.labels.queries {
            text += &format!("\n'{}'\n", query.word);
            for found in &query.units {
                text += &format!(
                    "  unit {:>5}  score {:>9.4}  {} words above it\n",
                    found.unit, found.score, found.words_above
                );
            }
        }
        let path = setup.folder.join(RECORD_FILE);
        text + &format!("\nwritten to {}\n", path.display())
    })?;
    Ok(Exit::Finished)
}

fn line(label: &UnitLabel) -> String {
    let words = label.labels.iter();
    let words = words.map(|it| format!("{} ({:.3})", it.word, it.score));
    let words: Vec<_> = words.collect();
    format!("  unit {:>5}  {}\n", label.unit, words.join(", "))
}
