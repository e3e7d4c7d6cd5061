//! The networks and images of the experiments on pictures.

use std::path::Path;

use neuroinspect_core::{
    Classifier, Error as CoreError, FeatureTable, ImageTextEncoder as _, InputSpec, Observer,
    Precision,
};
use neuroinspect_datasets::{
    ImageDataset, ImageFolder, ImageFolderConfig,
    scenes::{Scenes, ScenesConfig},
};
use neuroinspect_illusion::{Networks, PreparedClassifier, Recipe};
use neuroinspect_models::{
    Checkpoint, LoadConfig, LoadedClassifier,
    clip::Clip,
    load_classifier,
    prompts::{PromptTemplates, class_text},
};

use super::{
    super::{MeasuredOn, Setup, Source},
    Encoder, Judge, Pictured,
};
use crate::{
    Extraction, FeatureRequest, Result, demo::Demo, extract_features, leaderboard::NetworkFile,
};

/// What [`Experiment::needs`](crate::experiments::Experiment::needs) says of every experiment on pictures.
pub(in super::super) const NEEDS: &str = "\
     `--data`, a folder with a folder `test` (or itself) of images by class, in the network's order and called as \
     classes are to be called, unless `--class-names` says how; `--network MODEL=WEIGHTS`, first the one whose neurons are pictured, then, if there \
     is one, a judge of the same classes; and `--clip-weights`, without which CLIP-Illusion is left out.";
/// And [`Experiment::stand_in`](crate::experiments::Experiment::stand_in).
pub(in super::super) const STAND_IN: &str = "\
     the demo's classifier, a ResNet-20 of 32-pixel scenes, with the demo's small CLIP; the judge is a ResNet-8 \
     that was trained on scenes of another seed, every object on every background, and had no part in either.";

/// Real images that activations are compared with.
const SCENES: usize = 1000;
/// Most images that are taken of each class of a folder.
const IMAGES_PER_CLASS: usize = 100;
/// Below this side pictures stay pale at the paper's rate.
const SMALL: usize = 64;
const SMALL_RATE: f64 = 0.03;
/// Steps of pictures below this side.
const SMALL_STEPS: usize = 80;

