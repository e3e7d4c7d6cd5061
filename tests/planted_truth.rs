//! The embedded demo: the method must find the false correlation that was planted, and mend it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use neuroinspect::{
    core::{Metrics, NeuronId, Silent},
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
    let responds = |neuron: NeuronId| found.context_effects[neuron.0].responds();
    let responding = first.iter().filter(|&&neuron| responds(neuron)).count();
    assert!(responding >= 3, "{responding} of {first:?}");
    // By chance the share of the context's neurons among the ranked would be that among all.
    let share = |neurons: &[NeuronId]| {
        let responding = neurons.iter().filter(|&&neuron| responds(neuron)).count();
        responding as f64 / neurons.len() as f64
    };
    let all: Vec<_> = (0..found.context_effects.len()).map(NeuronId).collect();
    let (ranked, all) = (share(&findings.neurons), share(&all));
    assert!(ranked > all + 0.25, "{ranked} of the ranked, {all} of all");

    let mending = findings.mending.as_ref().unwrap();
    let (before, after) = (&mending.comparison.before, &mending.comparison.after);
    let worst_group = |metrics: &Metrics| metrics.worst_group_accuracy.unwrap();
    let gain = worst_group(after) - worst_group(before);
    assert!(gain >= 0.10, "worst group {before:?} {after:?}");
    assert!(
        after.accuracy >= before.accuracy - 0.02,
        "average {before:?} {after:?}"
    );
    // It is the ratio that mends: training the decision layer on without it does not.
    let control = mending.control.as_ref().unwrap();
    let gain = worst_group(after) - worst_group(control);
    assert!(gain >= 0.10, "worst group {after:?}, control {control:?}");

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
