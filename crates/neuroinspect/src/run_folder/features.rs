//! Features that an earlier run left in its folder, taken up again.
//!
//! A table alone does not say which state of which files it was computed from. A record beside it
//! does; when anything in it is not as it is now, the features are computed again. So they are when
//! an image that could not be read can be read now.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use neuroinspect_core::{
    DeviceName, FeatureTable, Observer, Provenance,
    io::{sha256_of_bytes, sha256_of_file},
};
use neuroinspect_datasets::{OnCorrupt, Skipped};
use neuroinspect_report::{Schema, read_json, write_json};
use serde::{Deserialize, Serialize};

use super::{RunFolder, program_state, remove};
use crate::{Extracted, Extraction, Result, extract::extract_features_of};

const RECORD: Schema = Schema::new("neuroinspect.features-origin", 1);

/// Where features are kept, and what decides besides the [`Extraction`] whether they are taken up
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRequest {
    /// Name of the file in the folder, such as `features.safetensors`.
    pub file: String,
    /// The device that the classifier is on: devices differ in the last bits.
    pub device: DeviceName,
    /// Whether all of the classifier's weights are known by their hash. Features of a model that
    /// was partly loaded, its other weights drawn at random, are not taken up again.
    pub complete: bool,
}

/// Features, and whether an earlier run had computed them.
#[derive(Clone, Debug)]
pub struct FolderFeatures {
    /// The features.
    pub extracted: Extracted,
    /// Whether they were taken from the folder.
    pub reused: bool,
    /// What is not as it was when those that lay there were computed, such as "the weights".
    pub changed: Vec<&'static str>,
    /// Where they are.
    pub path: PathBuf,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What a table of features was computed from and by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Another build of the program may decode or resize in another way.
    program: String,
    device: DeviceName,
    /// Batches of another size may differ in the last bits.
    batch_size: usize,
    /// With it the fingerprint of the data set.
    pub(super) provenance: Provenance,
    /// Which samples of the data set; all where it is none.
    samples: Option<String>,
}

/// The record beside a table.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) origin: Origin,
    /// Ties the record to one file: a run may have been killed between writing the two.
    table_sha256: String,
    /// Images that could not be read.
    #[serde(
        default,
        with = "skipped_images",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) skipped: Vec<Skipped>,
}

impl Record {
    /// Whether the table is as it was written.
    pub(super) fn is_whole(&self, table: &Path) -> bool {
        sha256_of_file(table).is_ok_and(|sha256| sha256 == self.table_sha256)
    }
}

