//! Image folders as the command line names them.

use std::path::Path;

use anyhow::Result;
use neuroinspect::{
    core::{check_same_classes, io::read_text},
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig},
};

use crate::args::ReadingArgs;

/// Opens a folder of images, its classes in the order of the class-name file if there is one.
pub(crate) fn folder(path: &Path, args: &ReadingArgs) -> Result<ImageFolder> {
    let mut config = ImageFolderConfig::default();
    if let Some(file) = &args.class_names {
        config = config.with_class_names_file(file);
    }
    if let Some(classes) = classes(args)? {
        config = config.with_class_order(classes);
    }
    Ok(ImageFolder::open(path, &config)?)
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

/// Opens the folder that `--train` names, for the same classes as `--data`.
pub(crate) fn training_folder(
    path: &Path,
    args: &ReadingArgs,
    data: &ImageFolder,
) -> Result<ImageFolder> {
    let training = folder(path, args)?;
    // Known before the features of either are computed.
    check_same_classes(training.class_names(), data.class_names())?;
    Ok(training)
}
