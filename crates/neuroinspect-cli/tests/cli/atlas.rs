//! Atlases: shards of several processes, killed and taken up again.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Instant,
};

use neuroinspect::core::Seed;
use rand::RngExt;
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, fails},
    running::{Running, TOO_LONG},
};

/// 64 neurons within a class each, 16 at once.
const OPTIONS: [&str; 5] = [
    "--top-classes=1",
    "--iterations=6",
    "--picture-batch=16",
    "--size=16",
    "--seed=3",
];

/// `atlas` of the fixture's model into a folder.
fn atlas(fixture: &Fixture, out: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.args(["atlas", "--model", "cifar_resnet20", "--weights"]);
    command.arg(fixture.path("model.safetensors"));
    command.arg("--config").arg(fixture.path("options.json"));
    command.arg("--out").arg(fixture.path(out));
    command.args(OPTIONS).args(options).stdin(Stdio::null());
    for variable in [
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT",
        "JOB_COMPLETION_INDEX",
    ] {
        command.env_remove(variable);
    }
    command
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    // A kill is to cost a step, and not the batch.
    let options = json!({ "execution": { "checkpoint_every": 1 } });
    fixture.write("options.json", options.to_string());
    fixture
}

/// Runs a command to its end; what it prints.
#[track_caller]
fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout).unwrap()
}

