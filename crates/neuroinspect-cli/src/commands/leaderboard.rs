//! `leaderboard`: all methods on the same samples.

mod page;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use neuroinspect::{
    RunFolder,
    burn::tensor::Device,
    core::{
        DecisionLayer, FeatureTable, MemoryLimit, Seed, class_by_name_or_index,
        io::{read_text, write_atomically},
    },
    datasets::scenes::Planted,
    demo::Demo,
    edit_data,
    editing::Disc,
    leaderboard::{ImageSetting, Leaderboard, LeaderboardConfig, Repetition},
    report::{Run, Schema},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    args::{Common, LeaderboardArgs, Network},
    console::{Console, warn},
    exit::Exit,
    options::Options,
    output::{open_folder, print},
    record,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.leaderboard", 2);
const RECORD_FILE: &str = "leaderboard.json";
const PAGE_FILE: &str = "leaderboard.md";

/// Of the stars so many are on water, of the others a quarter of the rest: of all scenes on water as many
/// are stars.
const PARTIAL: f64 = 0.95;

/// Scenes that show DISC the backgrounds.
const CONCEPT_SCENES: usize = 3000;

/// `leaderboard.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record<'a> {
    /// Those of this run, and behind them those of an earlier one that are not made again.
    settings: Vec<&'a Compared>,
    /// How it was made.
    run: Run,
}

/// A setting's results, as they are kept.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Compared {
    /// A [`Leaderboard`].
    #[serde(flatten)]
    #[cfg_attr(test, schemars(with = "Leaderboard"))]
    board: Value,
    /// Its section of the page.
    page: String,
    /// What it goes by: a `LeaderboardConfig`.
    #[cfg_attr(test, schemars(with = "LeaderboardConfig"))]
    config: Value,
    /// The command that made it.
    command: String,
    /// [What decides it](Leaderboard::fingerprint).
    fingerprint: Option<String>,
    /// The files that it is of, as they were given; none of scenes.
    #[serde(default)]
    files: Option<String>,
}

/// A setting that is asked for.
struct Setting {
    name: String,
    files: Option<String>,
}

/// What a comparison is made with, and where it goes.
struct Comparison<'a> {
    common: &'a Common,
    options: &'a Options,
    args: &'a LeaderboardArgs,
    config: LeaderboardConfig,
    folder: RunFolder,
    device: Device,
    /// What an earlier run left.
    earlier: Vec<Compared>,
    settings: Vec<Compared>,
}

pub(crate) fn run(common: &Common, options: &Options, args: &LeaderboardArgs) -> Result<Exit> {
    let folder = open_folder(common)?;
    let device = common.device().open()?;
    let first = options.seed.0;
    let seeds: Vec<Seed> = (0..args.seeds as u64)
        .map(|more| Seed(first.wrapping_add(more)))
        .collect();
    let mut config = LeaderboardConfig {
        neurons: args.count,
        defaults: args.defaults,
        each_class: args.each_class,
        ..LeaderboardConfig::default()
    };
    if !args.methods.is_empty() {
        config.methods.clone_from(&args.methods);
    }
    // Every file that is not as it should be is known before the work.
    let tables = args
        .table
        .iter()
        .map(|files| of_tables(files, &seeds, common.memory()));
    let tables = tables.collect::<Result<Vec<_>>>()?;
    let mut networks = Vec::new();
    if let Some(root) = &args.cifar {
        for Network { file, conflicting } in &args.network {
            let network = ImageSetting::open(root, file, *conflicting, &device)?;
            let setting = Setting {
                name: network.title.clone(),
                files: Some(format!("{}, {}", root.display(), file.weights.display())),
            };
            networks.push((setting, network));
        }
    }
    let earlier = earlier(&folder)?;
    let of_tables = tables.iter().map(|(setting, _)| setting);
    let of_networks = networks.iter().map(|(setting, _)| setting);
    check_names(&Vec::from_iter(of_tables.chain(of_networks)), &earlier)?;
    let mut comparison = Comparison {
        common,
        options,
        args,
        config,
        earlier,
        folder,
        device,
        settings: Vec::new(),
    };
    let mut console = Console::start(common.quiet)?;
    if args.scenes {
        let demo = Demo::load(&comparison.device)?;
        let partial = Planted {
            strength: PARTIAL,
            leak_rate: (1.0 - PARTIAL) / 4.0,
            ..Planted::default()
        };
        if comparison.config.methods.iter().any(|it| it == Disc::NAME) {
            comparison.config.concepts = demo.backgrounds(CONCEPT_SCENES, &mut console)?;
        }
        for (setting, planted) in [
            ("scenes, total correlation", None),
            ("scenes, 95 % correlation", Some(&partial)),
        ] {
            // The demo's own scenes are those of seed 0.
            let unseen = seeds.iter().map(|seed| Seed(seed.0.wrapping_add(1)));
            let repetitions = demo.repetitions(planted, unseen, &mut console)?;
            let setting = Setting {
                name: setting.to_owned(),
                files: None,
            };
            comparison.compare(&setting, &repetitions, &mut console)?;
        }
        // Those of other settings are not known.
        comparison.config.concepts.clear();
    }
    for (setting, repetitions) in &tables {
        comparison.compare(setting, repetitions, &mut console)?;
    }
    for (setting, network) in &networks {
        let (folder, seeds) = (&comparison.folder, seeds.iter().copied());
        let repetitions = network.repetitions(folder, common.device(), seeds, &mut console)?;
        comparison.compare(setting, &repetitions, &mut console)?;
    }
    console.clear();
    let (record, page) = comparison.record();
    print(common.json, SCHEMA, &record, |_| {
        let path = comparison.folder.join(PAGE_FILE);
        format!("{page}\nwritten to {}\n", path.display())
    })?;
    Ok(Exit::Finished)
}

