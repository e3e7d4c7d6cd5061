//! The command lines of the documentation are ones of this program.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory, Parser, error::ErrorKind};
use neuroinspect_testing::pages::Page;

use super::Cli;

/// Options that pages name and that are cargo's, or of a build with features that the tests' build is without.
const OF_OTHERS: [&str; 5] = [
    "--features",
    "--no-default-features",
    "--offline",
    "--release",
    "--test",
];

fn parse(words: &[impl AsRef<str>]) -> Result<Cli, clap::Error> {
    let words = words.iter().map(AsRef::as_ref);
    Cli::try_parse_from(["neuroinspect"].into_iter().chain(words))
}

/// All options of a command and those below it.
fn options(command: &Command, found: &mut BTreeSet<String>) {
    let names = command
        .get_arguments()
        .filter_map(|option| option.get_long());
    found.extend(names.map(|name| format!("--{name}")));
    for command in command.get_subcommands() {
        options(command, found);
    }
}

#[test]
fn commands_of_the_pages_are_understood() {
    let mut count = 0;
    for page in Page::all() {
        for words in page.commands() {
            if let Err(error) = parse(&words) {
                panic!("{}: {}: {error}", page.path().display(), words.join(" "));
            }
            count += 1;
        }
    }
    assert!(count >= 60, "{count}");
}

/// Where a sentence speaks of a command, what it needs may be left out, and a word may stand for a value.
#[test]
fn commands_and_options_in_sentences_exist() {
    let mut known = BTreeSet::from(OF_OTHERS.map(String::from));
    let mut command = Cli::command();
    command.build();
    options(&command, &mut known);
    for page in Page::all() {
        let path = page.path().display();
        for code in page.code_in_lines() {
            let words = code.split_whitespace().filter(|word| *word != "...");
            let words: Vec<&str> = words.collect();
            match words[..] {
                ["neuroinspect", ref words @ ..] => {
                    let error = parse(words).err().map(|error| error.kind());
                    let exists = matches!(
                        error,
                        None | Some(
                            ErrorKind::InvalidValue
                                | ErrorKind::MissingRequiredArgument
                                | ErrorKind::MissingSubcommand
                                | ErrorKind::DisplayHelp
                                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                        )
                    );
                    assert!(exists, "{path}: `{code}`: {error:?}");
                }
                [first, ..] if first.starts_with("--") => {
                    for option in words.iter().filter(|word| word.starts_with("--")) {
                        let name = option.split('=').next().unwrap();
                        assert!(known.contains(name), "{path}: `{code}`");
                    }
                }
                _ => {}
            }
        }
    }
}
