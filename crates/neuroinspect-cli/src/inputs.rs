//! What commands on a model begin with, and the features they work from.

use std::{borrow::Borrow, ops::Deref, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use neuroinspect::{
    Extracted, Extraction, FeatureRequest, FeatureShards, ImageSource, PARTS, RunFolder,
    burn::tensor::Device,
    core::{
        ActivationTable, FeatureTable, ImageTextEncoder, Precision, Seed, class_by_name_or_index,
    },
    datasets::{ImageDataset, LoaderConfig, OnCorrupt, Skipped, Views},
    edit_data,
    editing::{EditData, percent},
    embed_images, explained_rows, extract_activations,
    models::LoadedClassifier,
    report::{Run, SkippedImage, Timing},
};

use crate::{
    args::{Common, DataArgs, ModelArgs, ReadingArgs},
    console::{Console, warn},
    images::{self, Reading},
    model::{self, Named},
    options::Options,
    output, record,
};

/// Where the features of `--data` are kept in a folder.
pub(crate) const FEATURES: &str = "features.safetensors";
/// Where those of `--train` are.
pub(crate) const TRAINING_FEATURES: &str = "train-features.safetensors";

/// A classifier on a device.
pub(crate) struct ModelSetup<'a> {
    pub(crate) common: &'a Common,
    pub(crate) options: &'a Options,
    pub(crate) precision: Precision,
    pub(crate) loader: LoaderConfig,
    pub(crate) device: Device,
    pub(crate) loaded: LoadedClassifier,
    /// As [`Named::class_names`].
    pub(crate) class_names: Vec<String>,
}

/// A classifier on a device, and where what is made of it goes, which is this program's alone.
pub(crate) struct Setup<'a> {
    pub(crate) folder: RunFolder,
    pub(crate) model: ModelSetup<'a>,
}

impl<'a> Deref for Setup<'a> {
    type Target = ModelSetup<'a>;

    fn deref(&self) -> &ModelSetup<'a> {
        &self.model
    }
}

impl<'a> Borrow<ModelSetup<'a>> for Setup<'a> {
    fn borrow(&self) -> &ModelSetup<'a> {
        &self.model
    }
}

/// A classifier and the images it is looked at on.
pub(crate) struct Inputs<'a> {
    pub(crate) setup: Setup<'a>,
    /// What `--data` names.
    pub(crate) dataset: Box<dyn ImageDataset>,
    /// What `--train` names.
    pub(crate) training: Option<Box<dyn ImageDataset>>,
}

/// What a command is asked for beside a model and images.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// `--train`.
    pub(crate) train: Option<&'a Path>,
    /// `--class`, by name or index.
    pub(crate) class: Option<&'a str>,
    /// `--outlines`.
    pub(crate) outlines: Option<&'a Path>,
}

/// The features of a folder of images, and how long they took.
pub(crate) struct Features {
    pub(crate) table: Arc<FeatureTable>,
    /// Index of each sample's image in the folder.
    pub(crate) indices: Vec<usize>,
    skipped: Vec<SkippedImage>,
    timing: Timing,
}

/// The features of all folders of a command.
pub(crate) struct InputFeatures {
    /// Those of `--data`.
    pub(crate) data: Features,
    /// Those of `--train`.
    pub(crate) training: Option<Features>,
}

impl Features {
    /// The samples whose mistakes are explained before an edit, and the indices of their images: of samples
    /// that are split those to choose on, as none that the edit is measured on may choose its neurons.
    pub(crate) fn explained(&self) -> Result<(Arc<FeatureTable>, Vec<usize>)> {
        let Some(rows) = explained_rows(&self.table)? else {
            return Ok((Arc::clone(&self.table), self.indices.clone()));
        };
        let indices = rows.iter().map(|&row| self.indices[row]).collect();
        Ok((Arc::new(self.table.select(&rows)?), indices))
    }
}

impl<'a> ModelSetup<'a> {
    pub(crate) fn open(
        common: &'a Common,
        options: &'a Options,
        model: &ModelArgs,
        reading: &ReadingArgs,
    ) -> Result<Self> {
        let device = common.device().open()?;
        let precision = options.precision(&model.loading.format);
        precision.check(&device)?;
        // Before anything is downloaded.
        options.input(model.loading.input.as_deref())?;
        let named = Named::open(common, &model.model, model.weights.as_deref())?;
        Ok(Self {
            common,
            options,
            precision,
            loader: options.loader(reading)?,
            loaded: model::classifier(&named, &model.loading, options, &device)?,
            class_names: named.class_names,
            device,
        })
    }

    /// What is to be computed on images.
    pub(crate) fn extraction<'e>(&'e self, dataset: &'e dyn ImageDataset) -> Extraction<'e> {
        Extraction::new(self.loaded.model.as_ref(), dataset)
            .with_weights_sha256(&self.loaded.weights_sha256)
            .with_precision(self.precision)
            .with_memory(self.common.memory())
            .with_loader(self.loader.clone())
    }

