//! Each format as it should be: classes, groups, parts, order and images.

use std::collections::BTreeMap;

use image::Rgb;
use neuroinspect_core::{ClassId, Seed, Split};
use neuroinspect_datasets::{
    Error, ImageDataset,
    published::{Published, PublishedConfig, published, published_named},
};

use super::fixtures::{self, listed, open};

/// The group is `2 * y + place`, and 0, 1 and 2 are training, validation and test, as in
/// kohpangwei/group_DRO, `data/confounder_dataset.py` and `cub_dataset.py`.
#[test]
fn waterbirds_has_four_groups_and_its_published_parts() {
    let folder = fixtures::waterbirds();
    let birds = open("waterbirds", &folder);
    assert_eq!(birds.class_names(), ["landbird", "waterbird"]);
    let groups = [
        "landbird on land",
        "landbird on water",
        "waterbird on land",
        "waterbird on water",
    ];
    assert_eq!(birds.group_names(), groups);
    assert_eq!(
        listed(&birds),
        [
            ("001.Albatross/a.jpg", 1, Some(3), "train"),
            ("002.Sparrow/b.jpg", 0, Some(0), "train"),
            ("002.Sparrow/c.jpg", 0, Some(1), "test"),
            ("001.Albatross/d.jpg", 1, Some(2), "validation"),
        ]
    );
    // The content tells the format: these are PNG.
    assert_eq!(birds.image(2).unwrap().get_pixel(0, 0), &Rgb([80, 0, 90]));
    assert_eq!(birds.name(), "waterbirds");

    let config = PublishedConfig::default().with_part("test");
    let test = Published::open("waterbirds", &folder, &config).unwrap();
    assert_eq!(
        (test.samples().len(), test.name(), test.split()),
        (1, "waterbirds/test", None)
    );
    assert_eq!(test.group_names(), groups);
    assert_eq!(test.image(0).unwrap(), birds.image(2).unwrap());
    assert_ne!(test.fingerprint(), birds.fingerprint());
    assert_eq!(
        birds.fingerprint(),
        open("waterbirds", &folder).fingerprint()
    );
    assert!(birds.fingerprint().is_some());
}

/// Attributes of -1 count as 0, and the group is `2 * label + confounder`, as in WILDS' `celebA_dataset.py`
/// and in group DRO's.
#[test]
fn celeba_takes_any_attribute_as_label_and_as_confounder() {
    let folder = fixtures::celeba();
    let faces = open("celeba", &folder);
    assert_eq!(faces.class_names(), ["not blond hair", "blond hair"]);
    let groups = [
        "not blond hair, not male",
        "not blond hair, male",
        "blond hair, not male",
        "blond hair, male",
    ];
    assert_eq!(faces.group_names(), groups);
    assert_eq!(
        listed(&faces),
        [
            ("000001.jpg", 0, Some(1), "train"),
            ("000002.jpg", 1, Some(2), "test"),
            ("000003.jpg", 0, Some(0), "validation"),
        ]
    );
    let config = PublishedConfig::default()
        .with_label("Male")
        .with_confounder("Smiling");
    let faces = Published::open("celeba", &folder, &config).unwrap();
    assert_eq!(faces.class_names(), ["not male", "male"]);
    let labels: Vec<_> = faces
        .samples()
        .iter()
        .map(|it| (it.label.0, it.group))
        .collect();
    assert_eq!(labels, [(1, Some(3)), (0, Some(0)), (0, Some(1))]);

    let config = PublishedConfig::default().with_label("Beard");
    let error = Published::open("celeba", &folder, &config)
        .unwrap_err()
        .to_string();
    let reason = "line 2: there is no attribute 'Beard'; there are: Blond_Hair, Male, Smiling";
    assert!(error.ends_with(reason), "{error}");
}

