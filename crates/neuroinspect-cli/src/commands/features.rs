//! `features`: what a classifier makes of images, for other commands, on several machines where there are many.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use neuroinspect::{
    Error, Extracted, Extraction, FeatureRequest, FeatureShards, FeatureShardsStatus,
    FolderFeatures, array_expression, core::FeatureTable, datasets::ImageDataset, report::Schema,
};
use serde::Serialize;

use super::shards::Part;
use crate::{
    args::{
        Common, ComputeArgs, FeaturesArgs, FeaturesCommand, FeaturesStatusArgs, ModelArgs,
        TableArgs,
    },
    console::{Console, warn},
    exit::Exit,
    images::{self, Reading},
    inputs::{FEATURES, ModelSetup, Setup, TRAINING_FEATURES, left_out},
    options::Options,
    output::{self, print},
    record::{self, command_line},
};

const SCHEMA: Schema = Schema::new("neuroinspect.features", 1);
const STATUS: Schema = Schema::new("neuroinspect.feature-shards-status", 1);

pub(crate) fn run(common: &Common, options: &Options, args: &FeaturesArgs) -> Result<Exit> {
    match &args.command {
        Some(FeaturesCommand::Status(args)) => status(common, args),
        Some(FeaturesCommand::Merge(table)) => merge(common, *table),
        None => compute(common, options, &args.compute),
    }
}

/// Name of the table's file.
fn file(table: TableArgs) -> &'static str {
    match table.training {
        true => TRAINING_FEATURES,
        false => FEATURES,
    }
}

fn table_file(common: &Common, table: TableArgs) -> PathBuf {
    common.out.join(file(table))
}

/// What is planned; none where it is joined.
fn planned(common: &Common, table: TableArgs) -> Result<Option<FeatureShards>> {
    let (out, file) = (common.out.display(), file(table));
    if !common.out.exists() {
        bail!("'{out}' does not exist");
    }
    let shards = FeatureShards::open(&common.out, file)?;
    if shards.is_some() || common.out.join(file).exists() {
        return Ok(shards);
    }
    let other = match table.training {
        true => FEATURES,
        false => TRAINING_FEATURES,
    };
    match (FeatureShards::open(&common.out, other)?, table.training) {
        (None, _) => bail!("no shards of '{file}' are planned in '{out}'"),
        (Some(_), true) => bail!(
            "there are no shards of '{file}' in '{out}', but of '{other}': leave --training out"
        ),
        (Some(_), false) => {
            bail!("there are no shards of '{file}' in '{out}', but of '{other}': add --training")
        }
    }
}

fn status(common: &Common, args: &FeaturesStatusArgs) -> Result<Exit> {
    let status = match planned(common, args.table)? {
        Some(shards) => shards.status(),
        None => FeatureShardsStatus {
            shards: 0,
            samples: FeatureTable::load_within(table_file(common, args.table), common.memory())?
                .len(),
            missing: Vec::new(),
        },
    };
    if args.status.array {
        let array = status.array();
        print(common.json, STATUS, &status, |_| array + "\n")?;
        return Ok(Exit::Finished);
    }
    print_status(common, args.table, &status)?;
    Ok(Exit::Finished)
}

fn merge(common: &Common, table: TableArgs) -> Result<Exit> {
    let Some(shards) = planned(common, table)? else {
        let path = table_file(common, table);
        print_features(
            common,
            &FeatureTable::load_within(&path, common.memory())?,
            &path,
        )?;
        return Ok(Exit::Finished);
    };
    match join(common, shards, &mut Console::start(common.quiet)?) {
        Ok(()) => Ok(Exit::Finished),
        Err(error) => match error.downcast()? {
            // Another process was faster.
            Error::FeatureShardsJoined { path } => {
                print_features(
                    common,
                    &FeatureTable::load_within(&path, common.memory())?,
                    &path,
                )?;
                Ok(Exit::Finished)
            }
            error => Err(error.into()),
        },
    }
}

fn compute(common: &Common, options: &Options, args: &ComputeArgs) -> Result<Exit> {
    let (Some(model), Some(data)) = (&args.model, &args.data) else {
        bail!("features needs --model NAME_OR_FILE and --data DIR");
    };
    let file = file(args.table);
    let there = FeatureShards::open(&common.out, file)?.map(|there| there.count());
    let part = Part::of(args.shard, args.plan, || Ok(there))?;
    let model = ModelArgs {
        model: model.clone(),
        weights: args.weights.clone(),
        loading: args.loading.clone(),
    };
    let work = Work {
        common,
        options,
        args,
        model: &model,
        data,
    };
    match part.shards.or(there) {
        None => work.at_once(),
        Some(_) => work.in_shards(&part),
    }
}

/// What is computed from what.
struct Work<'a> {
    common: &'a Common,
    options: &'a Options,
    args: &'a ComputeArgs,
    model: &'a ModelArgs,
    data: &'a Path,
}

