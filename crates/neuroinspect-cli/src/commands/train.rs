//! `train`: a network, or its decision layer alone.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use neuroinspect::{
    ImageSource,
    burn::tensor::Device,
    core::{Classifier, Metrics, Seed, Split, io::sha256_of_file, is_cancellation},
    datasets::ImageDataset,
    editing::percent,
    models::{
        Checkpoint, GraphClassifier, LoadConfig, PretrainedClassifier, Strictness, init_classifier,
        load_classifier,
    },
    report::{Run, Schema, Timing},
    training::{Epoch, Training},
};
use serde::Serialize;

use crate::{
    args::{Common, TrainArgs},
    console::{Console, warn},
    exit::Exit,
    images::{self, Reading, sorted},
    model::Named,
    options::Options,
    output::{self, print},
    record,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.training", 1);
const RECORD_FILE: &str = "training.json";
const WEIGHTS_FILE: &str = "model.safetensors";
/// Parts of a data set that is split.
const TRAIN: &str = "train";
const VALIDATION: &str = "validation";
/// Share of the images that are validated on, where no others are given.
const HELD_OUT: f64 = 0.1;

/// `training.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// Names of the `K` classes.
    class_names: &'a [String],
    /// Names of the groups, where validation images have groups.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    group_names: &'a [String],
    /// How many images were learnt from.
    training_images: usize,
    /// How many images the epoch was chosen by.
    validation_images: usize,
    /// What each epoch came to.
    epochs: &'a [Epoch],
    /// The epoch that was kept, from 1.
    kept: usize,
    /// SHA-256 of the file of weights.
    weights_sha256: String,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &TrainArgs) -> Result<Exit> {
    let config = options.training(args)?;
    let mut reading = Reading::new(&args.data.reading, &common.out, options.seed);
    let mut data = images::open(&args.data.data, reading)?;
    let named = Named::open(common, &args.model, args.weights.as_deref())?;
    // Of the same classes, in the model's order, so that its decision layer still goes with them.
    if sorted(data.class_names()) == sorted(&named.class_names) {
        reading = reading.of_model(&named.class_names);
        data = images::open(&args.data.data, reading)?;
    } else if data.class_names().len() == named.class_names.len() {
        warn(format_args!(
            "warning: {} calls its classes otherwise; its decision layer is taken all the same, its rows for \
             these in this order: {}",
            args.model,
            data.class_names().join(", ")
        ));
    }
    let other = args.validation.as_deref();
    let other = other.map(|path| images::open_training(path, reading, &*data));
    let other = other.transpose()?;
    let (train, validation) = match &other {
        Some(other) => (
            part_of(&*data, TRAIN)?,
            part_of(&**other, VALIDATION).context("--validation")?,
        ),
        None => match data.split() {
            Some(split) if split.names().iter().any(|part| part == VALIDATION) => {
                (split.samples_of(TRAIN)?, split.samples_of(VALIDATION)?)
            }
            _ => held_out(&*data, &part_of(&*data, TRAIN)?, config.seed)?,
        },
    };
    let folder = output::open_folder(common)?;
    let device = common.device().open()?;
    let validated: &dyn ImageDataset = other.as_deref().unwrap_or(&*data);
    let training = Training {
        model: network(&named, (args, options), data.class_names().len(), &device)?,
        train: ImageSource {
            dataset: &*data,
            indices: &train,
        },
        validation: ImageSource {
            dataset: validated,
            indices: &validation,
        },
        config,
    };
    let mut run = record::run(common, options, training.model.name(), data.name());
    record::add(&mut run, "input", training.model.input())?;
    record::add(&mut run, "training", &training.config)?;

    let start = Instant::now();
    let mut console = Console::start(common.quiet)?;
    let [classes, groups] = [data.class_names(), validated.group_names()];
    let mut on_epoch = |epoch: &Epoch| warn(line(epoch, classes, groups));
    let trained = match folder.train(training, common.device(), &mut on_epoch, &mut console) {
        Err(error) if is_cancellation(&error) => {
            console.clear();
            return Ok(Exit::Stopped);
        }
        trained => trained?,
    };
    console.clear();
    if let Some(step) = trained.resumed_at {
        warn(format_args!(
            "an earlier run of this training was taken up after step {step}"
        ));
    }
    run.timings.push(Timing {
        stage: "training".to_owned(),
        seconds: start.elapsed().as_secs_f64(),
    });
    let weights = folder.join(WEIGHTS_FILE);
    // That of an earlier run would speak of other weights.
    folder.remove(&[RECORD_FILE])?;
    trained.model.save(&weights)?;
    let record = Record {
        class_names: classes,
        group_names: groups,
        training_images: train.len(),
        validation_images: validation.len(),
        epochs: &trained.epochs,
        kept: trained.kept,
        weights_sha256: sha256_of_file(&weights)?,
        run,
    };
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        let kept = &record.epochs[record.kept - 1];
        format!(
            "kept {}\nwritten to {}\n",
            line(kept, classes, groups),
            weights.display()
        )
    })?;
    Ok(Exit::Finished)
}

