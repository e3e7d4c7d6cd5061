//! `corrupt`: a false correlation put into images.

use anyhow::{Result, bail};
use neuroinspect::{
    datasets::{ImageDataset, corrupted::Corrupted, write_image_folder},
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, CorruptArgs},
    console::Console,
    exit::Exit,
    images::{self, Reading},
    options::Options,
    output::{self, print},
    record,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.corruption", 1);
const RECORD_FILE: &str = "corruption.json";
/// The folder of images.
const IMAGES: &str = "images";

/// `corruption.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// How many images were written.
    images: usize,
    /// Names of the `K` classes.
    class_names: &'a [String],
    /// Each group, and how many images are in it.
    groups: Vec<(&'a str, usize)>,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &CorruptArgs) -> Result<Exit> {
    images::check_reads_all(&args.data.reading, "corrupting")?;
    let config = options.corruption(args)?;
    let reading = Reading::new(&args.data.reading, &common.out, options.seed);
    let original = images::open(&args.data.data, reading)?;
    let name = original.name().to_owned();
    if original.split().is_some() {
        bail!(
            "{name} has parts, which would be mixed in one folder, none with the share of conflicts asked for: \
             give one of them, as {name}/PART:PATH"
        );
    }
    let dataset = match args.unbiased {
        true => Corrupted::unbiased(original, config)?,
        false => Corrupted::new(original, config)?,
    };
    let folder = output::open_folder(common)?;
    let mut console = Console::start(common.quiet)?;
    let images = folder.join(IMAGES);
    write_image_folder(&dataset, &images, &mut console)?;
    console.clear();

    let mut run = record::run(common, options, "none", &name);
    record::add(&mut run, "corruption", dataset.config())?;
    let size = |group: usize| {
        let samples = dataset.samples().iter();
        samples.filter(|sample| sample.group == Some(group)).count()
    };
    let names = dataset.group_names().iter().enumerate();
    let record = Record {
        images: dataset.samples().len(),
        class_names: dataset.class_names(),
        groups: names
            .map(|(group, name)| (name.as_str(), size(group)))
            .collect(),
        run,
    };
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        let width = record.groups.iter().map(|(name, _)| name.chars().count());
        let width = width.max().unwrap_or(0);
        let groups = record.groups.iter();
        let groups = groups.map(|(name, images)| format!("  {name:<width$} {images:>6}\n"));
        format!(
            "{} images written to {}\n{}",
            record.images,
            images.display(),
            groups.collect::<String>()
        )
    })?;
    Ok(Exit::Finished)
}
