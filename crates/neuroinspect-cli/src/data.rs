//! Images as the command line names them.

use std::{ffi::OsStr, path::Path};

use anyhow::{Context, Result};
use neuroinspect::{
    Extracted,
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt},
    extract_features,
    models::LoadedClassifier,
    report::{Run, SkippedImage},
};

use crate::{
    args::{self, ReadingArgs},
    session::Session,
};

/// Opens a folder of images, its classes in the order of the class-name file if there is one.
pub(crate) fn folder(path: &Path, args: &ReadingArgs) -> Result<ImageFolder> {
    let mut config = ImageFolderConfig::default();
    if let Some(file) = &args.class_names {
        config = config.with_class_names_file(file);
    }
    if let Some(file) = &args.classes {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the classes in '{}'", file.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        config = config.with_class_order(lines);
    }
    Ok(ImageFolder::open(path, &config)?)
}

/// What the classifier makes of a folder of images.
pub(crate) fn features(
    loaded: &LoadedClassifier,
    dataset: &dyn ImageDataset,
    args: &ReadingArgs,
    session: &mut Session,
) -> Result<Extracted> {
    let loader = LoaderConfig::default()
        .with_batch_size(args.batch_size)
        .with_on_corrupt(match args.on_corrupt {
            args::OnCorrupt::Fail => OnCorrupt::Fail,
            args::OnCorrupt::Skip => OnCorrupt::Skip,
        });
    let sha256 = Some(loaded.weights_sha256.as_str());
    let classifier = loaded.model.as_ref();
    let extracted = extract_features(classifier, dataset, None, sha256, &loader, session)?;
    session.clear();
    for skipped in &extracted.skipped {
        eprintln!("skipped '{}': {}", skipped.id, skipped.reason);
    }
    Ok(extracted)
}

/// The part of a run's record that every command on a model and a folder has.
pub(crate) fn run(
    common: &args::Common,
    loaded: &LoadedClassifier,
    dataset: &dyn ImageDataset,
    extracted: &Extracted,
) -> Run {
    let seed = neuroinspect::core::Seed(common.seed);
    let mut run = Run::new(
        loaded.model.name(),
        dataset.name(),
        common.device.to_string(),
        seed,
    );
    run.command = Some(command_line());
    run.weights_sha256 = Some(loaded.weights_sha256.clone());
    run.skipped_images = extracted
        .skipped
        .iter()
        .map(|skipped| SkippedImage {
            path: skipped.id.clone(),
            reason: skipped.reason.clone(),
        })
        .collect();
    run
}

/// A word as a shell reads it; one that is no Unicode only resembles it.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    match word.contains(|c: char| c.is_whitespace() || "'\"\\$&|;<>()*?#~`![]{}".contains(c)) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.into_owned(),
    }
}

/// The command line as it was typed, near enough to be typed again.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(quoted);
    std::iter::once("neuroinspect".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}
