//! Ctrl-C: exit code 130, and what was finished is there.

use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::bench::Bench;

/// A run that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// More work than can be done: only Ctrl-C ends it.
const ENDLESS: &str = "1000000000";

/// Starts a command and waits for a file of its.
fn started(bench: &Bench, name: &str, options: &[&str], file: &str) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.args([name, "--model", "cifar_resnet20", "--weights"]);
    command.arg(bench.path("model.safetensors"));
    command.arg("--data").arg(bench.path("images"));
    command.arg("--out").arg(bench.path("out")).args(options);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let running = Running(command.spawn().unwrap());
    let start = Instant::now();
    while !bench.path("out").join(file).exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no {file} yet");
        sleep(Duration::from_millis(20));
    }
    running
}

/// Starts a command, presses Ctrl-C once a file of its is there and some time has gone by, and
/// returns its exit code and what it said.
fn interrupted(bench: &Bench, name: &str, options: &[&str], file: &str) -> (Option<i32>, String) {
    let mut running = started(bench, name, options, file);
    // Into the endless stage, which begins after the file is written.
    sleep(Duration::from_millis(500));
    let pid = running.0.id().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(kill.success());
    let pressed = Instant::now();
    let status = loop {
        match running.0.try_wait().unwrap() {
            Some(status) => break status,
            None => sleep(Duration::from_millis(20)),
        }
        assert!(pressed.elapsed() < Duration::from_secs(60), "it goes on");
    };
    let mut message = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut message).unwrap();
    (status.code(), message)
}

#[test]
fn a_stopped_edit_writes_none() {
    let bench = Bench::new();
    let options = ["--neurons", "3", "--keep", "last", "--epochs", ENDLESS];
    let (code, message) = interrupted(&bench, "edit", &options, "features.origin.json");
    assert_eq!(code, Some(130), "{message}");
    assert!(!message.contains("error"), "{message}");
    assert!(message.contains("before there was a result"), "{message}");
    assert!(!bench.path("out/edit.safetensors").exists());
}

#[test]
fn a_stopped_visualization_keeps_its_record() {
    let bench = Bench::new();
    let options = ["--neurons", "3", "--class", "owl", "--iterations", ENDLESS];
    let (code, message) = interrupted(&bench, "visualize", &options, "features.origin.json");
    assert_eq!(code, Some(130), "{message}");
    assert_eq!(bench.json("out/visualizations.json")["interrupted"], true);
}

/// While pictures are made: everything else is there, and the pictures as far as they have come.
#[test]
fn a_stopped_run_keeps_what_it_has() {
    let bench = Bench::new();
    let options = ["--class", "owl", "--iterations", ENDLESS, "--epochs", "2"];
    let (code, message) = interrupted(&bench, "debug", &options, "report-edit.safetensors");
    assert_eq!(code, Some(130), "{message}");
    let summary = bench.json("out/summary.json");
    assert_eq!(summary["mistakes"], 8);
    assert_eq!(summary["interrupted"], true);
    assert!(summary["edit"]["after"]["accuracy"].is_f64());
    let visualization = &summary["visualizations"][0];
    let steps = visualization["steps"].as_u64().unwrap();
    assert!(steps < visualization["steps_planned"].as_u64().unwrap());
    let html = std::fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(
        html.contains(&format!("stopped at step {steps} of")),
        "{steps}"
    );
    for file in ["report-edit.safetensors", "report.html"] {
        assert!(bench.path("out").join(file).exists(), "{file}");
    }
}

/// Without a chance to clear up, what was done by then is there all the same.
#[test]
fn a_killed_run_leaves_its_edit_and_its_ranking() {
    let bench = Bench::new();
    let options = ["--class", "owl", "--iterations", ENDLESS, "--epochs", "2"];
    let mut running = started(&bench, "debug", &options, "report-edit.safetensors");
    // The summary is there since the ranking; with the edit, it is written last.
    let start = Instant::now();
    let summary = loop {
        let summary = bench.json("out/summary.json");
        if !summary["edit"].is_null() {
            break summary;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no edit yet");
        sleep(Duration::from_millis(20));
    };
    running.0.kill().unwrap();
    assert_eq!(running.0.wait().unwrap().code(), None);
    assert_eq!(summary["interrupted"], true);
    assert_eq!(summary["mistakes"], 8);
    assert!(
        !summary["ranking"]["insufficient"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(summary["edit"]["after"]["accuracy"].is_f64());
    neuroinspect::editing::Edit::load(bench.path("out/report-edit.safetensors")).unwrap();
    let html = std::fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(html.contains("Stopped before the end"));
}