#[test]
fn food_draws_its_validation_part_once_for_a_seed_and_writes_nothing() {
    let folder = fixtures::food();
    let before = folder.read("food-101/meta/train.txt");
    let food = open("food101", &folder);
    assert_eq!(food.class_names(), ["apple pie", "steak"]);
    let mut counts = BTreeMap::new();
    for (_, label, _, part) in listed(&food) {
        *counts.entry((part, label)).or_insert(0) += 1;
    }
    let expected = [
        (("test", 0), 2),
        (("test", 1), 2),
        (("train", 0), 17),
        (("train", 1), 17),
        (("validation", 0), 3),
        (("validation", 1), 3),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    let ids: Vec<_> = food
        .samples()
        .iter()
        .map(|sample| sample.id.as_str())
        .collect();
    assert_eq!(
        (ids[0], ids[19], ids[20], ids[40]),
        ("apple_pie/0", "apple_pie/19", "steak/0", "apple_pie/20")
    );

    assert_eq!(listed(&open("food101", &folder)), listed(&food));
    let config = PublishedConfig::default().with_seed(Seed(1));
    let other = Published::open("food101", &folder, &config).unwrap();
    assert_ne!(listed(&other), listed(&food));
    assert_ne!(other.fingerprint(), food.fingerprint());
    assert_eq!(folder.read("food-101/meta/train.txt"), before);
    assert!(!folder.path("food-101/meta/valid.json").exists());
}

#[test]
fn flowers_come_from_matlabs_files() {
    let folder = fixtures::flowers();
    let flowers = open("flowers102", &folder);
    assert_eq!(flowers.class_names().len(), 102);
    assert_eq!(flowers.class_names()[3], "sweet pea");
    assert_eq!(
        listed(&flowers),
        [
            ("jpg/image_00003.jpg", 3, None, "train"),
            ("jpg/image_00001.jpg", 101, None, "validation"),
            ("jpg/image_00004.jpg", 3, None, "test"),
            ("jpg/image_00002.jpg", 0, None, "test"),
        ]
    );
    assert!(flowers.groups_of(&[0, 1]).unwrap().is_none());
}

#[test]
fn sun_has_published_partitions() {
    let folder = fixtures::sun();
    let scenes = open("sun397", &folder);
    assert_eq!(scenes.class_names(), ["abbey", "athletic field outdoor"]);
    assert_eq!(
        listed(&scenes),
        [
            ("a/abbey/sun_b.jpg", 0, None, "train"),
            ("a/athletic_field/outdoor/sun_c.jpg", 1, None, "train"),
            ("a/abbey/sun_a.jpg", 0, None, "test"),
        ]
    );
    let config = PublishedConfig::default().with_partition(11_usize);
    assert!(Published::open("sun397", &folder, &config).is_err());
    let error = Published::open("sun397", &folder, &config.with_partition(2_usize)).unwrap_err();
    assert!(error.to_string().contains("Training_02.txt"), "{error}");
}

/// As WILDS' `fmow_dataset.py` has it: `>=` at the first of January 2013 and 2016, `seq` and rows of other
/// combinations left out, and the image's number is that of the row.
#[test]
fn fmow_is_split_by_year_as_wilds_does() {
    let folder = fixtures::fmow();
    let places = open("fmow", &folder);
    assert_eq!(places.class_names().len(), 62);
    assert_eq!(places.group_names(), ["Americas", "Europe", "Other"]);
    assert_eq!(
        listed(&places),
        [
            ("images/rgb_img_0.png", 0, Some(1), "train"),
            ("images/rgb_img_2.png", 61, Some(0), "validation"),
            ("images/rgb_img_4.png", 0, Some(2), "test"),
            ("images/rgb_img_5.png", 61, Some(0), "id_test"),
            ("images/rgb_img_6.png", 61, Some(0), "id_val"),
        ]
    );
    let config = PublishedConfig::default().with_confounder("year");
    let places = Published::open("fmow", &folder, &config).unwrap();
    assert_eq!(places.group_names(), ["2010", "2012", "2013", "2017"]);
}

#[test]
fn metashift_trains_one_class_in_a_context_and_tests_it_elsewhere() {
    let folder = fixtures::metashift();
    let config = PublishedConfig::default()
        .with_classes(["cat", "dog"].map(String::from).to_vec())
        .with_context("dog(chair)");
    let pets = Published::open("metashift", &folder, &config).unwrap();
    assert_eq!(pets.class_names(), ["cat", "dog"]);
    let groups = [
        "cat without chair",
        "cat with chair",
        "dog without chair",
        "dog with chair",
    ];
    assert_eq!(pets.group_names(), groups);
    let mut counts = BTreeMap::new();
    for (_, label, group, part) in listed(&pets) {
        *counts.entry((part, label, group.unwrap())).or_insert(0) += 1;
    }
    let of = |part: &str, label: usize| -> usize {
        let these = counts
            .iter()
            .filter(|((it, class, _), _)| *it == part && *class == label);
        these.map(|(_, count)| count).sum()
    };
    // Cats are 0 to 99 and 400 to 599: 100 to 109 are dogs, too.
    assert_eq!(
        (of("train", 0), of("validation", 0), of("test", 0)),
        (100, 100, 50)
    );
    // Dogs are 110 to 399, on a chair below 240.
    assert_eq!(
        (of("train", 1), of("validation", 1), of("test", 1)),
        (100, 100, 60)
    );
    assert_eq!(counts[&("train", 1, 3)], 100);
    assert_eq!(counts[&("test", 1, 2)], 60);
    // Bobcats are no cats.
    let samples = pets.samples();
    assert!(samples.iter().all(|sample| sample.id != "cat/395"));
    let mut ids: Vec<_> = samples
        .iter()
        .map(|it| (it.label, it.id.as_str()))
        .collect();
    let in_order = ids.clone();
    ids.sort_unstable();
    assert_eq!(ids, in_order);

    let again = Published::open("metashift", &folder, &config).unwrap();
    assert_eq!(listed(&again), listed(&pets));
    let other = Published::open("metashift", &folder, &config.clone().with_seed(Seed(3))).unwrap();
    assert_ne!(listed(&other), listed(&pets));

    for (context, part) in [
        (
            "dog(moon)",
            "it has no subset 'dog(moon)'; there are: dog(chair), dog(grass)",
        ),
        ("horse(barn)", "context"),
        ("dog", "context"),
    ] {
        let config = config.clone().with_context(context);
        let error = Published::open("metashift", &folder, &config)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = fixtures::error("metashift", &folder).to_string();
    assert!(error.contains("option 'context': it is needed"), "{error}");
    // Too few for all parts: the ten bobcats, which are dogs, too, and the hundred cats off the rug.
    for (classes, context, part) in [
        (
            ["cat", "dog"],
            "cat(rug)",
            "it has 200 in 'cat(rug)' and 100 elsewhere, where 1 and 101 are needed",
        ),
        (
            ["bobcat", "dog"],
            "dog(chair)",
            "'bobcat' and of no other it has 0, where 250",
        ),
        (
            ["bobcat", "cat"],
            "cat(rug)",
            "'bobcat' and of no other it has 10, where 250",
        ),
    ] {
        let config = PublishedConfig::default()
            .with_classes(classes.map(String::from).to_vec())
            .with_context(context);
        let error = Published::open("metashift", &folder, &config)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn cifar_is_read_from_its_binary_batches() {
    let folder = fixtures::cifar10();
    let pictures = open("cifar10", &folder);
    assert_eq!(pictures.class_names(), ["airplane", "automobile", "bird"]);
    let all = listed(&pictures);
    assert_eq!(all[0], ("data_batch_1/00000", 1, None, "train"));
    assert_eq!(all[9], ("data_batch_5/00001", 0, None, "train"));
    assert_eq!(all[10], ("test_batch/00000", 2, None, "test"));
    let image = pictures.image(3).unwrap();
    assert_eq!(
        (image.dimensions(), image.get_pixel(31, 31)),
        ((32, 32), &Rgb([12, 112, 212]))
    );
    assert!(pictures.fingerprint().is_some());

    let folder = fixtures::cifar100();
    let fine = open("cifar100", &folder);
    assert_eq!(fine.class_names(), ["apple", "aquarium fish"]);
    assert_eq!(
        listed(&fine),
        [
            ("train/00000", 0, None, "train"),
            ("test/00000", 1, None, "test")
        ]
    );
    let config = PublishedConfig::default().with_label("coarse");
    let coarse = Published::open("cifar100", &folder, &config).unwrap();
    assert_eq!(coarse.class_names(), ["fish", "fruit"]);
    assert_eq!(listed(&coarse)[0].1, 1);
}

#[test]
fn class_folders_are_lego_and_imagenet() {
    let folder = fixtures::lego();
    let bricks = open("lego", &folder);
    assert_eq!(bricks.class_names(), ["brick", "plate"]);
    let parts = bricks.split().unwrap();
    assert_eq!(parts.samples_of("validation").unwrap().len(), 4);
    assert_eq!(bricks.samples()[1].id, "brick/1.png");

    let folder = fixtures::imagenet();
    let images = open("imagenet", &folder);
    assert_eq!(images.class_names().len(), 1000);
    assert_eq!(images.class_names()[..2], ["tench", "goldfish"]);
    assert_eq!(images.class_names()[134], "crane (n02012849)");
    assert_eq!(
        listed(&images),
        [
            ("train/n01440764/a.JPEG", 0, None, "train"),
            ("train/n01440764/b.JPEG", 0, None, "train"),
            ("train/n02012849/c.JPEG", 134, None, "train"),
            ("val/n01443537/d.JPEG", 1, None, "validation"),
        ]
    );
}

#[test]
fn options_of_other_data_sets_are_refused() {
    let folder = fixtures::waterbirds();
    let config = PublishedConfig::default().with_label("Male");
    let error = Published::open("waterbirds", &folder, &config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "data set 'waterbirds', option 'label': it has no options"
    );
    let config = PublishedConfig::default().with_context("dog(chair)");
    let error = Published::open("celeba", &folder, &config).unwrap_err();
    assert!(error.to_string().ends_with("it has label and confounder"));
    let error = fixtures::error("waterbrids", &folder);
    assert!(matches!(&error, Error::UnknownDataset { known, .. } if known.contains("waterbirds")));
    let config = PublishedConfig::default().with_part("tset");
    let error = Published::open("waterbirds", &folder, &config)
        .unwrap_err()
        .to_string();
    assert!(
        error
            .contains("no part of the samples is named 'tset'; there are: train, validation, test"),
        "{error}"
    );
}

#[test]
fn the_table_is_in_order_and_its_facts_hold_together() {
    let names: Vec<_> = published().iter().map(|info| info.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for info in published() {
        for file in info.files {
            let digits =
                |md5: &str| md5.len() == 32 && md5.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(file.md5.is_none_or(digits), "{}", file.name);
            assert!(
                file.url.is_none_or(|url| url.starts_with("http")),
                "{}",
                file.name
            );
        }
    }
    let labels = vec![ClassId(0); 750];
    let split = Split::stratified(
        &labels,
        &[("train", 1.0 - 0.15), ("validation", 0.15)],
        Seed(0),
    );
    let food = published_named("food101").unwrap().parts;
    for (part, images) in &food[..2] {
        let of_class = split.as_ref().unwrap().samples_of(part).unwrap().len();
        assert_eq!(*images, Some(101 * of_class), "{part}");
    }
    // Sums as published: CelebA 202,599, Flowers 8,189, Waterbirds 11,788, FMoW of WILDS 141,696.
    for (name, sum) in [
        ("celeba", 202_599),
        ("flowers102", 8_189),
        ("waterbirds", 11_788),
        ("fmow", 141_696),
    ] {
        let info = published().iter().find(|info| info.name == name).unwrap();
        let parts = info.parts.iter().map(|(_, images)| images.unwrap());
        assert_eq!(parts.sum::<usize>(), sum, "{name}");
    }
}
