//! `leaderboard`: all methods on the same samples.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use neuroinspect::{
    burn::tensor::Device,
    core::{
        DecisionLayer, FeatureTable, Observer, Seed, class_by_name_or_index, io::write_atomically,
    },
    demo::Demo,
    leaderboard::{Leaderboard, LeaderboardConfig, Repetition},
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, LeaderboardArgs},
    console::Console,
    exit::Exit,
    inputs::edit_data,
    options::Options,
    output::{open_folder, print},
    record,
};

const SCHEMA: Schema = Schema::new("neuroinspect.leaderboard", 1);
const RECORD_FILE: &str = "leaderboard.json";
const PAGE_FILE: &str = "leaderboard.md";

/// `leaderboard.json`.
#[derive(Serialize)]
struct Record {
    settings: Vec<Leaderboard>,
    /// What they go by, but for `--class`, which is told with each.
    config: LeaderboardConfig,
    /// How it was made.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &LeaderboardArgs) -> Result<Exit> {
    let folder = open_folder(common)?;
    let device = common.device.open()?;
    let first = options.seed.0;
    let seeds: Vec<Seed> = (0..args.seeds as u64)
        .map(|more| Seed(first + more))
        .collect();
    let mut config = LeaderboardConfig {
        neurons: args.count,
        defaults: args.defaults,
        ..LeaderboardConfig::default()
    };
    if !args.methods.is_empty() {
        config.methods.clone_from(&args.methods);
    }
    // Every file that is not as it should be is known before the work.
    let tables = args.table.iter().map(|files| of_tables(files, &seeds));
    let tables = tables.collect::<Result<Vec<_>>>()?;
    let mut console = Console::start(common.quiet)?;
    let mut settings = Vec::new();
    if args.scenes {
        // The demo's own scenes are those of seed 0.
        let unseen = seeds.iter().map(|seed| Seed(seed.0 + 1));
        let repetitions = Demo::load(&device)?.repetitions(unseen, &mut console)?;
        let setting = ("scenes".to_owned(), repetitions);
        settings.push(compare(setting, args, &config, &device, &mut console)?);
    }
    for setting in tables {
        settings.push(compare(setting, args, &config, &device, &mut console)?);
    }
    console.clear();
    let names: Vec<_> = settings
        .iter()
        .map(|board| board.setting.as_str())
        .collect();
    let run = record::run(common, options, "several", &names.join(", "));
    let record = Record {
        settings,
        config,
        run,
    };
    let page = page(&record);
    write_atomically(folder.join(PAGE_FILE), |out| out.write_all(page.as_bytes()))?;
    folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |_| {
        format!("{page}\nwritten to {}\n", folder.join(PAGE_FILE).display())
    })?;
    Ok(Exit::Finished)
}

/// A setting of files that are its repetitions in turn.
fn of_tables(names: &str, seeds: &[Seed]) -> Result<(String, Vec<Repetition>)> {
    let files: Vec<PathBuf> = names.split(',').map(PathBuf::from).collect();
    let mut tables: Vec<(Arc<FeatureTable>, DecisionLayer)> = Vec::new();
    for path in &files {
        let (table, layer) = (FeatureTable::load(path)?, DecisionLayer::load(path)?);
        let in_file = || format!("'{}'", path.display());
        table.check_layer(&layer).with_context(in_file)?;
        tables.push((Arc::new(table), layer));
    }
    // A single table that is not split is halved anew by each seed. Of others, the same samples twice
    // would make intervals too narrow, and a file that no seed is left for would not be looked at.
    let is_halved = files.len() == 1 && tables.iter().all(|(table, _)| table.split().is_none());
    if !is_halved && seeds.len() != files.len() {
        bail!(
            "'{names}': {0} repetitions, and {1} seeds: give --seeds {0}",
            files.len(),
            seeds.len()
        );
    }
    let repetition = |(&seed, (table, layer)): (&Seed, &(_, DecisionLayer))| -> Result<_> {
        Ok(Repetition {
            data: edit_data(table, None, seed)?,
            layer: layer.clone(),
            seed,
        })
    };
    let repetitions = seeds.iter().zip(tables.iter().cycle()).map(repetition);
    Ok((common_name(&files), repetitions.collect::<Result<_>>()?))
}

/// What the names of files begin with in common, but for their extensions: "birds" of "birds-0" and
/// "birds-1".
fn common_name(files: &[PathBuf]) -> String {
    let stems = files.iter().filter_map(|path| path.file_stem());
    let stems = stems.map(|stem| stem.to_string_lossy().into_owned());
    let common = stems.reduce(|one, other| {
        let pairs = one.chars().zip(other.chars());
        pairs
            .take_while(|(a, b)| a == b)
            .map(|pair| pair.0)
            .collect()
    });
    let common = common.unwrap_or_default();
    match files.len() {
        1 => common,
        _ => common.trim_end_matches(['-', '_']).to_owned(),
    }
}

fn compare(
    (name, repetitions): (String, Vec<Repetition>),
    args: &LeaderboardArgs,
    config: &LeaderboardConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Leaderboard> {
    let mut config = config.clone();
    if let (Some(class), Some(first)) = (&args.class, repetitions.first()) {
        let names = first.data.train().table().class_names();
        config.class = Some(class_by_name_or_index(names, class)?);
    }
    Ok(Leaderboard::compare(
        name,
        &repetitions,
        &config,
        device,
        observer,
    )?)
}

fn page(record: &Record) -> String {
    let mut text = "# Leaderboard\n\nMade by `".to_owned();
    text += record.run.command.as_deref().unwrap_or("neuroinspect");
    text += "`.\n\nAccuracies in percent, of samples that no method learnt from or chose on: means over \
             the seeds, and 95 % intervals of them. The classes to be helped and the suspected neurons \
             come from the samples to choose on";
    text += match record.config.defaults {
        true => ", all other options are the methods' defaults. ",
        false => {
            ", and so do the options listed under each table: those by which layers made with one half of \
             these samples predict the other half best, the worst class of it, or the worst group for \
             methods that learn from group labels. "
        }
    };
    text += "\"Train-weighted\" weighs groups as they are among the samples to learn from. The ceiling \
             is a layer trained on these with all groups alike; the gap is the difference \
             between it and the layer as it stands; shares are given of gaps of two points or more.\n";
    for board in &record.settings {
        text += "\n";
        text += &board.to_markdown();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_called_what_its_files_have_in_common() {
        for (files, name) in [
            (
                &["a/birds-0.safetensors", "b/birds-1.safetensors"][..],
                "birds",
            ),
            (&["birds-0.safetensors"], "birds-0"),
            (&["owls", "birds"], ""),
        ] {
            let files: Vec<_> = files.iter().map(PathBuf::from).collect();
            assert_eq!(common_name(&files), name);
        }
    }
}
