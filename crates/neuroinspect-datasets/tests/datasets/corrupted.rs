//! Data sets with a corruption of each class.

use std::collections::HashMap;

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, Seed, io::sha256_of_bytes};
use neuroinspect_datasets::{
    Error, ImageDataset, Result, Sample,
    corrupted::{Corrupted, CorruptedConfig, Corruption, CorruptionGroups},
    scenes::{Scenes, ScenesConfig},
};

/// Stripes of as many classes as one likes.
#[derive(Clone, Debug)]
struct Stripes {
    classes: Vec<String>,
    samples: Vec<Sample>,
}

fn stripes(classes: usize, samples: usize) -> Stripes {
    let sample = |index: usize| Sample {
        id: format!("{index}"),
        label: ClassId(index % classes),
        group: None,
    };
    Stripes {
        classes: (0..classes).map(|class| format!("class {class}")).collect(),
        samples: (0..samples).map(sample).collect(),
    }
}

impl ImageDataset for Stripes {
    fn name(&self) -> &str {
        "stripes"
    }
    fn class_names(&self) -> &[String] {
        &self.classes
    }
    fn samples(&self) -> &[Sample] {
        &self.samples
    }
    fn image(&self, index: usize) -> Result<RgbImage> {
        let stripe = |x: u32, y: u32| Rgb([(x * 8) as u8, (y * 8) as u8, index as u8]);
        Ok(RgbImage::from_fn(32, 32, stripe))
    }
    fn fingerprint(&self) -> Option<String> {
        Some("stripes".to_owned())
    }
}

fn config(conflicting: f64) -> CorruptedConfig {
    CorruptedConfig::default().with_conflicting(conflicting)
}

#[test]
fn conflicts_are_as_many_as_asked_for_and_equally_of_all_corruptions() {
    for (share, per_class) in [(0.0, 0), (0.005, 5), (0.01, 10), (0.05, 50), (1.0, 1000)] {
        let data = Corrupted::new(stripes(10, 10_000), config(share)).unwrap();
        let mut counts = HashMap::new();
        for (sample, corruption) in data.samples().iter().zip(data.corruptions()) {
            *counts.entry((sample.label.0, *corruption)).or_insert(0) += 1;
        }
        for class in 0..10 {
            let of = |index: usize| counts.get(&(class, Corruption::ALL[index]));
            let aligned = of(class).copied().unwrap_or(0);
            assert_eq!(aligned, 1000 - per_class, "{share}, class {class}");
            let others = (0..10).filter(|&other| other != class);
            let others: Vec<_> = others
                .map(|other| of(other).copied().unwrap_or(0))
                .collect();
            let (least, most) = (others.iter().min().unwrap(), others.iter().max().unwrap());
            assert!(most - least <= 1, "{share}, class {class}: {others:?}");
        }
    }
}

#[test]
fn fewer_conflicts_are_among_more() {
    let few = Corrupted::new(stripes(10, 2000), config(0.05)).unwrap();
    let many = Corrupted::new(stripes(10, 2000), config(0.2)).unwrap();
    let mut conflicting = 0;
    for (index, sample) in few.samples().iter().enumerate() {
        if few.corruptions()[index] != Corruption::ALL[sample.label.0] {
            conflicting += 1;
            assert_eq!(few.corruptions()[index], many.corruptions()[index]);
            assert_eq!(few.image(index).unwrap(), many.image(index).unwrap());
        }
    }
    assert_eq!(conflicting, 100);
}

#[test]
fn unbiased_images_have_every_corruption_equally_often() {
    let by_corruption = config(0.01).with_groups(CorruptionGroups::Corruption);
    let data = Corrupted::unbiased(stripes(10, 5000), by_corruption).unwrap();
    assert_eq!(data.group_names().len(), 100);
    assert_eq!(data.group_names()[23], "class 2 brightness");
    let mut sizes = [0; 100];
    for (sample, corruption) in data.samples().iter().zip(data.corruptions()) {
        let group = sample.group.unwrap();
        sizes[group] += 1;
        let named = format!("class {} {corruption}", sample.label);
        assert_eq!(data.group_names()[group], named);
    }
    assert_eq!(sizes, [50; 100]);
    // Five classes, five corruptions.
    let data = Corrupted::unbiased(stripes(5, 500), config(0.0)).unwrap();
    let aligned = data
        .samples()
        .iter()
        .filter(|it| it.group.unwrap() % 2 == 0);
    assert_eq!(aligned.count(), 100);
}

