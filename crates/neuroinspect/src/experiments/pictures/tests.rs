use std::{collections::BTreeSet, rc::Rc};

use neuroinspect_core::{DeviceName, Seed, Silent};
use neuroinspect_datasets::scenes::{Scenes, ScenesConfig};
use neuroinspect_illusion::Objective;
use neuroinspect_models::{PretrainedClassifier as _, init_classifier};

use super::{super::*, *};
use crate::{demo::Demo, leaderboard::NetworkFile};

/// Two repetitions of few scenes and steps.
fn few() -> ExperimentConfig {
    ExperimentConfig::default().with_scale(0.03).with_seeds(2)
}

fn folder() -> (tempfile::TempDir, RunFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(place.path().join("out"), None).unwrap();
    (place, folder)
}

fn pictured(config: &ExperimentConfig) -> Pictured {
    let (_place, folder) = folder();
    let setup = Setup {
        config,
        folder: &folder,
        device: config.device.open().unwrap(),
    };
    Pictured::open(&setup, &mut Silent).unwrap()
}

/// Which numbers a table has, and that they are numbers.
fn rows_and_columns(table: &ResultTable) -> (Vec<&str>, BTreeSet<&str>) {
    for cell in table.rows.iter().flat_map(|row| row.cells.iter().flatten()) {
        assert!(cell.estimate.mean.is_finite());
        assert!(cell.estimate.margin.is_some(), "{table:?}");
    }
    let rows = table.rows.iter().map(|row| row.name.as_str());
    let columns = table.columns.iter().map(|column| column.name.as_str());
    (rows.collect(), columns.collect())
}

/// All of them, end to end, on few scenes and in few steps.
#[test]
fn experiments_on_pictures_measure_what_they_say() {
    let (_place, folder) = folder();
    let run = |name: &str| {
        let experiment = experiment_named(name).unwrap();
        let result = experiment.run(&few(), &folder, None, &mut Silent).unwrap();
        assert!(!result.source.published);
        for picture in &result.pictures {
            let image = image::open(folder.join(&picture.path)).unwrap();
            assert!(image.width() > 100, "{}", picture.path);
        }
        let page = std::fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        for picture in &result.pictures {
            assert!(page.contains(&format!("({})", picture.path)));
        }
        assert_eq!(result.pictures.len(), 1);
        assert!(result.claims.iter().all(|claim| claim.tests.len() == 1));
        let rows = result.ledgers.iter().flat_map(|ledger| &ledger.rows);
        let ledger: Vec<_> = rows.map(|row| row.switch).collect();
        let switches = experiment.headlines.iter().flat_map(|it| it.switches);
        assert_eq!(
            ledger,
            switches.map(|switch| switch.name()).collect::<Vec<_>>()
        );
        result
    };

    let result = run("table-1");
    let (rows, columns) = rows_and_columns(&result.tables[0]);
    assert_eq!(rows, ["CLIP-Illusion", "w/o CLIP", "FV", "chance"]);
    let of_chance = &result.tables[0].rows[3];
    assert_eq!(of_chance.cells.iter().flatten().count(), 3, "{of_chance:?}");
    for column in [OVER_REAL, LOGIT, PERCENTILE, AGREEMENT, SIMILARITY] {
        assert!(columns.contains(column.name), "{columns:?}");
    }

    let result = run("figure-9");
    let (rows, _) = rows_and_columns(&result.tables[0]);
    assert_eq!(rows.len(), 6);

    let result = run("table-5");
    let (rows, columns) = rows_and_columns(&result.tables[0]);
    assert_eq!(rows, ["300 steps", "400 steps", "500 steps", "650 steps"]);
    assert!(columns.contains(SECONDS.name));
    // The paper's four activations and times, and what they are beside the first.
    assert_eq!(result.beside.len(), 16);

    let result = run("figure-3");
    let (rows, _) = rows_and_columns(&result.tables[1]);
    assert_eq!(rows.len(), 4, "{rows:?}");

    let result = run("figure-8");
    let (rows, _) = rows_and_columns(&result.tables[0]);
    assert_eq!(rows.len(), 5);

    let result = run("core-relevance");
    let (rows, columns) = rows_and_columns(&result.tables[0]);
    assert_eq!((rows.len(), columns.len()), (5, 3));
}

