//! The output folder: one program at a time, and one run.

use std::fs;

use crate::{
    fixture::{Fixture, fails},
    running::{ENDLESS, started},
};

#[test]
fn the_second_program_in_a_folder_says_who_holds_it() {
    let fixture = Fixture::new();
    let options = ["--class", "owl", "--iterations", ENDLESS];
    let mut first = started(&fixture, "debug", &options, "features.origin.json");
    let process = format!("process {}", first.0.id());
    let said = [
        "--out",
        &process,
        "neuroinspect debug",
        "since",
        "choose another folder",
    ];
    fails(&mut fixture.command("evaluate"), &said);
    let mut edit = fixture.command("edit");
    fails(edit.args(["--class", "owl", "--neurons", "3"]), &said);
    fails(&mut fixture.bare("demo"), &said);
    assert!(first.0.try_wait().unwrap().is_none(), "the first goes on");

    // A program that was killed holds nothing.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    fixture.command("evaluate").assert().success();
}

/// What an earlier run left does not pass for this one's, and is there until this one has something.
#[test]
fn a_folder_holds_one_run() {
    let fixture = Fixture::new();
    let debug = |class: &str, count: &str| {
        let mut debug = fixture.command("debug");
        debug.args(["--class", class, "--iterations", "1", "--count", count]);
        debug.output().unwrap().status.code()
    };
    let there = |name: &str| fixture.path("out").join(name).exists();
    let edit = |options: &[&str]| {
        let mut edit = fixture.command("edit");
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        edit.args(options).output().unwrap().status.code()
    };
    assert_eq!(debug("owl", "3"), Some(0));
    let picture = fixture.json("out/summary.json")["pictures"][2]["file"].clone();
    let picture = picture.as_str().unwrap();
    assert!(there(picture));
    // An edit of its own leaves the report's alone.
    let report_edit = || fs::read(fixture.path("out/report-edit.safetensors")).unwrap();
    let before = report_edit();
    assert_eq!(edit(&[]), Some(0));
    assert!(there("edit.safetensors") && report_edit() == before);
    // `cat` has no mistakes: nothing comes in the place of what is there.
    assert_eq!(debug("cat", "3"), Some(1));
    assert_eq!(fixture.json("out/summary.json")["class"], 2);
    assert!(there(picture) && report_edit() == before);

    assert_eq!(debug("owl", "2"), Some(0));
    assert!(!there(picture), "{picture}");
    // Nor does a failed edit take the place of the one before.
    let edits =
        || ["edit.json", "edit.safetensors"].map(|name| fixture.read(&format!("out/{name}")));
    let before = edits();
    assert_eq!(edit(&["--learning-rate", "1e300"]), Some(1));
    assert!(edits() == before);
}

#[test]
fn a_visualization_takes_the_place_of_the_one_before() {
    let fixture = Fixture::new();
    let visualize = |neurons: &str| {
        let mut visualize = fixture.command("visualize");
        visualize.args(["--class", "owl", "--iterations", "1", "--neurons", neurons]);
        visualize.assert().success();
    };
    let there = |neuron: usize| {
        let name = format!("out/neuron-{neuron}-class-2.png");
        fixture.path(&name).exists()
    };
    visualize("3,5");
    assert!(there(3) && there(5));
    visualize("5,7");
    assert!(!there(3) && there(5) && there(7));
}

/// What is there may be another run's: where it cannot be removed, nothing is written among it.
#[test]
fn a_folder_that_cannot_be_cleared_ends_the_work() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("out")).unwrap();
    fs::write(fixture.path("out/neurons"), "no folder").unwrap();
    let mut debug = fixture.command("debug");
    debug.args(["--class", "owl", "--iterations", "300"]);
    let output = debug.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot remove"), "{message}");
    assert_eq!(fixture.read("out/neurons"), b"no folder");
    for file in ["summary.json", "report.html"] {
        assert!(!fixture.path("out").join(file).exists(), "{file}");
    }
}
