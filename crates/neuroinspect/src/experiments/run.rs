//! An experiment, repetition by repetition, taken up where an earlier run ended.

use std::{collections::BTreeMap, fs, time::Instant};

use neuroinspect_core::{
    Error as CoreError, Observer, Progress,
    io::{sha256_of_bytes, write_atomically},
};
use neuroinspect_report::{Schema, save_png};
use serde::{Deserialize, Serialize};

use super::{
    Experiment, ExperimentConfig, ExperimentPicture, ExperimentResult, Protocol, Setup, Source,
    Switches,
    measured::{NewPicture, rounded},
    result::{Repeated, UNFLIPPED},
};
use crate::{Error, Result, RunFolder, run_folder::program_state};

const STATE: Schema = Schema::new("neuroinspect.experiment-state", 1);

/// The repetitions that there are, and what decides them.
#[derive(Serialize, Deserialize)]
struct State {
    key: String,
    repetitions: Vec<Repeated>,
}

impl Experiment {
    /// Runs the repetitions, and writes the result after each: `NAME.json`, the page `NAME.md`, pictures in the
    /// folder `NAME`, and what a later run takes up, `NAME.state.json`.
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
        let key = self.key(config, &source)?;
        let mut state = match key.clone() {
            Some(key) => self.kept(folder, key),
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
            let known = state.repetitions.iter().find(|known| known.seed == *seed);
            let repeated = match known {
                Some(known) => known.clone(),
                None => {
                    let start = Instant::now();
                    let measured = protocol.measure(*seed, &config.mode.switches(), observer)?;
                    let repeated = Repeated {
                        seed: *seed,
                        values: measured.values,
                        pictures: self.write_pictures(folder, measured.pictures)?,
                        ledger: self.ledger_of(*seed, config, &mut *protocol, observer)?,
                        seconds: rounded(start.elapsed().as_secs_f64()),
                    };
                    state.repetitions.push(repeated.clone());
                    if key.is_some() {
                        folder.write_json(&self.state_file(), STATE, &state)?;
                    }
                    repeated
                }
            };
            repetitions.push(repeated);
            let so_far = ExperimentResult {
                command: command.map(str::to_owned),
                ..ExperimentResult::of(self, config, source.clone(), &repetitions)
            };
            folder.write_json(
                &format!("{}.json", self.name),
                ExperimentResult::SCHEMA,
                &so_far,
            )?;
            let page = so_far.to_markdown(self);
            write_atomically(folder.join(format!("{}.md", self.name)), |out| {
                out.write_all(page.as_bytes())
            })?;
            result = Some(so_far);
        }
        result.ok_or_else(|| CoreError::empty("repetitions of an experiment").into())
    }

    /// The headline as it is, and with each switch flipped.
    fn ledger_of(
        &self,
        seed: neuroinspect_core::Seed,
        config: &ExperimentConfig,
        protocol: &mut dyn Protocol,
        observer: &mut dyn Observer,
    ) -> Result<BTreeMap<String, f64>> {
        let mut ledger = BTreeMap::new();
        if self.headline.is_none() {
            return Ok(ledger);
        }
        let own = (UNFLIPPED, config.mode.switches());
        let flipped = self.switches.iter().filter_map(|&switch| {
            let flipped = Switches::flipped(config.mode, switch)?;
            Some((switch.name(), flipped))
        });
        for (name, switches) in std::iter::once(own).chain(flipped) {
            if let Some(value) = protocol.headline(seed, &switches, observer)? {
                ledger.insert(name.to_owned(), rounded(value));
            }
        }
        Ok(ledger)
    }

    fn write_pictures(
        &self,
        folder: &RunFolder,
        pictures: Vec<NewPicture>,
    ) -> Result<Vec<ExperimentPicture>> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let within = folder.join(self.name);
        fs::create_dir_all(&within).map_err(|source| Error::Folder {
            path: within.clone(),
            source,
        })?;
        let write = |NewPicture { title, file, image }: NewPicture| {
            save_png(within.join(&file), &image)?;
            let path = format!("{}/{file}", self.name);
            Ok(ExperimentPicture { title, path })
        };
        pictures.into_iter().map(write).collect()
    }

    fn state_file(&self) -> String {
        format!("{}.state.json", self.name)
    }

    /// The repetitions that an earlier run left, where the same decides them; a file that cannot be read holds
    /// none.
    fn kept(&self, folder: &RunFolder, key: String) -> State {
        let text = fs::read(folder.join(self.state_file())).unwrap_or_default();
        let kept = serde_json::from_slice::<State>(&text).ok();
        let kept = kept.filter(|state| state.key == key);
        let repetitions = kept.map_or_else(Vec::new, |state| state.repetitions);
        let is_there = |picture: &ExperimentPicture| folder.join(&picture.path).exists();
        let repetitions = repetitions.into_iter();
        State {
            repetitions: repetitions
                .filter(|it| it.pictures.iter().all(is_there))
                .collect(),
            key,
        }
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
