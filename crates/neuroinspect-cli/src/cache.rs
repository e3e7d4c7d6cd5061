//! Features that an earlier run left in the output folder, taken up again.
//!
//! A table alone does not say which state of which files it was computed from. A record beside it
//! does; when anything in it is not as it is now, the features are computed again. So they are when
//! an image could not be read: what hindered that leaves no trace in the file.

use std::{env, fs, io, path::Path, time::UNIX_EPOCH};

use anyhow::Result;
use neuroinspect::{
    Extracted,
    core::{
        DeviceName, FeatureTable, Provenance, sha256_of_bytes, sha256_of_file, write_atomically,
    },
    datasets::{ImageDataset, ImageFolder, LoaderConfig},
    models::LoadedClassifier,
};
use serde::{Deserialize, Serialize};

/// What a table of features was computed from and by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Path, length and time of change of this program: another build may decode or resize in
    /// another way, though its version is the same.
    program: String,
    /// Devices differ in the last bits, and so may batches of another size.
    device: DeviceName,
    batch_size: usize,
    provenance: Provenance,
    /// SHA-256 over path, length and time of change of every image.
    images_sha256: String,
}

/// The record beside a table.
#[derive(Serialize, Deserialize)]
struct Record {
    origin: Origin,
    /// Ties the record to one file: a run may have been killed between writing the two.
    table_sha256: String,
}

impl Origin {
    /// The origin of features computed now; to be called before they are, so that an image changed
    /// meanwhile is noticed the next time.
    ///
    /// `None` when they cannot be told from others: a partly loaded model has weights at random, and
    /// some file systems keep no time of change.
    pub(crate) fn of(
        loaded: &LoadedClassifier,
        dataset: &ImageFolder,
        device: DeviceName,
        loader: &LoaderConfig,
    ) -> Option<Self> {
        if !loaded.report.is_complete() {
            return None;
        }
        let model = loaded.model.as_ref();
        Some(Self {
            program: state(&env::current_exe().ok()?).ok()?,
            device,
            batch_size: loader.batch_size,
            provenance: Provenance::new(model.name(), model.input().clone())
                .with_weights_sha256(&loaded.weights_sha256)
                .with_dataset(dataset.name()),
            images_sha256: listing(dataset.paths()).ok()?,
        })
    }
}

/// What tells one state of a file from another without reading it.
fn state(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH);
    let changed = changed.map_err(io::Error::other)?.as_nanos();
    let path = std::path::absolute(path)?;
    Ok(format!("{}\0{}\0{changed}", path.display(), metadata.len()))
}

fn listing(paths: &[impl AsRef<Path>]) -> io::Result<String> {
    let mut lines = String::new();
    for path in paths {
        lines += &state(path.as_ref())?;
        lines.push('\n');
    }
    Ok(sha256_of_bytes(lines.as_bytes()))
}

/// The features at `path` if they are of that origin and of that data set as it is now.
pub(crate) fn load(path: &Path, origin: &Origin, dataset: &ImageFolder) -> Option<FeatureTable> {
    let record = fs::read(record_path(path)).ok()?;
    let record: Record = serde_json::from_slice(&record).ok()?;
    if record.origin != *origin || sha256_of_file(path).ok()? != record.table_sha256 {
        return None;
    }
    let table = FeatureTable::load(path).ok()?;
    let samples = dataset.samples();
    let same = table.provenance() == &origin.provenance
        && table.class_names() == dataset.class_names()
        && table
            .sample_ids()
            .iter()
            .eq(samples.iter().map(|sample| &sample.id))
        && table
            .labels()
            .iter()
            .eq(samples.iter().map(|sample| &sample.label));
    same.then_some(table)
}

/// Writes features, and a record of their origin if they can be taken up again.
pub(crate) fn save(path: &Path, extracted: &Extracted, origin: Option<Origin>) -> Result<()> {
    extracted.table.save(path)?;
    let Some(origin) = origin.filter(|_| extracted.skipped.is_empty()) else {
        return Ok(());
    };
    let record = Record {
        origin,
        table_sha256: sha256_of_file(path)?,
    };
    let json = serde_json::to_vec(&record)?;
    Ok(write_atomically(record_path(path), |out| {
        out.write_all(&json)
    })?)
}

fn record_path(table: &Path) -> std::path::PathBuf {
    table.with_extension("origin.json")
}
