//! Experiments on data in the published formats, of few small images, by a network with made-up weights.

use neuroinspect::{
    Result, RunFolder,
    concepts::{ConceptBank, ConceptVector, Margins},
    core::{DeviceName, InputSpec, Silent},
    experiments::{ExperimentConfig, ExperimentResult, experiment_named},
    leaderboard::NetworkFile,
    models::{PretrainedClassifier, init_classifier},
};
use neuroinspect_testing::{
    files::{Folder, gradient},
    fill::weight,
    published::{matlab, pickle},
};

use super::number;
use crate::made_up::made_up;

const MODEL: &str = "cifar_resnet20";
/// Side of the images, and of the network's.
const SIZE: u32 = 8;
/// Neurons of the network's last layer.
const NEURONS: usize = 64;

/// A network of so many classes, in the folder.
fn network(folder: &Folder, classes: usize) -> NetworkFile {
    let device = DeviceName::default().open().unwrap();
    let network = made_up(init_classifier(MODEL, classes, &device).unwrap());
    let network = network.with_input(InputSpec::new(SIZE as usize)).unwrap();
    let weights = folder.path("made-up.safetensors");
    network.save(&weights).unwrap();
    NetworkFile {
        model: MODEL.to_owned(),
        weights,
    }
}

fn run(name: &str, folder: &Folder, config: ExperimentConfig) -> Result<ExperimentResult> {
    let config = config.with_seeds(1).with_data(folder.path("data"));
    let out = RunFolder::open(folder.path("out"), None)?;
    experiment_named(name)?.run(&config, &out, None, &mut Silent)
}

