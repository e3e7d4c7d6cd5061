//! The scenarios of Table II: of MetaShift, or of scenes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use ndarray::Array2;
use neuroinspect_core::{
    ActivationTable, ClassId, Error as CoreError, FeatureTable, Observer, Seed,
    class_by_name_or_index, io::sha256_of_file,
};
use neuroinspect_datasets::{
    ImageDataset,
    published::{Published as PublishedData, PublishedConfig},
    scenes::{Context, Object, Planted},
};
use neuroinspect_editing::{EditData, Schedule, TrainingConfig};
use neuroinspect_models::{LoadConfig, LoadedClassifier, load_classifier};

use super::{
    MeasuredOn, Mode, Setup, Source, case::trained_layer, scene_concepts::ConceptScenes,
    scenes::SceneSetting,
};
use crate::{
    Error, Extraction, PARTS, Result,
    concepts::ConceptBank,
    demo::Demo,
    extract_activations,
    leaderboard::{Repetition, table_of},
};

/// MetaShift's scenarios, the attribute as CCE's bank has it.
const METASHIFT: [[&str; 2]; 5] = [
    ["dog", "chair"],
    ["cat", "book"],
    ["bird", "sand"],
    ["dog", "water"],
    ["cat", "keyboard"],
];

/// The stand-in's.
const SCENES: [(Object, Context); 5] = [
    (Object::Star, Context::Water),
    (Object::Circle, Context::Grass),
    (Object::Square, Context::Sand),
    (Object::Triangle, Context::Brick),
    (Object::Cross, Context::Water),
];

/// The titles of MetaShift's scenarios.
pub(super) const TITLES: [&str; 5] = [
    "dog with chair",
    "cat with book",
    "bird with sand",
    "dog with water",
    "cat with keyboard",
];

/// Where scenarios come from.
pub(super) enum Samples {
    Scenes {
        demo: Box<Demo>,
        samples: [usize; 3],
        training: TrainingConfig,
    },
    MetaShift {
        root: PathBuf,
        loaded: Box<LoadedClassifier>,
        training: TrainingConfig,
        /// By sample: scenarios and seeds have most images in common.
        features: HashMap<String, Vec<f32>>,
    },
}

/// A scenario, by one seed.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) title: String,
    pub(super) class: ClassId,
    /// The attribute's name in the bank.
    pub(super) attribute: String,
    pub(super) repetition: Repetition,
}

/// Scenes, and a bank of concepts learned from other scenes.
pub(super) fn of_scenes(
    setup: &Setup<'_>,
    observer: &mut dyn Observer,
) -> Result<(Samples, ConceptBank, Source)> {
    let Setup { config, device, .. } = setup;
    let demo = Box::new(Demo::load(device)?);
    let scenes = ConceptScenes::extract(&demo, config.scaled(3000, 240), observer)?;
    let bank = scenes.bank(observer)?;
    let samples = [500, 500, 1000].map(|count| config.scaled(count, 100));
    let source = Source {
        data: format!(
            "synthetic scenes of five classes on the demo's backbone, in each scenario {} to learn from, {} \
             to choose on and {} measured on, others for every seed",
            samples[0], samples[1], samples[2]
        ),
        published: false,
        paper: None,
        measured_on: MeasuredOn::Others,
        notes: vec![
            format!(
                "The bank has {} concepts, CCE's about 170: an attribute is among three of them by chance in one \
                 mistake of six.",
                bank.concepts().len()
            ),
            "All repetitions are on one backbone, and of one bank of concepts: the intervals are over neither."
                .to_owned(),
        ],
        fingerprint: Some("scenes".to_owned()),
    };
    let samples = Samples::Scenes {
        demo,
        samples,
        training: layer_training(config.mode),
    };
    Ok((samples, bank, source))
}

/// MetaShift, a network and a bank of concepts of its features.
pub(super) fn of_metashift(
    setup: &Setup<'_>,
    root: PathBuf,
) -> Result<(Samples, ConceptBank, Source)> {
    let Setup { config, device, .. } = setup;
    let lacking = |what| Error::ExperimentNeeds {
        experiment: super::table_2::EXPERIMENT.name,
        what,
    };
    let [network] = &config.networks[..] else {
        return Err(lacking(
            "one --network MODEL=FILE, the paper's being resnet18",
        ));
    };
    let path = config.concepts.as_ref();
    let path = path.ok_or_else(|| lacking("--concepts FILE, a bank of concepts of the network"))?;
    let bank = ConceptBank::load(path)?;
    let concepts = sha256_of_file(path)?;
    for [_, attribute] in METASHIFT {
        bank.index_of(attribute)?;
    }
    let loaded = load_classifier(
        &network.model,
        &network.weights,
        &LoadConfig::default(),
        device,
    )?;
    bank.check_layer(&loaded.model.decision_layer()?)?;
    let mut images = Vec::new();
    for names in METASHIFT {
        images.push(metashift_images(&root, names, Seed(0))?.fingerprint());
    }
    let images: Option<Vec<String>> = images.into_iter().collect();
    let source = Source {
        data: format!("MetaShift, by {}", network.model),
        published: true,
        paper: None,
        measured_on: MeasuredOn::Others,
        notes: vec![
            "Images of several of the five classes are left out, so that fewer are measured on than in the paper."
                .to_owned(),
            "Repetitions draw other training and validation images; of those measured on they have most in common, \
             and all are on one backbone and of one bank of concepts: the intervals are over none of these."
                .to_owned(),
        ],
        fingerprint: images
            .map(|images| format!("{} {concepts} {}", loaded.weights_sha256, images.join(" "))),
    };
    let samples = Samples::MetaShift {
        root,
        loaded: Box::new(loaded),
        training: layer_training(config.mode),
        features: HashMap::new(),
    };
    Ok((samples, bank, source))
}

