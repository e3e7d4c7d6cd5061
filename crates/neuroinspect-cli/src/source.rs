//! What commands on features alone work from: a model and images, or tables made elsewhere.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use neuroinspect::{
    ImageSource, RunFolder,
    burn::tensor::Device,
    core::{ActivationTable, ClassId, DecisionLayer, FeatureTable, MemoryLimit, Split},
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig},
    edit_data,
    editing::{EditData, MendResult, Samples},
    look_outside_objects,
    report::{Run, SkippedImage},
};

use crate::{
    args::{Common, DataArgs, ModelArgs, SourceArgs},
    console::Console,
    inputs::{Asked, Inputs, Setup},
    options::Options,
    output::{self, check_apart},
    record,
};

/// A decision layer, samples, and where what is made of them goes.
pub(crate) struct Source<'a> {
    options: &'a Options,
    pub(crate) layer: DecisionLayer,
    samples: SamplesFrom<'a>,
}

enum SamplesFrom<'a> {
    Images(Box<Inputs<'a>>),
    Tables(Box<Tables>),
}

/// Features made elsewhere.
struct Tables {
    folder: RunFolder,
    memory: MemoryLimit,
    device: Device,
    table: Arc<FeatureTable>,
    training: Option<Arc<FeatureTable>>,
    run: Run,
}

/// The samples as the decision layer sees them.
pub(crate) struct Seen {
    pub(crate) table: Arc<FeatureTable>,
    /// Index of each sample's image; empty where there are no images.
    indices: Vec<usize>,
    training: Option<Arc<FeatureTable>>,
    /// Views of what is learnt from.
    views: Option<Arc<FeatureTable>>,
    /// The record of a run on them, so far.
    pub(crate) run: Run,
}

impl Seen {
    fn with_views(&self, data: EditData) -> Result<EditData> {
        Ok(match &self.views {
            Some(views) => data.with_views(views)?,
            None => data,
        })
    }
}

/// Samples whose classes are not the decision layer's.
pub(crate) struct Others {
    pub(crate) activations: ActivationTable,
    pub(crate) labels: Vec<ClassId>,
    pub(crate) names: Vec<String>,
    pub(crate) skipped: Vec<SkippedImage>,
}

impl Others {
    pub(crate) fn of_images(
        setup: &Setup<'_>,
        dataset: &dyn ImageDataset,
        console: &mut Console,
    ) -> Result<Self> {
        let (extracted, skipped) = setup.activations(dataset, None, console)?;
        let label = |&index: &usize| dataset.samples()[index].label;
        Ok(Self {
            labels: extracted.indices.iter().map(label).collect(),
            names: dataset.class_names().to_vec(),
            activations: extracted.table,
            skipped,
        })
    }

    pub(crate) fn of_table(path: &Path, memory: MemoryLimit) -> Result<Self> {
        let table = FeatureTable::load_within(path, memory)?;
        Ok(Self {
            labels: table.labels().to_vec(),
            names: table.class_names().to_vec(),
            activations: table.activations().clone(),
            skipped: Vec::new(),
        })
    }
}

impl<'a> Source<'a> {
    /// Opens all that the options name.
    pub(crate) fn open(
        common: &'a Common,
        options: &'a Options,
        args: &SourceArgs,
        asked: Asked<'_>,
    ) -> Result<Self> {
        let (Some(model), Some(data)) = (&args.model, &args.data) else {
            return Self::of_tables(common, options, args, asked.train);
        };
        let model = ModelArgs {
            model: model.clone(),
            weights: args.weights.clone(),
            loading: args.loading.clone(),
        };
        let data = DataArgs {
            data: data.clone(),
            reading: args.reading.clone(),
        };
        let inputs = Inputs::open(common, options, &model, &data, asked)?;
        Ok(Self {
            options,
            layer: inputs.setup.loaded.model.decision_layer()?,
            samples: SamplesFrom::Images(Box::new(inputs)),
        })
    }

