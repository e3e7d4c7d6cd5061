//! An experiment, repetition by repetition, taken up where an earlier run ended.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Instant};

use neuroinspect_core::{
    Error as CoreError, Observer, Progress, Seed,
    io::{sha256_of_bytes, write_atomically},
};
use neuroinspect_report::{Schema, save_png};
use serde::{Deserialize, Serialize};

use super::{
    Experiment, ExperimentConfig, ExperimentPicture, ExperimentResult, Mode, Protocol, Setup,
    Source,
    measured::{NewPicture, rounded},
    modes,
    result::{Chart, Repeated, UNFLIPPED},
};
use crate::{Error, Result, RunFolder, run_folder::program_state};

const STATE: Schema = Schema::new("neuroinspect.experiment-state", 2);

/// The repetitions that there are, and what decides them.
#[derive(Serialize, Deserialize)]
struct State {
    key: String,
    repetitions: Vec<Repeated>,
}

impl Experiment {
    /// The name of its files: its own, with the mode where that is not the default.
    pub fn file_stem(&self, mode: Mode) -> String {
        match mode == Mode::default() {
            true => self.name.to_owned(),
            false => format!("{}-{mode}", self.name),
        }
    }

    /// Runs the repetitions, and writes the result after each: `NAME.json`, the page `NAME.md`, the pictures of the
    /// first and drawings of the tables in the folder `NAME`, and what a later run takes up, `NAME.state.json`; NAME
    /// is the [stem](Self::file_stem), so that each mode has files of its own. Where experiments were run in several modes
    /// there, and alike otherwise, `modes.md` compares them.
    ///
    /// A repetition that an earlier run of the same program made in this folder, with the same options and on
    /// the same data, is not made again.
    ///
    /// # Errors
    ///
    /// When an option is out of range, the data or networks cannot be read or do not fit, a file cannot be
    /// written, or the observer asks to stop.
    pub fn run(
        &self,
        config: &ExperimentConfig,
        folder: &RunFolder,
        command: Option<&str>,
        observer: &mut dyn Observer,
    ) -> Result<ExperimentResult> {
        config.validate()?;
        let setup = Setup {
            config,
            folder,
            device: config.device.open()?,
        };
        let mut protocol = (self.open)(&setup, observer)?;
        let source = protocol.source();
        let stem = self.file_stem(config.mode);
        let state_file = format!("{stem}.state.json");
        let key = self.key(config, &source)?;
        let mut state = match key.clone() {
            Some(key) => kept(folder, &state_file, key),
            None => State {
                key: String::new(),
                repetitions: Vec::new(),
            },
        };
        let seeds: Vec<_> = config.all_seeds().collect();
        let mut repetitions = Vec::with_capacity(seeds.len());
        let mut result = None;
        for (done, seed) in seeds.iter().enumerate() {
            observer.proceed(Progress {
                stage: "repeating an experiment",
                done,
                total: seeds.len(),
            })?;
            let is_first = done == 0;
            // The pictures of the first are shown, and no others are kept.
            let is_it =
                |known: &&Repeated| known.seed == *seed && (known.pictures.is_some() || !is_first);
            let repeated = match state.repetitions.iter().find(is_it) {
                Some(known) => known.clone(),
                None => {
                    let start = Instant::now();
                    let measured = protocol.measure(*seed, &config.mode.switches(), observer)?;
                    let repeated = Repeated {
                        seed: *seed,
                        values: measured.values,
                        labels: measured.labels,
                        pictures: match is_first || measured.pictures.is_empty() {
                            true => Some(write_pictures(folder, &stem, measured.pictures)?),
                            false => None,
                        },
                        ledgers: self.ledgers_of(*seed, config, &mut *protocol, observer)?,
                        seconds: rounded(start.elapsed().as_secs_f64()),
                    };
                    state.repetitions.retain(|known| known.seed != *seed);
                    if repeated
                        .pictures
                        .as_ref()
                        .is_some_and(|all| !all.is_empty())
                    {
                        // Written over.
                        state
                            .repetitions
                            .iter_mut()
                            .for_each(|it| it.pictures = None);
                    }
                    state.repetitions.push(repeated.clone());
                    if key.is_some() {
                        folder.write_json(&state_file, STATE, &state)?;
                    }
                    repeated
                }
            };
            repetitions.push(repeated);
            let so_far = ExperimentResult {
                command: command.map(str::to_owned),
                ..ExperimentResult::of(self, config, source.clone(), &repetitions)
            };
            folder.write_json(&format!("{stem}.json"), ExperimentResult::SCHEMA, &so_far)?;
            write_charts(folder, &stem, &so_far.charts)?;
            let page = so_far.to_markdown(self);
            write_atomically(folder.join(format!("{stem}.md")), |out| {
                out.write_all(page.as_bytes())
            })?;
            result = Some(so_far);
        }
        modes::write(super::experiments(), folder)?;
        result.ok_or_else(|| CoreError::empty("repetitions of an experiment").into())
    }