/// `atlas status` or `atlas merge`.
fn on(fixture: &Fixture, out: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.arg("atlas").args(words);
    command.arg("--out").arg(fixture.path(out));
    command
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => {
                let within = self::files(&path).into_iter();
                files.extend(within.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
            }
            false => {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The atlas of one process, planned for two shards.
fn alone(fixture: &Fixture) -> BTreeMap<String, Vec<u8>> {
    let planned = printed(atlas(fixture, "alone", &["--plan", "2"]));
    assert_eq!(
        planned,
        "0 of 64 pictures are finished; missing of 2 shards: 0-1\n"
    );
    let made = printed(atlas(fixture, "alone", &[]));
    assert!(
        made.starts_with("all 64 pictures are there\npage: "),
        "{made}"
    );
    files(&fixture.path("alone"))
}

/// Where pictures are missing for good, the exit code says so, as that of `visualize` does.
#[test]
fn an_atlas_without_some_pictures_is_not_all_well() {
    let fixture = fixture();
    let mut diverging = atlas(
        &fixture,
        "diverging",
        &["--objective", "(1e30 * neuron) * (1e30 * neuron)"],
    );
    // Also when they are not made again.
    for _ in 0..2 {
        let output = diverging.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("page: "), "{printed}");
    }
}

/// Two workers, each killed at random moments and started again, make the atlas of one process byte for
/// byte. The campaign of a hundred kills is `tools/atlas_kills.sh`.
#[test]
fn workers_that_are_killed_make_the_atlas_of_one_process() {
    let fixture = fixture();
    let begin = Instant::now();
    let alone = alone(&fixture);
    let whole = begin.elapsed();
    printed(atlas(&fixture, "out", &["--plan", "2"]));
    let mut running: [Option<Running>; 2] = [None, None];
    let mut rng = Seed(23).rng("moments", &[]);
    let start = |shard: usize| {
        let shard = format!("--shard={shard}/2");
        let mut command = atlas(&fixture, "out", &[&shard]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    };
    let mut kills = 0;
    for _ in 0..12 {
        let shard = rng.random_range(0..2);
        running[shard].get_or_insert_with(|| start(shard));
        sleep(whole.mul_f64(rng.random_range(0.0..0.25)));
        if let Some(mut killed) = running[shard].take() {
            killed.0.kill().unwrap();
            // One that had ended by itself has a code.
            kills += usize::from(killed.0.wait().unwrap().code().is_none());
        }
    }
    assert!(kills > 3, "{kills} were at work");
    let begin = Instant::now();
    for (shard, mut running) in running.into_iter().enumerate() {
        // One that was not killed may hold its shard.
        if let Some(mut running) = running.take() {
            assert!(running.0.wait().unwrap().success());
        }
        printed(atlas(&fixture, "out", &[&format!("--shard={shard}/2")]));
    }
    assert!(begin.elapsed() < TOO_LONG);
    assert_eq!(printed(on(&fixture, "out", &["status", "--array"])), "\n");
    printed(on(&fixture, "out", &["merge"]));
    let merged = files(&fixture.path("out"));
    assert!(merged.keys().eq(alone.keys()), "{:?}", merged.keys());
    for (name, bytes) in &alone {
        assert!(merged[name] == *bytes, "{name} differs");
    }
}

/// The jobs of a Slurm array know their shard, and the count that was planned comes before that of the jobs
/// submitted.
#[test]
fn jobs_of_an_array_make_the_shard_of_their_number() {
    let fixture = fixture();
    let job = |index: &str, count: &str| {
        let mut command = atlas(&fixture, "out", &["--device=flex,flex", "--json"]);
        command.env("SLURM_ARRAY_TASK_ID", index);
        command.env("SLURM_ARRAY_TASK_COUNT", count);
        command
    };
    let status: Value = serde_json::from_str(&printed(job("1", "3"))).unwrap();
    assert_eq!(status["shards"], 3);
    assert_eq!(status["planned"], 64);
    let missing = |status: &Value| {
        let missing = status["missing"].as_array().unwrap().iter();
        missing
            .map(|it| it["shard"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(missing(&status), [0, 2]);
    assert_eq!(
        printed(on(&fixture, "out", &["status", "--array"])),
        "0,2\n"
    );
    let status: Value = serde_json::from_str(&printed(job("2", "2"))).unwrap();
    assert_eq!(missing(&status), [0]);

    let mut merge = assert_cmd::Command::from_std(on(&fixture, "out", &["merge"]));
    fails(
        &mut merge,
        &["pictures of the atlas", "of the shards 0; make those first"],
    );
    let mut strange = assert_cmd::Command::from_std(job("3", "4"));
    fails(&mut strange, &["'3/3' is no shard"]);
    let mut other = assert_cmd::Command::from_std(atlas(&fixture, "out", &["--class-gamma=0.25"]));
    fails(
        &mut other,
        &["holds another atlas, of which the recipe is not as it is here"],
    );
    let mut unknown = atlas(&fixture, "unplanned", &[]);
    unknown.env("JOB_COMPLETION_INDEX", "1");
    let mut unknown = assert_cmd::Command::from_std(unknown);
    fails(
        &mut unknown,
        &["job 1 of an array, but of how many?", "--plan SHARDS"],
    );

    // A process without a number makes what is left, and merges.
    let made = printed(atlas(&fixture, "out", &[]));
    assert!(made.starts_with("all 64 pictures are there"), "{made}");
    let index = fixture.json("out/index.json");
    assert_eq!(index["schema"], "neuroinspect.atlas");
    assert_eq!(index["entries"][63]["unit"]["kind"]["feature"], 63);
    assert_eq!(index["class_names"], json!(["0", "1", "2"]));
    assert_eq!(index["run"]["configs"]["atlas"]["classes"], 1);

    // Words come with the index, and the configuration of an atlas is one.
    let units: Vec<Value> = (0..64)
        .map(|unit| json!({ "unit": unit, "top_images": [], "labels": [{ "word": format!("word {unit}"), "score": 1.0 }] }))
        .collect();
    let layer = index["layer"].clone();
    let labels = json!({ "layer": layer, "units": units, "queries": [] });
    let path = fixture.write("labels.json", labels.to_string());
    let path = path.to_str().unwrap();
    printed(on(&fixture, "out", &["merge", "--labels", path]));
    let index = fixture.json("out/index.json");
    assert_eq!(index["entries"][7]["labels"], json!(["word 7"]));
    let page = String::from_utf8(fixture.read("out/index.html")).unwrap();
    assert!(page.contains("word 63"));
    // They stay where the atlas's command is run again.
    printed(atlas(&fixture, "out", &[]));
    let again = fixture.json("out/index.json");
    assert_eq!(again["entries"], index["entries"]);
    let other = json!({ "layer": "layer1", "units": [], "queries": [] });
    fixture.write("labels.json", other.to_string());
    let merge = on(&fixture, "out", &["merge", "--labels", path]);
    fails(
        &mut assert_cmd::Command::from_std(merge),
        &["is of layer 'layer1', the atlas of"],
    );
}

#[test]
fn only_an_atlas_is_made_on_several_devices() {
    let fixture = fixture();
    let mut command = fixture.command("evaluate");
    command.args(["--device", "flex,flex"]);
    fails(
        &mut command,
        &["this command computes on one device", "`atlas` alone"],
    );
    let mut command = fixture.bare("atlas");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let status = on(&fixture, "out", &["status"]);
    fails(
        &mut assert_cmd::Command::from_std(status),
        &["cannot read", "atlas.json"],
    );
}
