//! `completions` and `man`: what shells and `man` are told of the command line.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use neuroinspect::core::nearest_name;

use crate::{args::Cli, exit::Exit, output::print_text};

/// Prints the script that completes the program's words in a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "neuroinspect", &mut script);
    print_text(&script)?;
    Ok(Exit::Finished)
}

/// Prints the manual page of the program, or of the command that words name.
pub(crate) fn man(words: &[String]) -> Result<Exit> {
    let mut command = Cli::command();
    // Only then do commands have the options that all have, and names of their own.
    command.build();
    let mut described = &command;
    for word in words {
        let known = || {
            described
                .get_subcommands()
                .map(|command| command.get_name())
        };
        described = described.find_subcommand(word).with_context(|| {
            let meant = nearest_name(word, known());
            let meant = meant.map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
            format!("there is no command '{word}' to have a manual page{meant}")
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(described.clone())
        .manual("neuroinspect")
        .source(concat!("neuroinspect ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .context("cannot make the manual page")?;
    print_text(&page)?;
    Ok(Exit::Finished)
}
