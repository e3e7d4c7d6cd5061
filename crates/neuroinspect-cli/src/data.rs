//! Images as the command line names them, and what the classifier makes of them.

use std::{ffi::OsStr, path::Path, time::Instant};

use anyhow::{Context, Result};
use neuroinspect::{
    EditData, Extracted,
    core::Seed,
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt},
    extract_features,
    models::LoadedClassifier,
    report::{Run, SkippedImage, Timing},
};

use crate::{
    args::{self, Common, ReadingArgs},
    cache,
    output::OutFolder,
    session::Session,
};

/// The features of `--data`, in the output folder.
const FEATURES: &str = "features.safetensors";
/// Those of `--train`.
const TRAINING_FEATURES: &str = "train-features.safetensors";

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

/// Opens the folder that `--train` names, for the same classes as `--data`.
pub(crate) fn training_folder(
    path: Option<&Path>,
    args: &ReadingArgs,
    data: &ImageFolder,
) -> Result<Option<ImageFolder>> {
    let Some(path) = path else {
        return Ok(None);
    };
    let training = folder(path, args)?;
    // Known before the features of either are computed.
    EditData::check_class_names(training.class_names(), data.class_names())?;
    Ok(Some(training))
}

/// The features of a folder of images, and how long they took.
pub(crate) struct Features {
    pub(crate) extracted: Extracted,
    timing: Timing,
}

/// What reading images takes, for all folders of a command.
pub(crate) struct Reader<'a> {
    pub(crate) common: &'a Common,
    pub(crate) args: &'a ReadingArgs,
    pub(crate) out: &'a OutFolder,
    pub(crate) loaded: &'a LoadedClassifier,
}

impl Reader<'_> {
    /// What the classifier makes of `--data`.
    pub(crate) fn features(
        &self,
        dataset: &ImageFolder,
        session: &mut Session,
    ) -> Result<Features> {
        self.read(dataset, FEATURES, "extracting features", session)
    }

    /// What the classifier makes of `--train`.
    pub(crate) fn training_features(
        &self,
        dataset: &ImageFolder,
        session: &mut Session,
    ) -> Result<Features> {
        let stage = "extracting training features";
        self.read(dataset, TRAINING_FEATURES, stage, session)
    }

    fn read(
        &self,
        dataset: &ImageFolder,
        file: &str,
        stage: &str,
        session: &mut Session,
    ) -> Result<Features> {
        let start = Instant::now();
        let path = self.out.join(file);
        let on_corrupt = match self.args.on_corrupt {
            args::OnCorrupt::Fail => OnCorrupt::Fail,
            args::OnCorrupt::Skip => OnCorrupt::Skip,
        };
        let origin = cache::Origin::of(self.loaded, dataset, self.common.device);
        let found = origin
            .as_ref()
            .and_then(|origin| cache::load(&path, origin, dataset))
            .filter(|found| found.skipped.is_empty() || on_corrupt == OnCorrupt::Skip);
        let extracted = match found {
            Some(found) => {
                eprintln!(
                    "features taken from '{}': nothing has changed",
                    path.display()
                );
                found
            }
            None => {
                let loader = LoaderConfig::default()
                    .with_batch_size(self.args.batch_size)
                    .with_on_corrupt(on_corrupt);
                let sha256 = Some(self.loaded.weights_sha256.as_str());
                let classifier = self.loaded.model.as_ref();
                let extracted =
                    extract_features(classifier, dataset, None, sha256, &loader, session)?;
                session.clear();
                cache::save(&path, &extracted, origin)?;
                extracted
            }
        };
        for skipped in &extracted.skipped {
            eprintln!("skipped '{}': {}", skipped.id, skipped.reason);
        }
        Ok(Features {
            extracted,
            timing: Timing {
                stage: stage.to_owned(),
                seconds: start.elapsed().as_secs_f64(),
            },
        })
    }

    /// The record of a run on these images, so far.
    pub(crate) fn run(&self, dataset: &str, features: &[&Features]) -> Run {
        let model = self.loaded.model.name();
        let mut run = run(self.common, model, &self.loaded.weights_sha256, dataset);
        for features in features {
            run.timings.push(features.timing.clone());
            let skipped = features.extracted.skipped.iter();
            run.skipped_images
                .extend(skipped.map(|skipped| SkippedImage {
                    path: skipped.id.clone(),
                    reason: skipped.reason.clone(),
                }));
        }
        run
    }
}

/// The part of a run's record that every command on a model has.
pub(crate) fn run(common: &Common, model: &str, weights_sha256: &str, data: &str) -> Run {
    let mut run = Run::new(model, data, common.device.to_string(), Seed(common.seed));
    run.command = Some(command_line());
    run.weights_sha256 = Some(weights_sha256.to_owned());
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
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(quoted);
    std::iter::once("neuroinspect".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}
