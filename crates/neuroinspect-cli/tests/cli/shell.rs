//! Completions and manual pages.

use std::{
    io::Write,
    process::{Command as Program, Stdio},
};

use assert_cmd::Command;

use crate::fixture::{Fixture, fails};

fn printed(words: &[&str]) -> String {
    let output = Command::cargo_bin("neuroinspect")
        .unwrap()
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    assert!(output.stderr.is_empty(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for word in ["debug", "concepts", "fail-below", "worst-class"] {
            assert!(
                script.contains(word),
                "{word} is not in the script for {shell}"
            );
        }
    }
}

/// As bash itself completes a word with the script.
#[cfg(unix)]
#[test]
fn bash_completes_an_option() {
    let script = printed(&["completions", "bash"]);
    let mut bash = Program::new("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = "\nCOMP_WORDS=(neuroinspect check --fail)\nCOMP_CWORD=2\n\
               _neuroinspect neuroinspect --fail check\necho \"${COMPREPLY[@]}\"\n";
    let mut input = bash.stdin.take().unwrap();
    input.write_all((script + ask).as_bytes()).unwrap();
    drop(input);
    let output = bash.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "--fail-below"
    );
}

#[test]
fn commands_have_manual_pages() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH neuroinspect 1"), "{page}");
    assert!(page.contains("neuroinspect\\-debug(1)"), "{page}");
    let page = printed(&["man", "concepts", "learn"]);
    assert!(page.contains(".TH neuroinspect-concepts-learn 1"), "{page}");
    assert!(
        page.contains("\\-\\-seed"),
        "options that all commands have are there"
    );
    let fixture = Fixture::new();
    fails(
        fixture.bare("man").arg("concept"),
        &["no command 'concept'", "concepts"],
    );
}
