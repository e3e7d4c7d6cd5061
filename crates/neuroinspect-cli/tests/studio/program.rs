//! The program, serving its demo.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

/// A program that serves, ended when it is dropped.
pub(crate) struct Program {
    child: Child,
    /// With the token.
    pub(crate) address: String,
    /// Open, so that the program can go on printing.
    _out: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it on the demo, in this folder.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(&["--out".as_ref(), folder.as_os_str()])
    }

    pub(crate) fn start_with(arguments: &[&std::ffi::OsStr]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_neuroinspect"))
            .args(["studio", "--json", "--quiet"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        let address = loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the program ended, having printed '{printed}'");
            printed += &line;
            if let Some((_, value)) = line.split_once("\"address\": \"") {
                break value.split('"').next().unwrap().to_owned();
            }
        };
        Self {
            child,
            address,
            _out: out,
        }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs another command of the program to its end.
pub(crate) fn run(arguments: &[String]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_neuroinspect"))
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    output
}

/// A folder in which the demo's features lie, so that a test need not wait for them.
pub(crate) fn folder_with_features() -> TempDir {
    static PREPARED: OnceLock<TempDir> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let _program = Program::start(folder.path());
        // The record of the second comes last.
        wait_for(&folder.path().join("train-features.origin.json"));
        folder
    });
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(prepared.path()).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().contains("features") {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    folder
}

/// Waits until a file is there.
pub(crate) fn wait_for(path: &Path) {
    for _ in 0..1200 {
        if path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{} does not come", path.display());
}
