//! From images to a feature table.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array4};
use neuroinspect_core::{
    Classifier, Error as CoreError, FeatureTable, Groups, Observer, Progress, Provenance, host,
};
use neuroinspect_datasets::{ImageDataset, LoaderConfig, Skipped, batches};

use crate::{Error, Result};

const STAGE: &str = "extracting features";

/// A feature table, and the samples that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// One row per readable sample, in the data set's order.
    pub table: FeatureTable,
    /// For each row, the sample's index in the data set.
    pub indices: Vec<usize>,
    /// The samples left out, with the reason.
    pub skipped: Vec<Skipped>,
}

/// Computes the features of a data set's samples, once and for all.
///
/// Images are decoded and preprocessed by `loader`'s threads while the classifier is at work, and
/// at most a few batches are in memory at any time. `indices` selects samples; `None` takes all.
/// `weights_sha256` goes into the table's provenance.
///
/// # Errors
///
/// When the data set's classes are not as many as the model's, an image is corrupt and the loader
/// was told to fail, no image is left, a feature is not finite, or the observer asks to stop.
pub fn extract_features(
    classifier: &dyn Classifier,
    dataset: &dyn ImageDataset,
    indices: Option<&[usize]>,
    weights_sha256: Option<&str>,
    loader: &LoaderConfig,
    observer: &mut dyn Observer,
) -> Result<Extracted> {
    let layer = classifier.decision_layer()?;
    let names = dataset.class_names();
    if names.len() != layer.classes() {
        let first = &names[..names.len().min(3)];
        return Err(Error::ClassCount {
            dataset: dataset.name().to_owned(),
            model: classifier.name().to_owned(),
            expected: layer.classes(),
            found: names.len(),
            names: first.join(", ")
                + if names.len() > first.len() {
                    ", ..."
                } else {
                    ""
                },
        });
    }
    let device = classifier.device();
    let total = indices.map_or(dataset.samples().len(), <[usize]>::len);
    let mut features = Vec::with_capacity(total * layer.neurons());
    let mut rows = Vec::with_capacity(total);
    let skipped = std::thread::scope(|scope| -> Result<Vec<Skipped>> {
        let mut batches = batches(scope, dataset, indices, classifier.input(), loader)?;
        for batch in &mut batches {
            let batch = batch?;
            let images = classifier
                .input()
                .normalize(images_on(batch.images, &device));
            let activations = classifier.activations(images).features;
            let [_, neurons] = activations.dims();
            if neurons != layer.neurons() {
                let what = format!("features of {}", classifier.name());
                return Err(CoreError::shape(what, layer.neurons(), neurons).into());
            }
            features.extend(host(activations, "the features")?);
            rows.extend(batch.indices);
            let progress = Progress {
                stage: STAGE,
                done: rows.len(),
                total,
            };
            if observer.update(progress).is_break() {
                return Err(CoreError::Cancelled { stage: STAGE }.into());
            }
        }
        Ok(batches.skipped().to_vec())
    })?;
    if rows.is_empty() {
        return Err(Error::NoImages {
            dataset: dataset.name().to_owned(),
        });
    }

    let features = Array2::from_shape_vec((rows.len(), layer.neurons()), features)
        .map_err(|error| CoreError::shape("features", error, rows.len()))?;
    let samples: Vec<_> = rows.iter().map(|&row| &dataset.samples()[row]).collect();
    let mut provenance =
        Provenance::new(classifier.name(), classifier.input().clone()).with_dataset(dataset.name());
    if let Some(sha256) = weights_sha256 {
        provenance = provenance.with_weights_sha256(sha256);
    }
    let predictions = layer.predict(features.view())?;
    let mut table = FeatureTable::of_samples(
        samples.iter().map(|sample| sample.id.clone()).collect(),
        features,
        samples.iter().map(|sample| sample.label).collect(),
        predictions,
        dataset.class_names().to_vec(),
        provenance,
    )?;
    // Groups are worth reporting only when every sample has one.
    let groups: Option<Vec<_>> = samples.iter().map(|sample| sample.group).collect();
    if let Some(of_sample) = groups.filter(|_| !dataset.group_names().is_empty()) {
        let names = dataset.group_names().to_vec();
        table = table.with_groups(Groups { names, of_sample })?;
    }
    Ok(Extracted {
        table,
        indices: rows,
        skipped,
    })
}

/// Images on a device: `[N, 3, S, S]`.
pub(crate) fn images_on(images: Array4<f32>, device: &Device) -> Tensor<4> {
    let shape: [usize; 4] = images.dim().into();
    let values = images.into_iter().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
