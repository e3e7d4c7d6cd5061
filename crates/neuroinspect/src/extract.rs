//! From images to tables of activations.

use std::{env, fmt, path::Path};

use burn::tensor::{Device, Tensor, TensorData};
use derive_setters::Setters;
use ndarray::{Array3, ArrayView4};
use neuroinspect_core::{
    ActivationTable, Classifier, CollectedRows, Error as CoreError, FeatureTable, ImageTextEncoder,
    InputSpec, MemoryLimit, Observer, Precision, Progress, Provenance, among_workers, read_back,
};
use neuroinspect_datasets::{ImageDataset, LoaderConfig, Skipped, batches};

use crate::{Error, ImageSource, Result, within_memory::within_memory};

const STAGE: &str = "extracting features";

/// Which activations are to be computed: of whom, on what, and how.
#[derive(Clone, Setters)]
#[setters(prefix = "with_", strip_option)]
pub struct Extraction<'a> {
    /// The classifier. It is not changed: the work is done on an evaluation copy.
    #[setters(skip)]
    pub classifier: &'a dyn Classifier,
    /// The images.
    #[setters(skip)]
    pub dataset: &'a dyn ImageDataset,
    /// Which samples of the data set, in the order wanted; by default all.
    pub indices: Option<&'a [usize]>,
    /// SHA-256 of the file of the classifier's weights, for the table's provenance.
    pub weights_sha256: Option<&'a str>,
    /// The number format computed in; 32-bit floats by default.
    pub precision: Precision,
    /// How many bytes of activations may be in memory; more are written to a file as they are computed, and the table
    /// stays there.
    pub memory: MemoryLimit,
    /// The folder of that file, which has no name and is gone with the table; by default the system's for temporary
    /// files, which may be in memory.
    pub spill_folder: Option<&'a Path>,
    /// How images are loaded. They are decoded and preprocessed by the loader's threads while the
    /// classifier is at work, and at most a few batches are in memory at any time.
    ///
    /// Where the device's memory does not hold what the classifier makes of a batch, and its backend says so, as libtorch
    /// does, the classifier is given half of it at a time from then on: the last bits may differ, then.
    pub loader: LoaderConfig,
}

impl fmt::Debug for Extraction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extraction")
            .field("classifier", &self.classifier.name())
            .field("dataset", &self.dataset.name())
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

/// A table of activations, and the samples that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted<T = FeatureTable> {
    /// One row per readable sample, in the order wanted.
    pub table: T,
    /// For each row, the sample's index in the data set.
    pub indices: Vec<usize>,
    /// The samples left out, with the reason.
    pub skipped: Vec<Skipped>,
}

impl<'a> Extraction<'a> {
    /// All samples of a data set, in 32-bit floats.
    pub fn new(classifier: &'a dyn Classifier, dataset: &'a dyn ImageDataset) -> Self {
        Self {
            classifier,
            dataset,
            indices: None,
            weights_sha256: None,
            precision: Precision::F32,
            memory: MemoryLimit::default(),
            spill_folder: None,
            loader: LoaderConfig::default(),
        }
    }

    /// Indices of the samples, in the order wanted.
    pub(crate) fn all_indices(&self) -> Vec<usize> {
        match self.indices {
            Some(indices) => indices.to_vec(),
            None => (0..self.dataset.samples().len()).collect(),
        }
    }

    /// Where the activations of a layer come from.
    pub(crate) fn provenance(&self, layer: &str) -> Provenance {
        let Self {
            classifier,
            dataset,
            ..
        } = self;
        let mut provenance = Provenance::new(classifier.name(), classifier.input().clone())
            .with_layer(layer)
            .with_precision(self.precision)
            .with_dataset(dataset.name());
        if let Some(sha256) = self.weights_sha256 {
            provenance = provenance.with_weights_sha256(sha256);
        }
        if let Some(sha256) = dataset.fingerprint() {
            provenance = provenance.with_dataset_sha256(sha256);
        }
        provenance
    }

    /// Runs a copy of the classifier over the images; `read` makes of it and of normalised images
    /// `[N, 3, S, S]` what is kept: `[N, D]`. The provenance is from before: an image that is changed
    /// meanwhile is noticed the next time.
    fn run(
        &self,
        provenance: Provenance,
        read: &(dyn Fn(&dyn Classifier, Tensor<4>) -> Result<Tensor<2>> + Sync),
        observer: &mut dyn Observer,
    ) -> Result<Extracted<ActivationTable>> {
        self.on_copy(provenance, |pass, copy| {
            pass.run(STAGE, &|images| read(copy, images), observer)
        })
    }