/// The settings of an earlier run, which this one keeps.
fn earlier(folder: &RunFolder) -> Result<Vec<Compared>> {
    #[derive(Deserialize)]
    struct Earlier {
        settings: Vec<Compared>,
    }
    let path = folder.join(RECORD_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let record = serde_json::from_str::<Earlier>(&read_text(&path)?);
    let record = record.with_context(|| {
        let path = path.display();
        format!("'{path}' holds no comparison of this version: remove it, or give another --out")
    })?;
    Ok(record.settings)
}

/// A setting's results go by its name: no other files may take it.
fn check_names(asked: &[&Setting], earlier: &[Compared]) -> Result<()> {
    for (index, Setting { name, files }) in asked.iter().enumerate() {
        let asked = asked[..index].iter().map(|it| (&*it.name, &it.files));
        let earlier = (earlier.iter()).filter(|it| it.files.is_some() && it.files != *files);
        let earlier = earlier.filter_map(|it| Some((it.setting()?, &it.files)));
        let Some((_, others)) = asked.chain(earlier).find(|(other, _)| other == name) else {
            continue;
        };
        let [files, others] = [files, others].map(|it| it.as_deref().unwrap_or("others"));
        bail!(
            "'{files}' and '{others}' would both be called '{name}' in {RECORD_FILE}: rename a file, or give \
             another --out"
        );
    }
    Ok(())
}

impl Compared {
    fn setting(&self) -> Option<&str> {
        self.board["setting"].as_str()
    }
}

impl Comparison<'_> {
    /// Compares the methods on a setting, unless an earlier run did, and writes all that there is.
    fn compare(
        &mut self,
        setting: &Setting,
        repetitions: &[Repetition],
        console: &mut Console,
    ) -> Result<()> {
        let Setting { name, files } = setting;
        let mut config = self.config.clone();
        if let (Some(class), Some(first)) = (&self.args.class, repetitions.first()) {
            let names = first.data.train().table().class_names();
            config.class = Some(class_by_name_or_index(names, class)?);
        }
        let device = self.common.device();
        let fingerprint = Leaderboard::fingerprint(name, repetitions, &config, device)?;
        let found = self
            .earlier
            .iter()
            .position(|earlier| fingerprint.is_some() && earlier.fingerprint == fingerprint);
        let compared = match found {
            Some(index) => {
                console.clear();
                warn(format_args!("{name}: taken from an earlier run"));
                self.earlier.remove(index)
            }
            None => {
                let device = &self.device;
                let board = Leaderboard::compare(name, repetitions, &config, device, console)?;
                Compared {
                    page: board.to_markdown(),
                    board: serde_json::to_value(board)?,
                    config: serde_json::to_value(config)?,
                    command: record::command_line(),
                    fingerprint,
                    files: files.clone(),
                }
            }
        };
        self.settings.push(compared);
        let (record, page) = self.record();
        let path = self.folder.join(PAGE_FILE);
        write_atomically(path, |out| out.write_all(page.as_bytes()))?;
        Ok(self.folder.write_json(RECORD_FILE, SCHEMA, &record)?)
    }

    /// All settings so far, and those that an earlier run left and this one has not come to.
    fn record(&self) -> (Record<'_>, String) {
        let known = |earlier: &&Compared| {
            let mut settings = self.settings.iter();
            !settings.any(|it| it.setting() == earlier.setting())
        };
        let earlier = self.earlier.iter().filter(known);
        let settings: Vec<_> = self.settings.iter().chain(earlier).collect();
        let names: Vec<_> = settings.iter().filter_map(|it| it.setting()).collect();
        let run = record::run(self.common, self.options, "several", &names.join(", "));
        let page = page::page(&settings);
        let record = Record { settings, run };
        (record, page)
    }
}

/// A setting of files that are its repetitions in turn.
fn of_tables(
    names: &str,
    seeds: &[Seed],
    memory: MemoryLimit,
) -> Result<(Setting, Vec<Repetition>)> {
    let files: Vec<PathBuf> = names.split(',').map(PathBuf::from).collect();
    let mut tables: Vec<(Arc<FeatureTable>, DecisionLayer)> = Vec::new();
    for path in &files {
        let table = FeatureTable::load_within(path, memory)?;
        let layer = DecisionLayer::load(path)?;
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
    let setting = Setting {
        name: common_name(&files),
        files: Some(names.to_owned()),
    };
    Ok((setting, repetitions.collect::<Result<_>>()?))
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