#[test]
fn a_picture_is_made_once_and_depends_on_all_that_decides_it() {
    let mut pictured = pictured(&few());
    let switches = Mode::Fixed.switches();
    let pairs = pictured.top_pairs().unwrap();
    assert_eq!(pairs.len(), pictured.layer.classes());
    let texts = Texts::of(&switches);
    let recipe = Method::CLIP_ILLUSION.recipe(&switches, &pictured.recipe);
    let mut make =
        |recipe: &Recipe, texts: Texts| pictured.make(&pairs, recipe, texts, &mut Silent).unwrap();
    let first = make(&recipe, texts);
    assert!(Rc::ptr_eq(&first, &make(&recipe, texts)));
    let unnamed = Texts {
        named: false,
        ..texts
    };
    let normalised = Texts {
        prompts: Prompts::Normalised,
        ..texts
    };
    let other_seed = recipe.clone().with_seed(Seed(1));
    for (recipe, texts) in [
        (&recipe, unnamed),
        (&recipe, normalised),
        (&other_seed, texts),
    ] {
        let other = make(recipe, texts);
        assert_ne!(first.illusions[0].image, other.illusions[0].image);
    }
    // Of what the encoder is not asked for, it does not matter what it is told.
    let alone = recipe.with_objective(Objective::Neuron);
    let (named, unnamed) = (make(&alone, texts), make(&alone, unnamed));
    assert_eq!(named.illusions[0].image, unnamed.illusions[0].image);
    assert_ne!(
        named.illusions[0].clip_similarity,
        unnamed.illusions[0].clip_similarity
    );
    // A length of 1 makes the similarity a cosine, which is higher than with a shorter mean.
    let scaled = make(&alone, normalised);
    let similarity = |made: &Made| made.illusions[0].clip_similarity.unwrap().abs();
    assert!(similarity(&scaled) > similarity(&named));
}

#[test]
fn the_judge_knows_the_scenes_and_is_asked_of_pictures() {
    let mut pictured = pictured(&ExperimentConfig::default().with_scale(0.2));
    let judge = pictured.judge.as_ref().unwrap();
    for of_class in &judge.of_real {
        assert!(of_class.unwrap() > 0.9, "{:?}", judge.of_real);
    }
    let switches = Mode::Fixed.switches();
    let (pairs, texts) = (pictured.top_pairs().unwrap(), Texts::of(&switches));
    let recipe = pictured.recipe.clone().with_steps(2);
    let recipe = Method::WITHOUT_CLIP.recipe(&switches, &recipe);
    let made = pictured.make(&pairs, &recipe, texts, &mut Silent).unwrap();
    let mut measured = Measured::default();
    pictured
        .put(&mut measured, ["table", "row"], &made)
        .unwrap();
    let value = |column: Column| {
        let found = measured.values.iter().find(|it| it.column == column.name);
        found.unwrap().value
    };
    let (features, classes) = made.judged.as_ref().unwrap();
    let right = pairs
        .iter()
        .zip(classes)
        .filter(|(pair, class)| pair.class == **class);
    let share = right.count() as f64 / pairs.len() as f64;
    assert_eq!(value(RECOGNISED), share);
    // Beyond one in five, over the same of real images.
    let real = mean(judge_of_real(&pictured)).unwrap();
    let expected = (share - 0.2) / (real - 0.2);
    assert!((value(OVER_REAL) - expected).abs() < 1e-8);

    // The centre is the mean of all, from which they point all ways.
    let centre = centre(&[&made]).unwrap();
    assert_eq!(centre, features.mean_axis(Axis(0)).unwrap());
    assert!((alike(&made, &made, &centre).unwrap() - 1.0).abs() < 1e-6);
    assert!(alike_of_others(&made, &made, &centre).unwrap() < 0.0);
}

fn judge_of_real(pictured: &Pictured) -> Vec<f64> {
    let judge = pictured.judge.as_ref().unwrap();
    judge.of_real.iter().copied().flatten().collect()
}

