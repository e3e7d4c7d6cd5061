//! Features that an earlier run left in the output folder, taken up again.
//!
//! A table alone does not say which state of which files it was computed from. A record beside it
//! does; when anything in it is not as it is now, the features are computed again.

use std::{fs, io, path::Path, time::UNIX_EPOCH};

use anyhow::Result;
use neuroinspect::{
    Extracted,
    core::{
        DeviceName, FeatureTable, Provenance, sha256_of_bytes, sha256_of_file, write_atomically,
    },
    datasets::{ImageDataset, ImageFolder, Skipped},
    models::LoadedClassifier,
};
use serde::{Deserialize, Serialize};

/// What a table of features was computed from and by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Version of neuroinspect.
    version: String,
    /// Devices differ in the last bits.
    device: DeviceName,
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
    indices: Vec<usize>,
    skipped: Vec<Skipped>,
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
    ) -> Option<Self> {
        if !loaded.report.is_complete() {
            return None;
        }
        let model = loaded.model.as_ref();
        Some(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device,
            provenance: Provenance::new(model.name(), model.input().clone())
                .with_weights_sha256(&loaded.weights_sha256)
                .with_dataset(dataset.name()),
            images_sha256: listing(dataset.paths()).ok()?,
        })
    }
}

fn listing(paths: &[impl AsRef<Path>]) -> io::Result<String> {
    let mut lines = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let metadata = fs::metadata(path)?;
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH);
        let changed = changed.map_err(io::Error::other)?.as_nanos();
        lines.extend(std::path::absolute(path)?.as_os_str().as_encoded_bytes());
        lines.extend(format!("\0{}\0{changed}\n", metadata.len()).bytes());
    }
    Ok(sha256_of_bytes(&lines))
}

/// The features at `path` if they are of that origin and of that data set as it is now.
pub(crate) fn load(path: &Path, origin: &Origin, dataset: &ImageFolder) -> Option<Extracted> {
    let record = fs::read(record_path(path)).ok()?;
    let record: Record = serde_json::from_slice(&record).ok()?;
    if record.origin != *origin || sha256_of_file(path).ok()? != record.table_sha256 {
        return None;
    }
    let table = FeatureTable::load(path).ok()?;
    let samples: Vec<_> = record
        .indices
        .iter()
        .map(|&index| dataset.samples().get(index))
        .collect::<Option<_>>()?;
    let same = table.provenance() == &origin.provenance
        && table.class_names() == dataset.class_names()
        && samples.len() + record.skipped.len() == dataset.samples().len()
        && table
            .sample_ids()
            .iter()
            .eq(samples.iter().map(|sample| &sample.id))
        && table
            .labels()
            .iter()
            .eq(samples.iter().map(|sample| &sample.label));
    same.then_some(Extracted {
        table,
        indices: record.indices,
        skipped: record.skipped,
    })
}

/// Writes features, and a record of their origin if it is known.
pub(crate) fn save(path: &Path, extracted: &Extracted, origin: Option<Origin>) -> Result<()> {
    extracted.table.save(path)?;
    let Some(origin) = origin else {
        return Ok(());
    };
    let record = Record {
        origin,
        table_sha256: sha256_of_file(path)?,
        indices: extracted.indices.clone(),
        skipped: extracted.skipped.clone(),
    };
    let json = serde_json::to_vec(&record)?;
    Ok(write_atomically(record_path(path), |out| {
        out.write_all(&json)
    })?)
}

fn record_path(table: &Path) -> std::path::PathBuf {
    table.with_extension("origin.json")
}
