//! Published data sets by the parts that they were published in.

use std::sync::Arc;

use neuroinspect_core::Observer;
use neuroinspect_datasets::published::Published as PublishedData;
use neuroinspect_editing::EditData;
use neuroinspect_models::{LoadConfig, load_classifier};

use super::Setup;
use crate::{
    Extraction, FeatureRequest, PARTS, Result,
    leaderboard::{NetworkFile, Repetition},
};

/// Said of every data set that is read so.
pub(super) const NOTE: &str = "Train, validation and test are the published parts, and images are preprocessed as \
     the network's name has it. Repetitions differ by the seeds of the methods alone: intervals are over neither \
     networks nor images.";

/// The published parts of a data set, as a network sees them.
pub(super) struct PublishedParts {
    /// With the first seed; the others differ in it alone.
    pub(super) repetition: Repetition,
    /// What decides the features; `None` where that cannot be told.
    pub(super) fingerprint: Option<String>,
}

impl PublishedParts {
    /// Parts `train`, `validation` and `test` of images of the network's own classes. Features are kept in the folder
    /// of the results.
    pub(super) fn open(
        setup: &Setup<'_>,
        images: &PublishedData,
        network: &NetworkFile,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let NetworkFile { model, weights } = network;
        let loaded = load_classifier(model, weights, &LoadConfig::default(), &setup.device)?;
        let sha256 = &loaded.weights_sha256;
        let extraction = Extraction::new(loaded.model.as_ref(), images).with_weights_sha256(sha256);
        let name = images.info().name;
        let network = sha256.get(..8).unwrap_or_default();
        let request = FeatureRequest {
            file: format!("features-{network}-{name}.safetensors"),
            device: setup.config.device,
            complete: loaded.report.is_complete(),
        };
        let features = setup.folder.features(&extraction, &request, observer)?;
        let table = Arc::new(features.extracted.table);
        let images = table.provenance().dataset_sha256.clone();
        Ok(Self {
            repetition: Repetition {
                data: EditData::of_split(&table, PARTS)?,
                layer: loaded.model.decision_layer()?,
                seed: setup.config.seed,
            },
            fingerprint: images.map(|images| format!("{sha256} {images}")),
        })
    }
}