fn metashift_images(
    root: &Path,
    [class, attribute]: [&str; 2],
    seed: Seed,
) -> Result<PublishedData> {
    let config = PublishedConfig::default()
        .with_context(format!("{class}({attribute})"))
        .with_seed(seed);
    Ok(PublishedData::open("metashift", root, &config)?)
}

impl Samples {
    /// The scenarios, by a seed.
    pub(super) fn scenarios(
        &mut self,
        seed: Seed,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Scenario>> {
        let mut scenarios = Vec::new();
        match self {
            Samples::Scenes {
                demo,
                samples,
                training,
            } => {
                for (class, context) in SCENES {
                    let setting = setting(class, context, *samples, training);
                    let repetition = setting.repetition(demo, seed, observer)?;
                    let names = repetition.data.train().table().class_names();
                    scenarios.push(Scenario {
                        title: format!("{class} on {context}"),
                        class: class_by_name_or_index(names, &class.to_string())?,
                        attribute: context.to_string(),
                        repetition,
                    });
                }
            }
            Samples::MetaShift {
                root,
                loaded,
                training,
                features,
            } => {
                let training = training.clone().with_seed(seed);
                for (names, title) in METASHIFT.into_iter().zip(TITLES) {
                    let images = metashift_images(root, names, seed)?;
                    let table = Arc::new(table_with(features, loaded, &images, observer)?);
                    scenarios.push(Scenario {
                        title: title.to_owned(),
                        class: table.class_by_name_or_index(names[0])?,
                        attribute: names[1].to_owned(),
                        repetition: trained_on_split(&table, &training, device, observer)?,
                    });
                }
            }
        }
        Ok(scenarios)
    }
}

/// How the layer to begin with is trained, in paper and code; the epoch is kept that the mode says.
fn layer_training(mode: Mode) -> TrainingConfig {
    let switches = mode.switches();
    TrainingConfig::default()
        .with_learning_rate(2e-3)
        .with_batch_size(8)
        .with_epochs(20, None)
        .with_schedule(Schedule::Cosine)
        .with_keep(switches.keep)
        .with_ties(switches.ties)
}

/// Scenes in whose training every one of a class, and no other, has the context, and elsewhere none of the class.
fn setting(
    class: Object,
    context: Context,
    samples: [usize; 3],
    training: &TrainingConfig,
) -> SceneSetting {
    let total = Planted {
        class,
        context,
        strength: 1.0,
        leak_rate: 0.0,
    };
    let without = Planted {
        strength: 0.0,
        leak_rate: 1.0 / Context::ALL.len() as f64,
        ..total.clone()
    };
    SceneSetting {
        train: total,
        validation: without.clone(),
        measured: without,
        samples,
        training: training.clone(),
    }
}

/// Features of images of other classes than the network's own: those that are known, and the others computed.
fn table_with(
    known: &mut HashMap<String, Vec<f32>>,
    loaded: &LoadedClassifier,
    images: &PublishedData,
    observer: &mut dyn Observer,
) -> Result<FeatureTable> {
    let classifier = loaded.model.as_ref();
    let samples = images.samples();
    let is_new = |index: &usize| !known.contains_key(&samples[*index].id);
    let new: Vec<_> = (0..samples.len()).filter(is_new).collect();
    let extraction = Extraction::new(classifier, images)
        .with_weights_sha256(&loaded.weights_sha256)
        .with_indices(&new);
    let layer = classifier.penultimate();
    if !new.is_empty() {
        let table = extract_activations(&extraction, layer, observer)?.table;
        let rows = table.values();
        let ids = table.sample_ids().iter().cloned();
        known.extend(ids.zip(rows.rows().into_iter().map(|row| row.to_vec())));
    }
    // What could not be read is not there.
    let is_there = |index: &usize| known.contains_key(&samples[*index].id);
    let indices: Vec<_> = (0..samples.len()).filter(is_there).collect();
    let ids = indices.iter().map(|&index| samples[index].id.clone());
    let rows = indices
        .iter()
        .flat_map(|&index| known[&samples[index].id].iter().copied());
    let values: Vec<f32> = rows.collect();
    let shape = (indices.len(), values.len() / indices.len().max(1));
    let found = values.len();
    let values = Array2::from_shape_vec(shape, values)
        .map_err(|_| CoreError::length("features", shape.0 * shape.1, found))?;
    let table = ActivationTable::of_samples(ids.collect(), values, extraction.provenance(layer))?;
    let labels = indices.iter().map(|&index| samples[index].label);
    let names = images.class_names().to_vec();
    let table = FeatureTable::new(table, labels.collect(), names)?;
    Ok(match images.split() {
        Some(split) => table.with_split(split.select(&indices)?)?,
        None => table,
    })
}

/// The parts of a table, and a layer trained on the first.
fn trained_on_split(
    table: &Arc<FeatureTable>,
    training: &TrainingConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Repetition> {
    let data = EditData::of_split(table, PARTS)?;
    let [train, validation] = [data.train(), data.validation()].map(table_of);
    let tables = [&train?, &validation?];
    Ok(Repetition {
        layer: trained_layer(tables, training.clone(), device, observer)?,
        data,
        seed: training.seed,
    })
}