    /// What is kept in a file of the folder.
    pub(crate) fn kept_in(&self, file: &str) -> FeatureRequest {
        FeatureRequest {
            file: file.to_owned(),
            device: self.common.device(),
            complete: self.loaded.report.is_complete(),
        }
    }

    /// The record of a run on these images, so far.
    pub(crate) fn run<'f>(
        &self,
        dataset: &str,
        features: impl IntoIterator<Item = &'f Features>,
    ) -> Result<Run> {
        let model = &self.loaded.model;
        let mut run = record::run(self.common, self.options, model.name(), dataset);
        run.weights_sha256 = Some(self.loaded.weights_sha256.clone());
        record::add(&mut run, "precision", &self.precision)?;
        record::add(&mut run, "input", model.input())?;
        record::add(&mut run, "loader", &record::loader(&self.loader))?;
        for features in features {
            run.timings.push(features.timing.clone());
            run.skipped_images.extend(features.skipped.iter().cloned());
        }
        Ok(run)
    }
}

impl<'a> Setup<'a> {
    pub(crate) fn open(
        common: &'a Common,
        options: &'a Options,
        model: &ModelArgs,
        reading: &ReadingArgs,
    ) -> Result<Self> {
        Ok(Self {
            // Before the model, which takes time.
            folder: output::open_folder(common)?,
            model: ModelSetup::open(common, options, model, reading)?,
        })
    }

    /// What the classifier makes of `--data`.
    pub(crate) fn features(
        &self,
        dataset: &dyn ImageDataset,
        console: &mut Console,
    ) -> Result<Features> {
        self.read(dataset, FEATURES, "extracting features", console)
    }

    /// What the classifier makes of `--train`.
    pub(crate) fn training_features(
        &self,
        dataset: &dyn ImageDataset,
        console: &mut Console,
    ) -> Result<Features> {
        let stage = "extracting training features";
        self.read(dataset, TRAINING_FEATURES, stage, console)
    }

    fn read(
        &self,
        dataset: &dyn ImageDataset,
        file: &str,
        stage: &str,
        console: &mut Console,
    ) -> Result<Features> {
        let extraction = self.extraction(dataset);
        let request = self.kept_in(file);
        let shards = FeatureShards::open(self.folder.path(), file)?;
        let features = self.folder.features(&extraction, &request, console)?;
        console.clear();
        if let (false, Some(shards)) = (features.reused, shards) {
            let (path, count) = (self.folder.path().display(), shards.count());
            let merge = record::merge_command(self.folder.path(), file == TRAINING_FEATURES);
            warn(format_args!(
                "warning: {count} shards of these features are planned in '{path}' and were not joined; `{merge}` does \
                 that"
            ));
        }
        if features.reused {
            let path = features.path.display();
            warn(format_args!(
                "features taken from '{path}': nothing has changed"
            ));
        } else if !features.changed.is_empty() {
            let (path, changed) = (features.path.display(), features.changed.join(", "));
            warn(format_args!(
                "features of '{path}' were made anew, as these have changed: {changed}"
            ));
        }
        let Extracted {
            table,
            indices,
            skipped,
        } = features.extracted;
        self.warn_of_order(&table)?;
        Ok(Features {
            table: Arc::new(table),
            indices,
            skipped: left_out(skipped),
            timing: Timing {
                stage: stage.to_owned(),
                seconds: features.seconds,
            },
        })
    }

    /// What a layer of the classifier makes of images, whatever their classes are; and the images that
    /// were left out.
    pub(crate) fn activations(
        &self,
        dataset: &dyn ImageDataset,
        layer: Option<&str>,
        console: &mut Console,
    ) -> Result<(Extracted<ActivationTable>, Vec<SkippedImage>)> {
        let layer = layer.unwrap_or_else(|| self.loaded.model.penultimate());
        let mut extracted = extract_activations(&self.extraction(dataset), layer, console)?;
        console.clear();
        let skipped = left_out(std::mem::take(&mut extracted.skipped));
        Ok((extracted, skipped))
    }

    /// What an image-text encoder makes of images, all of which can be read.
    pub(crate) fn embeddings(
        &self,
        encoder: &dyn ImageTextEncoder,
        images: ImageSource<'_>,
        console: &mut Console,
    ) -> Result<ActivationTable> {
        let loader = self.loader.clone().with_on_corrupt(OnCorrupt::Fail);
        let extracted = embed_images(encoder, images, &loader, console)?;
        console.clear();
        Ok(extracted.table)
    }