    /// Each headline as it is, and with each switch flipped.
    fn ledgers_of(
        &self,
        seed: Seed,
        config: &ExperimentConfig,
        protocol: &mut dyn Protocol,
        observer: &mut dyn Observer,
    ) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
        let mut ledgers = BTreeMap::new();
        for headline in self.headlines {
            let mut ledger = BTreeMap::new();
            let own = (UNFLIPPED, config.mode.switches());
            let flips = headline.flips(config.mode);
            let flips = flips.filter(|(switch, _)| protocol.concerns(*switch));
            let flips = flips.map(|(switch, flipped)| (switch.name(), flipped));
            let all: Vec<_> = std::iter::once(own).chain(flips).collect();
            for (name, switches) in all {
                let value = protocol.headline(headline.column, seed, &switches, observer)?;
                ledger.extend(value.map(|value| (name.to_owned(), rounded(value))));
            }
            ledgers.insert(headline.column.name.to_owned(), ledger);
        }
        Ok(ledgers)
    }

    /// What decides a repetition but for its seed; `None` where that cannot be told.
    fn key(&self, config: &ExperimentConfig, source: &Source) -> Result<Option<String>> {
        let (Some(program), Some(data)) = (program_state(), &source.fingerprint) else {
            return Ok(None);
        };
        // Where its seeds begin and end decides nothing of a repetition.
        let alike = config.clone().with_seeds(1).with_seed(Default::default());
        let config =
            serde_json::to_string(&alike).map_err(|source| neuroinspect_report::Error::Json {
                schema: STATE.name,
                source,
            })?;
        let parts = [&program, self.name, data, &config];
        Ok(Some(sha256_of_bytes(parts.join("\0").as_bytes())))
    }
}

fn write_pictures(
    folder: &RunFolder,
    stem: &str,
    pictures: Vec<NewPicture>,
) -> Result<Vec<ExperimentPicture>> {
    if pictures.is_empty() {
        return Ok(Vec::new());
    }
    let within = folder_of_pictures(folder, stem)?;
    let write = |NewPicture { title, file, image }: NewPicture| {
        save_png(within.join(&file), &image)?;
        let path = format!("{stem}/{file}");
        Ok(ExperimentPicture { title, path })
    };
    pictures.into_iter().map(write).collect()
}

fn write_charts(folder: &RunFolder, stem: &str, charts: &[Chart]) -> Result<()> {
    if !charts.is_empty() {
        folder_of_pictures(folder, stem)?;
    }
    for chart in charts {
        write_atomically(folder.join(&chart.path), |out| {
            out.write_all(chart.svg.as_bytes())
        })?;
    }
    Ok(())
}

fn folder_of_pictures(folder: &RunFolder, stem: &str) -> Result<PathBuf> {
    let path = folder.join(stem);
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Folder { path, source }),
    }
}

/// The repetitions that an earlier run left, where the same decides them; a file that cannot be read holds none.
fn kept(folder: &RunFolder, file: &str, key: String) -> State {
    let text = fs::read(folder.join(file)).unwrap_or_default();
    let kept = serde_json::from_slice::<State>(&text).ok();
    let kept = kept.filter(|state| state.key == key);
    let mut repetitions = kept.map_or_else(Vec::new, |state| state.repetitions);
    let is_there = |picture: &ExperimentPicture| folder.join(&picture.path).exists();
    for repeated in &mut repetitions {
        repeated.pictures = repeated
            .pictures
            .take()
            .filter(|all| all.iter().all(is_there));
    }
    State { key, repetitions }
}