/// Pictures of the seed before are there, and none of those before that.
#[test]
fn pictures_of_seeds_gone_by_are_forgotten() {
    let mut pictured = pictured(&few());
    let switches = Mode::Fixed.switches();
    let (pairs, texts) = (pictured.top_pairs().unwrap(), Texts::of(&switches));
    for seed in 0..4 {
        let recipe = Method::Fv
            .recipe(&switches, &pictured.recipe)
            .with_seed(Seed(seed));
        pictured
            .make(&pairs[..1], &recipe, texts, &mut Silent)
            .unwrap();
    }
    let seeds: Vec<_> = pictured.made.keys().map(|(seed, ..)| *seed).collect();
    assert_eq!(seeds, [2, 3]);
}

/// Networks and images of files: here the demo's own.
#[test]
fn networks_and_images_can_be_given() {
    let (place, folder) = folder();
    let data = place.path().join("demo");
    let mut demo = Demo::load(&DeviceName::default().open().unwrap()).unwrap();
    demo.train = Scenes::new(ScenesConfig::train().with_samples(5)).unwrap();
    demo.test = Scenes::new(ScenesConfig::test().with_samples(40)).unwrap();
    demo.save(&data, &mut Silent).unwrap();
    // The classifier counts the classes in another order than folders sort: nothing here depends on it.
    let network = NetworkFile {
        model: "cifar_resnet20".to_owned(),
        weights: data.join("scenes_classifier.safetensors"),
    };
    let config = few().with_seeds(1).with_data(data.clone());
    let run = |name: &str, config: &ExperimentConfig| {
        experiment_named(name)
            .unwrap()
            .run(config, &folder, None, &mut Silent)
    };
    let none = run("table-1", &config).unwrap_err().to_string();
    assert!(none.contains("networks"), "{none}");

    let config = config.with_networks(vec![network.clone()]);
    let result = run("table-1", &config).unwrap();
    let rows: Vec<_> = result.tables[0].rows.iter().map(|row| &*row.name).collect();
    assert_eq!(rows, ["w/o CLIP", "FV"]);
    // Nothing that only an encoder is asked for is flipped.
    let flipped = result.ledgers.iter().flat_map(|ledger| &ledger.rows);
    let flipped: Vec<_> = flipped.map(|row| row.switch).collect();
    assert_eq!(flipped, ["resize", "guard", "fv_class", "fv_resize"]);
    assert!(!result.source.published);
    assert_eq!(result.source.notes.len(), 2);
    // Classes are called as their folders are, unless a file has other names.
    let title = |result: &ExperimentResult| result.pictures[0].title.clone();
    assert!(title(&result).contains(" in star"), "{}", title(&result));
    let names = place.path().join("names.tsv");
    std::fs::write(&names, "star\tasterisk\n").unwrap();
    let partly = run("table-1", &config.clone().with_class_names(names.clone()));
    assert!(partly.unwrap_err().to_string().contains("names.tsv"));
    let all = ["circle", "cross", "square", "star", "triangle"];
    let lines = all.map(|folder| format!("{folder}\tred {folder}\n"));
    std::fs::write(&names, lines.concat()).unwrap();
    let named = run("table-1", &config.clone().with_class_names(names)).unwrap();
    assert!(title(&named).contains(" in red star"), "{}", title(&named));
    // What needs a CLIP, or planted truth, says so.
    let needs_clip = run("figure-9", &config).unwrap_err().to_string();
    assert!(needs_clip.contains("clip"), "{needs_clip}");
    assert!(run("core-relevance", &config).is_err());

    // No network judges its own pictures, and one judge is enough.
    let networks = |count: usize| vec![network.clone(); count];
    for (count, told) in [(2, "the same weights twice"), (3, "networks = 3")] {
        let refused = run("table-1", &config.clone().with_networks(networks(count)));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
    }

    let judge = NetworkFile {
        weights: place.path().join("judge.safetensors"),
        ..network.clone()
    };
    let device = DeviceName::default().open().unwrap();
    let classes = demo.classifier.decision_layer().unwrap().classes();
    let other = init_classifier("cifar_resnet20", classes, &device).unwrap();
    other.save(&judge.weights).unwrap();
    let config = config
        .with_networks(vec![network, judge])
        .with_clip(data.join("scenes_clip.safetensors"));
    let result = run("table-1", &config).unwrap();
    assert_eq!(result.tables[0].rows.len(), 4);
    assert!(result.source.notes.is_empty());
    let judged = result.tables[0].columns.iter();
    assert!(
        judged
            .map(|column| &*column.name)
            .any(|name| name == RECOGNISED.name)
    );
}
