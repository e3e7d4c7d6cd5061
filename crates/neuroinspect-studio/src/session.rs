//! The samples as the classifier sees them, and what is worked out of them once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::body::Bytes;
use neuroinspect::{
    DebugInputs, Extracted, Findings, chosen_from,
    core::{
        ClassId, DecisionLayer, FeatureTable, Groups, Metrics, NeuronId, Observer, Silent,
        io::sha256_of_bytes, with_causes,
    },
    datasets::ImageDataset,
    edit_data,
    editing::{EditConfig, EditSession},
    explain, explained_rows,
};

use serde_json::json;

use crate::{
    Opened,
    charts::Confusions,
    opened::{FEATURES, TRAIN_FEATURES},
    recent::Recent,
    trials::{Parts, epochs_at_once, takes_seconds},
};

/// The samples as the classifier sees them.
pub(crate) struct Session {
    /// Features of all images.
    pub(crate) table: Arc<FeatureTable>,
    /// For each row of the table, the image's index in the data set.
    pub(crate) indices: Vec<usize>,
    /// The classifier's last layer.
    pub(crate) layer: DecisionLayer,
    /// What it makes of each row.
    pub(crate) predictions: Vec<ClassId>,
    /// What that is worth.
    pub(crate) metrics: Metrics,
    /// SHA-256 of all that edits are tried on: features of which images by which weights, how they are divided, and
    /// the options that are not asked for.
    pub(crate) data: String,
    /// What is taken for what.
    pub(crate) confusions: Confusions,
    /// Tells this data from other data in addresses that a browser keeps the answers of.
    pub(crate) key: String,
    /// Small images that were shown, by row.
    pub(crate) thumbnails: Recent<usize, Bytes>,
    /// To try edits; why there is none, where there is none.
    pub(crate) edits: Result<EditSession, String>,
    /// Options of edits that are not asked for: those that the studio was opened with, but of epochs no more than are
    /// [trained at once](epochs_at_once).
    pub(crate) editing: EditConfig,
    /// To try them on a part of the samples first.
    pub(crate) parts: Parts,
    /// The samples whose mistakes are explained, where these are not all.
    explained: Option<(Vec<usize>, FeatureTable)>,
    /// What is known of classes' mistakes.
    rankings: Mutex<BTreeMap<ClassId, Ranking>>,
}

/// Findings of a class up to its ranking, once they are worked out; locked while they are.
type Ranking = Arc<Mutex<Option<Arc<Findings>>>>;

impl Session {
    /// Features of all images, taken from the folder or computed, and what follows from them.
    pub(crate) fn open(opened: &Opened, observer: &mut dyn Observer) -> neuroinspect::Result<Self> {
        let seen = features(opened, &*opened.dataset, FEATURES, observer)?;
        let training = match &opened.training {
            Some(dataset) => {
                let training = features(opened, &**dataset, TRAIN_FEATURES, observer)?;
                Some(Arc::new(training.table))
            }
            None => None,
        };
        let layer = opened.classifier.decision_layer()?;
        let table = Arc::new(seen.table);
        let predicted = table.predicted_by(&layer)?;
        let (predictions, metrics) = (predicted.predictions().to_vec(), predicted.metrics()?);
        let explained = match explained_rows(&table)? {
            Some(rows) => {
                let selected = table.select(&rows)?;
                Some((rows, selected))
            }
            None => None,
        };
        let edits = edit_data(&table, training.as_ref(), opened.run.seed)
            .and_then(|data| EditSession::new(data, &layer, &opened.device()))
            .map_err(|error| with_causes(&error));
        let mut editing = opened.config.editing.clone();
        if let Ok(edits) = &edits {
            editing.training.epochs = epochs_at_once(edits.data(), &editing.training);
        }
        let provenance = table.provenance();
        let told = |table: &Arc<FeatureTable>| table.provenance().dataset_sha256.is_some();
        let data = json!({
            "table": provenance,
            "training": training.as_ref().map(|table| table.provenance()),
            "layer": layer.sha256(),
            "seed": opened.run.seed,
            "editing": opened.config.editing,
            // What cannot be told from other data is not taken up by another process.
            "process": (!told(&table) || training.as_ref().is_some_and(|it| !told(it))).then(process_key),
        });
        let key = provenance
            .dataset_sha256
            .as_ref()
            .map(|it| it.chars().take(16).collect());
        Ok(Self {
            data: sha256_of_bytes(data.to_string().as_bytes()),
            confusions: Confusions::new(table.labels(), &predictions, table.classes()),
            key: key.unwrap_or_else(process_key),
            thumbnails: Recent::default(),
            table,
            indices: seen.indices,
            layer,
            predictions,
            metrics,
            edits,
            editing,
            parts: Parts::default(),
            explained,
            rankings: Mutex::default(),
        })
    }

