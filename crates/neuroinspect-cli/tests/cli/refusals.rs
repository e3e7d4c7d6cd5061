//! Command lines that are not as needed.

use std::fs;

use assert_cmd::Command;

use crate::bench::{Bench, fails};

#[test]
fn a_command_line_not_understood_exits_with_2() {
    let bench = Bench::new();
    let mut unknown = bench.bare("evaluate");
    assert_eq!(unknown.output().unwrap().status.code(), Some(2));
    let mut device = bench.command("evaluate");
    let output = device.args(["--device", "abacus"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("names no device")
    );
}

#[test]
fn options_out_of_range_are_refused_by_their_names() {
    let bench = Bench::new();
    for (option, value) in [
        ("--iterations", "0"),
        ("--picture-batch", "0"),
        ("--target", "0.5"),
        ("--lambda", "-1"),
        ("--learning-rate", "0"),
        ("--neurons", "3,3"),
        ("--epochs", "none"),
    ] {
        let mut command = bench.command("debug");
        command
            .args(["--class", "owl"])
            .arg(format!("{option}={value}"));
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {message}");
        assert!(message.contains(option), "{message}");
        assert!(!bench.path("out").exists());
    }
}

#[test]
fn neurons_and_classes_out_of_range_are_refused() {
    let bench = Bench::new();
    let range = "64 neurons, 0 to 63";
    fails(
        bench
            .command("debug")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench
            .command("edit")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench
            .command("visualize")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        bench.command("explain").args(["--class", "3"]),
        &["class 3", "3 classes"],
    );
    fails(
        bench.command("explain").args(["--class", "ow1"]),
        &["'ow1'", "did you mean 'owl'"],
    );
}

#[test]
fn an_out_folder_that_cannot_be_written_is_known_before_the_work() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["evaluate", "--model", "cifar_resnet20", "--weights", "none"]);
    command.arg("--data").arg(bench.path("images"));
    fails(
        command.arg("--out").arg(bench.path("file/out")),
        &["file/out", "--out"],
    );
}

/// A folder that is there, into which not even root can write.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_known_before_the_work() {
    let bench = Bench::new();
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["evaluate", "--model", "cifar_resnet20", "--weights", "none"]);
    command.arg("--data").arg(bench.path("images"));
    fails(command.args(["--out", "/proc"]), &["'/proc'", "--out"]);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let bench = Bench::new();
    let refused = |command: &mut Command, part: &str| {
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{message}");
    };
    for option in ["--domain=bird", "--prompts=file", "--clip=ViT-B-32"] {
        let mut debug = bench.command("debug");
        refused(debug.args(["--class", "owl", option]), "--clip-weights");
    }
    for option in ["--revert", "--partial"] {
        let mut apply = bench.bare("apply");
        refused(apply.args(["--edit", "file", option]), "--model");
    }
    let mut visualize = bench.bare("visualize");
    visualize.args(["--model=cifar_resnet20", "--weights=file"]);
    refused(visualize.arg("--class-names=file"), "--data");

    let debug = |options: &[&str]| {
        let mut debug = bench.command("debug");
        debug.args(["--class", "owl"]).args(options);
        debug
    };
    fails(
        &mut debug(&["--neurons", "3", "--count", "2"]),
        &["--count"],
    );
    fails(
        &mut debug(&["--keep", "last", "--patience", "2"]),
        &["--patience"],
    );
    let mut visualize = bench.command("visualize");
    visualize.args(["--neurons", "3", "--class", "owl", "--count", "2"]);
    fails(&mut visualize, &["--count"]);
}

/// Known before anything is pictured.
#[test]
fn a_list_of_too_few_or_too_many_classes_is_refused() {
    let bench = Bench::new();
    for names in ["cat\ndog\n", "ant\ncat\ndog\nowl\n"] {
        fs::write(bench.path("classes"), names).unwrap();
        let mut visualize = bench.bare("visualize");
        visualize.args(["--model", "cifar_resnet20", "--weights"]);
        visualize.arg(bench.path("model.safetensors"));
        visualize.arg("--classes").arg(bench.path("classes"));
        visualize.args(["--neurons", "3", "--count", "3"]);
        let count = format!("{} classes are named", names.lines().count());
        fails(&mut visualize, &[&count, "between 3"]);
    }
}

#[test]
fn a_backend_left_out_says_how_to_get_it() {
    let bench = Bench::new();
    fails(
        bench.command("evaluate").args(["--device", "rocm"]),
        &["rocm", "cargo feature"],
    );
}