/// Bytes of a picture that tells its class and number.
fn picture(class: usize, number: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = gradient(class, number, SIZE);
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn of_networks(networks: Vec<NetworkFile>) -> ExperimentConfig {
    ExperimentConfig::default().with_networks(networks)
}

const ROWS: [&str; 6] = [
    "original",
    "plain retraining",
    "class weighting",
    "focal loss",
    "CON",
    "NeuroInspect",
];

/// All of Table IV is there, measured on so many published test images, beside the paper's numbers of these data.
fn check_table_4(result: &ExperimentResult, title: &str, test_images: f64) {
    assert!(result.source.published);
    let [table] = &result.tables[..] else {
        panic!("{:?}", result.tables);
    };
    assert_eq!(table.title, title);
    assert_eq!(
        table.rows.iter().map(|row| &*row.name).collect::<Vec<_>>(),
        ROWS
    );
    for row in ROWS {
        let right = test_images * number(result, [title, row, "average"]);
        assert!((right - right.round()).abs() < 1e-6, "{row}: {right}");
    }
    let called = title.split(':').next().unwrap();
    assert_eq!(result.beside.len(), 12);
    assert!(result.beside.iter().all(|it| it.of.starts_with(called)));
}

#[test]
fn table_4_reads_flowers_102_as_published() {
    let folder = Folder::new();
    // Three of the classes, of each six images to train on, three to choose on and seven to test on.
    let classes = [1, 4, 102];
    let labels: Vec<u16> = (0..48).map(|image| classes[image % 3]).collect();
    folder.write("data/imagelabels.mat", matlab(&[("labels", &labels)]));
    let numbers: Vec<u16> = (1..=48).collect();
    let sets = [
        ("trnid", &numbers[..18]),
        ("valid", &numbers[18..27]),
        ("tstid", &numbers[27..]),
    ];
    folder.write("data/setid.mat", matlab(&sets));
    for number in 0..48 {
        let name = format!("data/jpg/image_{:05}.jpg", number + 1);
        folder.write(name, picture(number % 3, number));
    }
    let config = of_networks(vec![network(&folder, 102)]);
    let result = run("table-4", &folder, config).unwrap();
    check_table_4(&result, "Flowers-102: made-up", 21.0);
}

#[test]
fn table_4_reads_food_101_as_published() {
    let folder = Folder::new();
    let classes = ["apple_pie", "steak"];
    folder.write("data/meta/classes.txt", classes.join("\n"));
    for (part, numbers) in [("train", 0..20), ("test", 20..27)] {
        let mut list = String::new();
        for (class, name) in classes.iter().enumerate() {
            for number in numbers.clone() {
                list += &format!("{name}/{number}\n");
                folder.write(
                    format!("data/images/{name}/{number}.jpg"),
                    picture(class, number),
                );
            }
        }
        folder.write(format!("data/meta/{part}.txt"), list);
    }
    let config = of_networks(vec![network(&folder, 2)]);
    let result = run("table-4", &folder, config.clone()).unwrap();
    check_table_4(&result, "Food-101: made-up", 14.0);

    // Neither of the two.
    std::fs::remove_dir_all(folder.path("data/meta")).unwrap();
    let refused = run("table-4", &folder, config).unwrap_err().to_string();
    assert!(
        refused.contains("Flowers-102, Food-101, or folders"),
        "{refused}"
    );
}

#[test]
fn table_3_reads_waterbirds_as_published() {
    let folder = Folder::new();
    let mut metadata = "img_id,img_filename,y,split,place,place_filename\n".to_owned();
    for number in 0..96 {
        let (bird, place, split) = (number % 2, number / 2 % 2, number / 4 % 3);
        let name = format!("{number}.jpg");
        metadata += &format!("{number},{name},{bird},{split},{place},/o/1.jpg\n");
        folder.write(format!("data/{name}"), picture(bird + 2 * place, number));
    }
    folder.write("data/metadata.csv", metadata);
    let config = of_networks(vec![network(&folder, 2)]);
    let result = run("table-3", &folder, config).unwrap();
    assert!(result.source.published);
    for row in [
        "original",
        "plain retraining as (C)",
        "NeuroInspect (C)",
        "jtt",
        "dfr",
    ] {
        // Of a group there are eight test images.
        let right = 8.0 * number(&result, ["Waterbirds", row, "worst group"]);
        assert!((right - right.round()).abs() < 1e-6, "{row}: {right}");
    }
    // Without images of concepts there is no DISC, but the paper's number.
    let disc: Vec<_> = result.beside.iter().filter(|it| it.row == "disc").collect();
    assert_eq!(disc.len(), 3);
    assert!(disc.iter().all(|it| it.ours.is_none()));
    let page = std::fs::read_to_string(folder.path("out/table-3.md")).unwrap();
    assert!(
        page.contains("| Waterbirds | disc | worst group | - | 83.6 | Waterbirds | - |"),
        "{page}"
    );
}

#[test]
fn table_2_reads_metashift_as_published() {
    let folder = Folder::new();
    let attributes = [
        ("bear", vec![]),
        ("bird", vec!["sand"]),
        ("cat", vec!["book", "keyboard"]),
        ("dog", vec!["chair", "water"]),
        ("elephant", vec![]),
    ];
    let mut subsets: Vec<(String, Vec<String>)> = Vec::new();
    for (class, (name, attributes)) in attributes.iter().enumerate() {
        // Of each attribute thirty images, and as many others as are drawn at most.
        let mut numbers = 1000 * class..1000 * class + 250;
        for attribute in attributes {
            let images = numbers.by_ref().take(30).map(|number| number.to_string());
            subsets.push((format!("{name}({attribute})"), images.collect()));
        }
        let images = numbers.map(|number| number.to_string()).collect();
        subsets.push((format!("{name}(grass)"), images));
    }
    for (name, images) in &subsets {
        let class = images[0].parse::<usize>().unwrap() / 1000;
        for (place, image) in images.iter().enumerate() {
            let image = format!("data/images/{image}.jpg");
            folder.write(image, picture(class + name.len() % 4, place % 50));
        }
    }
    let subsets: Vec<_> = subsets
        .iter()
        .map(|(name, images)| (&**name, &**images))
        .collect();
    folder.write("data/full-candidate-subsets.pkl", pickle(&subsets));

    let concept = |name: &str| ConceptVector {
        name: name.to_owned(),
        vector: weight(name, &[NEURONS]).into(),
        intercept: 0.0,
        margins: Margins {
            max: 1.0,
            min: -1.0,
            pos_mean: Some(0.5),
            neg_mean: Some(-0.5),
            q_90: 0.8,
            q_10: -0.8,
        },
        train_accuracy: None,
        test_accuracy: None,
        mean_features: None,
    };
    let names = ["chair", "book", "sand", "water", "keyboard", "snow", "sofa"];
    let bank = ConceptBank::new(names.map(concept).to_vec()).unwrap();
    let concepts = folder.path("bank.safetensors");
    bank.save(&concepts).unwrap();

    let config = of_networks(vec![network(&folder, 3)]).with_concepts(concepts);
    let result = run("table-2", &folder, config).unwrap();
    assert!(result.source.published);
    let titles: Vec<_> = result.tables.iter().map(|table| &*table.title).collect();
    let scenarios = [
        "dog with chair",
        "cat with book",
        "bird with sand",
        "dog with water",
        "cat with keyboard",
    ];
    assert_eq!(titles[..5], scenarios);
    for scenario in scenarios {
        for row in ["original", "plain retraining", "CON", "NeuroInspect"] {
            // All images without the attribute but for a hundred to choose on.
            let right = 120.0 * number(&result, [scenario, row, "accuracy of the class"]);
            assert!(
                (right - right.round()).abs() < 1e-6,
                "{scenario}, {row}: {right}"
            );
        }
    }
    // The paper's three numbers of three rows, scenario by scenario and in the mean.
    assert_eq!(result.beside.len(), 6 * 9);
}
