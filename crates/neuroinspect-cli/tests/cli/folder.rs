//! The output folder: one program at a time.

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
