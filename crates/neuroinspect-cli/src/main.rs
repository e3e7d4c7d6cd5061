//! The program `neuroinspect`: explains, pictures and mends a classifier's mistakes.
//!
//! Exit codes: 0 when all went well; 1 when the input or the machine was not as needed, with a
//! message on standard error; 2 when the command line was not understood; 130 when the work was
//! stopped by Ctrl-C, what was finished by then being on disk.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where neuroinspect talks"
)]

use std::process::ExitCode;

use clap::Parser;

mod args;
mod cache;
mod commands;
mod data;
mod inputs;
mod model;
mod output;
mod record;
mod session;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::run(&cli) {
        Ok(session::Outcome::Finished) => ExitCode::SUCCESS,
        Ok(session::Outcome::Incomplete) => ExitCode::FAILURE,
        Ok(session::Outcome::Interrupted) => interrupted(),
        Err(error) if session::is_cancellation(&error) => interrupted(),
        Err(error) => {
            // A closed pipe means that whoever reads has read enough.
            if output::is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn interrupted() -> ExitCode {
    eprintln!("stopped; what was finished has been kept");
    ExitCode::from(130)
}