    fn of_tables(
        common: &Common,
        options: &'a Options,
        args: &SourceArgs,
        train: Option<&Path>,
    ) -> Result<Self> {
        let Some(path) = &args.table else {
            bail!("there is neither a model with images nor a --table");
        };
        let memory = common.memory();
        let table = FeatureTable::load_within(path, memory)?;
        let layer_path = args.layer_file.as_ref().unwrap_or(path);
        let layer = DecisionLayer::load(layer_path).with_context(
            || "the decision layer is read from the table's file unless --layer-file names another",
        )?;
        let of_file = |path: &Path| format!("'{}'", path.display());
        table
            .check_layer(&layer)
            .with_context(|| of_file(layer_path))?;
        let training = match train {
            Some(path) => {
                let training = FeatureTable::load_within(path, memory)?;
                training
                    .check_alike(&table)
                    .with_context(|| of_file(path))?;
                Some(Arc::new(training))
            }
            None => None,
        };
        let split = table
            .split()
            .or(training.as_ref().and_then(|it| it.split()));
        if let (Some(path), Some(_)) = (train, split) {
            bail!(
                "with --train '{}', neither table may be split: leave --train out, or take the tensor \
                 'split' out of both",
                path.display()
            );
        }
        let model = &table.provenance().model;
        Ok(Self {
            options,
            layer,
            samples: SamplesFrom::Tables(Box::new(Tables {
                run: record::run(common, options, model, &path.to_string_lossy()),
                folder: output::open_folder(common)?,
                memory,
                device: common.device().open()?,
                table: Arc::new(table),
                training,
            })),
        })
    }

    /// Refuses images that are split into other parts than an edit takes, before their features are there.
    pub(crate) fn check_parts(&self) -> Result<()> {
        match &self.samples {
            SamplesFrom::Images(inputs) => inputs.check_parts(),
            SamplesFrom::Tables(_) => Ok(()),
        }
    }

    /// Adds to suspects how much of where they are active lies outside of the objects, by the images of those samples
    /// of the class, or of all, that a mend was chosen on; nothing where there are no images.
    pub(crate) fn look_outside_objects(
        &self,
        seen: &Seen,
        chosen_on: &Samples,
        mend: &mut MendResult,
        console: &mut Console,
    ) -> Result<()> {
        let SamplesFrom::Images(inputs) = &self.samples else {
            return Ok(());
        };
        let labels = chosen_on.labels();
        let counts = |&sample: &usize| mend.class.is_none_or(|class| labels[sample] == class);
        let samples = (0..chosen_on.len()).filter(counts);
        let images = ImageSource {
            dataset: &*inputs.dataset,
            indices: &samples
                .map(|sample| seen.indices[chosen_on.row(sample)])
                .collect::<Vec<_>>(),
        };
        let classifier = inputs.setup.loaded.model.as_ref();
        look_outside_objects(classifier, images, &mut mend.suspects, console)?;
        Ok(())
    }

    /// Where results go.
    pub(crate) fn folder(&self) -> &RunFolder {
        match &self.samples {
            SamplesFrom::Images(inputs) => &inputs.setup.folder,
            SamplesFrom::Tables(tables) => &tables.folder,
        }
    }

    /// Where to compute.
    pub(crate) fn device(&self) -> &Device {
        match &self.samples {
            SamplesFrom::Images(inputs) => &inputs.setup.device,
            SamplesFrom::Tables(tables) => &tables.device,
        }
    }

    /// What the classes are called.
    pub(crate) fn class_names(&self) -> &[String] {
        match &self.samples {
            SamplesFrom::Images(inputs) => inputs.dataset.class_names(),
            SamplesFrom::Tables(tables) => tables.table.class_names(),
        }
    }

