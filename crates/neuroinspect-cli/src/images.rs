//! Images as the command line names them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use neuroinspect::{
    core::{Seed, check_same_classes, io::read_text},
    datasets::{
        ImageDataset, ImageFolder, ImageFolderConfig,
        published::{Published, PublishedConfig, PublishedInfo, published_named},
    },
};
use serde_json::{Map, Value};

use crate::{
    args::{NamedValue, ReadingArgs},
    output::check_apart,
};

/// How images are read, and what is known of their classes.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    args: &'a ReadingArgs,
    /// Where results are written: not among the images.
    out: &'a Path,
    seed: Seed,
    /// The model's classes in its order; none where it does not name them.
    of_model: &'a [String],
    /// Where the objects' outlines are.
    outlines: Option<&'a Path>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(args: &'a ReadingArgs, out: &'a Path, seed: Seed) -> Self {
        let of_model = &[];
        Self {
            args,
            out,
            seed,
            of_model,
            outlines: None,
        }
    }

    /// The same, with the objects' outlines.
    pub(crate) fn with_outlines(self, outlines: Option<&'a Path>) -> Self {
        Self { outlines, ..self }
    }

    /// The same, with the model's classes.
    pub(crate) fn of_model(self, of_model: &'a [String]) -> Self {
        Self { of_model, ..self }
    }
}

/// A published data set, or a part of it: `waterbirds/test:birds.tar.gz`.
struct Named<'a> {
    info: &'static PublishedInfo,
    part: Option<&'a str>,
    path: &'a str,
}

/// The published data set that a path names; none where it names a folder.
fn named(path: &Path) -> Result<Option<Named<'_>>> {
    let text = path.to_str().and_then(|text| text.split_once(':'));
    // A single letter before the colon is a drive of Windows.
    let Some((name, files)) = text.filter(|(name, _)| name.len() > 1 && !path.exists()) else {
        return Ok(None);
    };
    let (name, part) = match name.split_once('/') {
        Some((name, part)) => (name, Some(part)),
        None => (name, None),
    };
    let info =
        published_named(name).with_context(|| format!("'{}' is no folder", path.display()))?;
    Ok(Some(Named {
        info,
        part,
        path: files,
    }))
}

/// Opens a published data set, or a folder of images: its classes in the order that `--classes` gives, or
/// else the model.
pub(crate) fn open(path: &Path, reading: Reading<'_>) -> Result<Box<dyn ImageDataset>> {
    let Reading {
        args,
        out,
        seed,
        of_model,
        outlines,
    } = reading;
    let Some(named) = named(path)? else {
        if !args.data_option.is_empty() {
            bail!(
                "--data-option is for published data sets, and '{}' is a folder",
                path.display()
            );
        }
        check_apart(out, path)?;
        let mut config = ImageFolderConfig {
            images_per_class: args.images_per_class,
            outlines: outlines.map(Path::to_owned),
            ..ImageFolderConfig::default()
        };
        if let Some(file) = &args.class_names {
            config = config.with_class_names_file(file);
        }
        if let Some(classes) = classes(args)? {
            config = config.with_class_order(classes);
        } else if !of_model.is_empty() {
            config = config.with_class_order(of_model);
            let folder = ImageFolder::open(path, &config).with_context(|| {
                "the model's config says what its classes are called; where folders are called \
                 otherwise, --classes FILE lists them in the model's order"
            })?;
            return Ok(Box::new(folder));
        }
        return Ok(Box::new(ImageFolder::open(path, &config)?));
    };
    let Named { info, part, path } = named;
    if args.class_names.is_some() || args.classes.is_some() {
        bail!(
            "{} has names and an order of its classes: leave --class-names and --classes out",
            info.name
        );
    }
    if args.images_per_class.is_some() {
        bail!(
            "--images-per-class is for folders, and '{}' names a published data set",
            info.name
        );
    }
    if outlines.is_some() {
        bail!(
            "--outlines is for folders, and '{}' names a published data set",
            info.name
        );
    }
    let mut config = published_config(&args.data_option, seed)?;
    if let Some(part) = part {
        config = config.with_part(part);
    }
    let published = Published::open(info.name, path, &config)?;
    let names = published.class_names();
    // Its rows would be taken for others; names of another kind do not tell.
    if names != of_model && sorted(names) == sorted(of_model) {
        bail!(
            "{} has the model's classes in another order: write its images into one folder a class, whose \
             order goes by the model's config",
            info.name
        );
    }
    Ok(Box::new(published))
}

/// Refuses options of a command that reads all images, one after the other: it stops at one that cannot be read.
pub(crate) fn check_reads_all(args: &ReadingArgs, what: &str) -> Result<()> {
    if args.on_corrupt.is_some() {
        bail!("--on-corrupt: {what} stops at an image that cannot be read; remove the image");
    }
    if args.batch_size.is_some() {
        bail!("--batch-size: {what} takes one image at a time; leave it out");
    }
    Ok(())
}

/// Names in byte order, to tell whether they are the same.
pub(crate) fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}

/// What `--data-option` and `--seed` say of a published data set.
pub(crate) fn published_config(options: &[NamedValue], seed: Seed) -> Result<PublishedConfig> {
    let given = options.iter().map(|it| (it.name.clone(), it.value.clone()));
    let mut given: Map<String, Value> = given.collect();
    given.entry("seed").or_insert(seed.0.into());
    serde_json::from_value(Value::Object(given)).context("--data-option")
}

/// What kind of thing the classes of a published data set are.
pub(crate) fn domain(path: &Path) -> Result<Option<&'static str>> {
    Ok(named(path)?.and_then(|named| named.info.domain))
}

/// What `--classes` lists.
pub(crate) fn classes(args: &ReadingArgs) -> Result<Option<Vec<String>>> {
    let Some(file) = &args.classes else {
        return Ok(None);
    };
    let text = read_text(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(Some(lines.map(str::to_owned).collect()))
}

/// Opens the images that `--train` names, for the same classes as `--data`.
pub(crate) fn open_training(
    path: &Path,
    reading: Reading<'_>,
    data: &dyn ImageDataset,
) -> Result<Box<dyn ImageDataset>> {
    let training = open(path, reading)?;
    // Known before the features of either are computed.
    check_same_classes(training.class_names(), data.class_names())?;
    Ok(training)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use neuroinspect_testing::files::Folder;

    use super::*;

    #[test]
    fn the_first_images_of_each_class_are_taken_in_the_models_order_too() {
        let folder = Folder::new();
        for name in ["cat/0", "cat/1", "cat/2", "dog/0", "dog/1", "dog/2"] {
            folder.image(format!("images/{name}.png"), &RgbImage::new(2, 2));
        }
        let args = ReadingArgs {
            class_names: None,
            classes: None,
            data_option: Vec::new(),
            images_per_class: Some(2),
            on_corrupt: None,
            batch_size: None,
        };
        let of_model = ["dog", "cat"].map(str::to_owned);
        for order in [&[][..], &of_model] {
            let reading = Reading::new(&args, Path::new("out"), Seed(0)).of_model(order);
            let images = open(&folder.path("images"), reading).unwrap();
            assert_eq!(images.samples().len(), 4);
        }
    }
}
