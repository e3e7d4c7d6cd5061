//! The embedded demo: the method must find the false correlation that was planted, and mend it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use neuroinspect::{
    core::Silent,
    demo::{Demo, DemoFindings},
};

fn demo() -> (Demo, DemoFindings) {
    let device = neuroinspect::burn::tensor::Device::flex();
    let demo = Demo::load(&device).unwrap();
    let mut config = Demo::config();
    // What the pictures look like is not looked at here, so that few steps do.
    config.illusion = config.illusion.with_steps(10);
    let found = demo.run(&config, &mut Silent).unwrap();
    (demo, found)
}

#[test]
fn the_planted_context_is_found_and_mended() {
    let (demo, found) = demo();
    let findings = &found.findings;
    assert_eq!(findings.class, demo.planted_class());
    assert!(!findings.interrupted);

    let first = findings.ranking.first(5);
    assert_eq!(first.len(), 5);
    let responding = first
        .iter()
        .filter(|neuron| found.context_effects[neuron.0].responds())
        .count();
    assert!(
        responding >= 3,
        "{responding} of {first:?} respond to the planted context"
    );
    // A measure that calls every neuron responding would find a majority anywhere.
    let all = found
        .context_effects
        .iter()
        .filter(|effect| effect.responds())
        .count();
    assert!(
        2 * all < found.context_effects.len() * responding / first.len() * 2,
        "{all} of all respond"
    );

    let comparison = &findings.mending.as_ref().unwrap().comparison;
    let (before, after) = (&comparison.before, &comparison.after);
    let gain = after.worst_group_accuracy.unwrap() - before.worst_group_accuracy.unwrap();
    assert!(gain >= 0.10, "worst group {before:?} {after:?}");
    assert!(
        after.accuracy >= before.accuracy - 0.02,
        "average {before:?} {after:?}"
    );

    assert_eq!(findings.illusions.len(), 5);
    for illusion in &findings.illusions {
        assert!(illusion.clip_similarity.is_some());
        assert!(
            illusion
                .image
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
    }
}

#[test]
fn the_embedded_weights_are_small() {
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    for name in ["scenes_classifier.safetensors", "scenes_clip.safetensors"] {
        let size = std::fs::metadata(format!("{assets}/{name}")).unwrap().len();
        assert!((1..8_000_000).contains(&size), "{name}: {size} bytes");
    }
}
