//! One seed, one result.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::bench::Bench;

/// What `debug` leaves in its folder, but for what tells of this very run: the times, the command
/// line with its folder, and the record of the features' files.
fn debug(bench: &Bench, out: &str, seed: &str) -> BTreeMap<String, Vec<u8>> {
    let mut command = bench.command("debug");
    command.args(["--class", "owl", "--iterations", "3", "--count", "2"]);
    command.args(["--epochs", "3", "--picture-batch", "1", "--seed", seed]);
    command.assert().success();
    fs::rename(bench.path("out"), bench.path(out)).unwrap();
    let mut files = BTreeMap::new();
    for folder in ["", "neurons/"] {
        for file in fs::read_dir(bench.path(out).join(folder)).unwrap() {
            let file = file.unwrap();
            let name = folder.to_owned() + file.file_name().to_str().unwrap();
            if file.file_type().unwrap().is_file() {
                files.insert(name, fs::read(file.path()).unwrap());
            }
        }
    }
    for of_this_run in ["features.origin.json", "report.html"] {
        files.remove(of_this_run).unwrap();
    }
    let summary = files.get_mut("summary.json").unwrap();
    let mut json: Value = serde_json::from_slice(summary).unwrap();
    for key in ["timings", "command"] {
        json["run"][key] = Value::Null;
    }
    *summary = serde_json::to_vec(&json).unwrap();
    files
}

#[test]
fn the_seed_decides_everything() {
    let bench = Bench::new();
    let first = debug(&bench, "first", "7");
    let again = debug(&bench, "again", "7");
    let other = debug(&bench, "other", "8");
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &first {
        assert!(again[name] == *bytes, "{name}");
    }
    assert!(first["features.safetensors"] == other["features.safetensors"]);
    for (name, bytes) in &first {
        if name.starts_with("neurons/")
            && let Some(other) = other.get(name)
        {
            assert!(other != bytes, "{name}");
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
    let bench = Bench::new();
    bench.change_weights(|tensors| tensors.retain(|(name, _)| name != "conv1.weight"));
    let features = |seed: &str| {
        let mut evaluate = bench.command("evaluate");
        let output = evaluate
            .args(["--partial", "--seed", seed])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        assert!(!message.contains("features taken from"), "{message}");
        fs::read(bench.path("out/features.safetensors")).unwrap()
    };
    let first = features("3");
    assert!(features("3") == first);
    assert!(features("4") != first);

    // Nothing drawn at random gets into a checkpoint.
    bench.edit_partly();
    let mut apply = bench.apply();
    apply.arg("--partial");
    let output = apply.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in ["1 missing: conv1.weight", "error: ", "lacks tensors"] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(!bench.path("out/edited.safetensors").exists());
}
