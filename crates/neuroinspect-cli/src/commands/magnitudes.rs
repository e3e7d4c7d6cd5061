//! `magnitudes`: the spectra of images, for pictures that have the same.

use std::path::Path;

use anyhow::{Context, Result};
use neuroinspect::{
    core::{InputSpec, Observer, Progress},
    datasets::preprocess,
    illusion::Magnitudes,
    report::{Run, Schema, read_json},
};
use serde::{Deserialize, Serialize};

use crate::{
    args::{Common, MagnitudesArgs},
    console::{Console, warn},
    exit::Exit,
    images::{self, Reading},
    options::Options,
    output::{self, print},
    record,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.magnitudes", 1);
const RECORD_FILE: &str = "magnitudes.json";
/// Side that images are measured at.
const SIZE: usize = 128;

/// `magnitudes.json`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record {
    /// How many images were measured.
    images: usize,
    /// At which side, in pixels.
    size: usize,
    /// What was measured.
    magnitudes: Magnitudes,
    /// How it was made.
    run: Run,
}

/// The magnitudes in a file that this command wrote.
pub(crate) fn read(path: &Path) -> Result<Magnitudes> {
    Ok(read_json::<Record>(path, SCHEMA)?.magnitudes)
}

pub(crate) fn run(common: &Common, options: &Options, args: &MagnitudesArgs) -> Result<Exit> {
    images::check_reads_all(&args.data.reading, "measuring")?;
    let reading = Reading::new(&args.data.reading, &common.out, options.seed);
    let dataset = images::open(&args.data.data, reading)?;
    let size = args.size.unwrap_or(SIZE);
    let spec = InputSpec::new(size);
    let folder = output::open_folder(common)?;
    let mut console = Console::start(common.quiet)?;
    let samples = dataset.samples();
    let (mut images, mut failed) = (0, None);
    let read = samples.iter().enumerate().map_while(|(index, sample)| {
        let progress = Progress {
            stage: "measuring magnitudes",
            done: index,
            total: samples.len(),
        };
        let mut read = || -> Result<_> {
            console.proceed(progress)?;
            let image = dataset.image(index)?;
            preprocess(&image, &spec).with_context(|| format!("'{}'", sample.id))
        };
        images += 1;
        read().map_err(|error| failed = Some(error)).ok()
    });
    let magnitudes = Magnitudes::measure(read);
    console.clear();
    if let Some(error) = failed {
        return Err(error);
    }
    let record = Record {
        images,
        size,
        magnitudes: magnitudes?,
        run: record::run(common, options, "none", dataset.name()),
    };
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    warn(format_args!(
        "for pictures with these: --parameter maco --magnitudes {}",
        record::quoted(folder.join(RECORD_FILE))
    ));
    print(common.json, SCHEMA, &record, |record| {
        let path = folder.join(RECORD_FILE);
        format!(
            "magnitudes of {} images at {} pixels written to {}\n",
            record.images,
            record.size,
            path.display()
        )
    })?;
    Ok(Exit::Finished)
}
