//! Table II: five scenarios of MetaShift, each with a class whose training images share an attribute.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use ndarray::Axis;
use neuroinspect_core::{
    ClassId, DecisionLayer, FeatureTable, Observer, Seed, class_by_name_or_index,
    io::sha256_of_file,
};
use neuroinspect_datasets::{
    ImageDataset,
    published::{Published as PublishedData, PublishedConfig},
    scenes::{Context, Object, Planted},
};
use neuroinspect_editing::{EditConfig, EditData, EditScope, TrainingConfig};
use neuroinspect_models::{LoadConfig, LoadedClassifier, load_classifier};

use super::{
    Experiment, Protocol, Published, ScoredMistakes, Setup, Source, Switch, Switches, Unit,
    case::{BEYOND_CONTROL, CONTROL, Case, trained_layer},
    claims::ClaimRule,
    mean,
    measured::{Column, Measured},
    scene_concepts::scene_concepts,
    scenes::SceneSetting,
};
use crate::{
    Error, Extraction, Result,
    concepts::{ConceptBank, ConceptExplainer, rank_concepts},
    demo::Demo,
    extract_activations,
    leaderboard::{Repetition, table_of},
};

const ACCURACY: Column = Column {
    name: "accuracy of the class",
    unit: Unit::Share,
};
const PRECISION: Column = Column {
    name: "prec@3",
    unit: Unit::Share,
};
const SCORE: Column = Column {
    name: "concept score",
    unit: Unit::Number,
};
const AVERAGE: Column = Column {
    name: "average of all classes",
    unit: Unit::Share,
};
const COLUMNS: [Column; 4] = [ACCURACY, PRECISION, SCORE, AVERAGE];

const ORIGINAL: &str = "original";
const CON: &str = "CON";
const OURS: &str = "NeuroInspect";

/// Title of the table of means.
const MEAN: &str = "mean of the scenarios";

/// Neurons edited; the paper edits four or five.
const NEURONS: usize = 5;

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

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "table-2",
    title: "false correlations with an attribute (MetaShift)",
    paper: "Table II",
    protocol: "\
In each scenario all training samples of one class carry an attribute, and the samples of it that are measured on, \
and chosen on, do not. A decision layer is trained from zeros on a backbone that stays as it is (Adam, 2e-3, batches \
of 8, 20 epochs), then edited, for that class, by NeuroInspect and by the paper's baseline CON, both with the paper's \
options: penalty weight 1, target 1, rate 1e-3, batches of 16, 20 epochs; plain retraining is trained so without a \
penalty. The neurons are the first five of the \
ranking of the class's mistakes among the validation samples; the paper picks four or five by hand. Accuracy is that \
of the class. Prec@3 is the share of its mistakes, measured, among whose three largest concept weights (CCE, \
alpha 0.1, beta 0.01, 100 steps) the attribute is, and the concept score its mean weight: lower is better, as the \
attribute is then not what the layer asks for.",
    needs: "`--data PATH` with MetaShift (`neuroinspect data get metashift DIR`), `--network resnet18=FILE` of \
            ImageNet, and `--concepts FILE`, a bank of concepts of its features that has chair, book, sand, water and \
            keyboard. Training, validation and test samples are drawn by each repetition's seed.",
    stand_in: "scenes: each of five classes with one of four backgrounds, 500 to learn from as in the paper, and a \
               bank of 18 concepts learned from other scenes: backgrounds, objects and colours.",
    switches: Switch::OF_EDITING,
    headline: Some(Column {
        name: "accuracy of the class, by NeuroInspect, mean of the scenarios",
        unit: Unit::Share,
    }),
    not_switched: super::NOT_SWITCHED,
    published,
    claims: &[
        claim(
            "NeuroInspect raises the accuracy of the class without the attribute",
            [OURS, ORIGINAL],
            ACCURACY,
        ),
        claim("CON lowers it", [ORIGINAL, CON], ACCURACY),
        claim(
            "NeuroInspect raises it by more than CON",
            [OURS, CON],
            ACCURACY,
        ),
        claim(
            "NeuroInspect lowers prec@3 of the attribute",
            [ORIGINAL, OURS],
            PRECISION,
        ),
        claim("It lowers prec@3 by more than CON", [CON, OURS], PRECISION),
        claim(
            "NeuroInspect lowers the concept score of the attribute",
            [ORIGINAL, OURS],
            SCORE,
        ),
        claim(
            "It lowers the concept score by more than CON",
            [CON, OURS],
            SCORE,
        ),
        claim(BEYOND_CONTROL, [OURS, CONTROL], ACCURACY),
    ],
    open,
};

