//! What is trained, and what it is shown: a network and images, or a decision layer and features.

use std::thread;

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use neuroinspect_core::{
    Classifier, DecisionLayer, FeatureTable, InputSpec, Metrics, Observer, Progress,
};
use neuroinspect_datasets::{ImageDataset, LoaderConfig, batches};
use neuroinspect_models::GraphClassifier;

use super::{TrainConfig, images::Prepared};
use crate::{Extraction, ImageSource, Result, extract::images_on, extract_features};

/// Samples by their index in the training data set, what the model is to see of them, and their classes.
pub(super) struct Batch<I> {
    pub(super) inputs: I,
    pub(super) labels: Vec<usize>,
}

/// What is trained, and what it is shown.
pub(super) trait Learner {
    type Model: Module + Clone;
    type Inputs;

    /// Shows the samples of `order`, indices into the training samples, batch by batch.
    fn show(
        &self,
        order: &[usize],
        epoch: usize,
        see: &mut dyn FnMut(Batch<Self::Inputs>) -> Result<()>,
    ) -> Result<()>;

    /// `[N, K]`.
    fn logits(&self, model: &Self::Model, inputs: Self::Inputs) -> Result<Tensor<2>>;

    /// What the model is worth on the validation samples.
    fn validate(&self, model: &Self::Model, observer: &mut dyn Observer) -> Result<Metrics>;
}

/// A whole network, shown images.
pub(super) struct OfImages<'a> {
    images: Prepared<'a>,
    indices: &'a [usize],
    validation: ImageSource<'a>,
    config: &'a TrainConfig,
    input: InputSpec,
    device: Device,
}

impl<'a> OfImages<'a> {
    pub(super) fn new(
        model: &GraphClassifier,
        [train, validation]: [ImageSource<'a>; 2],
        config: &'a TrainConfig,
    ) -> Self {
        Self {
            images: Prepared::new(train.dataset, model.input()),
            indices: train.indices,
            validation,
            config,
            input: model.input().clone(),
            device: model.device(),
        }
    }
}

impl Learner for OfImages<'_> {
    type Model = GraphClassifier;
    type Inputs = Tensor<4>;

    /// Images are prepared by threads of their own, while the model learns of those before.
    fn show(
        &self,
        order: &[usize],
        epoch: usize,
        see: &mut dyn FnMut(Batch<Tensor<4>>) -> Result<()>,
    ) -> Result<()> {
        let TrainConfig {
            batch_size,
            augmentation,
            seed,
            ..
        } = *self.config;
        let indices: Vec<_> = order.iter().map(|&sample| self.indices[sample]).collect();
        let loader = LoaderConfig::default().with_batch_size(batch_size);
        let samples = self.images.samples();
        thread::scope(|scope| {
            let spec = self.images.spec();
            for batch in batches(scope, &self.images, Some(&indices), &spec, &loader)? {
                let mut batch = batch?;
                augmentation.apply(&mut batch.images, &batch.indices, seed, epoch);
                let images = images_on(batch.images.view(), &self.device);
                see(Batch {
                    inputs: self.input.normalize(images),
                    labels: batch
                        .indices
                        .iter()
                        .map(|&it| samples[it].label.0)
                        .collect(),
                })?;
            }
            Ok(())
        })
    }

    fn logits(&self, model: &GraphClassifier, images: Tensor<4>) -> Result<Tensor<2>> {
        Ok(model.forward(images)?)
    }

    fn validate(&self, model: &GraphClassifier, observer: &mut dyn Observer) -> Result<Metrics> {
        let table = features(model, self.validation, self.config, "validating", observer)?;
        Ok(table.predicted_by(&model.decision_layer()?)?.metrics()?)
    }
}

/// A decision layer, shown features of a backbone that stays as it is.
pub(super) struct OfFeatures<'a> {
    train: FeatureTable,
    validation: FeatureTable,
    config: &'a TrainConfig,
    device: Device,
}

impl<'a> OfFeatures<'a> {
    pub(super) fn new(
        model: &GraphClassifier,
        [train, validation]: [ImageSource<'a>; 2],
        config: &'a TrainConfig,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let mut features =
            |source| features(model, source, config, "extracting features", observer);
        Ok(Self {
            train: features(train)?,
            validation: features(validation)?,
            config,
            device: model.device(),
        })
    }
}

impl Learner for OfFeatures<'_> {
    type Model = Linear;
    type Inputs = Tensor<2>;

    fn show(
        &self,
        order: &[usize],
        _: usize,
        see: &mut dyn FnMut(Batch<Tensor<2>>) -> Result<()>,
    ) -> Result<()> {
        for samples in order.chunks(self.config.batch_size) {
            let rows = self.train.activations().rows(samples)?;
            let shape: [usize; 2] = rows.dim().into();
            let rows = TensorData::new(rows.into_raw_vec_and_offset().0, shape);
            see(Batch {
                inputs: Tensor::from_data(rows, &self.device),
                labels: samples
                    .iter()
                    .map(|&it| self.train.labels()[it].0)
                    .collect(),
            })?;
        }
        Ok(())
    }

    fn logits(&self, layer: &Linear, features: Tensor<2>) -> Result<Tensor<2>> {
        Ok(layer.forward(features))
    }

    fn validate(&self, layer: &Linear, _: &mut dyn Observer) -> Result<Metrics> {
        let layer = DecisionLayer::from_linear(layer)?;
        Ok(self.validation.predicted_by(&layer)?.metrics()?)
    }
}

/// What a model makes of images, by running statistics.
fn features(
    model: &GraphClassifier,
    source: ImageSource<'_>,
    config: &TrainConfig,
    stage: &str,
    observer: &mut dyn Observer,
) -> Result<FeatureTable> {
    let extraction = Extraction::new(model, source.dataset)
        .with_indices(source.indices)
        .with_loader(LoaderConfig::default().with_batch_size(config.batch_size.max(64)));
    let mut named = |progress: Progress<'_>| observer.update(Progress { stage, ..progress });
    Ok(extract_features(&extraction, &mut named)?.table)
}
