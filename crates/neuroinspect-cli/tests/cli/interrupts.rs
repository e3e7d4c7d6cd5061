//! Ctrl-C: exit code 130, and what was finished is there.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    fixture::Fixture,
    resume::steps_kept,
    running::{ENDLESS, Running, TOO_LONG, start, started, wait_for},
};

/// Starts a command, presses Ctrl-C once a file of its is there and some time has gone by, and
/// returns its exit code and what it said.
fn interrupted(
    fixture: &Fixture,
    name: &str,
    options: &[&str],
    file: &str,
) -> (Option<i32>, String) {
    let running = started(fixture, name, options, file);
    // Into the endless stage, which begins after the file is written.
    sleep(Duration::from_millis(500));
    interrupt(running)
}

/// Presses Ctrl-C, and returns the exit code and what was said.
fn interrupt(mut running: Running) -> (Option<i32>, String) {
    let pid = running.0.id().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(kill.success());
    let pressed = Instant::now();
    let status = loop {
        match running.0.try_wait().unwrap() {
            Some(status) => break status,
            None => sleep(Duration::from_millis(20)),
        }
        assert!(pressed.elapsed() < TOO_LONG, "it goes on");
    };
    let mut message = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut message).unwrap();
    (status.code(), message)
}

/// And an earlier one stays.
#[test]
fn a_stopped_edit_writes_none() {
    let fixture = Fixture::new();
    let mut edit = fixture.command("edit");
    edit.args(["--neurons", "3", "--epochs", "1"])
        .assert()
        .success();
    let results = || ["out/edit.safetensors", "out/edit.json"].map(|it| fixture.read(it));
    let before = results();
    let options = ["--neurons", "3", "--keep", "last", "--epochs", "1000000"];
    // The run under test writes it anew, just before the stage that has no end.
    std::fs::remove_file(fixture.path("out/features.origin.json")).unwrap();
    let (code, message) = interrupted(&fixture, "edit", &options, "features.origin.json");
    assert_eq!(code, Some(130), "{message}");
    assert!(!message.contains("error"), "{message}");
    assert!(message.contains("before there was a result"), "{message}");
    assert!(results() == before);
}

#[test]
fn a_stopped_visualization_keeps_its_record() {
    let fixture = Fixture::new();
    let options = ["--neurons", "3", "--class", "owl", "--iterations", ENDLESS];
    let (code, message) = interrupted(&fixture, "visualize", &options, "features.origin.json");
    assert_eq!(code, Some(130), "{message}");
    assert_eq!(fixture.json("out/visualizations.json")["interrupted"], true);

    // What an earlier run finished is not given for a few steps.
    let mut finish = fixture.command("visualize");
    finish.args(["--neurons", "3", "--class", "owl", "--iterations", "2"]);
    finish.assert().success();
    let before = fixture.results("out");
    // The run under test writes it anew, just before the stage that has no end.
    std::fs::remove_file(fixture.path("out/features.origin.json")).unwrap();
    let (code, message) = interrupted(&fixture, "visualize", &options, "features.origin.json");
    assert_eq!(code, Some(130), "{message}");
    assert!(fixture.results("out") == before);
}

/// While pictures are made: everything else is there, and the pictures as far as they have come.
#[test]
fn a_stopped_run_keeps_what_it_has() {
    let fixture = Fixture::new();
    let options = ["--class", "owl", "--iterations", ENDLESS, "--epochs", "2"];
    let running = start(&fixture, "debug", &options);
    wait_for("checkpoint", || steps_kept(&fixture).is_some());
    let (code, message) = interrupt(running);
    assert_eq!(code, Some(130), "{message}");
    let summary = fixture.json("out/summary.json");
    assert_eq!(summary["ranking"]["mistakes"], 8);
    assert_eq!(summary["interrupted"], true);
    assert!(summary["edit"]["comparison"]["after"]["accuracy"].is_f64());
    let steps = summary["pictures"][0]["steps"].as_u64().unwrap();
    assert!(steps < summary["recipe"]["steps"].as_u64().unwrap());
    let html = std::fs::read_to_string(fixture.path("out/report.html")).unwrap();
    assert!(
        html.contains(&format!("stopped at step {steps} of")),
        "{steps}"
    );
    for file in ["report-edit.safetensors", "report.html"] {
        assert!(fixture.path("out").join(file).exists(), "{file}");
    }
}

/// Without a chance to clear up, what was done by then is there all the same.
#[test]
fn a_killed_run_leaves_its_edit_and_its_ranking() {
    let fixture = Fixture::new();
    let options = ["--class", "owl", "--iterations", ENDLESS, "--epochs", "2"];
    let mut running = started(&fixture, "debug", &options, "report-edit.safetensors");
    // The summary is there since the ranking; with the edit, it is written last.
    wait_for("edit", || {
        !fixture.json("out/summary.json")["edit"].is_null()
    });
    let summary = fixture.json("out/summary.json");
    running.0.kill().unwrap();
    assert_eq!(running.0.wait().unwrap().code(), None);
    assert_eq!(summary["interrupted"], true);
    assert_eq!(summary["ranking"]["mistakes"], 8);
    assert!(
        !summary["ranking"]["insufficient"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(summary["edit"]["comparison"]["after"]["accuracy"].is_f64());
    neuroinspect::editing::LayerPatch::load(fixture.path("out/report-edit.safetensors")).unwrap();
    let html = std::fs::read_to_string(fixture.path("out/report.html")).unwrap();
    assert!(html.contains("Not finished</strong>0 of 5 pictures are here."));
    assert!(html.contains("the same command goes on: <code>neuroinspect debug"));
}
