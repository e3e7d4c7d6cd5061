//! Command lines that are not as needed.

use std::fs;

use assert_cmd::Command;

use crate::fixture::{Fixture, fails};

#[test]
fn a_command_line_not_understood_exits_with_2() {
    let fixture = Fixture::new();
    let mut unknown = fixture.bare("evaluate");
    assert_eq!(unknown.output().unwrap().status.code(), Some(2));
    let mut device = fixture.command("evaluate");
    let output = device.args(["--device", "abacus"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("names no device")
    );
}

/// Stacks that no memory holds, as where `ulimit -v` leaves no room for a thread.
#[test]
fn a_system_without_threads_is_named() {
    let fixture = Fixture::new();
    let mut evaluate = fixture.command("evaluate");
    evaluate.env("RUST_MIN_STACK", (1_u64 << 50).to_string());
    fails(&mut evaluate, &["no threads", "RAYON_NUM_THREADS"]);
}

#[test]
fn options_out_of_range_are_refused_by_their_names() {
    let fixture = Fixture::new();
    for (option, value) in [
        ("--iterations", "0"),
        ("--picture-batch", "0"),
        ("--target", "0.5"),
        ("--lambda", "-1"),
        ("--learning-rate", "0"),
        ("--neurons", "3,3"),
        ("--epochs", "none"),
        ("--precision", "f8"),
    ] {
        let mut command = fixture.command("debug");
        command
            .args(["--class", "owl"])
            .arg(format!("{option}={value}"));
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {message}");
        assert!(message.contains(option), "{message}");
        assert!(!fixture.path("out").exists());
    }
}

#[test]
fn neurons_and_classes_out_of_range_are_refused() {
    let fixture = Fixture::new();
    let range = "64 neurons, 0 to 63";
    fails(
        fixture
            .command("debug")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        fixture
            .command("edit")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        fixture
            .command("visualize")
            .args(["--class", "owl", "--neurons", "64"]),
        &["neuron 64", range],
    );
    fails(
        fixture.command("explain").args(["--class", "3"]),
        &["class 3", "3 classes"],
    );
    fails(
        fixture.command("explain").args(["--class", "ow1"]),
        &["'ow1'", "did you mean 'owl'"],
    );
}

#[test]
fn an_out_folder_that_cannot_be_written_is_known_before_the_work() {
    let fixture = Fixture::new();
    fs::write(fixture.path("file"), "").unwrap();
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["evaluate", "--model", "cifar_resnet20", "--weights", "none"]);
    command.arg("--data").arg(fixture.path("images"));
    fails(
        command.arg("--out").arg(fixture.path("file/out")),
        &["file/out", "--out"],
    );
}

/// A folder that is there, into which not even root can write.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_known_before_the_work() {
    let fixture = Fixture::new();
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.args(["evaluate", "--model", "cifar_resnet20", "--weights", "none"]);
    command.arg("--data").arg(fixture.path("images"));
    fails(command.args(["--out", "/proc"]), &["'/proc'", "--out"]);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let fixture = Fixture::new();
    let refused = |command: &mut Command, part: &str| {
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part), "{message}");
    };
    for option in ["--domain=bird", "--prompts=file"] {
        let mut debug = fixture.command("debug");
        refused(debug.args(["--class", "owl", option]), "--clip-weights");
    }
    let mut unweighted = fixture.command("debug");
    unweighted.args(["--class", "owl", "--clip", "ViT-B-32"]);
    fails(&mut unweighted, &["--clip ViT-B-32 needs --clip-weights"]);
    #[cfg(not(feature = "hub"))]
    {
        let mut of_hub = fixture.bare("evaluate");
        of_hub.args(["--model", "hf://timm/resnet18.a1_in1k", "--data"]);
        of_hub.arg(fixture.path("images"));
        fails(&mut of_hub, &["install it with --features hub"]);
    }
    for option in ["--revert", "--partial"] {
        let mut apply = fixture.bare("apply");
        refused(apply.args(["--edit", "file", option]), "--model");
    }
    let mut visualize = fixture.bare("visualize");
    visualize.args(["--model=cifar_resnet20", "--weights=file"]);
    refused(visualize.arg("--class-names=file"), "--data");

    let debug = |options: &[&str]| {
        let mut debug = fixture.command("debug");
        debug.args(["--class", "owl"]).args(options);
        debug
    };
    fails(
        &mut debug(&["--neurons", "3", "--count", "2"]),
        &["--count"],
    );
    for keep in [
        &["--patience", "2"][..],
        &["--patience", "2", "--keep", "last"],
    ] {
        fails(&mut debug(keep), &["--patience", "last epoch"]);
    }
    fails(
        &mut debug(&["--objective", "feature", "--class-gamma", "0.5"]),
        &[
            "--class-gamma",
            "--objective feature",
            "constant of its own",
        ],
    );
    let mut visualize = fixture.command("visualize");
    visualize.args(["--neurons", "3", "--class", "owl", "--count", "2"]);
    fails(&mut visualize, &["--count"]);
}

/// Known before anything is pictured.
#[test]
fn a_list_of_too_few_or_too_many_classes_is_refused() {
    let fixture = Fixture::new();
    for names in ["cat\ndog\n", "ant\ncat\ndog\nowl\n"] {
        fs::write(fixture.path("classes"), names).unwrap();
        let mut visualize = fixture.bare("visualize");
        visualize.args(["--model", "cifar_resnet20", "--weights"]);
        visualize.arg(fixture.path("model.safetensors"));
        visualize.arg("--classes").arg(fixture.path("classes"));
        visualize.args(["--neurons", "3", "--count", "3"]);
        let count = format!("{} classes are named", names.lines().count());
        fails(&mut visualize, &[&count, "between 3"]);
    }
}

#[test]
fn a_backend_left_out_says_how_to_get_it() {
    let fixture = Fixture::new();
    fails(
        fixture.command("evaluate").args(["--device", "rocm"]),
        &["rocm", "cargo feature"],
    );
}
