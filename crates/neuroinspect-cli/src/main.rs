//! The program `neuroinspect`: explains a classifier's mistakes, visualizes the neurons behind them
//! and edits its decision layer.
//!
//! Exit codes: 0 when all went well; 1 when the input or the machine was not as needed, with a
//! message on standard error, or of `data` in what it prints; 2 when the command line was not understood; 3 when `check` found
//! something that is not as it is to be; 130 when the work was
//! stopped by Ctrl-C, what was finished by then being on disk.

use std::process::ExitCode;

use clap::Parser;
use neuroinspect::core::is_cancellation;

use crate::{console::warn, exit::Exit};

mod args;
mod commands;
mod config;
mod console;
mod exit;
mod hub;
mod images;
mod inputs;
mod model;
mod opened;
mod options;
mod output;
mod record;
mod source;
mod threads;
mod words;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let exit = match threads::start().and_then(|()| commands::run(&cli)) {
        Ok(exit) => exit,
        Err(error) if is_cancellation(error.as_ref()) => {
            warn("stopped before there was a result");
            return Exit::Stopped.into();
        }
        Err(error) => {
            warn(format_args!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    if exit == Exit::Stopped {
        warn(format_args!(
            "stopped; what was finished is in '{}'",
            cli.common.out.display()
        ));
    }
    exit.into()
}
