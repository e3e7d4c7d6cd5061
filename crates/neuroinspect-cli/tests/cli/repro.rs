//! `repro`: an experiment of the paper on its stand-in.

use std::{fs, path::Path};

use assert_cmd::Command;
use neuroinspect_testing::files::Folder;
use serde_json::{Value, json};

fn repro(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["repro", "--quiet", "--out"]).arg(out);
    command.args(arguments);
    command
}

#[test]
fn an_experiment_is_repeated_and_taken_up() {
    let folder = Folder::new();
    let out = folder.path("out");
    let arguments = ["table-4", "--scale", "0.1", "--seed", "3", "--seeds"];
    let run = |seeds: &str| {
        let mut command = repro(&out, &arguments);
        let printed = command.arg(seeds).assert().success().get_output().clone();
        let result = fs::read(out.join("table-4.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        (String::from_utf8(printed.stdout).unwrap(), result)
    };
    let (text, result) = run("1");
    let page = fs::read_to_string(out.join("table-4.md")).unwrap();
    assert!(text.starts_with(&page), "{text}");
    assert!(
        page.contains(" table-4 --scale 0.1 --seed 3 --seeds 1\n```\n"),
        "{page}"
    );
    assert_eq!(result["schema"], "neuroinspect.experiment");
    assert_eq!(result["config"]["mode"], "fixed");
    assert_eq!(result["seeds"], json!([3]));
    assert_eq!(result["source"]["published"], false);

    // The seconds are those of the run that made the repetition: it was taken up.
    let (_, again) = run("1");
    assert_eq!(again["seconds"], result["seconds"]);
    assert_eq!(again["tables"], result["tables"]);
    let (_, two) = run("2");
    assert_eq!(two["seeds"], json!([3, 4]));
    let first = two["seconds"].as_f64().unwrap() - result["seconds"].as_f64().unwrap();
    assert!(first > 0.0);

    let mut paper = repro(&out, &arguments);
    let printed = paper
        .args(["1", "--mode", "paper", "--json"])
        .assert()
        .success();
    let paper: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!(paper["switches"]["keep"], "accuracy");
    assert_eq!(result["switches"]["keep"], "last");
}

#[test]
fn experiments_are_listed_and_others_refused() {
    let folder = Folder::new();
    let out = folder.path("out");
    let listed = repro(&out, &["--list"]).assert().success();
    let text = String::from_utf8(listed.get_output().stdout.clone()).unwrap();
    assert!(text.contains("table-4  Table IV: "), "{text}");
    for (arguments, said) in [
        (&["table-44"][..], "table-4"),
        (&[], "<NAME>"),
        (&["table-4", "--network", "a=b"], "--data"),
        (&["table-4", "--scale", "2"], "a share above 0"),
    ] {
        let refused = repro(&out, arguments).assert().code(2);
        let text = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    // No networks of the data.
    let refused = repro(&out, &["table-4", "--data", "nowhere"])
        .assert()
        .code(1);
    let text = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(text.contains("needs --network MODEL=FILE"), "{text}");
}
