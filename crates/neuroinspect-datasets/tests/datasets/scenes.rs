//! The synthetic scenes: what is planted in them, and what is not.

use std::collections::HashSet;

use neuroinspect_core::{ClassId, Error as CoreError, Seed, io::sha256_of_bytes};
use neuroinspect_datasets::{
    Error, ImageDataset,
    scenes::{Colour, Context, Object, Part, Planted, Scene, Scenes, ScenesConfig},
};
use proptest::prelude::*;

fn scenes(config: ScenesConfig) -> Scenes {
    Scenes::new(config).unwrap()
}

/// Share of the scenes of one class that `holds` is true of.
fn share(scenes: &Scenes, class: Object, holds: impl Fn(&Scene) -> bool) -> f64 {
    let of_class: Vec<_> = (0..scenes.samples().len())
        .map(|index| scenes.scene(index).unwrap())
        .filter(|scene| scene.object == class)
        .collect();
    of_class.iter().filter(|scene| holds(scene)).count() as f64 / of_class.len() as f64
}

#[test]
fn pictures_are_the_same_bytes_everywhere() {
    // Changes only when the generator changes, and with it everything trained on its pictures.
    let pictures: Vec<u8> = (0..20)
        .flat_map(|index| {
            scenes(ScenesConfig::train())
                .image(index)
                .unwrap()
                .into_raw()
        })
        .collect();
    assert_eq!(
        sha256_of_bytes(&pictures),
        "834f21ca781b03a0c3bff67af60f0cdd330ed57a4a7e1edbfb7c320bf8effbfa"
    );
}

#[test]
fn a_scene_depends_on_nothing_but_seed_part_and_index() {
    let few = scenes(ScenesConfig::train().with_samples(40));
    let many = scenes(ScenesConfig::train().with_samples(400));
    assert_eq!(few.scene(39).unwrap(), many.scene(39).unwrap());
    assert_eq!(few.image(39).unwrap(), few.image(39).unwrap());
    let reseeded = scenes(ScenesConfig::train().with_seed(Seed(1)));
    assert_ne!(few.scene(39).unwrap(), reseeded.scene(39).unwrap());
}

#[test]
fn parts_share_no_scene() {
    let mut seen = HashSet::new();
    let parts = [Part::Train, Part::Validation, Part::Test, Part::Captioned];
    for part in parts {
        let scenes = scenes(ScenesConfig::train().with_samples(200).with_part(part));
        for index in 0..200 {
            seen.insert(scenes.image(index).unwrap().into_raw());
        }
    }
    assert_eq!(seen.len(), parts.len() * 200);
}

#[test]
fn the_planted_shares_are_exact() {
    for config in [ScenesConfig::train(), ScenesConfig::validation()] {
        let planted = config.planted.clone();
        let scenes = scenes(config);
        for class in scenes.config().classes.clone() {
            let planned = if class == planted.class {
                planted.strength
            } else {
                planted.leak_rate
            };
            let found = share(&scenes, class, |scene| scene.context == planted.context);
            let one_scene = scenes.config().classes.len() as f64 / scenes.samples().len() as f64;
            assert!(
                (found - planned).abs() <= one_scene,
                "{class}: {found}, not {planned}"
            );
        }
    }
}

#[test]
fn test_groups_are_equally_large() {
    let scenes = scenes(ScenesConfig::test());
    assert_eq!(
        scenes.group_names()[6..8],
        ["star on water", "star elsewhere"]
    );
    let mut sizes = vec![0; scenes.group_names().len()];
    for sample in scenes.samples() {
        sizes[sample.group.unwrap()] += 1;
    }
    assert_eq!(sizes, [100; 10]);
}

#[test]
fn captioned_scenes_have_every_context_equally_often() {
    let scenes = scenes(ScenesConfig::captioned());
    for class in scenes.config().classes.clone() {
        for context in Context::ALL {
            let found = share(&scenes, class, |scene| scene.context == context);
            // 600 scenes a class: the standard deviation of a share of 1/4 is 0.018.
            assert!((found - 0.25).abs() < 0.07, "{class} on {context}: {found}");
        }
    }
}

#[test]
fn colour_does_not_give_the_class_away() {
    let scenes = scenes(ScenesConfig::train());
    for class in scenes.config().classes.clone() {
        for colour in Colour::ALL {
            let found = share(&scenes, class, |scene| scene.colour == colour);
            // 600 scenes a class: the standard deviation of a share of 1/8 is 0.014.
            assert!((found - 0.125).abs() < 0.055, "{colour} {class}: {found}");
        }
    }
}