impl Pictured {
    /// The networks and images of the configuration, or the demo's.
    pub(in super::super) fn open(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<Self> {
        match &setup.config.data {
            Some(data) => Self::given(setup, data, observer),
            None => Self::of_scenes(setup, observer),
        }
    }

    fn of_scenes(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<Self> {
        let Demo {
            classifier,
            clip,
            judge,
            ..
        } = Demo::load(&setup.device)?;
        let count = setup.config.scaled(SCENES, 50);
        let scenes = Scenes::new(ScenesConfig::test().with_samples(count))?;
        let mut features = |network: &dyn Classifier| -> Result<FeatureTable> {
            Ok(extract_features(&Extraction::new(network, &scenes), observer)?.table)
        };
        let real = features(classifier.as_ref())?;
        let judge = Judge::new(&judge, &features(&judge)?)?;
        let names = real.class_names().iter();
        let recipe = recipe(setup, classifier.input());
        Ok(Self {
            source: Source {
                data: format!(
                    "the demo's ResNet-20 and CLIP; activations are compared with those of {count} test scenes; {}",
                    in_words(&recipe)
                ),
                published: false,
                paper: None,
                measured_on: MeasuredOn::Same,
                notes: Vec::new(),
                fingerprint: Some("scenes".to_owned()),
            },
            recipe,
            is_small: classifier.input().size < SMALL,
            layer: classifier.decision_layer()?,
            networks: Networks::of(classifier.as_ref(), None)?,
            encoder: Some(Encoder {
                clip,
                templates: PromptTemplates::parts32(),
                names: names.map(|name| class_text(None, name)).collect(),
            }),
            judge: Some(judge),
            real,
            told: None,
            made: Default::default(),
        })
    }

    fn given(setup: &Setup<'_>, data: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let config = setup.config;
        let refused = |value: String| CoreError::InvalidOption {
            option: "networks",
            value,
            expected: "the network whose neurons are pictured (`--network MODEL=FILE`), and at most one other, the judge",
        };
        let (pictured, judge) = match &*config.networks {
            [pictured] => (pictured, None),
            [pictured, judge] => (pictured, Some(judge)),
            others => return Err(refused(others.len().to_string()).into()),
        };
        let load = |NetworkFile { model, weights }: &NetworkFile| {
            load_classifier(model, weights, &LoadConfig::default(), &setup.device)
        };
        let test = data.join("test");
        let root = if test.is_dir() { &test } else { data };
        let images = ImageFolderConfig {
            class_names_file: config.class_names.clone(),
            images_per_class: Some(config.scaled(IMAGES_PER_CLASS, 1)),
            ..ImageFolderConfig::default()
        };
        let images = ImageFolder::open(root, &images)?;
        let mut told = format!("{}, images of '{}'", pictured.model, images.name());
        let mut features = |loaded: &LoadedClassifier, file: &str| -> Result<FeatureTable> {
            let extraction = Extraction::new(loaded.model.as_ref(), &images)
                .with_weights_sha256(&loaded.weights_sha256);
            let request = FeatureRequest {
                file: format!("pictures-{file}.safetensors"),
                device: config.device,
                complete: loaded.report.is_complete(),
            };
            Ok(setup
                .folder
                .features(&extraction, &request, observer)?
                .extracted
                .table)
        };
        let loaded = load(pictured)?;
        let real = features(&loaded, "pictured")?;
        let mut notes = Vec::new();
        let mut weights = vec![loaded.weights_sha256.clone()];
        let judge = match judge {
            Some(network) => {
                let loaded = load(network)?;
                if weights.contains(&loaded.weights_sha256) {
                    return Err(refused("the same weights twice".to_owned()).into());
                }
                let table = features(&loaded, "judge")?;
                weights.push(loaded.weights_sha256.clone());
                told += &format!(", judged by {}", network.model);
                Some(Judge::new(loaded.model.as_ref(), &table)?)
            }
            None => {
                notes.push("No judge was given: what it would say is left out.".to_owned());
                None
            }
        };
        let encoder = match &config.clip {
            Some(path) => {
                let checkpoint = Checkpoint::open(path)?;
                weights.push(checkpoint.sha256().to_owned());
                let clip = Clip::from_checkpoint(&checkpoint, None, &setup.device)?;
                told += &format!(", guided by {}", clip.name());
                let names = images.class_names().iter();
                Some(Encoder {
                    clip,
                    templates: PromptTemplates::parts32(),
                    names: names.map(|name| class_text(None, name)).collect(),
                })
            }
            None => {
                notes.push("No CLIP was given: CLIP-Illusion is left out.".to_owned());
                None
            }
        };
        let recipe = recipe(setup, loaded.model.input());
        Ok(Self {
            source: Source {
                data: format!("{told}; {}", in_words(&recipe)),
                published: false,
                paper: None,
                measured_on: MeasuredOn::Same,
                notes,
                fingerprint: images
                    .fingerprint()
                    .map(|images| weights.join(" ") + &images),
            },
            recipe,
            is_small: loaded.model.input().size < SMALL,
            layer: loaded.model.decision_layer()?,
            networks: Networks::of(loaded.model.as_ref(), None)?,
            encoder,
            judge,
            real,
            told: None,
            made: Default::default(),
        })
    }
}

/// The paper's recipe, at a higher rate and with fewer steps where pictures are small.
fn recipe(setup: &Setup<'_>, input: &InputSpec) -> Recipe {
    let recipe = Recipe::default();
    let (rate, steps) = match input.size < SMALL {
        true => (SMALL_RATE, SMALL_STEPS),
        false => (recipe.learning_rate, recipe.steps),
    };
    recipe
        .with_learning_rate(rate)
        .with_steps(setup.config.scaled(steps, 2))
}

/// "pictures are made in 80 steps at a rate of 0.03".
fn in_words(recipe: &Recipe) -> String {
    let Recipe {
        steps,
        learning_rate,
        ..
    } = recipe;
    format!("pictures are made in {steps} steps at a rate of {learning_rate}")
}

impl Judge {
    /// A classifier, and its features of real images.
    fn new(classifier: &dyn Classifier, real: &FeatureTable) -> Result<Self> {
        let layer = classifier.decision_layer()?;
        Ok(Self {
            network: PreparedClassifier::new(classifier, &classifier.device(), Precision::F32)?,
            of_real: real.predicted_by(&layer)?.metrics()?.class_accuracy,
        })
    }
}
