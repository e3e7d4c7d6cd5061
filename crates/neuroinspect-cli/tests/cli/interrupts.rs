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

/// Starts a command, presses Ctrl-C once the features are there and some time has gone by, and
/// returns its exit code and what it said.
fn interrupted(bench: &Bench, name: &str, options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.args([name, "--model", "cifar_resnet20", "--weights"]);
    command.arg(bench.path("model.safetensors"));
    command.arg("--data").arg(bench.path("images"));
    command.arg("--out").arg(bench.path("out")).args(options);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let start = Instant::now();
    let features = bench.path("out/features.origin.json");
    while !features.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no features yet");
        sleep(Duration::from_millis(20));
    }
    // Stages before the endless one are over in a few milliseconds.
    sleep(Duration::from_secs(2));
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
    let (code, message) = interrupted(&bench, "edit", &options);
    assert_eq!(code, Some(130), "{message}");
    assert!(!message.contains("error"), "{message}");
    assert!(!bench.path("out/edit.safetensors").exists());
}

#[test]
fn a_stopped_visualization_keeps_its_record() {
    let bench = Bench::new();
    let options = ["--neurons", "3", "--class", "owl", "--iterations", ENDLESS];
    let (code, message) = interrupted(&bench, "visualize", &options);
    assert_eq!(code, Some(130), "{message}");
    assert_eq!(bench.json("out/visualizations.json")["interrupted"], true);
}

/// While pictures are made: everything else is there, and the pictures as far as they have come.
#[test]
fn a_stopped_run_keeps_what_it_has() {
    let bench = Bench::new();
    let options = ["--class", "owl", "--iterations", ENDLESS, "--epochs", "2"];
    let (code, message) = interrupted(&bench, "debug", &options);
    assert_eq!(code, Some(130), "{message}");
    let summary = bench.json("out/summary.json");
    assert_eq!(summary["mistakes"], 8);
    assert_eq!(summary["interrupted"], true);
    assert!(summary["edit"]["after"]["accuracy"].is_f64());
    assert!(!summary["visualizations"].as_array().unwrap().is_empty());
    for file in ["edit.safetensors", "report.html"] {
        assert!(bench.path("out").join(file).exists(), "{file}");
    }
}