    /// As [`run`](Self::run), but hands over to `take` what `read` makes of a batch, with the samples'
    /// indices, and keeps nothing. Returns the samples that could not be read.
    pub(crate) fn stream(
        &self,
        layer: &str,
        read: &(dyn Fn(&dyn Classifier, Tensor<4>) -> Result<Tensor<2>> + Sync),
        take: &mut TakeBatch<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Skipped>> {
        self.on_copy(self.provenance(layer), |pass, copy| {
            let read = |images| read(copy, images);
            pass.stream("looking at images", &read, take, observer)
        })
    }

    fn on_copy<T>(
        &self,
        provenance: Provenance,
        work: impl FnOnce(Pass<'_>, &dyn Classifier) -> Result<T>,
    ) -> Result<T> {
        let device = self.classifier.device().without_autodiff();
        let mut copy = self.classifier.evaluation_copy(&device, self.precision)?;
        copy.fold()?;
        let pass = Pass {
            dataset: self.dataset,
            indices: self.indices,
            loader: &self.loader,
            input: copy.input(),
            precision: self.precision,
            memory: self.memory,
            spill_folder: self.spill_folder,
            device: &device,
            provenance,
        };
        work(pass, copy.as_ref())
    }
}

/// Takes samples' indices, and as many rows of numbers.
type TakeBatch<'a> = dyn FnMut(&[usize], &[f32]) -> Result<()> + 'a;

/// A network's way through the images of a data set.
struct Pass<'a> {
    dataset: &'a dyn ImageDataset,
    indices: Option<&'a [usize]>,
    loader: &'a LoaderConfig,
    /// How the network sees images.
    input: &'a InputSpec,
    precision: Precision,
    memory: MemoryLimit,
    spill_folder: Option<&'a Path>,
    device: &'a Device,
    provenance: Provenance,
}

impl Pass<'_> {
    /// `read` makes of normalised images `[N, 3, S, S]` what is kept: `[N, D]`.
    fn run(
        self,
        stage: &'static str,
        read: &(dyn Fn(Tensor<4>) -> Result<Tensor<2>> + Sync),
        observer: &mut dyn Observer,
    ) -> Result<Extracted<ActivationTable>> {
        let folder = self.spill_folder.map_or_else(env::temp_dir, Path::to_owned);
        let (mut values, mut rows) = (None, Vec::new());
        let mut take = |indices: &[usize], of_batch: &[f32]| {
            rows.extend_from_slice(indices);
            let width = of_batch.len() / indices.len().max(1);
            let values = values
                .get_or_insert_with(|| CollectedRows::new(width, folder.clone(), self.memory));
            Ok(values.push(of_batch)?)
        };
        let skipped = self.stream(stage, read, &mut take, observer)?;
        let dataset = self.dataset;
        let Some(values) = values else {
            return Err(Error::NoImages {
                dataset: dataset.name().to_owned(),
            });
        };
        let ids = rows.iter().map(|&row| dataset.samples()[row].id.clone());
        Ok(Extracted {
            table: values.into_table(ids.collect(), self.provenance)?,
            indices: rows,
            skipped,
        })
    }

    /// Hands over to `take`, with the samples' indices, what `read` makes of normalised images: `[N, D]`,
    /// row by row. Returns the samples that could not be read.
    fn stream(
        &self,
        stage: &'static str,
        read: &(dyn Fn(Tensor<4>) -> Result<Tensor<2>> + Sync),
        take: &mut TakeBatch<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Skipped>> {
        let Self {
            dataset,
            indices,
            input,
            device,
            precision,
            ref provenance,
            ..
        } = *self;
        let total = indices.map_or(dataset.samples().len(), <[usize]>::len);
        let (mut width, mut done, mut at_once) = (0, 0, self.loader.batch_size);
        std::thread::scope(|scope| -> Result<Vec<Skipped>> {
            let mut batches = batches(scope, dataset, indices, input, self.loader)?;
            for batch in &mut batches {
                let batch = batch?;
                let read = |images: ArrayView4<'_, f32>| {
                    let images = input.normalize(images_on(images, device));
                    let activations = read(precision.cast(images))?;
                    let shape = activations.dims();
                    Ok((shape, read_back(activations, "the activations")?))
                };
                let images = batch.images.view();
                let ([found, columns], activations) =
                    among_workers(device, || within_memory(images, &mut at_once, &read))?;
                if found != batch.indices.len() || (width != 0 && columns != width) {
                    let layer = provenance.layer.as_deref().unwrap_or_default();
                    let what = format!("activations of layer '{layer}' of {}", provenance.model);
                    let expected = [batch.indices.len(), width];
                    return Err(CoreError::shape(what, expected, [found, columns]).into());
                }
                width = columns;
                take(&batch.indices, &activations)?;
                done += batch.indices.len();
                observer.proceed(Progress { stage, done, total })?;
            }
            Ok(batches.skipped().to_vec())
        })
    }
}