const fn claim(claim: &'static str, rows: [&'static str; 2], column: Column) -> ClaimRule {
    ClaimRule {
        claim,
        table: None,
        rows,
        column: column.name,
        by: 0.0,
    }
}

/// The paper's table: accuracy and prec@3 in percent and concept score before, and what CON and NeuroInspect
/// change.
fn published() -> Vec<Published> {
    const TABLE: [[[f64; 3]; 3]; 5] = [
        [
            [49.35, -2.74, 12.37],
            [81.7, -74.4, -78.0],
            [0.492, -0.052, -0.162],
        ],
        [
            [67.61, -4.09, 2.65],
            [93.5, -41.4, -53.0],
            [0.526, -0.100, -0.113],
        ],
        [
            [58.51, -6.53, 19.27],
            [94.4, -4.4, -5.1],
            [0.589, -0.100, -0.108],
        ],
        [
            [39.22, 4.65, 3.22],
            [85.0, -6.9, -43.3],
            [0.642, -0.077, -0.108],
        ],
        [
            [54.53, 7.66, 23.29],
            [38.3, -11.4, -30.3],
            [0.432, -0.076, -0.098],
        ],
    ];
    let value = |scenario: &[[f64; 3]; 3], column: usize, row: usize| {
        let [before, con, ours] = scenario[column];
        let value = before + [0.0, con, ours][row];
        match COLUMNS[column].unit {
            Unit::Share => value / 100.0,
            _ => value,
        }
    };
    let mut published = Vec::new();
    for (row, name) in [ORIGINAL, CON, OURS].into_iter().enumerate() {
        for (column, of_column) in COLUMNS.iter().enumerate().take(3) {
            let mut add = |of, table, value| {
                published.push(Published {
                    of,
                    table: Some(table),
                    row: name,
                    column: of_column.name,
                    value,
                });
            };
            for (scenario, title) in TABLE.iter().zip(TITLES) {
                add("MetaShift", title, value(scenario, column, row));
            }
            let all = TABLE.iter().map(|scenario| value(scenario, column, row));
            let mean = all.sum::<f64>() / TABLE.len() as f64;
            add("MetaShift, mean of five", MEAN, mean);
        }
    }
    published
}

/// The titles of MetaShift's scenarios.
const TITLES: [&str; 5] = [
    "dog with chair",
    "cat with book",
    "bird with sand",
    "dog with water",
    "cat with keyboard",
];

struct Table2 {
    samples: Samples,
    bank: ConceptBank,
    source: Source,
    device: Device,
    /// The scenarios of the seed asked for last.
    last: Option<(Seed, Vec<Scenario>)>,
}

/// Where scenarios come from.
enum Samples {
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
struct Scenario {
    title: String,
    class: ClassId,
    /// The attribute's name in the bank.
    attribute: String,
    repetition: Repetition,
}

fn open(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<Box<dyn Protocol>> {
    let Setup { config, device, .. } = setup;
    let (samples, bank, source) = match &config.data {
        None => {
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
            (Samples::Scenes { demo, samples }, bank, source)
        }
        Some(root) => metashift(setup, root.clone())?,
    };
    Ok(Box::new(Table2 {
        samples,
        bank,
        source,
        device: device.clone(),
        last: None,
    }))
}

fn metashift(setup: &Setup<'_>, root: PathBuf) -> Result<(Samples, ConceptBank, Source)> {
    let Setup { config, device, .. } = setup;
    let lacking = |what| Error::ExperimentNeeds {
        experiment: EXPERIMENT.name,
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

impl Table2 {
    fn scenarios(&mut self, seed: Seed, observer: &mut dyn Observer) -> Result<Vec<Scenario>> {
        if let Some((known, scenarios)) = &self.last
            && *known == seed
        {
            return Ok(scenarios.clone());
        }
        let mut scenarios = Vec::new();
        match &self.samples {
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
                        repetition: trained_on_split(&table, seed, &self.device, observer)?,
                    });
                }
            }
        }
        self.last = Some((seed, scenarios.clone()));
        Ok(scenarios)
    }

