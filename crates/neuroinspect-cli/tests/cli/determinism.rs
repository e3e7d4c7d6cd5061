//! One seed, one result.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use serde_json::Value;

use crate::{
    concepts::asset,
    fixture::Fixture,
    tables::{self, PARTS},
};

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

/// What may be different between two runs: threads, images at once and pictures at once.
struct Split {
    threads: &'static str,
    images: &'static str,
    pictures: &'static str,
}

const SPLITS: [Split; 2] = [
    Split {
        threads: "1",
        images: "3",
        pictures: "1",
    },
    Split {
        threads: "3",
        images: "7",
        pictures: "2",
    },
];

/// Which of these a command has an option for, besides threads.
#[derive(Clone, Copy)]
enum Batches {
    None,
    Images,
    ImagesAndPictures,
}

/// Runs a command under each of the [splits](SPLITS), and holds what they leave in `out` against each other.
fn comes_to_the_same(
    fixture: &Fixture,
    name: &str,
    batches: Batches,
    command: impl Fn() -> Command,
) {
    let out = fixture.path("out");
    let [first, second] = SPLITS.map(|split| {
        let _ = fs::remove_dir_all(&out);
        let mut command = command();
        command
            .arg("--quiet")
            .env("RAYON_NUM_THREADS", split.threads);
        if !matches!(batches, Batches::None) {
            command.args(["--batch-size", split.images]);
        }
        if let Batches::ImagesAndPictures = batches {
            command.args(["--picture-batch", split.pictures]);
        }
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {message}");
        let mut files = BTreeMap::new();
        collect(&out, &mut files);
        files
    });
    let names = |files: &BTreeMap<PathBuf, _>| files.keys().cloned().collect::<Vec<_>>();
    assert!(!first.is_empty(), "{name}");
    assert_eq!(names(&first), names(&second), "{name}");
    for (file, bytes) in &first {
        assert!(second[file] == *bytes, "{name}: {}", file.display());
    }
}

/// The files in a folder, but for what is kept to take the work up again, which is split as the work is. Of texts
/// without what says how long it took and how it was split.
fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["batches", "training"].contains(&name) {
                collect(&path, files);
            }
            continue;
        }
        // A page in Markdown shows what a JSON file beside it holds, and seconds within its lines.
        let left_out = [".origin.json", ".neuroinspect.lock", ".md"];
        // Pictures that are half done, by the work they are of; those that are done lie elsewhere, but for an atlas's.
        let half_done = path.components().any(|it| it.as_os_str() == "pictures");
        let half_done = half_done && !name.ends_with(".png");
        if half_done || left_out.iter().any(|it| name.ends_with(it)) {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if name.ends_with(".json") || name.ends_with(".html") {
            let text = String::from_utf8(bytes).unwrap();
            let pieces = text.lines().flat_map(|line| line.split("><"));
            let split_or_time = ["batch_size", "batch-size", "seconds", "timings\""];
            let (differs, same): (Vec<_>, Vec<_>) =
                pieces.partition(|piece| split_or_time.iter().any(|it| piece.contains(it)));
            let compared = same.iter().map(|piece| piece.len()).sum::<usize>();
            let left_out = differs.iter().map(|piece| piece.len()).sum::<usize>();
            assert!(
                left_out * 3 < compared,
                "{name}: {left_out} of {compared} bytes"
            );
            bytes = same.join("\n").into_bytes();
        }
        files.insert(path, bytes);
    }
}

#[test]
fn neither_threads_nor_batches_change_what_is_measured_and_edited() {
    let fixture = Fixture::new();
    let same = |name: &str, batches: Batches, options: &[&str]| {
        comes_to_the_same(&fixture, name, batches, || {
            let mut command = fixture.command(name);
            command.args(options);
            command
        });
    };
    for name in ["features", "evaluate", "check"] {
        same(name, Batches::Images, &[]);
    }
    same("explain", Batches::Images, &["--class", "owl"]);
    let edit = ["--class", "owl", "--neurons", "3,7", "--epochs", "3"];
    same("edit", Batches::Images, &edit);
    comes_to_the_same(&fixture, "apply", Batches::None, || {
        fixture.edit_partly();
        fixture.apply()
    });
    let training = ["--model", "cifar_resnet20", "--epochs", "2", "--data"];
    comes_to_the_same(&fixture, "train", Batches::None, || {
        let mut train = fixture.bare("train");
        train.args(training).arg(fixture.path("images"));
        train
    });
    comes_to_the_same(&fixture, "corrupt", Batches::None, || {
        let mut corrupt = fixture.bare("corrupt");
        corrupt.arg("--data").arg(fixture.path("images"));
        corrupt.args(["--conflicting", "0.25"]);
        corrupt
    });
}

