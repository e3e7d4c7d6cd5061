//! Options, their ranges and their hashes.

use neuroinspect_core::{Error as CoreError, Seed, Unit, UnitKind};

use super::pairs;
use crate::{
    Augmentation, Error, Execution, ImageParameter, Initial, Objective, Recipe, Result, Work,
};

#[track_caller]
fn assert_refused(name: &str, checked: Result<()>) {
    let Err(Error::Core(CoreError::InvalidOption { option, .. })) = checked else {
        panic!("{name} was accepted");
    };
    assert_eq!(option, name);
}

#[test]
fn each_option_has_its_range() {
    let good = Recipe::default();
    for recipe in [
        good.clone(),
        Recipe::original(),
        Recipe::feature_visualization(),
    ] {
        recipe.validate().unwrap();
    }
    let bad = [
        ("steps", good.clone().with_steps(0)),
        ("size", good.clone().with_size(0)),
        ("size", good.clone().with_size(33)),
        ("size", good.clone().with_size(4098)),
        ("learning_rate", good.clone().with_learning_rate(0.0)),
        (
            "learning_rate",
            good.clone().with_learning_rate(f64::INFINITY),
        ),
        ("weight_decay", good.clone().with_weight_decay(-1.0)),
        ("smoothing", good.clone().with_smoothing(-0.1)),
        ("init_std", good.clone().with_init_std(-0.1)),
        (
            "final_rate_factor",
            good.clone().with_final_rate_factor(1.5),
        ),
        ("mask_reduction", good.clone().with_mask(0.5, -0.5)),
        ("mask_threshold", good.clone().with_mask(f64::NAN, 0.5)),
        ("betas", good.clone().with_betas(1.0, 0.5)),
        ("betas", good.clone().with_betas(0.5, 1.0 - 1e-9)),
        ("betas", good.clone().with_betas(0.5, -0.5)),
        (
            "objective",
            good.clone()
                .with_objective(Objective::without_clip(f64::NAN)),
        ),
        (
            "augmentation.shift",
            good.with_augmentation(Augmentation {
                shift: 2.0,
                ..Augmentation::off()
            }),
        ),
    ];
    for (name, recipe) in bad {
        assert_refused(name, recipe.validate());
    }
    let good = Execution::default();
    good.validate().unwrap();
    assert_refused("batch_size", good.with_batch_size(0).validate());
    assert_refused("trace_every", good.with_trace_every(0).validate());
    assert_refused("checkpoint_every", good.with_checkpoint_every(0).validate());
}

#[test]
fn a_recipe_written_and_read_is_the_same() {
    let recipe = Recipe::original()
        .with_parameter(ImageParameter::Pixels)
        .with_size(64)
        .with_seed(Seed(7));
    let json = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    // What is not said is the default, and what is not known is refused.
    let short: Recipe = serde_json::from_str(r#"{"steps": 300}"#).unwrap();
    assert_eq!(short, Recipe::default().with_steps(300));
    assert!(serde_json::from_str::<Recipe>(r#"{"step": 300}"#).is_err());
}

/// Every part of a piece of work is in its hash, and nothing but its parts.
#[test]
fn a_hash_names_what_decides_a_picture() {
    let recipe = Recipe::default();
    let other = recipe.clone().with_seed(Seed(1));
    let [pair, other_pair] = pairs([(0, 1), (1, 0)]);
    let work = Work {
        recipe: &recipe,
        pair,
        unit: None,
        classifier: "a",
        guide: None,
        initial: None,
    };
    let hashes = [
        work,
        Work {
            recipe: &other,
            ..work
        },
        Work {
            pair: other_pair,
            ..work
        },
        Work {
            classifier: "b",
            ..work
        },
        Work {
            guide: Some("c"),
            ..work
        },
        Work {
            initial: Some("c"),
            ..work
        },
        Work {
            unit: Some(&Unit::new("conv", UnitKind::Channel(0))),
            ..work
        },
    ]
    .map(|work| work.sha256().unwrap());
    for (index, hash) in hashes.iter().enumerate() {
        assert_eq!(hash.len(), 64);
        assert!(!hashes[..index].contains(hash), "{index}");
    }
    assert_eq!(hashes[0], work.sha256().unwrap());
    assert_eq!(
        recipe.sha256().unwrap(),
        Recipe::default().sha256().unwrap()
    );
    assert_ne!(recipe.sha256().unwrap(), other.sha256().unwrap());
}

#[test]
fn what_a_picture_starts_from_is_told_apart() {
    let zeros = ndarray::Array4::zeros((1, 3, 4, 4));
    let mut other = zeros.clone();
    other[[0, 1, 2, 3]] = 0.5;
    let starts = [
        Initial::Noise,
        Initial::Parameters(zeros.clone()),
        Initial::Parameters(other),
        Initial::Images(zeros.clone()),
    ];
    let hashes = starts.each_ref().map(Initial::sha256);
    assert_eq!(hashes[0], None);
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..index].contains(hash), "{:?}", starts[index]);
    }
    assert_eq!(hashes[1], Initial::Parameters(zeros).sha256());
}