    /// The samples, of a table that is split those of a part if one is named. Features of images are
    /// computed, or taken from the folder.
    pub(crate) fn see(&self, part: Option<&str>, console: &mut Console) -> Result<Seen> {
        let seen = match &self.samples {
            SamplesFrom::Images(inputs) => {
                let features = inputs.features(console)?;
                Seen {
                    run: inputs.run(&features)?,
                    table: features.data.table,
                    indices: features.data.indices,
                    training: features.training.map(|training| training.table),
                    views: None,
                }
            }
            SamplesFrom::Tables(tables) => Seen {
                run: tables.run.clone(),
                table: Arc::clone(&tables.table),
                indices: Vec::new(),
                training: tables.training.clone(),
                views: None,
            },
        };
        let Some(part) = part else {
            return Ok(seen);
        };
        let Some(split) = seen.table.split() else {
            bail!("the samples are not split: there is no part '{part}' of them");
        };
        let rows = split.samples_of(part)?;
        Ok(Seen {
            table: Arc::new(seen.table.select(&rows)?),
            indices: match seen.indices.is_empty() {
                true => Vec::new(),
                false => rows.iter().map(|&row| seen.indices[row]).collect(),
            },
            ..seen
        })
    }

    /// All samples, and views of those learnt from where an option names them: a number of each image, or a
    /// table.
    pub(crate) fn see_with(&self, views: Option<&Path>, console: &mut Console) -> Result<Seen> {
        let Some(views) = views else {
            return self.see(None, console);
        };
        // First, as there may be none.
        let table = match &self.samples {
            SamplesFrom::Images(inputs) => {
                let count = views.to_str().and_then(|views| views.parse().ok());
                let given =
                    || format!("--views '{}': of images, how many of each", views.display());
                inputs.views(count.with_context(given)?, console)?
            }
            SamplesFrom::Tables(tables) => {
                let table = FeatureTable::load_within(views, tables.memory)?;
                let in_file = || format!("--views '{}'", views.display());
                tables.table.check_alike(&table).with_context(in_file)?;
                Arc::new(table)
            }
        };
        let mut seen = self.see(None, console)?;
        record::add(&mut seen.run, "views", &views)?;
        seen.views = Some(table);
        Ok(seen)
    }

    /// Other samples as the decision layer sees them: a folder of images, whatever its classes are, or a
    /// table.
    pub(crate) fn see_others(&self, path: &Path, console: &mut Console) -> Result<Others> {
        match &self.samples {
            SamplesFrom::Images(inputs) => {
                check_apart(inputs.setup.folder.path(), path)?;
                let folder = ImageFolder::open(path, &ImageFolderConfig::default())?;
                Others::of_images(&inputs.setup, &folder, console)
            }
            SamplesFrom::Tables(tables) => {
                let others = Others::of_table(path, tables.memory)?;
                (others.activations)
                    .check_alike(tables.table.activations())
                    .with_context(|| format!("'{}'", path.display()))?;
                Ok(others)
            }
        }
    }

    /// What a decision layer is edited on.
    pub(crate) fn edit_data(&self, seen: &Seen) -> Result<EditData> {
        let seed = self.options.seed;
        seen.with_views(edit_data(&seen.table, seen.training.as_ref(), seed)?)
    }

    /// What a mend is chosen and measured on. With training samples, half of each class of the others is
    /// to choose on; without, a third to learn from, to choose on and to measure on, unless the table is
    /// split into these parts.
    pub(crate) fn mend_data(&self, seen: &Seen) -> Result<EditData> {
        let table = &seen.table;
        let shares = match &seen.training {
            None if table.split().is_some() => return self.edit_data(seen),
            None => [1.0 / 3.0; 3],
            Some(_) => [0.0, 0.5, 0.5],
        };
        let names = ["train", "validation", "test"];
        let parts: Vec<_> = names.into_iter().zip(shares).collect();
        let split = Split::stratified(table.labels(), &parts, self.options.seed)?;
        let part = |name| -> Result<_> { Ok(Samples::of_rows(table, split.samples_of(name)?)?) };
        let train = match &seen.training {
            Some(training) => training.into(),
            None => part("train")?,
        };
        seen.with_views(EditData::of_parts(
            train,
            part("validation")?,
            part("test")?,
        )?)
    }
}
