//! The program `neuroinspect`: explains, pictures and mends a classifier's mistakes.
//!
//! Exit codes: 0 when all went well; 1 when the input or the machine was not as needed, with a
//! message on standard error; 2 when the command line was not understood; 130 when the work was
//! stopped by Ctrl-C, what was finished by then being on disk.

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
        Ok(session::Outcome::Interrupted) => {
            let out = cli.common.out.display();
            interrupted(&format!("stopped; what was finished is in '{out}'"))
        }
        Err(error) if session::is_cancellation(&error) => {
            interrupted("stopped before there was a result")
        }
        Err(error) => {
            output::tell(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn interrupted(message: &str) -> ExitCode {
    output::tell(message);
    ExitCode::from(130)
}
