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
use neuroinspect_editing::{EditData, Samples, Schedule, TrainingConfig};
use neuroinspect_models::{LoadConfig, LoadedClassifier, load_classifier};
use rand::RngExt;

use super::{
    MeasuredOn, Setup, Source, Switches,
    case::{Begun, Layers},
    scenes::SceneSetting,
};
use crate::{
    Error, Extraction, PARTS, Result,
    concepts::ConceptBank,
    demo::{Demo, concept_scenes::ConceptScenes},
    extract_activations,
};

/// MetaShift's scenarios: title, class and attribute, as CCE's bank has it.
pub(super) const METASHIFT: [[&str; 3]; 5] = [
    ["dog with chair", "dog", "chair"],
    ["cat with book", "cat", "book"],
    ["bird with sand", "bird", "sand"],
    ["dog with water", "dog", "water"],
    ["cat with keyboard", "cat", "keyboard"],
];

/// The stand-in's.
const SCENES: [(Object, Context); 5] = [
    (Object::Star, Context::Water),
    (Object::Circle, Context::Grass),
    (Object::Square, Context::Sand),
    (Object::Triangle, Context::Brick),
    (Object::Cross, Context::Water),
];

/// Where scenarios come from.
pub(super) enum Origin {
    Scenes {
        demo: Box<Demo>,
        samples: [usize; 3],
    },
    MetaShift {
        root: PathBuf,
        loaded: Box<LoadedClassifier>,
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
    data: EditData,
    seed: Seed,
}

impl Scenario {
    /// Its samples as the switches have them, with a layer trained on them from zeros as paper and code train it.
    pub(super) fn begin(
        &self,
        switches: &Switches,
        layers: &mut Layers,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Begun> {
        let mut title = self.title.clone();
        let mut data = self.data.clone();
        if switches.draws_again {
            title += ", drawn again";
            data = EditData::of_parts(
                self.drawn_again()?,
                data.validation().clone(),
                data.evaluation().clone(),
            )?;
        }
        if switches.measures_chosen {
            let chosen_on = data.validation();
            let of_class = self.of_class(chosen_on).map(|sample| chosen_on.row(sample));
            let of_class = Samples::of_rows(chosen_on.table(), of_class.collect())?;
            let measured = data.evaluation().joined(&of_class)?;
            data = EditData::of_parts(data.train().clone(), chosen_on.clone(), measured)?;
        }
        let training = TrainingConfig::default()
            .with_learning_rate(2e-3)
            .with_batch_size(8)
            .with_epochs(20, None)
            .with_schedule(Schedule::Cosine)
            .with_keep(switches.keep)
            .with_ties(switches.ties)
            .with_seed(self.seed);
        layers.begin(&title, data, training, device, observer)
    }

    /// The training samples, those of the class as many drawn from among themselves, with replacement.
    fn drawn_again(&self) -> Result<Samples> {
        let train = self.data.train();
        let of_class: Vec<_> = self.of_class(train).collect();
        let mut rng = self.seed.rng(&format!("{}, drawn again", self.title), &[]);
        let mut drawn: Vec<_> = (0..train.len()).collect();
        for &sample in &of_class {
            drawn[sample] = of_class[rng.random_range(0..of_class.len())];
        }
        let rows = drawn.into_iter().map(|sample| train.row(sample));
        Ok(Samples::of_rows(train.table(), rows.collect())?)
    }

    /// The samples of the class.
    fn of_class(&self, samples: &Samples) -> impl Iterator<Item = usize> {
        let labels = samples.labels().into_iter().enumerate();
        labels.filter_map(|(sample, label)| (label == self.class).then_some(sample))
    }
}

/// Scenes, and a bank of concepts learned from other scenes.
pub(super) fn of_scenes(
    setup: &Setup<'_>,
    observer: &mut dyn Observer,
) -> Result<(Origin, ConceptBank, Source)> {
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
    Ok((Origin::Scenes { demo, samples }, bank, source))
}

/// MetaShift, a network and a bank of concepts of its features.
pub(super) fn of_metashift(
    setup: &Setup<'_>,
    root: PathBuf,
) -> Result<(Origin, ConceptBank, Source)> {
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
    for [_, _, attribute] in METASHIFT {
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
    for [_, class, attribute] in METASHIFT {
        images.push(metashift_images(&root, [class, attribute], Seed(0))?.fingerprint());
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
    let origin = Origin::MetaShift {
        root,
        loaded: Box::new(loaded),
        features: HashMap::new(),
    };
    Ok((origin, bank, source))
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

impl Origin {
    /// The scenarios, by a seed.
    pub(super) fn scenarios(
        &mut self,
        seed: Seed,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Scenario>> {
        let mut scenarios = Vec::new();
        match self {
            Origin::Scenes { demo, samples } => {
                for (class, context) in SCENES {
                    let data = setting(class, context, *samples).data(demo, seed, observer)?;
                    let names = data.train().table().class_names();
                    scenarios.push(Scenario {
                        title: format!("{class} on {context}"),
                        class: class_by_name_or_index(names, &class.to_string())?,
                        attribute: context.to_string(),
                        data,
                        seed,
                    });
                }
            }
            Origin::MetaShift {
                root,
                loaded,
                features,
            } => {
                for [title, class, attribute] in METASHIFT {
                    let images = metashift_images(root, [class, attribute], seed)?;
                    let table = Arc::new(table_with(features, loaded, &images, observer)?);
                    scenarios.push(Scenario {
                        title: title.to_owned(),
                        class: table.class_by_name_or_index(class)?,
                        attribute: attribute.to_owned(),
                        data: EditData::of_split(&table, PARTS)?,
                        seed,
                    });
                }
            }
        }
        Ok(scenarios)
    }
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
        let rows = table.values()?;
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
