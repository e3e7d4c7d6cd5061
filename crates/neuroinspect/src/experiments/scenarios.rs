//! The scenarios of Table II: of MetaShift, or of scenes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use neuroinspect_core::{
    ClassId, FeatureTable, Observer, Seed, class_by_name_or_index, io::sha256_of_file,
};
use neuroinspect_datasets::{
    ImageDataset,
    published::{Published as PublishedData, PublishedConfig},
    scenes::{Context, Object, Planted},
};
use neuroinspect_editing::{EditData, TrainingConfig};
use neuroinspect_models::{LoadConfig, LoadedClassifier, load_classifier};

use super::{
    Setup, Source, case::trained_layer, scene_concepts::scene_concepts, scenes::SceneSetting,
};
use crate::{
    Error, Extraction, Result,
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
    },
    MetaShift {
        root: PathBuf,
        loaded: Box<LoadedClassifier>,
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
    let bank = scene_concepts(&demo, config.scaled(3000, 240), observer)?;
    let samples = [500, 500, 1000].map(|count| config.scaled(count, 100));
    let source = Source {
        data: format!(
            "synthetic scenes of five classes on the demo's backbone, in each scenario {} to learn from, {} \
             to choose on and {} measured on, others for every seed",
            samples[0], samples[1], samples[2]
        ),
        published: false,
        notes: vec![format!(
            "The bank has {} concepts, CCE's about 170: an attribute is among three of them by chance in one \
             mistake of six.",
            bank.concepts().len()
        )],
        fingerprint: Some("scenes".to_owned()),
    };
    Ok((Samples::Scenes { demo, samples }, bank, source))
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
    let images = metashift_images(&root, METASHIFT[0], Seed(0))?.fingerprint();
    let source = Source {
        data: format!("MetaShift, by {}", network.model),
        published: true,
        notes: Vec::new(),
        fingerprint: images.map(|images| format!("{} {concepts} {images}", loaded.weights_sha256)),
    };
    let loaded = Box::new(loaded);
    Ok((Samples::MetaShift { root, loaded }, bank, source))
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
        &self,
        seed: Seed,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Scenario>> {
        let mut scenarios = Vec::new();
        match self {
            Samples::Scenes { demo, samples } => {
                for (class, context) in SCENES {
                    let setting = setting(class, context, *samples);
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
            Samples::MetaShift { root, loaded } => {
                for (names, title) in METASHIFT.into_iter().zip(TITLES) {
                    let images = metashift_images(root, names, seed)?;
                    let table = Arc::new(features(loaded, &images, observer)?);
                    scenarios.push(Scenario {
                        title: title.to_owned(),
                        class: table.class_by_name_or_index(names[0])?,
                        attribute: names[1].to_owned(),
                        repetition: trained_on_split(&table, seed, device, observer)?,
                    });
                }
            }
        }
        Ok(scenarios)
    }
}

/// As the paper trains the layer to begin with, but that the rate falls over the last quarter only, and that the last
/// epoch is kept.
fn layer_training() -> TrainingConfig {
    TrainingConfig::default()
        .with_learning_rate(2e-3)
        .with_batch_size(8)
        .with_epochs(20, None)
}

/// Scenes in whose training every one of a class, and no other, has the context, and elsewhere none of the class.
fn setting(class: Object, context: Context, samples: [usize; 3]) -> SceneSetting {
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
        training: layer_training(),
    }
}

/// Features of images of other classes than the network's own.
fn features(
    loaded: &LoadedClassifier,
    images: &PublishedData,
    observer: &mut dyn Observer,
) -> Result<FeatureTable> {
    let classifier = loaded.model.as_ref();
    let extraction =
        Extraction::new(classifier, images).with_weights_sha256(&loaded.weights_sha256);
    let extracted = extract_activations(&extraction, classifier.penultimate(), observer)?;
    let samples = images.samples();
    let labels = extracted.indices.iter().map(|&index| samples[index].label);
    let names = images.class_names().to_vec();
    let table = FeatureTable::new(extracted.table, labels.collect(), names)?;
    Ok(match images.split() {
        Some(split) => table.with_split(split.select(&extracted.indices)?)?,
        None => table,
    })
}

/// The parts of a table, and a layer trained on the first.
fn trained_on_split(
    table: &Arc<FeatureTable>,
    seed: Seed,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Repetition> {
    let data = EditData::of_split(table, ["train", "validation", "test"])?;
    let [train, validation] = [data.train(), data.validation()].map(table_of);
    let tables = [&train?, &validation?];
    Ok(Repetition {
        layer: trained_layer(tables, layer_training().with_seed(seed), device, observer)?,
        data,
        seed,
    })
}