#[test]
fn neither_threads_nor_batches_change_pictures() {
    let fixture = Fixture::new();
    let pictures = Batches::ImagesAndPictures;
    let same = |name: &str, batches: Batches, options: &[&str]| {
        comes_to_the_same(&fixture, name, batches, || {
            let mut command = fixture.command(name);
            command.args(options);
            command
        });
    };
    let debug = ["--class", "owl", "--count", "3", "--iterations", "3"];
    same("debug", pictures, &debug);
    let atlas = ["--layer", "layer1", "--top-classes", "1"];
    let small = ["--iterations", "3", "--size", "16"];
    same("atlas", pictures, &[&atlas[..], &small].concat());
    let units = ["--class", "owl", "--neurons", "3,7,9"];
    same("visualize", pictures, &[&units[..], &small].concat());
    fs::rename(fixture.path("out"), fixture.path("visualized")).unwrap();
    let layers = ["--unit", "layer1/channel:2", "--unit", "layer2/5,1,1"];
    same("visualize", pictures, &[&layers[..], &small].concat());
    let visualized = fixture.path("visualized").display().to_string();
    same("trust", Batches::Images, &["--pictures", &visualized]);
    comes_to_the_same(&fixture, "magnitudes", Batches::None, || {
        let mut magnitudes = fixture.bare("magnitudes");
        magnitudes.arg("--data").arg(fixture.path("images"));
        magnitudes
    });
}

#[test]
fn neither_threads_nor_batches_change_concepts_and_words() {
    let fixture = Fixture::new();
    let images = fixture.path("images").display().to_string();
    let on_model = |words: &'static [&'static str]| {
        let mut command = Command::cargo_bin("neuroinspect").unwrap();
        command.args(words).arg("--out").arg(fixture.path("out"));
        command.args(["--model", "cifar_resnet20", "--weights"]);
        command.arg(fixture.path("model.safetensors"));
        command.args(["--data", &images]);
        command
    };
    comes_to_the_same(&fixture, "concepts tcav", Batches::Images, || {
        let mut tcav = on_model(&["concepts", "tcav", "--class", "owl", "--runs", "3"]);
        tcav.args(["--concepts", &images, "--random", &images]);
        tcav
    });
    comes_to_the_same(&fixture, "concepts learn", Batches::Images, || {
        on_model(&["concepts", "learn"])
    });
    fs::rename(fixture.path("out"), fixture.path("learnt")).unwrap();
    comes_to_the_same(&fixture, "concepts explain", Batches::Images, || {
        let mut explain = on_model(&["concepts", "explain", "--class", "owl"]);
        let bank = fixture.path("learnt/concepts.safetensors");
        explain.arg("--bank").arg(bank);
        explain
    });
    let words = fixture.write("words.txt", "water\nsand\nstar\n");
    comes_to_the_same(&fixture, "label", Batches::Images, || {
        let mut label = on_model(&["label", "--top-images", "8"]);
        label.arg("--words").arg(&words);
        label.args(["--clip-weights", &asset("scenes_clip.safetensors")]);
        label
    });
}

#[test]
fn threads_do_not_change_which_method_is_found_best() {
    let fixture = Fixture::new();
    tables::write(&fixture, "birds", &PARTS, true);
    comes_to_the_same(&fixture, "mend", Batches::None, || {
        let mut mend = tables::command(&fixture, "mend", "birds");
        mend.args(["--method", "auto"]);
        mend
    });
    comes_to_the_same(&fixture, "leaderboard", Batches::None, || {
        let mut leaderboard = fixture.bare("leaderboard");
        leaderboard.arg("--table").arg(fixture.path("birds"));
        leaderboard.args(["--methods", "probability_ratio,class_bias,dfr"]);
        leaderboard.args(["--class", "waterbird", "--seeds", "1"]);
        leaderboard
    });
    comes_to_the_same(&fixture, "repro", Batches::None, || {
        let mut repro = fixture.bare("repro");
        repro.args(["table-4", "--scale", "0.1", "--seeds", "1"]);
        repro
    });
    comes_to_the_same(&fixture, "demo", Batches::None, || {
        let mut demo = fixture.bare("demo");
        demo.args(["--iterations", "2"]);
        demo
    });
}
