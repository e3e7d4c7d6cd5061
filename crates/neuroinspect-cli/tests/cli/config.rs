//! `--config`: options from a file.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::fixture::{Fixture, fails};

/// What the record of a run says of its options.
fn configs(fixture: &Fixture, file: &str) -> Value {
    fixture.json(file)["run"]["configs"].clone()
}

/// A JSON value as TOML, which has no null: a key without a value is left out.
fn toml_of(value: &Value) -> toml::Value {
    match value {
        Value::Object(keys) => toml::Value::Table(
            keys.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), toml_of(value)))
                .collect(),
        ),
        Value::Array(values) => values.iter().map(toml_of).collect::<Vec<_>>().into(),
        other => toml::Value::try_from(other).unwrap(),
    }
}

/// What an output file records, given back, makes the same again: as the output file itself, as its
/// part in a file of its own, and in TOML.
#[test]
fn the_options_of_an_output_file_make_the_same_again() {
    let fixture = Fixture::new();
    let results = |options: &[&str], out: &str| {
        let mut debug = fixture.command("debug");
        debug.args(["--class", "owl"]).args(options);
        debug.assert().success();
        fs::rename(fixture.path("out"), fixture.path(out)).unwrap();
        let mut files = fixture.results(out);
        // Both hold command lines, which name the configuration.
        files.remove("report.html").unwrap();
        let summary = files.get_mut("summary.json").unwrap();
        let mut json: Value = serde_json::from_slice(summary).unwrap();
        assert!(json["run"]["command"].take().is_string());
        let apply = json["edit_file"]["how_to_apply"].take();
        let named = options
            .iter()
            .find(|option| option.starts_with("--config="));
        let named =
            named.is_none_or(|option| apply.as_str().unwrap().ends_with(&option.replace('=', " ")));
        assert!(named, "{apply}");
        *summary = serde_json::to_vec(&json).unwrap();
        files
    };
    let first = results(
        &[
            "--neurons=7,3",
            "--pictures=1",
            "--iterations=2",
            "--class-gamma=0.25",
            "--size=16",
            "--picture-batch=3",
            "--target=1.25",
            "--ratio=per-neuron",
            "--lambda=0.5",
            "--epochs=3",
            "--patience=2",
            "--learning-rate=0.125",
            "--keep=worst-class",
            "--batch-size=5",
            "--seed=9",
        ],
        "first",
    );
    let recorded = configs(&fixture, "first/summary.json");
    fixture.write("options.json", recorded.to_string());
    let toml = toml::to_string(&toml_of(&recorded)).unwrap();
    fixture.write("options.toml", &toml);
    for file in ["first/summary.json", "options.json", "options.toml"] {
        let config = format!("--config={}", fixture.path(file).display());
        let again = results(&[&config], "again");
        fs::remove_dir_all(fixture.path("again")).unwrap();
        let names = |files: &BTreeMap<String, _>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&again), names(&first), "{file}");
        for (name, bytes) in &first {
            assert!(again[name] == *bytes, "{name}, from {file}");
        }
    }
}

/// So do those of the other commands, each of its stages.
#[test]
fn the_options_of_every_command_make_the_same_again() {
    let fixture = Fixture::new();
    let pictures = ["--neurons=3", "--class=owl", "--iterations=2", "--seed=4"];
    let edit = ["--neurons=3", "--epochs=2", "--lambda=0.5", "--seed=4"];
    let runs: [(&str, &[&str], &[&str], &str); 4] = [
        ("evaluate", &["--batch-size=5"], &[], "evaluation.json"),
        (
            "explain",
            &["--class=owl"],
            &["--class=owl"],
            "explanation.json",
        ),
        (
            "visualize",
            &pictures,
            &pictures[..2],
            "visualizations.json",
        ),
        ("edit", &edit, &edit[..1], "edit.json"),
    ];
    for (name, options, needed, file) in runs {
        let record = |options: &[&str]| {
            fixture.command(name).args(options).assert().success();
            let mut record = fixture.json(&format!("out/{file}"));
            for key in ["command", "timings"] {
                assert!(!record["run"][key].take().is_null());
            }
            record
        };
        let first = record(options);
        fs::copy(fixture.path("out").join(file), fixture.path("options.json")).unwrap();
        fs::remove_dir_all(fixture.path("out")).unwrap();
        let config = format!("--config={}", fixture.path("options.json").display());
        let mut again = needed.to_vec();
        again.push(&config);
        assert_eq!(record(&again), first, "{name}");
    }
}

/// The sections of stages serve every command that has the stage, also out of a file of `debug`.
#[test]
fn a_section_serves_every_command() {
    let fixture = Fixture::new();
    let edited = |file: &str, text: &str, options: &[&str]| {
        let file = fixture.write(file, text);
        let mut edit = fixture.command("edit");
        edit.args(["--neurons", "3", "--config"]).arg(file);
        edit.args(options).assert().success();
        configs(&fixture, "out/edit.json")["editing"].clone()
    };
    let toml = "[editing]\nlambda3 = 1\n[editing.training]\nepochs = 2\n";
    let editing = edited("options.toml", toml, &["--seed", "9"]);
    assert_eq!(editing["lambda3"], 1.0);
    assert_eq!(editing["training"]["epochs"], 2);
    assert_eq!(editing["training"]["seed"], 9, "of the command line");
    assert_eq!(editing["training"]["learning_rate"], 0.001, "by default");

    let json = json!({"debug": {"editing": {"training": {"epochs": 3}}}, "seed": 4}).to_string();
    let editing = edited("options.json", &json, &["--lambda", "0.5"]);
    assert_eq!(editing["training"]["epochs"], 3);
    assert_eq!(editing["training"]["seed"], 4, "the file's, for all stages");
    assert_eq!(editing["lambda3"], 0.5);
    let editing = edited("options.json", &json, &["--epochs", "1", "--seed", "5"]);
    assert_eq!(
        editing["training"]["epochs"], 1,
        "the command line is before the file"
    );
    assert_eq!(editing["training"]["seed"], 5);
}

