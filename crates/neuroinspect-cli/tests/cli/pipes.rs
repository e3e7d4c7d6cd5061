//! Named pipes where files are expected: nobody writes into them, and nothing waits for it.

use std::{fs, path::PathBuf, process::Command as System};

use assert_cmd::Command;

use crate::{
    fixture::{Fixture, fails},
    running::TOO_LONG,
};

fn pipe(fixture: &Fixture, name: &str) -> PathBuf {
    let path = fixture.path(name);
    let made = System::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

fn refuses(command: &mut Command, parts: &[&str]) {
    fails(command.timeout(TOO_LONG), parts);
}

#[test]
fn pipes_are_no_weights() {
    let fixture = Fixture::new();
    let pipe = pipe(&fixture, "pipe");
    let not_a_file = ["pipe", "no regular file"];
    let mut evaluate = fixture.with_weights("cifar_resnet20", &pipe);
    refuses(&mut evaluate, &not_a_file);
    let mut debug = fixture.command("debug");
    debug.args(["--class", "owl", "--clip-weights"]).arg(&pipe);
    refuses(&mut debug, &not_a_file);
    let mut show = fixture.bare("apply");
    refuses(show.arg("--edit").arg(&pipe), &not_a_file);
}

#[test]
fn pipes_are_no_images() {
    let fixture = Fixture::new();
    pipe(&fixture, "images/dog/pipe.png");
    refuses(&mut fixture.command("evaluate"), &["dog/pipe.png"]);
    let mut evaluate = fixture.command("evaluate");
    evaluate.args(["--on-corrupt", "skip"]).timeout(TOO_LONG);
    evaluate.assert().success();
    let skipped = &fixture.json("out/evaluation.json")["run"]["skipped_images"];
    assert_eq!(skipped[0]["path"], "dog/pipe.png");
}

#[test]
fn links_to_nothing_are_no_images() {
    let fixture = Fixture::new();
    let dogs = fixture.path("images/dog");
    std::os::unix::fs::symlink("gone", dogs.join("nowhere.png")).unwrap();
    std::os::unix::fs::symlink("itself.png", dogs.join("itself.png")).unwrap();
    refuses(&mut fixture.command("evaluate"), &["dog/itself.png"]);
    let mut evaluate = fixture.command("evaluate");
    evaluate.args(["--on-corrupt", "skip"]).assert().success();
    let skipped = &fixture.json("out/evaluation.json")["run"]["skipped_images"];
    assert_eq!(skipped[0]["path"], "dog/itself.png");
    assert_eq!(skipped[1]["path"], "dog/nowhere.png");
}

/// What is read as text may come from a pipe that somebody writes into, as the shell's `<(...)` is.
#[test]
fn a_configuration_may_come_through_a_pipe() {
    let fixture = Fixture::new();
    let pipe = pipe(&fixture, "pipe");
    let mut evaluate = fixture.command("evaluate");
    evaluate.arg("--config").arg(&pipe).timeout(TOO_LONG);
    let writer = std::thread::spawn(move || fs::write(pipe, r#"{"loader": {"batch_size": 5}}"#));
    evaluate.assert().success();
    writer.join().unwrap().unwrap();
    let configs = &fixture.json("out/evaluation.json")["run"]["configs"];
    assert_eq!(configs["loader"]["batch_size"], 5);
}