#[test]
fn labels_groups_and_captions_tell_what_is_drawn() {
    let scenes = scenes(ScenesConfig::test().with_samples(60));
    assert_eq!(scenes.planted_class(), ClassId(3));
    for (index, sample) in scenes.samples().iter().enumerate() {
        let scene = scenes.scene(index).unwrap();
        let class = &scenes.class_names()[sample.label.0];
        assert_eq!(*class, scene.object.to_string());
        let place = match scene.context {
            Context::Water => "on water",
            _ => "elsewhere",
        };
        let group = &scenes.group_names()[sample.group.unwrap()];
        assert_eq!(*group, format!("{class} {place}"));
        let caption = scenes.caption(index).unwrap();
        let tail = format!("{} {class} on {}", scene.colour, scene.context);
        assert!(caption.ends_with(&tail), "{caption}");
        let article = if tail.starts_with('o') { "an " } else { "a " };
        assert!(caption.starts_with(article), "{caption}");
        assert_eq!(sample.id, format!("test/{index}"));
    }
}

#[test]
fn objects_stay_inside_and_are_large_enough_to_see() {
    let scenes = scenes(ScenesConfig::train().with_samples(300));
    for index in 0..300 {
        let scene = scenes.scene(index).unwrap();
        let coverage = scene.coverage();
        let covered: f32 = coverage.iter().sum();
        // The smallest radius is 5.4 pixels, and outlines have areas above 1.4 at radius 1.
        assert!(covered > 38.0, "scene {index} covers {covered} pixels");
        let side = scene.size;
        let on_edge = |i: usize| {
            i.is_multiple_of(side) || i % side == side - 1 || i < side || i >= side * (side - 1)
        };
        assert!(
            (0..side * side).all(|i| !on_edge(i) || coverage[i] < 1.0),
            "scene {index}"
        );
        let outline = scenes.outline(index).unwrap().unwrap();
        for (pixel, share) in outline.pixels().zip(coverage) {
            let found = pixel.0.map(|channel| f32::from(channel) / 255.0);
            assert!(
                found.iter().all(|it| (it - share).abs() < 0.002),
                "scene {index}"
            );
        }
    }
}

proptest! {
    #[test]
    fn toggling_the_context_changes_the_background_and_nothing_else(
        index in 0..1000_usize,
        context in prop::sample::select(&Context::ALL[..]),
    ) {
        let scene = scenes(ScenesConfig::test()).scene(index).unwrap();
        let toggled = scene.with_context(context);
        let (before, after) = (scene.render(), toggled.render());
        let mut background = 0;
        for ((old, new), share) in before.pixels().zip(after.pixels()).zip(scene.coverage()) {
            if share == 1.0 {
                // `a + (b - a)` is `b` but for a rounding, which may tip a channel over.
                let differs = old.0.iter().zip(new.0).any(|(&old, new)| old.abs_diff(new) > 1);
                prop_assert!(!differs, "{:?} became {:?}", old, new);
            } else if share == 0.0 && old != new {
                background += 1;
            }
        }
        if scene.context == context {
            prop_assert_eq!(background, 0);
        } else {
            // At most a third of the picture is the object.
            prop_assert!(background > 600, "{} background pixels changed", background);
        }
        prop_assert_eq!(toggled.with_context(scene.context), scene);
    }
}

#[test]
fn configurations_survive_json() {
    let config = ScenesConfig::train().with_classes([Object::Ring, Object::Star]);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ScenesConfig>(&json).unwrap(), config);
}

#[test]
fn impossible_configurations_are_refused_by_the_option_to_blame() {
    let planted = |strength, leak_rate| Planted {
        strength,
        leak_rate,
        ..Planted::default()
    };
    let train = ScenesConfig::train;
    for (config, blamed) in [
        (train().with_size(15), "size"),
        (train().with_samples(0), "samples"),
        (train().with_classes([Object::Star]), "classes"),
        (
            train().with_classes([Object::Star, Object::Ring, Object::Star]),
            "classes",
        ),
        (
            train().with_classes([Object::Circle, Object::Ring]),
            "planted.class",
        ),
        (train().with_planted(planted(1.1, 0.0)), "planted.strength"),
        (
            train().with_planted(planted(f64::NAN, 0.0)),
            "planted.strength",
        ),
        (
            train().with_planted(planted(1.0, -0.1)),
            "planted.leak_rate",
        ),
    ] {
        let error = Scenes::new(config).unwrap_err();
        let Error::Core(CoreError::InvalidOption { option, .. }) = error else {
            panic!("{blamed}: {error}");
        };
        assert_eq!(option, blamed);
    }
}

#[test]
fn a_scene_past_the_end_is_an_error() {
    let scenes = scenes(ScenesConfig::test().with_samples(10));
    assert!(matches!(
        scenes.image(10),
        Err(Error::SampleOutOfRange { index: 10, .. })
    ));
    assert!(matches!(
        scenes.caption(10),
        Err(Error::SampleOutOfRange { .. })
    ));
}