/// Embeds images of a data set, in 32-bit floats: `[N, E]`, as the encoder gives them.
///
/// # Errors
///
/// When an image is corrupt and the loader was told to fail, no image is left, an embedding is not finite, the
/// encoder fails, or the observer asks to stop.
pub fn embed_images(
    encoder: &dyn ImageTextEncoder,
    images: ImageSource<'_>,
    loader: &LoaderConfig,
    observer: &mut dyn Observer,
) -> Result<Extracted<ActivationTable>> {
    let device = encoder.device().without_autodiff();
    let mut copy = encoder.encoder_copy(&device, Precision::F32)?;
    copy.fold()?;
    let pass = Pass {
        dataset: images.dataset,
        indices: Some(images.indices),
        loader,
        input: copy.input(),
        precision: Precision::F32,
        memory: MemoryLimit::default(),
        spill_folder: None,
        device: &device,
        provenance: Provenance::new(encoder.name(), encoder.input().clone())
            .with_layer("image embedding")
            .with_dataset(images.dataset.name()),
    };
    pass.run(
        "embedding images",
        &|images| Ok(copy.encode_images(images)),
        observer,
    )
}

/// Computes the features of a data set's samples, once and for all.
///
/// # Errors
///
/// When the data set's classes are not as many as the model's, a sample has no group though the data
/// set has groups, an image is corrupt and the loader was told to fail, no image is left, a feature is
/// not finite, the device does not compute in the precision, or the observer asks to stop.
pub fn extract_features(
    extraction: &Extraction<'_>,
    observer: &mut dyn Observer,
) -> Result<Extracted> {
    let provenance = extraction.provenance(extraction.classifier.penultimate());
    extract_features_of(extraction, provenance, observer)
}

/// [`extract_features`], with the provenance that has been looked up.
pub(crate) fn extract_features_of(
    extraction: &Extraction<'_>,
    provenance: Provenance,
    observer: &mut dyn Observer,
) -> Result<Extracted> {
    let Extraction {
        classifier,
        dataset,
        ..
    } = extraction;
    let layer = classifier.decision_layer()?;
    check_classes(*classifier, *dataset, layer.classes())?;
    // A group that is missing is known before hours of work.
    match extraction.indices {
        Some(indices) => dataset.groups_of(indices)?,
        None => dataset.groups_of(&(0..dataset.samples().len()).collect::<Vec<_>>())?,
    };
    let neurons = layer.neurons();
    let features = |copy: &dyn Classifier, images| {
        let features = copy.activations(images).features;
        let [_, found] = features.dims();
        match found == neurons {
            true => Ok(features),
            false => {
                let what = format!("features of {}", copy.name());
                Err(CoreError::shape(what, neurons, found).into())
            }
        }
    };
    let Extracted {
        table,
        indices,
        skipped,
    } = extraction.run(provenance, &features, observer)?;
    let samples = dataset.samples();
    let labels = indices.iter().map(|&row| samples[row].label).collect();
    let mut table = FeatureTable::new(table, labels, dataset.class_names().to_vec())?;
    if let Some(groups) = dataset.groups_of(&indices)? {
        table = table.with_groups(groups)?;
    }
    if let Some(split) = dataset.split() {
        table = table.with_split(split.select(&indices)?)?;
    }
    Ok(Extracted {
        table,
        indices,
        skipped,
    })
}

/// Computes the activations of any of a classifier's [layers](Classifier::layers), one number for each
/// of its channels: the mean over positions or tokens.
///
/// # Errors
///
/// As [`extract_features`], but for what concerns classes and groups, and when there is no such
/// layer.
pub fn extract_activations(
    extraction: &Extraction<'_>,
    layer: &str,
    observer: &mut dyn Observer,
) -> Result<Extracted<ActivationTable>> {
    let read = |copy: &dyn Classifier, images| {
        let values = copy.activations_at(images, &[layer])?.pop();
        let values = values.ok_or_else(|| CoreError::Model {
            model: copy.name().to_owned(),
            reason: format!("it gave no values of layer '{layer}'"),
        })?;
        Ok(values.pooled())
    };
    extraction.run(extraction.provenance(layer), &read, observer)
}

pub(crate) fn check_classes(
    classifier: &dyn Classifier,
    dataset: &dyn ImageDataset,
    expected: usize,
) -> Result<()> {
    let names = dataset.class_names();
    if names.len() == expected {
        return Ok(());
    }
    let first = &names[..names.len().min(3)];
    let more = if names.len() > first.len() {
        ", ..."
    } else {
        ""
    };
    Err(Error::ClassCount {
        dataset: dataset.name().to_owned(),
        model: classifier.name().to_owned(),
        expected,
        found: names.len(),
        names: first.join(", ") + more,
    })
}

/// Images on a device: `[N, 3, S, S]`.
pub(crate) fn images_on(images: ArrayView4<'_, f32>, device: &Device) -> Tensor<4> {
    let shape: [usize; 4] = images.dim().into();
    let values = match images.as_slice() {
        Some(values) => values.to_vec(),
        None => images.iter().copied().collect(),
    };
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The map `[1, D, h, w]` of an image, on the host: `[D, h, w]`.
pub(crate) fn map_of_one(map: Tensor<4>) -> Result<Array3<f32>> {
    let [_, channels, height, width] = map.dims();
    let map = read_back(map, "the feature map")?;
    let found = map.len();
    Array3::from_shape_vec((channels, height, width), map)
        .map_err(|_| CoreError::length("a feature map", channels * height * width, found).into())
}