#[test]
fn groups_tell_aligned_from_conflicting() {
    let data = Corrupted::new(stripes(10, 1000), config(0.1)).unwrap();
    assert_eq!(
        data.group_names()[4..6],
        ["class 2 aligned", "class 2 conflicting"]
    );
    for (sample, &corruption) in data.samples().iter().zip(data.corruptions()) {
        let conflicting = corruption != Corruption::ALL[sample.label.0];
        let group = 2 * sample.label.0 + usize::from(conflicting);
        assert_eq!(sample.group, Some(group));
    }
}

#[test]
fn how_an_image_is_corrupted_depends_on_its_id_and_the_seed_alone() {
    let all = stripes(10, 1000);
    // The last half by itself: other indices, the same ids and images.
    struct Half(Stripes);
    impl ImageDataset for Half {
        fn name(&self) -> &str {
            "half"
        }
        fn class_names(&self) -> &[String] {
            self.0.class_names()
        }
        fn samples(&self) -> &[Sample] {
            &self.0.samples()[500..]
        }
        fn image(&self, index: usize) -> Result<RgbImage> {
            self.0.image(index + 500)
        }
    }
    let half = Corrupted::new(Half(all.clone()), config(0.0)).unwrap();
    let other = Corrupted::new(all.clone(), config(0.0).with_seed(Seed(1))).unwrap();
    let unbiased = Corrupted::unbiased(all.clone(), config(0.0)).unwrap();
    let all = Corrupted::new(all, config(0.0)).unwrap();
    let mut same_corruption = 0;
    for index in 0..1000 {
        let corruption = unbiased.corruptions()[index];
        if corruption == all.corruptions()[index] && corruption == Corruption::Snow {
            // Other snow, though all else is the same.
            assert_ne!(unbiased.image(index).unwrap(), all.image(index).unwrap());
            same_corruption += 1;
        }
    }
    assert_eq!(same_corruption, 10);
    for index in 0..10 {
        let image = all.image(500 + index).unwrap();
        assert_eq!(half.image(index).unwrap(), image);
        let random = [0, 1, 2, 5, 6].contains(&index);
        assert_eq!(
            other.image(500 + index).unwrap() != image,
            random,
            "{index}"
        );
    }
    assert_eq!(half.fingerprint(), None);
    assert_ne!(all.fingerprint(), other.fingerprint());
    assert_eq!(all.fingerprint().unwrap().len(), 64);
}

/// Changes only when a corruption changes, and with it everything trained on its images.
#[test]
fn corrupted_images_are_the_same_bytes_everywhere() {
    let data = Corrupted::new(stripes(10, 50), config(0.0)).unwrap();
    let hash = |(class, corruption): (usize, &Corruption)| {
        let images = (0..5).flat_map(|row| data.image(10 * row + class).unwrap().into_raw());
        let hash = sha256_of_bytes(&images.collect::<Vec<_>>());
        format!("{corruption} {}", &hash[..16])
    };
    let hashes: Vec<_> = Corruption::ALL.iter().enumerate().map(hash).collect();
    assert_eq!(hashes, HASHES);
}

const HASHES: [&str; 10] = [
    "snow 32778a720fb21b78",
    "frost c01aac2de165625b",
    "fog 93674e1945a7109e",
    "brightness eeecb07b36aa24d9",
    "contrast aed7821be1aa51aa",
    "spatter 480fd74bc2373896",
    "elastic b50216e58e06553b",
    "jpeg a06f4ef7a431d7bf",
    "pixelate df664dd5491b2e3b",
    "saturate aa1ffe005c63f8e1",
];

#[test]
fn what_cannot_be_corrupted_so_is_refused() {
    for classes in [1, 11] {
        let error = Corrupted::new(stripes(classes, 50), config(0.0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "data set 'stripes' has {classes} classes; expected 2 to 10, one for each corruption"
            )
        );
    }
    let error = Corrupted::new(stripes(10, 50), config(1.5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflicting = 1.5: expected a share between 0 and 1"
    );
    // A fiftieth of five samples is none of them.
    let error = Corrupted::new(stripes(10, 50), config(0.02)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflicting = 0.02: expected 0, or a share that is a sample or more of every class"
    );
    let mut unnamed = stripes(10, 50);
    unnamed.classes.truncate(9);
    assert!(matches!(
        Corrupted::new(unnamed, config(0.0)),
        Err(Error::UnknownClass {
            class: 9,
            classes: 9,
            ..
        })
    ));
}

/// Other images than photographs will do.
#[test]
fn scenes_can_be_corrupted() {
    let scenes = Scenes::new(ScenesConfig::train().with_samples(100)).unwrap();
    let original = scenes.image(0).unwrap();
    let data = Corrupted::new(scenes, config(0.1)).unwrap();
    assert_ne!(data.image(0).unwrap(), original);
    assert_eq!(data.group_names()[0], "circle aligned");
}