    /// Folders in another order than the model's classes make nearly every image of some a mistake.
    fn warn_of_order(&self, table: &FeatureTable) -> Result<()> {
        if table.len() < 10 * table.classes() {
            return Ok(());
        }
        let layer = self.loaded.model.decision_layer()?;
        let predicted = table.predicted_by(&layer)?;
        let accuracy = predicted.metrics()?.accuracy;
        let chance = 1.0 / table.classes() as f64;
        let question = "are the folders, by name, in the order of the model's classes? --classes FILE \
                        gives it";
        if accuracy < chance {
            let accuracy = percent(accuracy);
            warn(format_args!(
                "warning: an accuracy of {accuracy} is less than chance: {question}"
            ));
            return Ok(());
        }
        let names = table.class_names();
        for circle in predicted.exchanged_classes() {
            let following = circle.iter().cycle().skip(1);
            let pairs = circle.iter().zip(following);
            let taken = pairs
                .map(|(class, next)| format!("of '{}' for '{}'", names[class.0], names[next.0]));
            warn(format_args!(
                "warning: most images are taken, {}: {question}",
                taken.collect::<Vec<_>>().join(", "),
            ));
        }
        Ok(())
    }
}

impl<'a> Inputs<'a> {
    /// Opens all that the options name; the images first, which is soon done.
    pub(crate) fn open(
        common: &'a Common,
        options: &'a Options,
        model: &ModelArgs,
        data: &DataArgs,
        asked: Asked<'_>,
    ) -> Result<Self> {
        let open = |reading: Reading<'_>| -> Result<_> {
            let dataset = images::open(&data.data, reading.with_outlines(asked.outlines))?;
            let training = (asked.train)
                .map(|path| images::open_training(path, reading, &*dataset))
                .transpose()?;
            Ok((dataset, training))
        };
        let reading = Reading::new(&data.reading, &common.out, options.seed);
        let (mut dataset, mut training) = open(reading)?;
        // Before anything is downloaded, where no names of the model's own can take the place of these.
        if let (Some(class), Some(_)) = (asked.class, images::classes(&data.reading)?) {
            class_by_name_or_index(dataset.class_names(), class)?;
        }
        let setup = Setup::open(common, options, model, &data.reading)?;
        if !setup.class_names.is_empty() {
            (dataset, training) = open(reading.of_model(&setup.class_names))?;
        }
        Ok(Self {
            setup,
            dataset,
            training,
        })
    }

    /// Refuses images that are split into other parts than an edit takes, and beside others images that are
    /// split at all: what is measured on would be trained on.
    pub(crate) fn check_parts(&self) -> Result<()> {
        let advice = |dataset: &dyn ImageDataset| {
            let name = dataset.name();
            format!("give a part each to --train and --data, as {name}/PART:PATH")
        };
        let Some(training) = &self.training else {
            let split = self.dataset.split();
            return split.map_or(Ok(()), |split| {
                PARTS.into_iter().try_for_each(|part| {
                    let rows = split.samples_of(part);
                    rows.map(drop).with_context(|| advice(&*self.dataset))
                })
            });
        };
        for (option, dataset) in [("--train", training), ("--data", &self.dataset)] {
            if dataset.split().is_some() {
                bail!("{option} is of all parts: {}", advice(&**dataset));
            }
        }
        Ok(())
    }

    /// What the classifier makes of all the images.
    pub(crate) fn features(&self, console: &mut Console) -> Result<InputFeatures> {
        let Self {
            setup,
            dataset,
            training,
        } = self;
        Ok(InputFeatures {
            data: setup.features(&**dataset, console)?,
            training: training
                .as_ref()
                .map(|training| setup.training_features(&**training, console))
                .transpose()?,
        })
    }

    /// What the classifier makes of views of the images that are learnt from: of all of `--data` where there are no
    /// others.
    pub(crate) fn views(&self, count: usize, console: &mut Console) -> Result<Arc<FeatureTable>> {
        let images = self.training.as_deref().unwrap_or(&*self.dataset);
        let views = Views::new(images, count, self.setup.options.seed)?;
        let (file, stage) = ("view-features.safetensors", "extracting features of views");
        Ok(self.setup.read(&views, file, stage, console)?.table)
    }

    /// The record of a run on these images, so far.
    pub(crate) fn run(&self, features: &InputFeatures) -> Result<Run> {
        let features = [&features.data].into_iter().chain(&features.training);
        self.setup.run(self.dataset.name(), features)
    }
}

impl InputFeatures {
    /// What a decision layer is edited on.
    pub(crate) fn edit_data(&self, seed: Seed) -> neuroinspect::editing::Result<EditData> {
        let training = self.training.as_ref().map(|training| &training.table);
        edit_data(&self.data.table, training, seed)
    }
}

/// Says which images were left out.
pub(crate) fn left_out(skipped: Vec<Skipped>) -> Vec<SkippedImage> {
    for skipped in &skipped {
        warn(format_args!("skipped '{}': {}", skipped.id, skipped.reason));
    }
    let skipped = skipped.into_iter().map(|skipped| SkippedImage {
        path: skipped.id,
        reason: skipped.reason,
    });
    skipped.collect()
}