impl RunFolder {
    /// The features of an extraction: those that an earlier run left in the folder, if they would
    /// come out the same, and otherwise computed and kept. Features that take more than the extraction's
    /// [memory](Extraction::memory) are written as they come, and stay in the file.
    ///
    /// # Errors
    ///
    /// As [`extract_features`](crate::extract_features), and when they cannot be written.
    pub fn features(
        &self,
        extraction: &Extraction<'_>,
        request: &FeatureRequest,
        observer: &mut dyn Observer,
    ) -> Result<FolderFeatures> {
        let start = Instant::now();
        let path = self.join(&request.file);
        let provenance = extraction.provenance(extraction.classifier.penultimate());
        let origin = Origin::of(&provenance, extraction, request);
        let found = match &origin {
            Some(origin) => load(&path, origin, extraction),
            None => Err(Vec::new()),
        };
        let (reused, changed) = match &found {
            Ok(_) => (true, Vec::new()),
            Err(changed) => (false, changed.clone()),
        };
        let extracted = match found {
            Ok(extracted) => extracted,
            Err(_) => {
                let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
                let extraction = extraction
                    .clone()
                    .with_spill_folder(folder.unwrap_or(Path::new(".")));
                let mut extracted = extract_features_of(&extraction, provenance, observer)?;
                save(&path, &extracted, origin)?;
                // What was written as it came is now there twice.
                if extracted.table.activations().memory_limit().is_some() {
                    extracted.table = FeatureTable::load_within(&path, extraction.memory)?;
                }
                extracted
            }
        };
        Ok(FolderFeatures {
            extracted,
            reused,
            changed,
            path,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

impl Origin {
    /// The origin of features computed now; `None` when they cannot be told from others.
    pub(super) fn of(
        provenance: &Provenance,
        extraction: &Extraction<'_>,
        request: &FeatureRequest,
    ) -> Option<Self> {
        let told = provenance.weights_sha256.is_some() && provenance.dataset_sha256.is_some();
        if !request.complete || !told {
            return None;
        }
        Some(Self {
            program: program_state()?,
            device: request.device,
            batch_size: extraction.loader.batch_size,
            provenance: provenance.clone(),
            samples: extraction.indices.map(hash_of),
        })
    }

    /// The same of all samples.
    pub(super) fn of_all(&self) -> Self {
        Self {
            samples: None,
            ..self.clone()
        }
    }

    /// The same of other samples.
    pub(super) fn of_samples(&self, indices: &[usize]) -> Self {
        Self {
            samples: Some(hash_of(indices)),
            ..self.clone()
        }
    }

    /// What is not as it is in another.
    pub(super) fn changed(&self, other: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (&self.provenance, &other.provenance);
        let parts = [
            ("the program", self.program == other.program),
            ("the device", self.device == other.device),
            ("the batch size", self.batch_size == other.batch_size),
            ("the model", ours.model == theirs.model),
            ("the weights", ours.weights_sha256 == theirs.weights_sha256),
            ("how images are prepared", ours.input == theirs.input),
            ("the layer", ours.layer == theirs.layer),
            ("the number format", ours.precision == theirs.precision),
            ("the data set's name", ours.dataset == theirs.dataset),
            ("the images", ours.dataset_sha256 == theirs.dataset_sha256),
            ("the choice of samples", self.samples == other.samples),
        ];
        let changed = parts.into_iter().filter(|(_, same)| !same);
        changed.map(|(what, _)| what).collect()
    }
}

/// Which samples, in which order.
fn hash_of(indices: &[usize]) -> String {
    let bytes: Vec<u8> = indices.iter().flat_map(|it| it.to_le_bytes()).collect();
    sha256_of_bytes(&bytes)
}

/// The features at `path` if they are of that origin; else what has changed since, where that is known.
pub(super) fn load(
    path: &Path,
    origin: &Origin,
    extraction: &Extraction<'_>,
) -> Result<Extracted, Vec<&'static str>> {
    let record = fs::read(record_path(path)).map_err(|_| Vec::new())?;
    let record: Record = serde_json::from_slice(&record).map_err(|_| vec!["their record"])?;
    if record.origin != *origin {
        return Err(origin.changed(&record.origin));
    }
    let is_left_out = |it: &Skipped| extraction.dataset.image(it.index).is_err();
    let skips = extraction.loader.on_corrupt == OnCorrupt::Skip;
    if !(record.skipped.is_empty() || skips && record.skipped.iter().all(is_left_out)) {
        return Err(vec!["which images can be read"]);
    }
    let table = FeatureTable::load_within(path, extraction.memory).ok();
    let table = table
        .filter(|table| record.is_whole(path) && table.provenance() == &origin.provenance)
        .ok_or_else(|| vec!["the file itself"])?;
    let left_out: HashSet<usize> = record.skipped.iter().map(|it| it.index).collect();
    let mut indices = extraction.all_indices();
    indices.retain(|index| !left_out.contains(index));
    match indices.len() == table.len() {
        true => Ok(Extracted {
            table,
            indices,
            skipped: record.skipped,
        }),
        false => Err(vec!["their record"]),
    }
}

/// What is known of the features at `path`; `None` where they are not there, or not all.
pub(super) fn record_of(path: &Path) -> Option<Record> {
    let record = read_json(record_path(path), RECORD).ok();
    record.filter(|_| path.exists())
}

/// Writes features, and a record of their origin if they can be told from others.
pub(super) fn save(path: &Path, extracted: &Extracted, origin: Option<Origin>) -> Result<()> {
    // First, as it is of what stands there now.
    remove(&record_path(path))?;
    extracted.table.save(path)?;
    let Some(origin) = origin else {
        return Ok(());
    };
    let record = Record {
        origin,
        table_sha256: sha256_of_file(path)?,
        skipped: extracted.skipped.clone(),
    };
    Ok(write_json(record_path(path), RECORD, &record)?)
}

pub(super) fn record_path(table: &Path) -> PathBuf {
    table.with_extension("origin.json")
}

/// Images that could not be read, in a record.
mod skipped_images {
    use neuroinspect_datasets::Skipped;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Image {
        index: usize,
        id: String,
        reason: String,
    }

    pub(super) fn serialize<S: Serializer>(all: &[Skipped], to: S) -> Result<S::Ok, S::Error> {
        let images = all.iter().cloned();
        to.collect_seq(images.map(|Skipped { index, id, reason }| Image { index, id, reason }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Skipped>, D::Error> {
        let images = Vec::<Image>::deserialize(from)?.into_iter();
        Ok(images
            .map(|Image { index, id, reason }| Skipped { index, id, reason })
            .collect())
    }
}
