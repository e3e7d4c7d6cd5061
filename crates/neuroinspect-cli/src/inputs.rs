//! What commands on a model begin with, and the features they work from.

use std::{path::Path, time::Instant};

use anyhow::Result;
use neuroinspect::{
    EditData, Extracted,
    burn::tensor::Device,
    core::{FeatureTable, Metrics, Seed},
    datasets::{ImageDataset, ImageFolder, LoaderConfig, OnCorrupt},
    extract_features,
    models::LoadedClassifier,
    report::{Run, SkippedImage, Timing},
};

use crate::{
    args::{self, Common, DataArgs, ModelArgs, ReadingArgs},
    cache, data, model,
    output::{self, OutFolder},
    record,
    session::Session,
};

/// A classifier on a device, and where what is made of it goes.
pub(crate) struct Setup<'a> {
    common: &'a Common,
    reading: &'a ReadingArgs,
    pub(crate) out: OutFolder,
    pub(crate) device: Device,
    pub(crate) loaded: LoadedClassifier,
}

/// A classifier and the images it is looked at on.
pub(crate) struct Inputs<'a> {
    pub(crate) setup: Setup<'a>,
    /// What `--data` names.
    pub(crate) dataset: ImageFolder,
    /// What `--train` names.
    training: Option<ImageFolder>,
}

/// The features of a folder of images, and how long they took.
pub(crate) struct Features {
    pub(crate) extracted: Extracted,
    timing: Timing,
}

/// The features of all folders of a command.
pub(crate) struct InputFeatures {
    /// Those of `--data`.
    pub(crate) data: Features,
    /// Those of `--train`.
    training: Option<Features>,
}

impl<'a> Setup<'a> {
    pub(crate) fn open(
        common: &'a Common,
        model: &ModelArgs,
        reading: &'a ReadingArgs,
    ) -> Result<Self> {
        let out = OutFolder::create(&common.out)?;
        let device = common.device.open()?;
        Ok(Self {
            common,
            reading,
            out,
            loaded: model::classifier(model, &device, Seed(common.seed))?,
            device,
        })
    }

    /// What the classifier makes of `--data`.
    pub(crate) fn features(
        &self,
        dataset: &ImageFolder,
        session: &mut Session,
    ) -> Result<Features> {
        let file = "features.safetensors";
        self.read(dataset, file, "extracting features", session)
    }

    /// What the classifier makes of `--train`.
    fn training_features(&self, dataset: &ImageFolder, session: &mut Session) -> Result<Features> {
        let file = "train-features.safetensors";
        self.read(dataset, file, "extracting training features", session)
    }

    fn read(
        &self,
        dataset: &ImageFolder,
        file: &str,
        stage: &str,
        session: &mut Session,
    ) -> Result<Features> {
        let start = Instant::now();
        let path = self.out.join(file);
        let on_corrupt = match self.reading.on_corrupt {
            args::OnCorrupt::Fail => OnCorrupt::Fail,
            args::OnCorrupt::Skip => OnCorrupt::Skip,
        };
        let loader = LoaderConfig::default()
            .with_batch_size(self.reading.batch_size)
            .with_on_corrupt(on_corrupt);
        let origin = cache::Origin::of(&self.loaded, dataset, self.common.device, &loader);
        let found = origin
            .as_ref()
            .and_then(|origin| cache::load(&path, origin, dataset));
        let mut stage = stage.to_owned();
        let extracted = match found {
            Some(table) => {
                output::tell(format_args!(
                    "features taken from '{}': nothing has changed",
                    path.display()
                ));
                stage += " (taken from an earlier run)";
                let indices = (0..table.len()).collect();
                Extracted {
                    table,
                    indices,
                    skipped: Vec::new(),
                }
            }
            None => {
                let sha256 = Some(self.loaded.weights_sha256.as_str());
                let classifier = self.loaded.model.as_ref();
                let extracted =
                    extract_features(classifier, dataset, None, sha256, &loader, session)?;
                session.clear();
                cache::save(&path, &extracted, origin)?;
                extracted
            }
        };
        warn_of_order(&extracted.table)?;
        for skipped in &extracted.skipped {
            output::tell(format_args!("skipped '{}': {}", skipped.id, skipped.reason));
        }
        Ok(Features {
            extracted,
            timing: Timing {
                stage,
                seconds: start.elapsed().as_secs_f64(),
            },
        })
    }

    /// The record of a run on these images, so far.
    pub(crate) fn run<'f>(
        &self,
        dataset: &str,
        features: impl IntoIterator<Item = &'f Features>,
    ) -> Run {
        let model = self.loaded.model.name();
        let mut run = record::run(self.common, model, &self.loaded.weights_sha256, dataset);
        let input = serde_json::json!(self.loaded.model.input());
        run.configs.insert("input".into(), input);
        for features in features {
            run.timings.push(features.timing.clone());
            let skipped = features.extracted.skipped.iter();
            run.skipped_images
                .extend(skipped.map(|skipped| SkippedImage {
                    path: skipped.id.clone(),
                    reason: skipped.reason.clone(),
                }));
        }
        run
    }
}

/// Folders in another order than the model's classes make nearly every image a mistake.
fn warn_of_order(table: &FeatureTable) -> Result<()> {
    let accuracy = Metrics::of(table)?.accuracy;
    let chance = 1.0 / table.classes() as f64;
    if table.len() >= 10 * table.classes() && accuracy < chance {
        output::tell(format_args!(
            "warning: an accuracy of {} is less than chance: are the folders, by name, in the order \
             of the model's classes? --classes FILE gives it",
            output::percent(accuracy),
        ));
    }
    Ok(())
}

impl<'a> Inputs<'a> {
    /// Opens all that the options name; the folders first, which is soon done.
    pub(crate) fn open(
        common: &'a Common,
        model: &ModelArgs,
        data: &'a DataArgs,
        train: Option<&Path>,
    ) -> Result<Self> {
        let dataset = data::folder(&data.data, &data.reading)?;
        let training = train
            .map(|path| data::training_folder(path, &data.reading, &dataset))
            .transpose()?;
        Ok(Self {
            setup: Setup::open(common, model, &data.reading)?,
            dataset,
            training,
        })
    }

    /// What the classifier makes of all the images.
    pub(crate) fn features(&self, session: &mut Session) -> Result<InputFeatures> {
        let Self {
            setup,
            dataset,
            training,
        } = self;
        Ok(InputFeatures {
            data: setup.features(dataset, session)?,
            training: training
                .as_ref()
                .map(|training| setup.training_features(training, session))
                .transpose()?,
        })
    }

    /// The record of a run on these images, so far.
    pub(crate) fn run(&self, features: &InputFeatures) -> Run {
        let features = [&features.data].into_iter().chain(&features.training);
        self.setup.run(self.dataset.name(), features)
    }
}

impl InputFeatures {
    /// The features of `--data`.
    pub(crate) fn table(&self) -> &FeatureTable {
        &self.data.extracted.table
    }

    /// What a decision layer is edited on: `--train`, or one half of `--data`.
    pub(crate) fn edit_data(&self, seed: Seed) -> neuroinspect::Result<EditData> {
        match &self.training {
            Some(training) => EditData::new(&training.extracted.table, self.table(), seed),
            None => EditData::halves(self.table(), seed),
        }
    }
}
