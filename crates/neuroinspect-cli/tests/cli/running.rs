//! Programs that run beside the test.

use std::{
    ffi::OsStr,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::fixture::Fixture;

/// More work than can be done: such a run ends by force alone.
pub(crate) const ENDLESS: &str = "1000000000";

/// Longer than anything should take.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(120);

/// A run that is ended with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command on the fixture's model and images.
pub(crate) fn start<S: AsRef<OsStr>>(fixture: &Fixture, name: &str, options: &[S]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neuroinspect"));
    command.args([name, "--model", "cifar_resnet20", "--weights"]);
    command.arg(fixture.path("model.safetensors"));
    command.arg("--data").arg(fixture.path("images"));
    command.arg("--out").arg(fixture.path("out")).args(options);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

/// Starts a command and waits for a file of its.
pub(crate) fn started(fixture: &Fixture, name: &str, options: &[&str], file: &str) -> Running {
    let running = start(fixture, name, options);
    wait_for(file, || fixture.path("out").join(file).exists());
    running
}

/// Waits until something has come about.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < TOO_LONG, "no {what} yet");
        sleep(Duration::from_millis(20));
    }
}
