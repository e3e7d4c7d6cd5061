//! One seed, one result.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::fixture::Fixture;

/// What `debug` leaves in its folder.
fn debug(fixture: &Fixture, out: &str, seed: &str) -> BTreeMap<String, Vec<u8>> {
    let mut command = fixture.command("debug");
    command.args(["--class", "owl", "--iterations", "3", "--count", "2"]);
    command.args(["--epochs", "3", "--picture-batch", "1", "--seed", seed]);
    command.assert().success();
    fs::rename(fixture.path("out"), fixture.path(out)).unwrap();
    fixture.results(out)
}

#[test]
fn the_seed_decides_everything() {
    let fixture = Fixture::new();
    let first = debug(&fixture, "first", "7");
    let again = debug(&fixture, "again", "7");
    let other = debug(&fixture, "other", "8");
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &first {
        assert!(again[name] == *bytes, "{name}");
    }
    assert!(first["features.safetensors"] == other["features.safetensors"]);
    // The neurons are the same: no seed decides the ranking.
    for (name, bytes) in &first {
        if name.starts_with("neurons/") {
            assert!(other[name] != *bytes, "{name}");
        }
    }
    // The file differs by the seed in its recipe alone; the layer is to differ.
    let layer = |files: &BTreeMap<String, Vec<u8>>| {
        let summary: Value = serde_json::from_slice(&files["summary.json"]).unwrap();
        summary["edit"]["layer_sha256"].as_str().unwrap().to_owned()
    };
    assert_ne!(layer(&first), layer(&other));
    let pictures = first.keys().filter(|name| name.starts_with("neurons/"));
    assert_eq!(pictures.count(), 4);
}

/// What a checkpoint lacks is drawn from the seed, too.
#[test]
fn missing_weights_are_drawn_from_the_seed() {
    let fixture = Fixture::new();
    fixture.change_weights(|tensors| tensors.retain(|(name, _)| name != "conv1.weight"));
    let features = |seed: &str| {
        let mut evaluate = fixture.command("evaluate");
        let output = evaluate
            .args(["--partial", "--seed", seed])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        assert!(!message.contains("features taken from"), "{message}");
        fs::read(fixture.path("out/features.safetensors")).unwrap()
    };
    let first = features("3");
    assert!(features("3") == first);
    assert!(features("4") != first);

    // Nothing drawn at random gets into a checkpoint.
    fixture.edit_partly();
    let mut apply = fixture.apply();
    apply.arg("--partial");
    let output = apply.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in ["1 missing: conv1.weight", "error: ", "lacks tensors"] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(!fixture.path("out/edited.safetensors").exists());
}