/// Options have a place in the file where the program's own default depends on other options.
#[test]
fn an_objective_of_ones_own_is_followed() {
    let fixture = Fixture::new();
    let visualize = |text: &str, options: &[&str]| {
        let file = fixture.write("options.json", text);
        let mut visualize = fixture.command("visualize");
        visualize.args(["--neurons", "3", "--class", "owl", "--iterations", "1"]);
        visualize.arg("--config").arg(file).args(options);
        visualize
    };
    let objective = |command: &mut assert_cmd::Command| {
        command.assert().success();
        configs(&fixture, "out/visualizations.json")["recipe"]["objective"].clone()
    };
    let own = r#"{"recipe": {"objective": {"scale": [2.0, "neuron"]}}}"#;
    let of_file = objective(&mut visualize(own, &[]));
    assert_eq!(of_file, json!({"scale": [2.0, "neuron"]}));
    let of_options = objective(&mut visualize(own, &["--objective", "class"]));
    assert_eq!(
        of_options,
        json!({"sum": ["neuron", {"scale": [0.5, "class_logit"]}]})
    );
    let silent = objective(&mut visualize(r#"{"recipe": {"steps": 1}}"#, &[]));
    assert_eq!(silent, of_options, "by default, without CLIP");

    fails(
        &mut visualize(own, &["--class-gamma", "0.1"]),
        &["--class-gamma", "--objective"],
    );
    let guided = r#"{"recipe": {"objective": "similarity"}}"#;
    fails(&mut visualize(guided, &[]), &["--clip-weights"]);
}

/// What is wrong in a file is named, with its place.
#[test]
fn mistakes_in_a_file_are_named() {
    let fixture = Fixture::new();
    let file = |name: &str, text: &str| {
        let file = fixture.write(name, text);
        let mut evaluate = fixture.command("evaluate");
        evaluate.arg("--config").arg(file);
        evaluate
    };
    let toml = |text: &str| file("options.toml", text);
    let json = |text: &str| file("options.json", text);
    fails(
        &mut toml("seed = 1\n\n[editing]\nlamda3 = 1\n"),
        &["options.toml", "line 4", "lamda3", "lambda3"],
    );
    fails(
        &mut json("{\n  \"editing\": {\n    \"lamda3\": 1\n  }\n}\n"),
        &["options.json", "line 3", "lamda3", "lambda3"],
    );
    fails(
        &mut toml("[edition]\nlambda3 = 1\n"),
        &["options.toml", "edition", "editing"],
    );
    fails(
        &mut toml("[editing.training]\nepochs = \"many\"\n"),
        &["line 2", "epochs", "many"],
    );
    fails(&mut json("{\"seed\": 1"), &["options.json", "line 1"]);
    fails(&mut json("[1]"), &["options.json"]);
    fails(
        &mut toml("[editing.training]\nepochs = 0\n"),
        &["options.toml", "'editing'", "epochs", "0"],
    );
    fails(
        &mut json(r#"{"ranking": {}, "debug": {"ranking": {}}}"#),
        &["options.json", "'ranking'", "twice"],
    );
    let mut absent = fixture.command("evaluate");
    absent.arg("--config").arg(fixture.path("absent.toml"));
    fails(&mut absent, &["absent.toml", "cannot read"]);
    // Within an output file, lines are those of the file.
    fails(
        &mut json("{\"run\": {\n\"configs\": {\n\"sead\": 1}}}"),
        &["line 3", "sead", "seed"],
    );
    fails(
        &mut json(r#"{"precision": "bf16", "recipe": {"precision": "f16"}}"#),
        &["options.json", "'precision' is bf16", "'recipe' is f16"],
    );
    assert!(!fixture.path("out").exists(), "known before the work");
}

/// What a file asks for and the command cannot follow is not dropped without a word.
#[test]
fn what_a_command_cannot_follow_is_refused() {
    let fixture = Fixture::new();
    let file = fixture.write("options.json", r#"{"ranking": {"top": 3}}"#);
    let mut explain = fixture.command("explain");
    explain.args(["--class", "owl", "--original", "--config"]);
    fails(explain.arg(file), &["--original", "'ranking'"]);
    let file = fixture.write("options.json", r#"{"precision": "bf16"}"#);
    let mut demo = fixture.bare("demo");
    fails(demo.arg("--config").arg(file), &["bf16", "f32 alone"]);
}

/// Before there are features, be it that pictures come last.
#[test]
fn what_the_model_does_not_have_is_refused_before_the_work() {
    let fixture = Fixture::new();
    for (options, said) in [
        (r#"{"debug": {"neurons": {"given": [3, 64]}}}"#, "neuron 64"),
        (r#"{"recipe": {"objective": {"logit": 3}}}"#, "class 3"),
        (
            r#"{"recipe": {"objective": {"unit": {"layer": "layer9", "kind": {"channel": 0}}}}}"#,
            "layer9",
        ),
        (r#"{"recipe": {"size": 31}}"#, "31"),
    ] {
        let file = fixture.write("options.json", options);
        let mut debug = fixture.command("debug");
        debug.args(["--class", "owl", "--config"]).arg(&file);
        fails(&mut debug, &[said]);
        if options.contains("recipe") {
            let mut visualize = fixture.command("visualize");
            visualize.args(["--class", "owl", "--neurons", "3", "--config"]);
            fails(visualize.arg(file), &[said]);
        }
    }
    assert!(!fixture.path("out/features.safetensors").exists());
}