    /// The options of NeuroInspect; CON trains alike.
    fn editing(switches: &Switches) -> EditConfig {
        switches.editing(EditConfig::paper_metashift(), 2)
    }

    /// Prec@3 and the concept score of the attribute by the first layer, over the second's mistakes of the class;
    /// `None` without mistakes.
    fn lacking(
        &self,
        scenario: &Scenario,
        table: &FeatureTable,
        layers: [&DecisionLayer; 2],
        observer: &mut dyn Observer,
    ) -> Result<Option<[f64; 2]>> {
        let [layer, of] = layers;
        let mistakes = table.predicted_by(of)?.mistakes(scenario.class)?;
        if mistakes.is_empty() {
            return Ok(None);
        }
        let features = table.features().select(Axis(0), &mistakes);
        let explanation = ConceptExplainer::new(&self.bank, &self.device).explain_features(
            features.view(),
            layer,
            scenario.class,
            observer,
        )?;
        let ranking = rank_concepts(&explanation, 3)?;
        let mut concepts = ranking.concepts.iter();
        let found = concepts.find(|concept| concept.name == scenario.attribute);
        Ok(found.map(|concept| [concept.prec_at_k, concept.score]))
    }
}

impl Protocol for Table2 {
    fn source(&self) -> Source {
        self.source.clone()
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        let mut measured = Measured::default();
        let config = Self::editing(switches);
        for scenario in self.scenarios(seed, observer)? {
            let Scenario {
                title,
                class,
                repetition,
                ..
            } = &scenario;
            let case = Case::new(repetition.clone(), Some(*class), &self.device)?;
            let neurons = case.neurons(NEURONS, switches, observer)?;
            let lambda3 = EditConfig::paper_metashift().lambda3;
            let con = case.con(&neurons, lambda3, &config.training);
            let ours = case.ours(&neurons, EditScope::Class(*class), &config);
            let control = case.control(&config.training);
            let (mut rows, mut chosen) = (vec![CONTROL], vec![case.choose(&control, observer)?]);
            if let Some(con) = con {
                rows.push(CON);
                chosen.push(case.choose(&con, observer)?);
            }
            if let Some(ours) = ours {
                rows.push(OURS);
                chosen.push(case.choose(&ours, observer)?);
            }
            let before = case.before()?;
            let metrics = case.measure(&chosen)?;
            let table = table_of(repetition.data.evaluation())?;
            let edited = rows.iter().zip(&metrics).zip(&chosen);
            let edited = edited.map(|((row, metrics), chosen)| (*row, metrics, chosen.layer()));
            let all = std::iter::once((ORIGINAL, &before, &repetition.layer)).chain(edited);
            for (row, metrics, layer) in all {
                let of = match switches.scored_mistakes {
                    ScoredMistakes::OfEachLayer => layer,
                    ScoredMistakes::OfLayerBefore => &repetition.layer,
                };
                let lacking = self.lacking(&scenario, &table, [layer, of], observer)?;
                let place = [&**title, row];
                measured.put(place, ACCURACY, Case::of_class(*class, metrics));
                measured.put(place, PRECISION, lacking.map(|[precision, _]| precision));
                measured.put(place, SCORE, lacking.map(|[_, score]| score));
                measured.put(place, AVERAGE, metrics.accuracy);
            }
        }
        for row in [ORIGINAL, CONTROL, CON, OURS] {
            for column in COLUMNS {
                let values = measured.values_of(row, column);
                measured.put([MEAN, row], column, mean(values));
            }
        }
        Ok(measured)
    }

    fn headline(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let mut accuracies = Vec::new();
        for Scenario {
            class, repetition, ..
        } in self.scenarios(seed, observer)?
        {
            let case = Case::new(repetition, Some(class), &self.device)?;
            let neurons = case.neurons(NEURONS, switches, observer)?;
            let scope = EditScope::Class(class);
            if let Some(ours) = case.ours(&neurons, scope, &Self::editing(switches)) {
                let chosen = case.choose(&ours, observer)?;
                let metrics = case.measure(&[chosen])?;
                accuracies.extend(metrics.iter().filter_map(|it| Case::of_class(class, it)));
            }
        }
        Ok(mean(accuracies))
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