impl Work<'_> {
    /// Opens the images, which is soon done, and then the model.
    fn open<S>(
        &self,
        setup: impl FnOnce() -> Result<S>,
        class_names: impl Fn(&S) -> &[String],
    ) -> Result<(S, Box<dyn ImageDataset>)> {
        let reading = Reading::new(&self.args.reading, &self.common.out, self.options.seed);
        let dataset = images::open(self.data, reading)?;
        let setup = setup()?;
        let names = class_names(&setup);
        let dataset = match names.is_empty() {
            true => dataset,
            false => images::open(self.data, reading.of_model(names))?,
        };
        Ok((setup, dataset))
    }

    fn at_once(&self) -> Result<Exit> {
        let Self {
            common,
            options,
            args,
            model,
            ..
        } = *self;
        let open = || Setup::open(common, options, model, &args.reading);
        let (setup, dataset) = self.open(open, |setup| &setup.class_names)?;
        let mut console = Console::start(common.quiet)?;
        let features = match args.table.training {
            true => setup.training_features(&*dataset, &mut console)?,
            false => setup.features(&*dataset, &mut console)?,
        };
        let path = setup.folder.join(file(args.table));
        print_features(common, &features.table, &path)?;
        Ok(Exit::Finished)
    }

    fn in_shards(&self, part: &Part) -> Result<Exit> {
        let Self {
            common,
            options,
            args,
            model,
            ..
        } = *self;
        let open = || ModelSetup::open(common, options, model, &args.reading);
        let (setup, dataset) = self.open(open, |setup| &setup.class_names)?;
        let extraction = setup.extraction(&*dataset);
        let request = setup.kept_in(file(args.table));
        let shards = FeatureShards::plan(&common.out, &request, &extraction, part.shards);
        let shards = match shards {
            Ok(shards) => shards,
            // As for a job that its scheduler starts again after the shards were joined.
            Err(error) => return self.unless_joined(error, &extraction, &request),
        };
        if args.plan.is_some() {
            print_status(common, args.table, &shards.status())?;
            return Ok(Exit::Finished);
        }
        let mut console = Console::start(common.quiet)?;
        let make = |shard, console: &mut Console| -> neuroinspect::Result<FolderFeatures> {
            let made = shards.make(shard, &extraction, &request, Some(command_line()), console);
            console.clear();
            made
        };
        if let Some(shard) = part.shard {
            return match make(shard, &mut console) {
                Ok(made) => {
                    left_out(made.extracted.skipped);
                    print_status(common, args.table, &shards.status())?;
                    Ok(Exit::Finished)
                }
                Err(error) => self.unless_joined(error, &extraction, &request),
            };
        }
        // Twice, as it is known of one that is damaged once it was to be joined.
        for is_last in [false, true] {
            let mut held = Vec::new();
            for shard in shards.status().missing {
                match make(shard, &mut console) {
                    Ok(made) => drop(left_out(made.extracted.skipped)),
                    Err(Error::FolderHeld { .. }) => held.push(shard),
                    Err(error) => return self.unless_joined(error, &extraction, &request),
                }
            }
            let status = shards.status();
            if !status.missing.is_empty() {
                if let Some(joined) = FeatureShards::joined(&common.out, &request, &extraction) {
                    return self.print_joined(joined);
                }
                warn(format_args!(
                    "left out, as other processes are computing them: shards {}",
                    array_expression(&held)
                ));
                print_status(common, args.table, &status)?;
                return Ok(Exit::Finished);
            }
            let Err(error) = join(common, shards.clone(), &mut console) else {
                break;
            };
            match error.downcast::<Error>()? {
                // Another process joins them.
                Error::FolderHeld { .. } => {
                    print_status(common, args.table, &status)?;
                    break;
                }
                Error::FeatureShardsIncomplete { .. } if !is_last => {}
                error => return self.unless_joined(error, &extraction, &request),
            }
        }
        Ok(Exit::Finished)
    }

    /// An error, unless it is that the shards were joined: then what they were joined to.
    fn unless_joined(
        &self,
        error: Error,
        extraction: &Extraction<'_>,
        request: &FeatureRequest,
    ) -> Result<Exit> {
        let is_joined = matches!(
            error,
            Error::FeatureShardsJoined { .. } | Error::Folder { .. } | Error::Report(_)
        );
        let joined = is_joined
            .then(|| FeatureShards::joined(&self.common.out, request, extraction))
            .flatten();
        match joined {
            Some(joined) => self.print_joined(joined),
            None => Err(error.into()),
        }
    }

    fn print_joined(&self, joined: Extracted) -> Result<Exit> {
        left_out(joined.skipped);
        let path = self.common.out.join(file(self.args.table));
        print_features(self.common, &joined.table, &path)?;
        Ok(Exit::Finished)
    }
}

/// Joins all shards, and says what has come of it.
fn join(common: &Common, shards: FeatureShards, console: &mut Console) -> Result<()> {
    let folder = output::open_folder(common)?;
    let joined = shards.join(&folder, common.memory(), Some(&command_line()), console)?;
    console.clear();
    left_out(joined.extracted.skipped);
    print_features(common, &joined.extracted.table, &joined.path)
}

fn print_status(common: &Common, table: TableArgs, status: &FeatureShardsStatus) -> Result<()> {
    print(common.json, STATUS, status, |status| {
        let finished = status.shards - status.missing.len();
        let text = format!(
            "{finished} of {} shards are finished, of {} images",
            status.shards, status.samples
        );
        match &*status.array() {
            "" if status.shards == 0 => {
                format!("the features of {} images are joined\n", status.samples)
            }
            "" => {
                let merge = record::merge_command(&common.out, table.training);
                format!("{text}; join them: {merge}\n")
            }
            array => text + &format!("; missing, or under way: {array}\n"),
        }
    })
}

fn print_features(common: &Common, table: &FeatureTable, path: &Path) -> Result<()> {
    #[derive(Serialize)]
    struct Computed {
        samples: usize,
        neurons: usize,
        path: String,
    }
    let computed = Computed {
        samples: table.len(),
        neurons: table.neurons(),
        path: path.display().to_string(),
    };
    print(common.json, SCHEMA, &computed, |computed| {
        format!(
            "features of {} images, {} of each, in {}\n",
            computed.samples, computed.neurons, computed.path
        )
    })
}