    /// The groups of the samples, where they have some.
    pub(crate) fn groups(&self) -> Option<&Groups> {
        self.table.groups()
    }

    /// What groups are called; none where there are none.
    pub(crate) fn group_names(&self) -> &[String] {
        self.groups().map_or(&[], Groups::names)
    }

    /// Whether an edit is trained in seconds, by sizes alone; with so many epochs in place of those of
    /// [`editing`](Self::editing), where they are given.
    pub(crate) fn edits_take_seconds(&self, epochs: Option<usize>) -> bool {
        let mut training = self.editing.training.clone();
        training.epochs = epochs.unwrap_or(training.epochs);
        let edits = self.edits.as_ref();
        edits.is_ok_and(|edits| takes_seconds(edits.data(), &training))
    }

    /// The samples whose mistakes are explained: of samples that are split those to choose on.
    pub(crate) fn explained(&self) -> &FeatureTable {
        let some = self.explained.as_ref().map(|(_, table)| table);
        some.unwrap_or(&self.table)
    }

    /// Why a class's mistakes are made: worked out once. Takes seconds where there are many.
    pub(crate) fn ranked(&self, opened: &Opened, class: ClassId) -> Result<Arc<Findings>, String> {
        let ranking = self.ranking_of(class);
        let mut known = ranking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(findings) = &*known {
            return Ok(Arc::clone(findings));
        }
        let inputs = DebugInputs::new(opened.classifier.as_ref(), self.explained());
        let findings = explain(&inputs, class, &opened.config, &mut Silent);
        let findings = Arc::new(findings.map_err(|error| with_causes(&error))?);
        *known = Some(Arc::clone(&findings));
        Ok(findings)
    }

    /// How many of the samples that edits are measured on chose neurons: mistakes of the class that a ranking was made
    /// of, where one of the neurons is listed by it.
    pub(crate) fn chosen_from(
        &self,
        opened: &Opened,
        class: Option<ClassId>,
        neurons: &[NeuronId],
    ) -> neuroinspect::Result<usize> {
        let (Some(class), Ok(edits)) = (class, &self.edits) else {
            return Ok(0);
        };
        let listed = |findings: &Findings| {
            let listed = findings.ranking.first(usize::MAX);
            neurons.iter().any(|neuron| listed.contains(neuron))
        };
        let ranked = self.ranked(opened, class);
        match ranked.ok().filter(|findings| listed(findings)) {
            Some(findings) => chosen_from(self.explained(), &findings.explanation, edits.data()),
            None => Ok(0),
        }
    }

    fn ranking_of(&self, class: ClassId) -> Ranking {
        let mut all = self.rankings.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(class).or_default())
    }

    /// Index in the data set of each of the samples whose mistakes are explained.
    pub(crate) fn explained_indices(&self) -> Vec<usize> {
        match &self.explained {
            Some((rows, _)) => rows.iter().map(|&row| self.indices[row]).collect(),
            None => self.indices.clone(),
        }
    }
}

/// Features of images, taken from a file of the folder or computed.
fn features(
    opened: &Opened,
    dataset: &dyn ImageDataset,
    file: &str,
    observer: &mut dyn Observer,
) -> neuroinspect::Result<Extracted> {
    let extraction = opened.extraction(dataset);
    let request = opened.kept_in(file);
    let features = opened.folder.features(&extraction, &request, observer)?;
    Ok(features.extracted)
}

/// A key of this process: data without a fingerprint may be other data the next time.
fn process_key() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{:x}", now.map_or(0, |now| now.as_nanos()))
}