/// An epoch in a line.
fn line(epoch: &Epoch, classes: &[String], groups: &[String]) -> String {
    let Epoch {
        epoch,
        loss,
        validation,
    } = epoch;
    let Metrics {
        accuracy,
        worst_class,
        worst_class_accuracy,
        worst_group,
        worst_group_accuracy,
        ..
    } = validation;
    let mut text = format!(
        "epoch {epoch}: loss {loss:.4}, accuracy {}, worst class {} ({})",
        percent(*accuracy),
        classes[worst_class.0],
        percent(*worst_class_accuracy),
    );
    if let (Some(group), Some(accuracy)) = (worst_group, worst_group_accuracy) {
        text += &format!(", worst group {} ({})", groups[*group], percent(*accuracy));
    }
    text
}

/// A part of a data set that is split, or else all of it.
fn part_of(dataset: &dyn ImageDataset, part: &str) -> Result<Vec<usize>> {
    match dataset.split() {
        Some(split) => Ok(split.samples_of(part)?),
        None => Ok((0..dataset.samples().len()).collect()),
    }
}

/// Of these images those to train on and those to validate on, class by class.
fn held_out(
    data: &dyn ImageDataset,
    images: &[usize],
    seed: Seed,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let labels: Vec<_> = images.iter().map(|&it| data.samples()[it].label).collect();
    let parts = [(TRAIN, 1.0 - HELD_OUT), (VALIDATION, HELD_OUT)];
    let split = Split::stratified(&labels, &parts, seed)?;
    let part = |name: &str| -> Result<Vec<usize>> {
        let places = split.samples_of(name)?;
        Ok(places.into_iter().map(|place| images[place]).collect())
    };
    let (train, validation) = (part(TRAIN)?, part(VALIDATION)?);
    if validation.is_empty() {
        bail!(
            "'{}' has too few images of each class to hold a tenth of them out to validate on: give more, or others \
             with --validation",
            data.name()
        );
    }
    Ok((train, validation))
}

/// The network to begin with, for a number of classes.
fn network(
    named: &Named,
    (args, options): (&TrainArgs, &Options),
    classes: usize,
    device: &Device,
) -> Result<GraphClassifier> {
    device.seed(options.seed.0);
    let input = options.input(args.input.as_deref())?;
    let input = input.or_else(|| named.input.clone());
    let mut model = init_classifier(&named.model, classes, device)?;
    let Some(weights) = &named.weights else {
        return Ok(match input {
            Some(input) => model.with_input(input)?,
            None => model,
        });
    };
    // As it is, with as many classes as it has: here it is found out whether all of it fits.
    let config = LoadConfig {
        input,
        ..LoadConfig::default()
    };
    let loaded = load_classifier(&named.model, weights, &config, device)?.model;
    model = model.with_input(loaded.input().clone())?;
    // Of another number of classes, all but the decision layer.
    let report = model.load(&Checkpoint::open(weights)?, Strictness::Partial)?;
    if !report.is_complete() {
        warn(&report);
    }
    Ok(model)
}
