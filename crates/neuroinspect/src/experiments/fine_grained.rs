//! What Table IV runs on: scenes, a fine-grained set of the paper's, or any images.

use std::path::Path;

use neuroinspect_core::Observer;
use neuroinspect_datasets::{
    Error as DatasetError,
    published::{Published as PublishedData, PublishedConfig},
};
use neuroinspect_editing::Schedule;

use super::{
    MeasuredOn, Mode, Setup, Source,
    published_parts::{self, PublishedParts},
    scenes::{SceneSetting, mostly_planted},
    table_4::EXPERIMENT,
};
use crate::{
    Error, Result,
    demo::Demo,
    leaderboard::{ImageSetting, NetworkFile, Repetition},
};

/// The paper's data sets: how they are read, and what they are called.
const PUBLISHED: [(&str, &str); 2] = [("flowers102", "Flowers-102"), ("food101", "Food-101")];

/// Where repetitions come from.
pub(super) enum Samples {
    Scenes {
        demo: Box<Demo>,
        setting: SceneSetting,
    },
    /// The settings' titles, and their repetitions.
    Images(Vec<(String, Vec<Repetition>)>),
}

impl Samples {
    /// Those that the configuration names, or scenes.
    pub(super) fn open(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<(Self, Source)> {
        match &setup.config.data {
            None => scenes(setup),
            Some(_) if setup.config.networks.is_empty() => Err(Error::ExperimentNeeds {
                experiment: EXPERIMENT.name,
                what: "--network MODEL=FILE, a network of the classes of its images",
            }),
            Some(root)
                if ["train", "test"]
                    .iter()
                    .all(|part| root.join(part).is_dir()) =>
            {
                folders(setup, root, observer)
            }
            Some(root) => published(setup, root, observer),
        }
    }
}

fn scenes(setup: &Setup<'_>) -> Result<(Samples, Source)> {
    let scaled = |count| setup.config.scaled(count, 100);
    let setting = SceneSetting {
        train: mostly_planted(),
        validation: mostly_planted(),
        measured: mostly_planted().independent(0.5),
        samples: [scaled(1000), scaled(500), scaled(1000)],
    };
    let switches = setup.config.mode.switches();
    let source = setting.source(&format!(
        "The layer to begin with was trained from zeros on the scenes to learn from, {} epochs of batches of 128 at \
         a rate of 2e-3 (Adam) that falls to a {} along a cosine, as the {} on Flowers-102 and Food-101; the last \
         epoch is kept.",
        switches.layer_epochs,
        match switches.layer_schedule {
            Schedule::CosineToTwentieth => "twentieth",
            _ => "tenth",
        },
        match setup.config.mode {
            Mode::Code => "README's tables have it",
            _ => "paper trains",
        },
    ));
    let demo = Box::new(Demo::load(&setup.device)?);
    Ok((Samples::Scenes { demo, setting }, source))
}

/// "Flowers-102: resnet50-flowers".
fn title(images: &str, network: &NetworkFile) -> String {
    let stem = network.weights.file_stem().unwrap_or_default();
    format!("{images}: {}", stem.to_string_lossy())
}

/// Flowers-102 or Food-101, whichever is there.
fn published(
    setup: &Setup<'_>,
    root: &Path,
    observer: &mut dyn Observer,
) -> Result<(Samples, Source)> {
    let mut found = None;
    for (name, called) in PUBLISHED {
        match PublishedData::open(name, root, &PublishedConfig::default()) {
            Ok(images) => found = found.or(Some((images, called))),
            Err(DatasetError::NotThere { .. }) => (),
            Err(error) => return Err(error.into()),
        }
    }
    let (images, called) = found.ok_or(Error::ExperimentNeeds {
        experiment: EXPERIMENT.name,
        what: "--data PATH with Flowers-102, Food-101, or folders train and test of images; the path given holds none \
               of them (`neuroinspect data check NAME PATH` says which file is missing)",
    })?;
    let mut settings = Vec::new();
    let mut fingerprints = Vec::new();
    for network in &setup.config.networks {
        let parts = PublishedParts::open(setup, &images, network, observer)?;
        let of_seed = |seed| Repetition {
            seed,
            ..parts.repetition.clone()
        };
        let repetitions = setup.config.all_seeds().map(of_seed).collect();
        fingerprints.push(parts.fingerprint);
        settings.push((title(called, network), repetitions));
    }
    let fingerprints: Option<Vec<String>> = fingerprints.into_iter().collect();
    let source = Source {
        data: called.to_owned(),
        published: true,
        paper: Some(called),
        measured_on: MeasuredOn::Same,
        notes: vec![published_parts::NOTE.to_owned()],
        fingerprint: fingerprints.map(|all| all.join(" ")),
    };
    Ok((Samples::Images(settings), source))
}

/// Any images in folders `train` and `test`.
fn folders(
    setup: &Setup<'_>,
    root: &Path,
    observer: &mut dyn Observer,
) -> Result<(Samples, Source)> {
    let config = setup.config;
    let mut settings = Vec::new();
    let mut fingerprints = Vec::new();
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    for network in &config.networks {
        let setting = ImageSetting::open(root, network, None, &setup.device)?;
        let seeds = config.all_seeds();
        let repetitions = setting.repetitions(setup.folder, config.device, seeds, observer)?;
        fingerprints.push(setting.fingerprint());
        settings.push((title(&name, network), repetitions));
    }
    let fingerprints: Option<Vec<String>> = fingerprints.into_iter().collect();
    let source = Source {
        data: format!("images of '{name}'"),
        published: false,
        paper: None,
        measured_on: MeasuredOn::Halves,
        notes: vec!["No interval is over networks.".to_owned()],
        fingerprint: fingerprints.map(|all| all.join(" ")),
    };
    Ok((Samples::Images(settings), source))
}
